"""Throughput against the number of requests at once, and the knee where it stops growing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from codewitness.measuring.samples import Sample
from codewitness.measuring.statistics import Estimate, estimate_share

_BATCHES = 10
# Student's, for 97.5 % with ten batches: batches that follow each other are somewhat alike.
_STUDENT_QUANTILE = 2.685
_FEWEST_A_BATCH = 2


@dataclass(frozen=True)
class Level:
    """One level of concurrency, measured in the closed model.

    Attributes:
        at_once: Requests at once.
        throughput: Right answers a second, with its interval; no interval where they are too
            few. Its count is that of the answers.
        failures: Share of requests that failed, with its interval.
        objection: Why the level tells more about the generator than about the service; empty
            when it does not.
    """

    at_once: int
    throughput: Estimate
    failures: Estimate
    objection: str = ""


@dataclass(frozen=True)
class Knee:
    """Where more requests at once stop bringing more throughput.

    Attributes:
        level: The lowest level that comes near the highest throughput; ``None`` when the
            throughput still grew at the highest level that counts.
        best: The level with the highest throughput.
        reason: The finding in words, with what it was found from.
    """

    level: Level | None
    best: Level
    reason: str


def measure_level(at_once: int, samples: Sequence[Sample], objection: str = "") -> Level:
    """Return what a closed load of one level shows.

    Only the time counts in which all requests were under way, from the first start to the
    last. Its interval comes from the differences between ten batches of that time.

    Args:
        at_once: Requests at once.
        samples: All samples of the level.
        objection: See :class:`Level`.

    Raises:
        ValueError: There are no samples.
    """
    if not samples:
        raise ValueError(f"no samples of {at_once} requests at once")
    failed = sum(not sample.succeeded for sample in samples)
    ends = [sample.ended for sample in samples if sample.succeeded]
    start = min(sample.started for sample in samples)
    # A request that starts when an earlier one ends starts a moment after it.
    end = max(sample.started for sample in samples)
    throughput = estimate_rate([it for it in ends if it <= end], start, end)
    return Level(at_once, throughput, estimate_share(failed, len(samples)), objection)


def estimate_rate(moments: Sequence[float], start: float, end: float) -> Estimate:
    """Return events a second within a stretch of time, with the interval of batch means.

    Args:
        moments: When each event came.
        start: Beginning of the stretch.
        end: Its end. A stretch of no length has a rate of 0 and no interval.
    """
    within = [moment for moment in moments if start <= moment <= end]
    if not end > start:
        return Estimate(0.0, None, None, len(within))
    rate = len(within) / (end - start)
    if len(within) < _BATCHES * _FEWEST_A_BATCH:
        return Estimate(rate, None, None, len(within))
    width = (end - start) / _BATCHES
    counts = [0] * _BATCHES
    for moment in within:
        counts[min(int((moment - start) / width), _BATCHES - 1)] += 1
    rates = [count / width for count in counts]
    reach = _STUDENT_QUANTILE * stdev(rates) / math.sqrt(_BATCHES)
    return Estimate(rate, max(0.0, mean(rates) - reach), mean(rates) + reach, len(within))


def find_knee(levels: Sequence[Level], tolerance: float = 0.1) -> Knee:
    """Return from which level on more requests at once bring no more throughput.

    Levels from the first one on where the generator was the bottleneck do not count.

    Args:
        levels: Levels in ascending order.
        tolerance: How far below the highest throughput, as a share of it, a level still comes
            near to it.

    Raises:
        ValueError: There are no levels, or they are not in ascending order.
    """
    if not levels or list(levels) != sorted(levels, key=lambda it: it.at_once):
        raise ValueError("a knee is found among levels in ascending order")
    counted: list[Level] = []
    for level in levels:
        if level.objection:
            break
        counted.append(level)
    if not counted:
        reason = f"not known: {levels[0].objection}"
        return Knee(None, levels[0], reason)
    best = max(counted, key=lambda level: level.throughput.value)
    if not best.throughput.value > 0:
        return Knee(None, best, "not known: no request was answered rightly")
    knee = next(
        level
        for level in counted
        if level.throughput.value >= (1 - tolerance) * best.throughput.value
    )
    told = (
        f"{knee.throughput.format(1)} a second at {knee.at_once} at once "
        f"(n = {knee.throughput.count})"
    )
    if knee is counted[-1]:
        bound = levels[len(counted)].objection if len(counted) < len(levels) else ""
        why = f"; beyond it {bound}" if bound else ""
        return Knee(None, best, f"not reached: throughput still grew, {told}{why}")
    return Knee(knee, best, f"{told}; up to {counted[-1].at_once} at once bring no more")
