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
    told = [recommendation(plan), "", *_assumptions(plan)]
    if trials:
        told += ["", f"Pools tried, in order ({len(plan.trials)}):", "", *_table(plan)]
    return "\n".join(told)


def recommendation(plan: Plan) -> str:
    """Return the outcome of a plan in a few sentences."""
    contest, promise = describe_contest(plan.contest), describe_promise(plan.promise)
    chosen = plan.chosen
    if chosen is None:
        why = plan.obstacle or f"none of the {len(plan.trials)} pools tried keeps it"
        return (
            f"No pool keeps the promise that {promise}. The contest: {contest}. The obstacle: "
            f"{why}."
        )
    early = " The search was ended early: a smaller pool may do." if plan.cut_short else ""
    return (
        f"A pool with max-sessions {chosen.maximum}, ready-sessions {chosen.ready} and a cooldown "
        f"of {chosen.cooldown:g} s keeps the promise that {promise}. The contest: {contest}. At "
        f"most {_counted(chosen.peak_sessions, 'session is', 'sessions are')} in use at one time, "
        f"{_percent(plan.promise.share)} of the executions wait at most {_seconds(chosen.wait)}, "
        f"none longer than {_seconds(chosen.longest_wait)}.{early}"
    )


def describe_contest(contest: Contest) -> str:
    """Return who sends how much, and when, in words."""
    each = _counted(contest.tries, "try", "tries")
    return (
        f"{_counted(contest.students, 'student')}, {_counted(contest.questions, 'question')} with "
        f"{each} each ({contest.executions:,} executions in all), {_arrivals(contest.arrivals)}"
    )


def describe_promise(promise: Promise) -> str:
    """Return a promise in words."""
    refused = f"at most {_percent(promise.refused)} are" if promise.refused else "none is"
    return (
        f"{_percent(promise.share)} of the executions wait at most {promise.wait:g} s and "
        f"{refused} refused"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _arrivals(arrivals: Arrivals) -> str:
    if isinstance(arrivals, AllAtOnce):
        return "all at once"
    if isinstance(arrivals, Ramp):
        return f"coming one by one within {arrivals.over:g} s"
    assert isinstance(arrivals, LastMinuteRush)
    return (
        f"coming within {arrivals.over:g} s, {_percent(arrivals.share)} of them in the last "
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
    yield f"- added to the first request of any session: {plan.rules.allocation_time:g} s"
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
    widths = [max(2, *map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple(f"{'':->{width - 1}}:" for width in widths))
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        yield f"| {' | '.join(cells)} |"


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
