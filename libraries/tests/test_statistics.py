from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.measuring.benchmark import Comparison, compare, format_comparisons
from codewitness.measuring.drift import estimate_trend
from codewitness.measuring.statistics import (
    Estimate,
    enclosing_ranks,
    estimate_quantile,
    estimate_share,
    percentile,
)
from codewitness.measuring.throughput import estimate_rate

SIMULATIONS = 200
GROWTH = 0.005


def median_of_exponential(choose: random.Random) -> tuple[Estimate, float]:
    return estimate_quantile([choose.expovariate(1) for _ in range(40)]), math.log(2)


def p95_of_lognormal(choose: random.Random) -> tuple[Estimate, float]:
    times = [choose.lognormvariate(0, 1) for _ in range(300)]
    return estimate_quantile(times, 0.95), math.exp(1.6448536)


def p99_of_mixture(choose: random.Random) -> tuple[Estimate, float]:
    # One request in 50 is stalled for 1 s to 2 s: half of those are above the quantile.
    times = [
        1 + choose.random() if choose.random() < 0.02 else 0.1 * choose.random() for _ in range(600)
    ]
    return estimate_quantile(times, 0.99), 1.5


def share_of_failures(choose: random.Random) -> tuple[Estimate, float]:
    return estimate_share(sum(choose.random() < 0.02 for _ in range(400)), 400), 0.02


def rate_of_poisson(choose: random.Random) -> tuple[Estimate, float]:
    moments = [choose.uniform(0, 10) for _ in range(200 + round(choose.gauss(0, 14.14)))]
    return estimate_rate(moments, 0, 10), 20.0


def slope(noise: Callable[[random.Random], float], count: int) -> Simulation:
    def simulate(choose: random.Random) -> tuple[Estimate, float]:
        times = sorted(choose.uniform(0, 60) for _ in range(count))
        values = [1 + GROWTH * moment + noise(choose) for moment in times]
        return estimate_trend(times, values).slope, GROWTH

    return simulate


Simulation = Callable[[random.Random], tuple[Estimate, float]]


@pytest.mark.parametrize(
    "simulate",
    [
        median_of_exponential,
        p95_of_lognormal,
        p99_of_mixture,
        share_of_failures,
        rate_of_poisson,
        slope(lambda choose: choose.gauss(0, 0.1), 20),
        slope(lambda choose: choose.expovariate(5), 50),
        slope(lambda choose: choose.lognormvariate(-2, 1), 300),
        slope(lambda choose: 0.0 * choose.random(), 300),
    ],
)
def test_intervals_hold_the_truth_in_simulated_sets(simulate: Simulation) -> None:
    held = 0
    for seed in range(SIMULATIONS):
        estimate, truth = simulate(random.Random(seed))
        assert estimate.low is not None
        assert estimate.high is not None
        held += estimate.low - 1e-9 <= truth <= estimate.high + 1e-9
    assert held >= 0.93 * SIMULATIONS


def test_share_of_nothing_seen_is_bounded() -> None:
    nothing = estimate_share(0, 100)
    assert (nothing.value, nothing.low) == (0, 0)
    # Published: 1 - 0.025 ** (1 / n).
    assert nothing.high == pytest.approx(1 - 0.025**0.01)
    everything = estimate_share(100, 100)
    assert everything.low == pytest.approx(0.025**0.01)
    assert everything.high == 1


def test_share_has_the_exact_interval() -> None:
    # Published Clopper-Pearson interval of 4 in 20.
    share = estimate_share(4, 20)
    assert share.low == pytest.approx(0.0573, abs=1e-4)
    assert share.high == pytest.approx(0.4366, abs=1e-4)


@pytest.mark.parametrize(("hits", "count"), [(0, 0), (3, 2), (-1, 5)])
def test_share_of_impossible_counts_is_refused(hits: int, count: int) -> None:
    with pytest.raises(ValueError, match="trials"):
        estimate_share(hits, count)


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
