from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.measuring.benchmark import Comparison, compare, format_comparisons
from codewitness.measuring.statistics import (
    Estimate,
    enclosing_ranks,
    estimate_quantile,
    percentile,
)


# Published ranks of non-parametric intervals at 95 %.
@pytest.mark.parametrize(
    ("count", "q", "ranks"),
    [
        (5, 0.5, (None, None)),
        (6, 0.5, (1, 6)),
        (20, 0.5, (6, 15)),
        (72, 0.5, (28, 45)),
        (72, 0.95, (64, 72)),
        (100, 0.5, (40, 61)),
        (100, 0.95, (90, 100)),
        (200, 0.5, (86, 115)),
        (200, 0.95, (184, 197)),
        (368, 0.95, (341, 358)),
        (368, 0.99, (360, 368)),
        (500, 0.95, (465, 485)),
        (1000, 0.5, (469, 532)),
        (1000, 0.99, (983, 997)),
    ],
)
def test_ranks_enclose_the_quantile(
    count: int, q: float, ranks: tuple[int | None, int | None]
) -> None:
    assert enclosing_ranks(count, q) == ranks


@pytest.mark.parametrize(("count", "q"), [(20, 0.95), (71, 0.95), (200, 0.99), (367, 0.99)])
def test_too_few_samples_have_no_upper_end(count: int, q: float) -> None:
    assert enclosing_ranks(count, q)[1] is None


def test_ranks_of_many_samples_are_computed() -> None:
    low, high = enclosing_ranks(20_000, 0.5)
    assert low is not None
    assert high is not None
    assert low < 10_000 < high


def test_interval_covers_the_true_median_as_often_as_it_says() -> None:
    generator = random.Random(20)
    covered = 0
    for _ in range(1000):
        estimate = estimate_quantile([generator.expovariate(1) for _ in range(40)])
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 0.6931 <= estimate.high
    assert covered >= 930


@pytest.mark.parametrize(
    ("q", "expected"), [(0.07, 7), (0.5, 50), (0.95, 95), (0.991, 100), (1, 100), (1e-6, 1)]
)
def test_percentile_is_a_sample(q: float, expected: float) -> None:
    assert percentile(range(100, 0, -1), q) == expected


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(0.01, 1))
def test_percentile_is_reached_by_its_share(samples: list[float], q: float) -> None:
    value = percentile(samples, q)
    assert value in samples
    assert sum(sample <= value for sample in samples) >= q * len(samples) - 1e-6


@pytest.mark.parametrize("q", [0, -0.1, 1.1])
def test_percentile_refuses_a_share_out_of_range(q: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], q)


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        percentile([], 0.5)


def test_estimate_shows_missing_ends() -> None:
    estimate = estimate_quantile([3.0, 1.0, 2.0])
    assert estimate == Estimate(2.0, None, None, 3)
    assert estimate.format(1) == "2.0 [?, ?]"


def test_estimate_changes_its_unit() -> None:
    assert estimate_quantile([0.001] * 6).scaled(1000) == Estimate(1.0, 1.0, 1.0, 6)


def test_comparison_pairs_its_samples() -> None:
    comparison = Comparison("double", (0.2, 0.4, 0.6), (0.1, 0.2, 0.3))
    assert comparison.ratio.value == pytest.approx(2)
    assert comparison.added.value == pytest.approx(0.2)
    with pytest.raises(ValueError, match="no pairs"):
        Comparison("odd", (1.0,), ())


def test_callables_are_timed_in_turn_after_the_warm_up() -> None:
    calls: list[str] = []
    comparison = compare(
        "nothing", lambda: calls.append("s"), lambda: calls.append("b"), rounds=3, warm_up=1
    )
    assert "".join(calls) == "sbbssbbs"
    assert len(comparison.subject) == len(comparison.baseline) == 3


def test_comparisons_make_a_table() -> None:
    table = format_comparisons([Comparison("twice", (0.2,) * 6, (0.1,) * 6)])
    assert table.splitlines()[1].split() == [
        "twice",
        *("2.00", "[2.00,", "2.00]"),
        *("100.00", "[100.00,", "100.00]"),
        *("200.00", "/", "100.00"),
        "6",
    ]
