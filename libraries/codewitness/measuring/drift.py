"""Whether latency grows while a service is used, by a slope that outliers don't move.

The slope is Theil and Sen's, the median of the slopes of all pairs, with Sen's interval from
Kendall's statistic. It assumes nothing about the distribution, and it is computed from the
medians of blocks of samples that follow each other: neighbours are alike, which an interval
from single samples would take for certainty.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from codewitness.measuring.statistics import Estimate

_BLOCKS = 60
# That of 97.5 %: blocks that follow each other are still somewhat alike.
_NORMAL_QUANTILE = 2.24


@dataclass(frozen=True)
class Trend:
    """How values changed over time.

    Attributes:
        slope: Change a second, in the unit of the values, with its interval; no interval
            where the values are too few. Its count is that of the values.
        level: Median of the values.
        seconds: Time from the first value to the last.
    """

    slope: Estimate
    level: float
    seconds: float

    @property
    def growth(self) -> Estimate:
        """Change over the whole time as a share of the level, with its interval."""
        return self.slope.scaled(self.seconds / self.level)


def estimate_trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Return how values changed over time.

    Args:
        times: When each value was measured, in seconds, in ascending order.
        values: The values, such as latencies in seconds; above 0.

    Raises:
        ValueError: There are fewer than two different times, or the median is not above 0.
    """
    if len(times) != len(values):
        raise ValueError(f"{len(times)} times and {len(values)} values are no pairs")
    if len(set(times)) < 2:
        raise ValueError("a trend needs values of at least two different times")
    level = median(values)
    if not level > 0:
        raise ValueError(f"a trend is told by a level above 0, not {level}")
    points = _blocks(times, values)
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in itertools.combinations(points, 2)
        if later[0] > earlier[0]
    )
    low, high = _interval(slopes, len(points))
    slope = Estimate(median(slopes), low, high, len(values))
    return Trend(slope, level, times[-1] - times[0])


def _blocks(times: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    count = len(times)
    blocks = min(count, _BLOCKS)
    edges = [count * number // blocks for number in range(blocks + 1)]
    return [
        (median(times[start:end]), median(values[start:end]))
        for start, end in itertools.pairwise(edges)
    ]


def _interval(slopes: Sequence[float], points: int) -> tuple[float | None, float | None]:
    spread = math.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    outside = math.floor((len(slopes) - _NORMAL_QUANTILE * spread) / 2)
    if outside < 1:
        return None, None
    return slopes[outside - 1], slopes[len(slopes) - outside]
