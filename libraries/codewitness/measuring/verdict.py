"""Three answers to a claim about samples: PASS, FAIL, or INCONCLUSIVE with what would decide.

A claim holds or fails only when its whole interval lies on one side of the bar. Failed requests
stay in: for a bar of latency they count as never answered, since leaving them out would make
the worst run look best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from codewitness.measuring.drift import estimate_trend
from codewitness.measuring.samples import Sample, count_outcomes
from codewitness.measuring.statistics import (
    Estimate,
    enclosing_ranks,
    estimate_quantile,
    estimate_share,
)

_MOST_SAMPLES = 100_000
_FEWEST_OF_A_TREND = 8


class Verdict(Enum):
    """What samples say to a claim."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Judgement:
    """A claim with its verdict.

    Attributes:
        verdict: The verdict.
        claim: What was to be shown, such as ``p95 of the response time is below 1 s``.
        found: What the samples show, with interval and sample count.
        reason: Why the samples don't decide; empty when they do.
        more: About how many more samples would decide; ``None`` where that is not known.
        estimate: What was compared with the bar.
    """

    verdict: Verdict
    claim: str
    found: str
    reason: str = ""
    more: int | None = None
    estimate: Estimate | None = None

    def __str__(self) -> str:
        told = f"{self.verdict.value}: {self.claim}; {self.found}"
        if self.reason:
            told += f"; {self.reason}"
        if self.more is not None:
            told += f"; about {self.more} more samples would decide"
        return told


def judge_latency(
    samples: Sequence[Sample], bar: float, *, q: float = 0.95, objection: str = ""
) -> Judgement:
    """Judge whether a quantile of the response time is below a bar.

    Args:
        samples: Samples of one warmth; those of the warm-up are left out.
        bar: The bar in seconds.
        q: The quantile, between 0 and 1.
        objection: Why the run can't show it; see :meth:`Run.objection`.

    Raises:
        ValueError: Samples of different warmth are mixed.
    """
    claim = f"p{100 * q:g} of the response time is below {_seconds(bar)}"
    counted = _of_one_warmth(samples)
    if not counted:
        return Judgement(Verdict.INCONCLUSIVE, claim, "no samples", "there is nothing to judge")
    times = [_waited(sample) for sample in counted]
    estimate = estimate_quantile(times, q)
    below = sum(time < bar for time in times)
    more = _more_for_quantile(below, len(times), q)
    return _decide(claim, estimate, bar, _found(estimate, counted), objection, more)


def judge_largest(samples: Sequence[Sample], bar: float, *, objection: str = "") -> Judgement:
    """Judge whether every one of a few samples is below a bar, which claims nothing of others.

    Args:
        samples: Samples of one warmth; those of the warm-up are left out.
        bar: The bar in seconds.
        objection: Why the run can't show it; see :meth:`Run.objection`.

    Raises:
        ValueError: Samples of different warmth are mixed.
    """
    counted = _of_one_warmth(samples)
    claim = f"each response time is below {_seconds(bar)}"
    if not counted:
        return Judgement(Verdict.INCONCLUSIVE, claim, "no samples", "there is nothing to judge")
    largest = max(map(_waited, counted))
    estimate = Estimate(largest, largest, largest, len(counted))
    found = f"the longest is {_seconds(largest)} (n = {len(counted)}){_failures(counted)}"
    return _decide(claim, estimate, bar, found, objection, None)


def judge_failures(samples: Sequence[Sample], bar: float, *, objection: str = "") -> Judgement:
    """Judge whether the share of failed requests is below a bar.

    Args:
        samples: The samples; those of the warm-up are left out.
        bar: The bar as a share, such as 0.01.
        objection: Why the run can't show it; see :meth:`Run.objection`.
    """
    claim = f"the share of failed requests is below {100 * bar:g} %"
    counted = [sample for sample in samples if not sample.warm_up]
    if not counted:
        return Judgement(Verdict.INCONCLUSIVE, claim, "no samples", "there is nothing to judge")
    failed = sum(not sample.succeeded for sample in counted)
    estimate = estimate_share(failed, len(counted))
    found = f"it is {estimate.scaled(100).format()} % (n = {len(counted)}){_failures(counted)}"
    return _decide(claim, estimate, bar, found, objection, _more_for_mean(estimate, bar))


def judge_each(
    samples: Sequence[Sample],
    *,
    claim: str = "every request gets its own, right answer",
    right: Callable[[Sample], bool] = lambda sample: sample.succeeded,
) -> Judgement:
    """Judge whether every request ended as it should; what that excludes is told with it.

    A generator that is late does not make a service fail, so there is no objection to this claim.

    Args:
        samples: The samples, those of the warm-up among them.
        claim: What is to be shown.
        right: Whether a request ended as it should.
    """
    if not samples:
        return Judgement(Verdict.INCONCLUSIVE, claim, "no samples", "there is nothing to judge")
    wrong = [sample for sample in samples if not right(sample)]
    share = estimate_share(len(wrong), len(samples))
    if wrong:
        named = ", ".join(f"{name} ({count})" for name, count in count_outcomes(wrong).items())
        found = f"{len(wrong)} of {len(samples)} did not: {named}"
        return Judgement(Verdict.FAIL, claim, found, estimate=share)
    assert share.high is not None
    excluded = f"a share of more than {100 * share.high:.2g} % is excluded"
    found = f"all {len(samples)} did ({excluded})"
    return Judgement(Verdict.PASS, claim, found, estimate=share)


def judge_figure(
    claim: str,
    figure: Estimate,
    bar: float,
    *,
    at_least: bool = False,
    found: str = "",
    objection: str = "",
) -> Judgement:
    """Judge whether a figure of any kind lies on the good side of a bar.

    Args:
        claim: What is to be shown.
        figure: The figure with its interval.
        bar: The bar, in the figure's unit.
        at_least: Whether the good side is above the bar, not below it.
        found: What the figure was found from, in words.
        objection: Why the samples can't show it.
    """
    told = f"it is {figure.format()} (n = {figure.count}){f', {found}' if found else ''}"
    if not at_least:
        return _decide(claim, figure, bar, told, objection, None)
    mirrored = Estimate(
        -figure.value,
        None if figure.high is None else -figure.high,
        None if figure.low is None else -figure.low,
        figure.count,
    )
    return replace(_decide(claim, mirrored, -bar, told, objection, None), estimate=figure)


def judge_drift(
    samples: Sequence[Sample], allowed: float = 0.1, *, objection: str = ""
) -> Judgement:
    """Judge whether the service time stayed as it was while the service was used.

    Args:
        samples: Samples of one warmth; those of the warm-up are left out, and so are failed
            ones, which :func:`judge_failures` judges.
        allowed: Growth from the first to the last sample that counts as none, as a share of
            the median.
        objection: Why the run can't show it; see :meth:`Run.objection`.

    Raises:
        ValueError: Samples of different warmth are mixed.
    """
    claim = f"the service time grows by less than {100 * allowed:g} % during the load"
    counted = _of_one_warmth(samples)
    answered = sorted((it for it in counted if it.succeeded), key=lambda it: it.started)
    if len({sample.started for sample in answered}) < _FEWEST_OF_A_TREND:
        found = f"{len(answered)} samples{_failures(counted)}"
        more = _FEWEST_OF_A_TREND - len(answered)
        return Judgement(
            Verdict.INCONCLUSIVE, claim, found, "they are too few", more if more > 0 else None
        )
    trend = estimate_trend(
        [sample.started for sample in answered], [sample.service_time for sample in answered]
    )
    growth = trend.growth
    found = (
        f"it grew by {growth.scaled(100).format(1)} % of its median of {_seconds(trend.level)} "
        f"in {trend.seconds:.1f} s (n = {growth.count}){_failures(counted)}"
    )
    return _decide(claim, growth, allowed, found, objection, _more_for_mean(growth, allowed))


def _decide(
    claim: str, estimate: Estimate, bar: float, found: str, objection: str, more: int | None
) -> Judgement:
    if objection:
        return Judgement(Verdict.INCONCLUSIVE, claim, found, objection, estimate=estimate)
    if estimate.high is not None and estimate.high < bar:
        return Judgement(Verdict.PASS, claim, found, estimate=estimate)
    if estimate.low is not None and estimate.low >= bar:
        return Judgement(Verdict.FAIL, claim, found, estimate=estimate)
    missing = estimate.low is None or estimate.high is None
    reason = "they are too few" if missing else "the interval lies on both sides of the bar"
    return Judgement(Verdict.INCONCLUSIVE, claim, found, reason, more, estimate)


def _of_one_warmth(samples: Sequence[Sample]) -> list[Sample]:
    counted = [sample for sample in samples if not sample.warm_up]
    mixed = {sample.warmth for sample in counted if sample.succeeded}
    if len(mixed) > 1:
        names = ", ".join(sorted(warmth.value for warmth in mixed))
        raise ValueError(f"samples of different warmth can't be judged together: {names}")
    return counted


def _waited(sample: Sample) -> float:
    return sample.response_time if sample.succeeded else math.inf


def _found(estimate: Estimate, samples: Sequence[Sample]) -> str:
    low, high = ("?" if end is None else _seconds(end) for end in (estimate.low, estimate.high))
    return (
        f"it is {_seconds(estimate.value)} [{low}, {high}] (n = {estimate.count})"
        f"{_failures(samples)}"
    )


def _failures(samples: Sequence[Sample]) -> str:
    failed = [sample for sample in samples if not sample.succeeded]
    if not failed:
        return ""
    named = ", ".join(f"{name} ({count})" for name, count in count_outcomes(failed).items())
    return f", {len(failed)} of them failed: {named}"


def _seconds(value: float) -> str:
    if math.isinf(value):
        return "no answer"
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def _more_for_quantile(below: int, count: int, q: float) -> int | None:
    """Return how many more samples decide, if as large a share of them is below the bar."""
    share = below / count

    def decides(samples: int) -> bool:
        low, high = enclosing_ranks(samples, q)
        if share > q:
            return high is not None and high <= share * samples
        return low is not None and low > share * samples

    if share == q:
        return None
    enough = count
    while not decides(enough):
        enough = math.ceil(1.1 * enough) + 1
        if enough > _MOST_SAMPLES:
            return None
    return enough - count if enough > count else None


def _more_for_mean(estimate: Estimate, bar: float) -> int | None:
    """Return how many more samples decide, if the interval shrinks with their square root."""
    end = estimate.high if estimate.value < bar else estimate.low
    distance = abs(estimate.value - bar)
    if end is None or distance == 0:
        return None
    enough = math.ceil(estimate.count * (abs(end - estimate.value) / distance) ** 2)
    return enough - estimate.count if estimate.count < enough <= _MOST_SAMPLES else None
