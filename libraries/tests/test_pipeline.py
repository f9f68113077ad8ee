"""Working ahead: order, bounds, refusals, and what becomes of results that nobody claims."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codewitness.execution import pipeline
from codewitness.execution.model import FaultKind, PlatformFault
from codewitness.execution.pipeline import Concurrency, Pipeline


class Work:
    """Squares numbers, and notes how many it does at once."""

    def __init__(self, lasts: float = 0.0) -> None:
        self.lasts = lasts
        self.begun: list[int] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self, number: int) -> int:
        with self._lock:
            self.begun.append(number)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.lasts)
        with self._lock:
            self.at_once -= 1
        return number * number


@pytest.fixture
def opened() -> Iterator[Callable[[Pipeline[int, int]], Pipeline[int, int]]]:
    pipelines: list[Pipeline[int, int]] = []

    def keep(made: Pipeline[int, int]) -> Pipeline[int, int]:
        pipelines.append(made)
        return made

    yield keep
    for each in pipelines:
        each.close()


Opened = Callable[[Pipeline[int, int]], Pipeline[int, int]]


def test_results_come_in_the_order_in_which_they_are_claimed(opened: Opened) -> None:
    work = Work()
    line = opened(Pipeline(range(500), work))
    assert [line.claim(key, 30) for key in range(500)] == [key * key for key in range(500)]
    assert sorted(work.begun) == list(range(500))


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(20)), st.integers(1, 6))
def test_any_order_of_claims_gets_every_result(order: list[int], at_once: int) -> None:
    line = Pipeline(range(20), Work(), concurrency=Concurrency(at_once))
    try:
        assert [line.claim(key, 30) for key in order] == [key * key for key in order]
    finally:
        line.close()


def test_no_more_than_allowed_are_worked_on_at_once(opened: Opened) -> None:
    work = Work(lasts=0.01)
    line = opened(Pipeline(range(60), work, concurrency=Concurrency(3)))
    for key in range(60):
        line.claim(key, 30)
    assert work.most_at_once == 3


def test_work_goes_on_ahead_of_the_claims(opened: Opened) -> None:
    work = Work()
    line = opened(Pipeline(range(50), work))
    line.claim(0, 30)
    wait_until(lambda: line.done == 50)


def test_nothing_is_begun_before_the_first_claim(opened: Opened) -> None:
    work = Work()
    opened(Pipeline(range(50), work))
    assert not work.begun


def test_keys_passed_by_are_not_begun(opened: Opened) -> None:
    work = Work()
    line = opened(Pipeline(range(100), work, concurrency=Concurrency(1)))
    assert line.claim(90, 30) == 8100
    wait_until(lambda: line.done == 10)
    assert min(work.begun) == 90


def test_unclaimed_results_stop_the_work_at_their_number(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MOST_KEPT", 10)
    work = Work()
    line = opened(Pipeline(range(100), work, concurrency=Concurrency(2)))
    line.claim(0, 30)
    wait_until(lambda: line.done >= 11)
    time.sleep(0.1)
    assert len(work.begun) == 11
    assert [line.claim(key, 30) for key in range(1, 100)] == [key * key for key in range(1, 100)]


def test_unclaimed_results_stop_the_work_at_their_size(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BYTES_KEPT", 1000)
    work = Work()
    line = opened(Pipeline(range(100), work, concurrency=Concurrency(1), size=lambda _outcome: 300))
    line.claim(0, 30)
    time.sleep(0.2)
    assert len(work.begun) <= 6
    for key in range(1, 100):
        line.claim(key, 30)


def test_exception_of_the_work_is_raised_where_it_is_claimed(opened: Opened) -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    line = opened(Pipeline(range(6), work))
    assert [line.claim(key, 30) for key in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        line.claim(3, 30)
    assert line.claim(4, 30) == 4


def test_refused_work_is_done_later_and_with_fewer_at_once(opened: Opened) -> None:
    work = Work(lasts=0.02)

    def for_two(number: int) -> int:
        if work.at_once >= 2:
            raise PlatformFault(FaultKind.CAPACITY, "full", status=429)
        return work(number)

    line = opened(Pipeline(range(30), for_two, concurrency=Concurrency(8)))
    assert [line.claim(key, 60) for key in range(30)] == [key * key for key in range(30)]
    assert line.refusals
    assert line.concurrency.limit < 8


def test_service_that_always_refuses_is_reported(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_LONGEST_PAUSE", 0.01)

    def work(_number: int) -> int:
        raise PlatformFault(FaultKind.CAPACITY, "full", status=429)

    line = opened(Pipeline(range(3), work))
    with pytest.raises(PlatformFault, match="full"):
        line.claim(0, 30)


def test_claim_that_waits_too_long_says_so(opened: Opened) -> None:
    line = opened(Pipeline(range(3), Work(lasts=2)))
    with pytest.raises(TimeoutError, match=r"no outcome of 0 within 0\.1 s"):
        line.claim(0, 0.1)


def test_closed_pipeline_begins_nothing_more() -> None:
    work = Work()
    line = Pipeline(range(100), work, concurrency=Concurrency(1))
    line.close()
    with pytest.raises(RuntimeError, match="closed"):
        line.claim(5, 1)
    assert not work.begun


def test_concurrency_grows_while_that_is_faster_and_stays_at_the_best() -> None:
    found = Concurrency()
    now = 0.0
    for _ in range(1000):
        # A service whose rate grows up to ten at once.
        now += 1 / min(found.limit, 10)
        found.ended(now)
    assert 9 <= found.limit <= 14


def test_concurrency_does_not_grow_against_a_service_that_serialises() -> None:
    found = Concurrency()
    for second in range(1000):
        found.ended(float(second))
    assert found.limit == 4


def test_concurrency_never_exceeds_its_maximum() -> None:
    found = Concurrency(most=9)
    now = 0.0
    for _ in range(1000):
        now += 1 / found.limit
        found.ended(now)
    assert found.limit == 9


def test_fixed_concurrency_shrinks_only_when_refused() -> None:
    found = Concurrency(20)
    for moment in range(100):
        found.ended(float(moment))
    assert found.limit == 20
    found.refused()
    assert found.limit == 10


def test_concurrency_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="allow at least 1"):
        Concurrency(0)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()
