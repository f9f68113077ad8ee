"""Quantiles of measured samples, with intervals that assume nothing about their distribution.

The number of samples at or below the true q-quantile is binomial(n, q), whatever the samples
are distributed like. Two order statistics therefore enclose the quantile with a confidence
that follows from n and q alone. Too few samples have no such interval, and that is reported
instead of a guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A quantile of a population as seen through a sample, in the unit of the samples.

    Attributes:
        value: The quantile of the sample.
        low: Lower end of the interval, or ``None`` when the samples are too few for one.
        high: Upper end of the interval, or ``None`` when the samples are too few for one.
        count: Number of samples.
    """

    value: float
    low: float | None
    high: float | None
    count: int

    def scaled(self, factor: float) -> Estimate:
        """Return the same estimate in another unit; the factor is positive."""
        return Estimate(
            value=self.value * factor,
            low=None if self.low is None else self.low * factor,
            high=None if self.high is None else self.high * factor,
            count=self.count,
        )

    def format(self, digits: int = 2) -> str:
        """Return the value with its interval for people, such as ``1.42 [1.38, 1.47]``."""
        low, high = (
            "?" if end is None else format(end, f".{digits}f") for end in (self.low, self.high)
        )
        return f"{self.value:.{digits}f} [{low}, {high}]"


def percentile(samples: Sequence[float], q: float) -> float:
    """Return the smallest sample that at least the share ``q`` of the samples does not exceed.

    Args:
        samples: The samples, in any order.
        q: Share of the samples, above 0 and at most 1.

    Raises:
        ValueError: There are no samples, or ``q`` is out of range.
    """
    if not samples:
        raise ValueError("a percentile needs at least one sample")
    if not 0 < q <= 1:
        raise ValueError(f"a share lies above 0 and is at most 1, not {q}")
    # The rounding keeps 0.07 * 100, which is 7.000000000000001, at rank 7.
    rank = math.ceil(round(q * len(samples), 9))
    return sorted(samples)[max(rank, 1) - 1]


def enclosing_ranks(
    count: int, q: float, confidence: float = 0.95
) -> tuple[int | None, int | None]:
    """Return the ranks, from 1, of the order statistics that enclose the q-quantile.

    Args:
        count: Number of samples.
        q: The quantile, between 0 and 1.
        confidence: Probability that the interval holds the true quantile; each end is allowed
            half of the rest.

    Returns:
        The highest rank that is low enough and the lowest that is high enough; ``None`` for an
        end that no sample of this size has.
    """
    tail = (1 - confidence) / 2
    low: int | None = None
    high: int | None = None
    cumulative = 0.0
    for rank in range(1, count + 1):
        cumulative += _binomial_probability(count, q, rank - 1)
        if cumulative <= tail:
            low = rank
        if cumulative >= 1 - tail:
            high = rank
            break
    return low, high


def estimate_quantile(
    samples: Sequence[float], q: float = 0.5, confidence: float = 0.95
) -> Estimate:
    """Return a quantile of the samples with the interval that encloses the true one.

    Args:
        samples: The samples, in any order, independent of each other.
        q: The quantile, between 0 and 1; the median by default.
        confidence: Probability that the interval holds the true quantile.

    Raises:
        ValueError: There are no samples, or ``q`` is out of range.
    """
    ordered = sorted(samples)
    low, high = enclosing_ranks(len(ordered), q, confidence)
    return Estimate(
        value=percentile(ordered, q),
        low=None if low is None else ordered[low - 1],
        high=None if high is None else ordered[high - 1],
        count=len(ordered),
    )


def estimate_share(hits: int, count: int, confidence: float = 0.95) -> Estimate:
    """Return a share with its exact (Clopper-Pearson) interval, such as that of failed requests.

    No hit in ``count`` trials does not prove a share of 0: its upper end is near 3.7 / ``count``.

    Args:
        hits: How many trials were hits.
        count: How many trials there were.
        confidence: Probability that the interval holds the true share.

    Raises:
        ValueError: There were no trials, or more hits than trials.
    """
    if not (0 <= hits <= count and count):
        raise ValueError(f"a share needs trials, and hits among them, not {hits} of {count}")
    tail = (1 - confidence) / 2
    return Estimate(
        value=hits / count,
        low=_share_below(hits, count, tail),
        high=1 - _share_below(count - hits, count, tail),
        count=count,
    )


def _share_below(hits: int, count: int, tail: float) -> float:
    """Return the share with which so many hits or more have the probability ``tail``."""
    if hits == 0:
        return 0.0
    low, high = 0.0, hits / count
    # Only the shorter of the two sides is summed up.
    mostly = hits > count / 2
    side = range(hits, count + 1) if mostly else range(hits)
    for _ in range(50):
        middle = (low + high) / 2
        chance = math.fsum(_binomial_probability(count, middle, it) for it in side)
        if (chance if mostly else 1 - chance) < tail:
            low = middle
        else:
            high = middle
    return low


def _binomial_probability(count: int, q: float, hits: int) -> float:
    # In logarithms: the binomial coefficient of some thousand samples exceeds every float.
    return math.exp(
        math.lgamma(count + 1)
        - math.lgamma(hits + 1)
        - math.lgamma(count - hits + 1)
        + hits * math.log(q)
        + (count - hits) * math.log1p(-q)
    )
