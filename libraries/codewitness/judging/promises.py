"""What a submission's author promised of it, held against the verdicts that it got.

Submissions that must fail test the cases and their judging: one that is accepted shows that a
wrong program gets through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from codewitness.judging.problem import (
    ALL_VERDICTS,
    Case,
    Expectation,
    ProblemLimits,
    Submission,
)
from codewitness.judging.verdict import CaseVerdict, Verdict

_SHOWN = 5

Judged = Sequence[tuple[Case, CaseVerdict]]
"""Cases with their verdicts, in the order of the cases."""


class Outcome(Enum):
    """What became of a promise."""

    KEPT = "kept"
    SENSITIVE = "sensitive to time limit"
    BROKEN = "broken"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class SubmissionJudgement:
    """Judgement on a submission.

    Attributes:
        outcome: What became of its author's promise.
        verdict: The submission's own verdict: that of the first case that isn't accepted.
        message: What was promised and what came, in words; several lines.
    """

    outcome: Outcome
    verdict: Verdict
    message: str


def judge_submission(submission: Submission, judged: Judged) -> SubmissionJudgement:
    """Hold the verdicts that a submission got against what is expected of it.

    A promise is kept when it holds at both time limits. Where it holds at one of them alone, the
    limit or the machine is in question and not the submission.

    Args:
        submission: The submission.
        judged: All cases that it was run on.
    """
    name = submission.name
    verdict = overall(judged, _at_limit)
    failed = [each for each in judged if each[1].verdict is Verdict.JE]
    if failed:
        told = f"{name} is not judged: {_some(failed, _at_limit, len(judged))}"
        return SubmissionJudgement(Outcome.NOT_JUDGED, verdict, told)
    broken = list(_broken(submission, judged, _at_limit))
    broken_at_wider = list(_broken(submission, judged, _at_wider_limit))
    came = f"Came: {_tally(judged, _at_limit)}."
    if any(each.is_sensitive for _, each in judged):
        came += f" At the wider time limit: {_tally(judged, _at_wider_limit)}."
    lines = [came, *_remarks(judged)]
    if not broken and not broken_at_wider:
        promised = " ".join(map(promise, submission.expectations)) or "nothing."
        lines = [f"{name} is as promised: {promised}", *lines]
        return SubmissionJudgement(Outcome.KEPT, verdict, "\n".join(lines))
    filed = f", filed under {submission.filed}," if submission.filed else ""
    if broken and broken_at_wider:
        lines = [f"{name}{filed} is not as promised.", *broken, *lines]
        return SubmissionJudgement(Outcome.BROKEN, verdict, "\n".join(lines))
    which, other = ("wider", "time") if broken_at_wider else ("time", "wider")
    lines = [
        f"{name}{filed} is sensitive to time limit: as promised at the {_LIMITS[other]}, not at"
        f" the {_LIMITS[which]}.",
        *(broken or broken_at_wider),
        *lines,
    ]
    return SubmissionJudgement(Outcome.SENSITIVE, verdict, "\n".join(lines))


_LIMITS = {"time": "time limit", "wider": "wider time limit"}

_Choose = Callable[[CaseVerdict], Verdict]


def _at_limit(case_verdict: CaseVerdict) -> Verdict:
    return case_verdict.verdict


def _at_wider_limit(case_verdict: CaseVerdict) -> Verdict:
    return case_verdict.at_wider_limit


def overall(judged: Judged, choose: _Choose = _at_limit) -> Verdict:
    """Return a submission's own verdict: that of the first case that isn't accepted."""
    verdicts = (choose(each) for _, each in judged)
    return next((verdict for verdict in verdicts if verdict is not Verdict.AC), Verdict.AC)


def promise(expectation: Expectation) -> str:
    """Say in words what is expected of a submission."""
    where = f" of {', '.join(expectation.cases)}" if expectation.cases else ""
    told = []
    if expectation.permitted != ALL_VERDICTS:
        told.append(f"every case{where} is {_either(expectation.permitted)}")
    if expectation.required:
        told.append(f"at least one case{where} is {_either(expectation.required)}")
    if expectation.overall:
        told.append(f"the first case that isn't accepted is {_either(expectation.overall)}")
        if Verdict.AC in expectation.overall:
            told[-1] = f"the submission as a whole is {_either(expectation.overall)}"
    if expectation.message:
        told.append(f"the validator says {expectation.message!r} of at least one case{where}")
    return f"{', and '.join(told)}." if told else f"any verdict{where} will do."


def _broken(submission: Submission, judged: Judged, choose: _Choose) -> Iterator[str]:
    """Yield each expectation that does not hold, with the cases that it does not hold for."""
    for expectation in submission.expectations:
        concerned = [each for each in judged if expectation.concerns(each[0])]
        promised = f"Promised: {promise(expectation)} "
        # A program that isn't even compiled has kept no promise, unless it promises just that.
        permitted = expectation.permitted | (expectation.overall & {Verdict.CE})
        denied = [each for each in concerned if not _is_in(choose(each[1]), permitted)]
        if denied:
            yield f"{promised}Not so: {_some(denied, choose, len(concerned))}"
        if expectation.required and not any(
            _is_in(choose(each), expectation.required) for _, each in concerned
        ):
            yield promised + _none_of(concerned, choose)
        whole = overall(concerned, choose)
        if expectation.overall and not _is_in(whole, expectation.overall):
            told = [each for each in concerned if choose(each[1]) is whole][:1]
            shown = _some(told, choose, len(concerned)) if whole is not Verdict.AC else ""
            yield promised + (shown or _none_of(concerned, choose))
        if expectation.message and not any(
            each.validation is not None and expectation.message in each.validation.judge_message
            for _, each in concerned
        ):
            yield f"{promised}The validator says so of none."


def _is_in(verdict: Verdict, verdicts: frozenset[str]) -> bool:
    """Tell whether a verdict is among those that an author named."""
    if verdict in verdicts:
        return True
    # Authors can name four, and call every end but a normal one a run-time error.
    return verdict in (Verdict.MLE, Verdict.OLE) and Verdict.RTE in verdicts


def _none_of(judged: Judged, choose: _Choose) -> str:
    if not judged:
        return "There is no such case."
    if all(choose(each) is Verdict.AC for _, each in judged):
        return (
            f"All {len(judged)} are accepted: the cases don't tell this program from a right one,"
            f" or its output isn't judged."
        )
    return f"None is; there is {_tally(judged, choose)}."


def _either(verdicts: frozenset[str]) -> str:
    return " or ".join(each.value for each in reversed(Verdict) if each in verdicts)


def _tally(judged: Judged, choose: _Choose) -> str:
    verdicts = [choose(each) for _, each in judged]
    counts = [(verdicts.count(each), each) for each in reversed(Verdict)]
    return ", ".join(f"{count} {each}" for count, each in counts if count) or "no case at all"


def _some(judged: Judged, choose: _Choose, total: int) -> str:
    """Say of the first of some cases what came."""
    shown = [
        f"{case.name} is {choose(each)}: {each.reason}"
        if choose(each) is each.verdict
        else f"{case.name} is {choose(each)}"
        for case, each in judged[:_SHOWN]
    ]
    more = f"; {len(judged) - _SHOWN} more" if len(judged) > _SHOWN else ""
    return f"{len(judged)} of {total}: {'; '.join(shown)}{more}."


def _remarks(judged: Judged) -> list[str]:
    remarks = [f"{case.name}: {each.remark}." for case, each in judged if each.remark]
    more = [f"{len(remarks) - _SHOWN} more like these."] if len(remarks) > _SHOWN else []
    return [*remarks[:_SHOWN], *more]


class NoTimeLimit(ValueError):
    """No time limit tells the submissions that must be fast enough from those that must not."""


def infer_time_limit(
    limits: ProblemLimits, fast_enough: Sequence[float], too_slow: Sequence[float] = ()
) -> float:
    """Return the time limit of a problem whose author leaves it to the judge.

    Args:
        limits: What the problem sets; a time limit of its own is returned as it is.
        fast_enough: Seconds that each submission which must not be too slow took for its slowest
            case.
        too_slow: The same for submissions that must be too slow.

    Raises:
        NoTimeLimit: A submission that must be too slow is not slow enough.
    """
    if limits.time is not None:
        return limits.time
    resolution = limits.time_resolution
    least = max(fast_enough, default=0.0) * limits.ac_to_time_limit
    chosen = max(1, math.ceil(least / resolution)) * resolution
    most = min(too_slow, default=math.inf) / limits.time_limit_to_tle
    if chosen > most:
        raise NoTimeLimit(
            f"a time limit of {chosen:g} s is needed for what must be fast enough, and one of at"
            f" most {most:.3g} s for what must be too slow"
        )
    return chosen
