"""Schedules and what drives a load by them, against services made of waiting in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.execution.load import LoadAnswer
from codewitness.measuring.driving import drive
from codewitness.measuring.samples import Sample, Warmth
from codewitness.measuring.schedules import (
    ClosedModel,
    OpenModel,
    burst,
    constant_arrivals,
    poisson_arrivals,
    ramp_arrivals,
)
from codewitness.measuring.statistics import percentile
from codewitness.measuring.throughput import find_knee, measure_level
from codewitness.measuring.verdict import Verdict, judge_drift, judge_latency
from tests.virtual_time import Service, drive_virtually

OK = LoadAnswer("ok")
Clock = Callable[[], float]


def waiting(seconds: Callable[[float], float]) -> Service:
    """Return a service of unlimited capacity whose latency depends on the time."""

    async def service(_number: int, clock: Clock) -> LoadAnswer:
        await asyncio.sleep(seconds(clock()))
        return OK

    return service


def stalling(start: float, end: float, latency: float = 0.02) -> Service:
    """Return a service that answers nothing between two moments."""
    return waiting(lambda now: (end - now if start <= now < end else 0.0) + latency)


def with_capacity(programs: int, latency: float) -> Callable[[], Service]:
    """Return what makes a service that runs so many programs at once and queues the others."""

    def make() -> Service:
        free = asyncio.Semaphore(programs)

        async def service(_number: int, _clock: Clock) -> LoadAnswer:
            async with free:
                await asyncio.sleep(latency)
            return OK

        return service

    return make


def test_constant_arrivals_have_equal_distances() -> None:
    schedule = constant_arrivals(4, 1.5)
    assert list(schedule.starts) == [0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert schedule.description["rate"] == 4
    assert len(constant_arrivals(300, 10).starts) == 3000


def test_poisson_arrivals_are_made_again_by_their_seed() -> None:
    schedule = poisson_arrivals(50, 100, seed=3)
    assert schedule == poisson_arrivals(50, 100, seed=3)
    assert schedule != poisson_arrivals(50, 100, seed=4)
    # The number is Poisson with a deviation of 71, and so are distances exponential.
    assert abs(len(schedule.starts) - 5000) < 4 * 71
    gaps = [later - earlier for earlier, later in itertools.pairwise(schedule.starts)]
    assert sum(gap > 0.02 for gap in gaps) / len(gaps) == pytest.approx(math.exp(-1), abs=0.03)
    assert schedule.starts[-1] < 100


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0.5, 20))
def test_ramp_has_as_many_arrivals_as_its_area(first: float, last: float, seconds: float) -> None:
    if max(first, last) < 1:
        first = 1.0
    starts = ramp_arrivals(first, last, seconds).starts
    assert len(starts) == pytest.approx((first + last) / 2 * seconds, abs=1.01)
    assert all(0 <= start <= seconds * (1 + 1e-9) for start in starts)


def test_ramp_comes_to_its_last_rate() -> None:
    starts = ramp_arrivals(0, 100, 10).starts
    assert sum(start >= 9 for start in starts) == pytest.approx(95, abs=2)
    assert ramp_arrivals(5, 5, 2).starts == pytest.approx(constant_arrivals(5, 2).starts)


@pytest.mark.parametrize(
    "make",
    [
        lambda: constant_arrivals(0, 1),
        lambda: constant_arrivals(1, math.inf),
        lambda: poisson_arrivals(-1, 1, 0),
        lambda: ramp_arrivals(0, 0, 1),
        lambda: ramp_arrivals(-1, 5, 1),
        lambda: burst(0),
        lambda: ClosedModel(0, 5),
        lambda: ClosedModel(1, 5, seconds=0),
        lambda: OpenModel((1.0, 0.5)),
    ],
)
def test_impossible_schedules_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"needs|ascending|negative"):
        make()


def test_open_model_starts_by_plan_whatever_the_service_does() -> None:
    run = drive_virtually(waiting(lambda _now: 3.0), constant_arrivals(10, 2))
    assert [sample.planned for sample in run.samples] == pytest.approx(
        [number / 10 for number in range(20)]
    )
    assert all(sample.start_lag == pytest.approx(0, abs=1e-6) for sample in run.samples)
    assert all(sample.service_time == pytest.approx(3) for sample in run.samples)
    assert run.header["schedule"]["arrivals"] == "constant"


def test_closed_model_keeps_its_number_at_once() -> None:
    under_way, seen = set(), []

    async def service(number: int, _clock: Clock) -> LoadAnswer:
        under_way.add(number)
        seen.append(len(under_way))
        await asyncio.sleep(0.1 + 0.01 * (number % 3))
        under_way.discard(number)
        return OK

    run = drive_virtually(service, ClosedModel(4, 50))
    assert [sample.number for sample in run.samples] == list(range(50))
    assert max(seen) == 4
    assert seen[4:] == [4] * 46


def test_closed_model_ends_by_time() -> None:
    run = drive_virtually(waiting(lambda _now: 0.5), ClosedModel(2, 1000, seconds=2.9))
    assert len(run.samples) == 12
    assert max(sample.started for sample in run.samples) <= 2.9


def test_stall_shows_in_the_open_model_and_hardly_in_the_closed_one() -> None:
    """99 calls of 20 ms and a stall of 5 s: the closed model meets it once."""
    opened = drive_virtually(stalling(4, 9), constant_arrivals(10, 20))
    closed = drive_virtually(stalling(4, 9), ClosedModel(1, 500))
    waits = [sample.response_time for sample in opened.samples]
    # 50 of 200 start in the stall and wait for its end.
    assert sum(wait > 0.05 for wait in waits) == 50
    assert percentile(waits, 0.95) == pytest.approx(4.1, abs=0.2)
    assert sum(sample.service_time > 0.05 for sample in closed.samples) == 1
    assert percentile([sample.response_time for sample in closed.samples], 0.95) < 0.03
    assert judge_latency(opened.samples, 1).verdict is Verdict.FAIL


def test_stall_of_a_serial_service_is_waited_for_from_the_planned_start() -> None:
    lock: list[asyncio.Lock] = []

    async def service(number: int, _clock: Clock) -> LoadAnswer:
        if not lock:
            lock.append(asyncio.Lock())
        async with lock[0]:
            await asyncio.sleep(5 if number == 20 else 0.02)
        return OK

    run = drive_virtually(service, constant_arrivals(10, 10))
    assert percentile([sample.response_time for sample in run.samples], 0.95) > 4


def test_slow_drift_is_told_from_a_constant_service() -> None:
    for seed in range(5):
        noise = random.Random(seed)

        def slower(now: float, noise: random.Random = noise) -> float:
            return (0.1 + 0.0005 * now) * noise.lognormvariate(0, 0.2)

        def constant(_now: float, noise: random.Random = noise) -> float:
            return 0.1 * noise.lognormvariate(0, 0.2)

        schedule = poisson_arrivals(10, 100, seed)
        grown = judge_drift(drive_virtually(waiting(slower), schedule).samples)
        same = judge_drift(drive_virtually(waiting(constant), schedule).samples)
        assert grown.verdict is Verdict.FAIL, grown
        assert same.verdict is Verdict.PASS, same
        assert "n = " in str(grown)


@pytest.mark.parametrize("capacity", [1, 2, 4, 8])
def test_knee_is_at_the_capacity_of_the_service(capacity: int) -> None:
    levels = []
    for at_once in (1, 2, 4, 8, 16):
        schedule = ClosedModel(at_once, 10_000, seconds=20)
        run = drive_virtually(with_capacity(capacity, 0.1)(), schedule)
        levels.append(measure_level(at_once, run.samples))
        expected = min(at_once, capacity) / 0.1
        assert levels[-1].throughput.value == pytest.approx(expected, rel=0.03)
    knee = find_knee(levels)
    assert knee.level is not None
    assert knee.level.at_once == capacity
    assert f"{capacity} at once" in knee.reason


def test_starts_beyond_the_bound_are_dropped_and_spoil_the_run() -> None:
    run = drive_virtually(waiting(lambda _now: 1.0), constant_arrivals(10, 2), most_in_flight=5)
    assert run.generator is not None
    assert len(run.samples) + len(run.generator.dropped) == 20 == run.generator.planned
    assert run.generator.dropped[0] == pytest.approx(0.5)
    judgement = judge_latency(run.samples, 5, objection=run.objection(5))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "planned starts were dropped" in str(judgement)


def test_late_starts_spoil_the_run() -> None:
    # A clock that is 10 ms further at every look is a machine with no time for its generator.
    ticks = itertools.count()

    async def attempt(_number: int) -> LoadAnswer:
        return OK

    load = drive(attempt, constant_arrivals(100, 1), clock=lambda: next(ticks) * 0.01)
    assert "starts were late" in asyncio.run(load).objection(0.1)


def test_warm_up_is_marked_by_the_rule_given_before() -> None:
    run = drive_virtually(waiting(lambda _now: 0.1), constant_arrivals(10, 2), warm_up=0.55)
    assert [sample.warm_up for sample in run.samples] == [True] * 6 + [False] * 14
    assert len(run.counted) == 14


def test_sessions_label_the_samples() -> None:
    async def service(number: int, _clock: Clock) -> LoadAnswer:
        return LoadAnswer("ok", session="s1", session_new={0: True, 1: False}.get(number))

    labels = [it.warmth for it in drive_virtually(service, constant_arrivals(1, 3)).samples]
    assert labels == [Warmth.COLD, Warmth.WARM, Warmth.UNKNOWN]


def test_samples_are_told_when_they_are_complete() -> None:
    told: list[Sample] = []
    run = drive_virtually(waiting(lambda now: 1.0 - now), burst(3), on_sample=told.append)
    assert sorted(told, key=lambda it: it.number) == list(run.samples)


@pytest.mark.parametrize("schedule", [constant_arrivals(10, 5), ClosedModel(3, 50)])
def test_error_of_the_attempt_ends_the_load(schedule: OpenModel | ClosedModel) -> None:
    started = []

    async def service(number: int, _clock: Clock) -> LoadAnswer:
        started.append(number)
        if number == 3:
            raise KeyError("a mistake")
        await asyncio.sleep(1)
        return OK

    with pytest.raises(KeyError, match="a mistake"):
        drive_virtually(service, schedule)
    assert len(started) < 20


@pytest.mark.parametrize("schedule", [constant_arrivals(10, 100), ClosedModel(3, 500)])
def test_cancelled_load_leaves_no_attempt(schedule: OpenModel | ClosedModel) -> None:
    ended = []

    async def attempt(number: int) -> LoadAnswer:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(number)
        return OK

    async def load() -> None:
        driving = asyncio.ensure_future(drive(attempt, schedule))
        await asyncio.sleep(0.25)
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving
        assert len(ended) >= 2
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(load())
