from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.execution.model import FaultKind, PlatformFault
from codewitness.target.breaker import PAUSE, UNREACHABLE, Breaker, ServiceDown


class Service:
    """A service that is asked whether it works, and a clock that stands still."""

    def __init__(self) -> None:
        self.fault: PlatformFault | None = None
        self.asked = 0
        self.now = 100.0

    def check(self) -> None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def breaker(service: Service) -> Breaker:
    return Breaker(service.check, lambda: service.now)


def test_healthy_service_is_not_asked(service: Service, breaker: Breaker) -> None:
    for _ in range(3):
        breaker.before()
    assert service.asked == 0


@pytest.mark.parametrize("kind", sorted(UNREACHABLE, key=str))
def test_service_that_stays_away_is_asked_once_and_then_given_up(
    service: Service, breaker: Breaker, kind: FaultKind
) -> None:
    service.fault = PlatformFault(kind, "gone", cause="pulled the plug", status=None)
    breaker.failed(service.fault)
    for _ in range(5):
        with pytest.raises(ServiceDown) as down:
            breaker.before()
        assert down.value.kind is kind
        assert "not sent" in down.value.detail
        assert "gone" in down.value.detail
        assert down.value.cause == "pulled the plug"
    assert service.asked == 1


def test_service_that_works_again_is_used_again(service: Service, breaker: Breaker) -> None:
    breaker.failed(PlatformFault(FaultKind.TIMEOUT, "slow once"))
    breaker.before()
    breaker.before()
    assert service.asked == 1


def test_service_is_asked_again_after_a_pause(service: Service, breaker: Breaker) -> None:
    service.fault = PlatformFault(FaultKind.TIMEOUT, "slow")
    breaker.failed(service.fault)
    with pytest.raises(ServiceDown):
        breaker.before()
    service.fault = None
    service.now += PAUSE - 0.1
    with pytest.raises(ServiceDown):
        breaker.before()
    service.now += 0.2
    breaker.before()
    breaker.before()
    assert service.asked == 2


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind not in UNREACHABLE])
def test_service_that_answers_is_no_reason_to_give_up(
    service: Service, breaker: Breaker, kind: FaultKind
) -> None:
    breaker.failed(PlatformFault(kind, "answered"))
    breaker.before()
    assert service.asked == 0
    # Suspected, and then answering in its own way: each test has its own card for that.
    breaker.failed(PlatformFault(FaultKind.TIMEOUT, "slow once"))
    service.fault = PlatformFault(kind, "answered")
    breaker.before()
    breaker.before()
    assert service.asked == 1


def test_request_that_was_not_sent_says_nothing_new(service: Service, breaker: Breaker) -> None:
    breaker.failed(ServiceDown(FaultKind.TIMEOUT, "not sent"))
    breaker.before()
    assert service.asked == 0


@given(st.lists(st.floats(0.1, 40), min_size=1, max_size=30))
def test_checks_are_at_least_a_pause_apart(waits: list[float]) -> None:
    service = Service()
    service.fault = PlatformFault(FaultKind.CONNECTION_CUT, "cut")
    breaker = Breaker(service.check, lambda: service.now)
    breaker.failed(service.fault)
    times = []
    for wait in waits:
        asked = service.asked
        with pytest.raises(ServiceDown):
            breaker.before()
        if service.asked > asked:
            times.append(service.now)
        service.now += wait
    assert all(later - earlier >= PAUSE for earlier, later in pairwise(times))
