"""How far executions overlapped, from the times that the programs themselves report.

Sending N requests at once does not prove that N programs ran at once: a service may queue
them. Programs that report when they started and ended do prove it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """One execution by its own clock, in seconds since any fixed moment.

    Attributes:
        start: When the program began.
        end: When it was done; later than the start.

    Raises:
        ValueError: The end is not later than the start. Such a clock was set back or is too
            coarse, and proves nothing.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ValueError(
                f"an execution ends after it starts, but this one runs"
                f" from {self.start} to {self.end}"
            )


@dataclass(frozen=True)
class Overlap:
    """How a group of executions lay in time; all times in seconds.

    Attributes:
        count: Number of executions.
        peak: Greatest number of executions under way at one moment. One that starts exactly
            when another ends does not overlap it.
        span: From the first start to the last end. Near ``longest`` when all ran at once, near
            the sum of all durations when they were queued.
        start_spread: From the first start to the last start.
        longest: Duration of the longest execution.
    """

    count: int
    peak: int
    span: float
    start_spread: float
    longest: float


def measure_overlap(intervals: Iterable[Interval]) -> Overlap:
    """Return how the executions overlapped.

    The clocks that the intervals come from must agree to well below the executions' duration.

    Raises:
        ValueError: There are no intervals.
    """
    group = list(intervals)
    if not group:
        raise ValueError("overlap needs at least one interval")
    starts = [interval.start for interval in group]
    ends = [interval.end for interval in group]
    # At equal times an end (-1) sorts before a start (+1).
    events = sorted([(start, 1) for start in starts] + [(end, -1) for end in ends])
    under_way = peak = 0
    for _, change in events:
        under_way += change
        peak = max(peak, under_way)
    return Overlap(
        count=len(group),
        peak=peak,
        span=max(ends) - min(starts),
        start_spread=max(starts) - min(starts),
        longest=max(interval.end - interval.start for interval in group),
    )


def busiest_moment(intervals: Iterable[Interval]) -> float:
    """Return the middle of the first stretch of time in which the most executions were under way.

    Raises:
        ValueError: There are no intervals.
    """
    group = list(intervals)
    peak = measure_overlap(group).peak
    edges = sorted({it.start for it in group} | {it.end for it in group})
    return next(
        (start + end) / 2
        for start, end in itertools.pairwise(edges)
        if sum(it.start <= start and end <= it.end for it in group) == peak
    )
