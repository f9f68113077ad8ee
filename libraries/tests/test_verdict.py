from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from codewitness.measuring.drift import estimate_trend
from codewitness.measuring.samples import Sample, Warmth
from codewitness.measuring.statistics import Estimate, estimate_share
from codewitness.measuring.throughput import (
    Level,
    estimate_rate,
    find_knee,
    measure_level,
)
from codewitness.measuring.verdict import (
    Verdict,
    judge_drift,
    judge_failures,
    judge_largest,
    judge_latency,
)


def samples(times: Sequence[float], failed: int = 0) -> list[Sample]:
    """Return samples with these response times, then failures of 1 ms."""
    good = [Sample(number, number, number, number + it) for number, it in enumerate(times)]
    bad = [
        Sample(number, number, number, number + 0.001, "refused", "HTTP 429")
        for number in range(len(good), len(good) + failed)
    ]
    return good + bad


def test_whole_interval_below_the_bar_passes() -> None:
    judgement = judge_latency(samples([0.1 + number / 1000 for number in range(200)]), 1)
    assert judgement.verdict is Verdict.PASS
    assert str(judgement) == (
        "PASS: p95 of the response time is below 1 s; it is 289 ms [283 ms, 296 ms] (n = 200)"
    )


def test_whole_interval_above_the_bar_fails() -> None:
    assert judge_latency(samples([1.5] * 100), 1).verdict is Verdict.FAIL
    # A lower end needs no more than few samples.
    assert judge_latency(samples([1.5] * 20), 1).verdict is Verdict.FAIL


def test_interval_on_both_sides_is_inconclusive_and_says_what_would_decide() -> None:
    times = [0.1] * 188 + [1.5] * 12
    judgement = judge_latency(samples(times), 1)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "lies on both sides" in judgement.reason
    assert judgement.more is not None
    share = 12 / 200
    enough = 200 + judgement.more
    late = math.ceil(enough * share)
    more = judge_latency(samples([0.1] * (enough - late) + [1.5] * late), 1)
    assert more.verdict is Verdict.FAIL
    assert 500 < enough < 5000


@pytest.mark.parametrize(("count", "more"), [(10, 62), (59, 13), (71, 1)])
def test_too_few_samples_never_pass(count: int, more: int) -> None:
    judgement = judge_latency(samples([0.1] * count), 1)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.more is not None
    assert more <= judgement.more <= more + 10
    assert f"(n = {count})" in str(judgement)
    assert judge_latency(samples([0.1] * 72), 1).verdict is Verdict.PASS


def test_refusals_do_not_make_a_service_fast() -> None:
    judgement = judge_latency(samples([0.1] * 80, failed=20), 1)
    assert judgement.verdict is Verdict.FAIL
    assert "20 of them failed: HTTP 429 (20)" in str(judgement)
    assert "no answer" in judgement.found


def test_generator_at_its_limit_is_inconclusive() -> None:
    judgement = judge_latency(samples([0.1] * 100), 1, objection="it was the generator")
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert str(judgement).endswith("it was the generator")


def test_cold_and_warm_are_never_judged_together() -> None:
    cold = Sample(0, 0, 0, 1, warmth=Warmth.COLD)
    for judge in (judge_latency, judge_largest):
        with pytest.raises(ValueError, match="cold, unknown"):
            judge([cold, *samples([0.1])], 1)


def test_nothing_is_inconclusive() -> None:
    warm_up = Sample(0, 0, 0, 1, warm_up=True)
    for judge in (judge_latency, judge_largest, judge_failures, judge_drift):
        assert judge([warm_up], 1).verdict is Verdict.INCONCLUSIVE


def test_few_samples_are_judged_one_by_one() -> None:
    assert judge_largest(samples([0.1] * 9 + [4.9]), 5).verdict is Verdict.PASS
    judgement = judge_largest(samples([0.1] * 9 + [5.1]), 5)
    assert judgement.verdict is Verdict.FAIL
    assert judgement.found == "the longest is 5.1 s (n = 10)"
    assert judge_largest(samples([0.1] * 9, failed=1), 5).verdict is Verdict.FAIL


def test_failures_are_judged_by_their_share() -> None:
    assert judge_failures(samples([0.1] * 500), 0.01).verdict is Verdict.PASS
    assert judge_failures(samples([0.1] * 450, failed=50), 0.01).verdict is Verdict.FAIL
    few = judge_failures(samples([0.1] * 50), 0.01)
    assert few.verdict is Verdict.INCONCLUSIVE
    assert few.more is not None


def test_drift_needs_some_samples() -> None:
    judgement = judge_drift(samples([0.1] * 5))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.more == 3


def test_one_outlier_is_no_drift() -> None:
    choose = random.Random(1)
    times = [0.1 + choose.gauss(0, 0.003) for _ in range(100)]
    times[-1] = 60.0
    assert judge_drift(samples(times)).verdict is Verdict.PASS


def test_growth_within_what_is_allowed_is_no_drift() -> None:
    times = [0.1 * (1 + number / 2000) for number in range(100)]
    assert judge_drift(samples(times), allowed=0.1).verdict is Verdict.PASS
    assert judge_drift(samples(times), allowed=0.02).verdict is Verdict.FAIL


def test_trend_is_the_line_itself() -> None:
    trend = estimate_trend(range(100), [5 + 0.5 * number for number in range(100)])
    assert trend.slope.value == pytest.approx(0.5)
    assert trend.slope.low == pytest.approx(0.5)
    assert trend.growth.value == pytest.approx(49.5 / 29.75)
    assert trend.slope.count == 100


@pytest.mark.parametrize(
    ("times", "values"),
    [([1.0], [1.0]), ([1.0, 1.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 0.0]), ([1.0], [])],
)
def test_trend_of_nothing_is_refused(times: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"trend|pairs"):
        estimate_trend(times, values)


def level(at_once: int, rate: float, objection: str = "") -> Level:
    return Level(at_once, Estimate(rate, rate, rate, 100), estimate_share(0, 100), objection)


def test_knee_is_the_lowest_level_that_comes_near_the_best() -> None:
    knee = find_knee([level(1, 10), level(2, 19), level(4, 38), level(8, 40), level(16, 30)])
    assert knee.level is not None
    assert (knee.level.at_once, knee.best.at_once) == (4, 8)
    assert "(n = 100)" in knee.reason


def test_growing_throughput_has_no_knee() -> None:
    knee = find_knee([level(1, 10), level(2, 20), level(4, 40)])
    assert knee.level is None
    assert "still grew" in knee.reason


def test_plateau_of_the_generator_is_no_knee() -> None:
    knee = find_knee([level(1, 10), level(2, 20), level(4, 21, "the generator was full")])
    assert knee.level is None
    assert "the generator was full" in knee.reason
    assert find_knee([level(1, 10, "full")]).level is None


def test_service_that_answers_nothing_has_no_knee() -> None:
    assert find_knee([level(1, 0), level(2, 0)]).level is None


@pytest.mark.parametrize("levels", [[], [level(2, 1), level(1, 1)]])
def test_levels_come_in_ascending_order(levels: list[Level]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        find_knee(levels)


def test_level_counts_right_answers_only() -> None:
    good = [Sample(number, number, number, number + 1) for number in range(40)]
    bad = [Sample(number, number, number, number + 1, "refused") for number in range(10)]
    measured = measure_level(2, good + bad)
    assert measured.throughput.value == pytest.approx(1, rel=0.05)
    assert measured.failures.value == 0.2
    with pytest.raises(ValueError, match="no samples"):
        measure_level(2, [])


def test_rate_of_few_events_has_no_interval() -> None:
    assert estimate_rate([0.5, 1.0], 0, 2) == Estimate(1.0, None, None, 2)
    assert estimate_rate([0.5], 0.5, 0.5) == Estimate(0.0, None, None, 1)
