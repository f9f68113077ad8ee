"""The recommendation of a pool for a contest, as Markdown that also reads well as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from codewitness.measuring.statistics import percentile
from codewitness.session_pool.planner import (
    AllAtOnce,
    Arrivals,
    Contest,
    LastMinuteRush,
    Measured,
    Ramp,
    Times,
)
from codewitness.session_pool.planner_search import Plan, Promise, Trial

_HEADS = (
    *("", "max", "ready", "cooldown", "promise", "runs", "wait", "longest wait", "in time"),
    *("refused", "new sessions", "most sessions", "instance-seconds"),
)


def plan_as_markdown(plan: Plan, trials: bool = True) -> str:
    """Return a plan as Markdown: recommendation, what it stands on, what was tried.

    Args:
        plan: The plan.
        trials: Whether every pool tried is listed.
    """
    told = [f"**{recommendation(plan)}**", "", *_assumptions(plan)]
    if trials:
        told += ["", f"Pools tried, in order ({len(plan.trials)}):", "", *_table(plan)]
    return "\n".join(told)


def recommendation(plan: Plan) -> str:
    """Return the outcome of a plan in one sentence or two."""
    promised = f"{describe_contest(plan.contest)}: {describe_promise(plan.promise)}"
    chosen = plan.chosen
    if chosen is None:
        why = plan.obstacle or f"none of the {len(plan.trials)} pools tried keeps it"
        return f"No pool keeps the promise. {promised}; but {why}."
    more = ", and a search that was not ended early might find less" if plan.cut_short else ""
    return (
        f"max-sessions {chosen.maximum}, ready-sessions {chosen.ready}, cooldown "
        f"{chosen.cooldown:g} s. {promised}. Most sessions in use {chosen.peak_sessions}, "
        f"{plan.promise.share:.4g} of the executions wait at most {_seconds(chosen.wait)}, the "
        f"longest wait is {_seconds(chosen.longest_wait)}{more}."
    )


def describe_contest(contest: Contest) -> str:
    """Return who sends how much, and when, in words."""
    each = _counted(contest.tries, "try", "tries")
    return (
        f"{_counted(contest.students, 'student')}, {_counted(contest.questions, 'question')} with "
        f"{each} each ({contest.executions:,} executions), {_arrivals(contest.arrivals)}"
    )


def describe_promise(promise: Promise) -> str:
    """Return a promise in words."""
    refused = f"at most {promise.refused:.4g} refused" if promise.refused else "no refusal"
    return f"{promise.share:.4g} of them wait at most {promise.wait:g} s, {refused}"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _arrivals(arrivals: Arrivals) -> str:
    if isinstance(arrivals, AllAtOnce):
        return "all at once"
    if isinstance(arrivals, Ramp):
        return f"coming one by one within {arrivals.over:g} s"
    assert isinstance(arrivals, LastMinuteRush)
    return (
        f"coming within {arrivals.over:g} s, {arrivals.share:.0%} of them in the last "
        f"{arrivals.within:g} s"
    )


def _assumptions(plan: Plan) -> Iterator[str]:
    contest = plan.contest
    per_call = contest.identifiers == "per-call"
    stopped = "stopped after its last use" if contest.stops_sessions else "left to cool down"
    yield "This stands on:"
    yield ""
    yield f"- service time: {_times(contest.service_time)}, however many run at once"
    yield f"- start of an instance: {_times(plan.start_time)}"
    yield f"- first request of a session, even on a ready instance: +{plan.rules.allocation_time:g} s"
    yield f"- think time of a student: {_times(contest.think_time)}"
    yield f"- identifiers: one {'per call' if per_call else 'per student'}; a session is {stopped}"
    if contest.when_refused == "give up":
        yield "- a call that the pool refuses fails with 429, and is not repeated"
    else:
        yield "- a call that the pool refuses is held back until a session is free, in order"
    if not plan.rules.waits_for_start:
        yield "- a new identifier is refused while no instance is ready"
    yield "- figures are those of the worst of several simulated contests, without any margin"


def _times(times: Times) -> str:
    if not isinstance(times, Measured):
        return f"{times.mean:g} s on average, exponentially distributed (assumed)"
    if len(times.samples) == 1:
        return f"{times.samples[0]:g} s (assumed)"
    median, p95 = (percentile(times.samples, q) for q in (0.5, 0.95))
    return (
        f"{_counted(len(times.samples), 'sample')} measured, median {median:.3g} s, "
        f"95th percentile {p95:.3g} s"
    )


def _table(plan: Plan) -> Iterator[str]:
    rows = [_HEADS, *(_row(trial, trial is plan.chosen) for trial in plan.trials)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple(f"{'':->{width - 1}}:" if width > 1 else "-:" for width in widths))
    for row in rows:
        yield f"| {' | '.join(cell.rjust(width) for cell, width in zip(row, widths))} |"


def _row(trial: Trial, chosen: bool) -> Sequence[str]:
    return (
        "chosen" if chosen else "",
        str(trial.maximum),
        str(trial.ready),
        f"{trial.cooldown:g} s",
        "kept" if trial.kept else "broken",
        str(trial.runs),
        _seconds(trial.wait),
        _seconds(trial.longest_wait),
        f"{trial.share:.2%}",
        f"{trial.refused:.2%}",
        f"{trial.new_sessions:.2%}",
        str(trial.peak_sessions),
        f"{trial.instance_seconds:,.0f}",
    )


def _seconds(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.2f} s"
