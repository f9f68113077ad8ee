from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.measuring.overlap import (
    Interval,
    Overlap,
    busiest_moment,
    measure_overlap,
)

intervals = st.builds(
    lambda start, length: Interval(start, start + length),
    st.integers(0, 30),
    st.integers(1, 10),
)


def test_executions_at_once() -> None:
    overlap = measure_overlap(Interval(number / 8, 1 + number / 8) for number in range(8))
    assert overlap == Overlap(count=8, peak=8, span=1.875, start_spread=0.875, longest=1.0)


def test_queued_executions_do_not_overlap() -> None:
    overlap = measure_overlap([Interval(1, 2), Interval(0, 1), Interval(2, 3)])
    assert (overlap.peak, overlap.span, overlap.longest) == (1, 3, 1)


def test_two_workers_show_as_two() -> None:
    pairs = [Interval(start, start + 1) for start in range(5) for _ in range(2)]
    assert measure_overlap(pairs).peak == 2


@given(st.lists(intervals, min_size=1, max_size=12))
def test_peak_is_the_most_crowded_moment(group: list[Interval]) -> None:
    moments = [second + 0.5 for second in range(41)]
    crowds = [sum(one.start < moment < one.end for one in group) for moment in moments]
    assert measure_overlap(group).peak == max(crowds)


@pytest.mark.parametrize("end", [1.0, 0.5, float("nan")])
def test_clock_that_does_not_advance_is_refused(end: float) -> None:
    with pytest.raises(ValueError, match="ends after it starts"):
        Interval(1.0, end)


def test_overlap_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one interval"):
        measure_overlap([])


@given(st.lists(intervals, min_size=1, max_size=12))
def test_busiest_moment_is_one_of_the_peak(group: list[Interval]) -> None:
    moment = busiest_moment(group)
    crowd = sum(one.start < moment < one.end for one in group)
    assert crowd == measure_overlap(group).peak
