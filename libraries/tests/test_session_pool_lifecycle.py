from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from codewitness.session_pool.lifecycle import (
    RETRY_AFTER,
    Action,
    Census,
    OnContainerExit,
    Pool,
    PoolRules,
    Refuse,
    Serve,
    Start,
    Stop,
    Timed,
)

IDENTIFIERS = st.sampled_from([f"user-{number}" for number in range(7)])


def warm_pool(rules: PoolRules | None = None) -> Pool:
    """Return a pool whose stock is ready at time 0."""
    pool = Pool(rules or PoolRules())
    for action in pool.advance(0):
        assert isinstance(action, Start)
        pool.started(action.instance, 0)
    return pool


def served(actions: Sequence[Action]) -> Serve:
    (serve,) = [action for action in actions if isinstance(action, Serve)]
    return serve


def test_first_request_takes_the_ready_instance_and_a_new_one_is_started() -> None:
    pool = warm_pool()
    assert pool.request(1, "anna", 0) == [Serve(1, 1, new=True), Start(2)]
    assert pool.request(2, "anna", 1) == [Serve(2, 1, new=False)]


def test_new_identifier_waits_for_an_instance_that_starts() -> None:
    pool = Pool(PoolRules(ready=0))
    assert pool.request(1, "anna", 0) == [Start(1)]
    assert pool.request(2, "anna", 1) == []
    assert pool.started(1, 4) == [Serve(1, 1, new=True), Serve(2, 1, new=False)]


def test_instance_that_is_being_started_for_the_stock_is_given_away_first() -> None:
    pool = Pool(PoolRules())
    assert pool.advance(0) == [Start(1)]
    assert pool.request(1, "anna", 0) == [Start(2)]
    assert pool.started(1, 1) == [Serve(1, 1, new=True)]


def test_warming_pool_may_refuse() -> None:
    pool = Pool(PoolRules(waits_for_start=False))
    pool.advance(0)
    assert pool.request(1, "anna", 0) == [Refuse(1, "warming")]
    pool.started(1, 1)
    assert served(pool.request(2, "anna", 1)).instance == 1


def test_every_identifier_beyond_the_maximum_is_refused_until_one_cooled_down() -> None:
    pool = warm_pool(PoolRules(maximum=2))
    pool.request(1, "anna", 0)
    pool.finished(1, 0)
    pool.started(2, 0)
    pool.request(2, "ben", 100)
    pool.finished(2, 100)
    assert pool.request(3, "cleo", 299.9) == [Refuse(3, "full")]
    assert pool.request(4, "cleo", 300) == [Stop(1, "anna", "cooldown"), Start(3)]
    assert pool.started(3, 301) == [Serve(4, 3, new=True)]


def test_each_request_restarts_the_cooldown_and_none_ends_under_a_request() -> None:
    pool = warm_pool()
    pool.request(1, "anna", 0)
    pool.finished(1, 10)
    pool.request(2, "anna", 309)
    assert pool.advance(5000) == []
    pool.finished(2, 5000)
    assert pool.next_deadline == 5300
    assert pool.advance(5299) == []
    assert pool.advance(5300) == [Stop(1, "anna", "cooldown")]


def test_greatest_age_ends_a_session_under_its_requests() -> None:
    pool = warm_pool(PoolRules(lifecycle=OnContainerExit(max_alive=60)))
    pool.request(1, "anna", 10)
    assert pool.next_deadline == 70
    assert pool.advance(70) == [Stop(1, "anna", "maximum age")]
    assert pool.finished(1, 71) == []
    pool.started(2, 71)
    assert served(pool.request(2, "anna", 72)) == Serve(2, 2, new=True)


def test_container_that_exits_ends_its_session() -> None:
    pool = warm_pool(PoolRules(lifecycle=OnContainerExit(max_alive=60)))
    pool.request(1, "anna", 0)
    pool.gone(1, 5)
    assert pool.find("anna") is None


def test_allocation_takes_its_time_even_from_the_stock() -> None:
    pool = warm_pool(PoolRules(allocation_time=4.2))
    assert pool.request(1, "anna", 0) == [Start(2)]
    assert pool.request(2, "anna", 1) == []
    assert pool.next_deadline == 4.2
    assert pool.census == Census(starting=1, ready=0, allocating=1, active=0, cooling=0)
    assert pool.advance(4.2) == [Serve(1, 1, new=True), Serve(2, 1, new=False)]
    assert served(pool.request(3, "anna", 5)).request == 3


def test_session_is_stopped_on_request() -> None:
    pool = warm_pool(PoolRules(allocation_time=1))
    assert pool.stop("anna", 0) == []
    pool.request(1, "anna", 0)
    assert pool.stop("anna", 0.5) == [Stop(1, "anna", "request"), Refuse(1, "stopped")]
    assert pool.stop("anna", 0.6) == []


def test_instance_that_does_not_start_is_replaced_later() -> None:
    pool = Pool(PoolRules())
    pool.advance(0)
    assert pool.gone(1, 1) == []
    assert pool.next_deadline == 1 + RETRY_AFTER
    assert pool.advance(1 + RETRY_AFTER) == [Start(2)]


def test_instance_that_does_not_start_fails_who_waits_for_it() -> None:
    pool = Pool(PoolRules(ready=0))
    pool.request(1, "anna", 0)
    assert pool.gone(1, 1) == [Refuse(1, "start failed")]
    assert pool.find("anna") is None


def test_view_of_a_session() -> None:
    pool = warm_pool()
    pool.request(1, "anna", 0)
    pool.finished(1, 1)
    pool.request(2, "anna", 20)
    view = pool.find("anna")
    assert view is not None
    assert pool.sessions() == [view]
    assert (view.state, view.created, view.last_accessed, view.expires) == ("active", 0, 20, 320)
    pool.finished(2, 30)
    view = pool.find("anna")
    assert view is not None
    assert (view.state, view.last_accessed, view.expires) == ("cooling", 20, 330)


@pytest.mark.parametrize(("maximum", "ready"), [(0, 0), (3, 4), (3, -1)])
def test_impossible_rules(maximum: int, ready: int) -> None:
    with pytest.raises(ValueError, match="instances can't"):
        PoolRules(maximum=maximum, ready=ready)


class PoolUnderTest(RuleBasedStateMachine):
    """Drives a pool in every order of events and keeps its own books."""

    @initialize(
        maximum=st.integers(1, 5),
        ready=st.integers(0, 5),
        lifecycle=st.sampled_from([Timed(300), OnContainerExit(500)]),
        allocation_time=st.sampled_from([0.0, 4.0]),
        waits=st.booleans(),
    )
    def create(
        self,
        maximum: int,
        ready: int,
        lifecycle: Timed | OnContainerExit,
        allocation_time: float,
        waits: bool,
    ) -> None:
        self.config = PoolRules(maximum, min(ready, maximum), lifecycle, allocation_time, waits)
        self.pool = Pool(self.config)
        self.now = 0.0
        self.numbers = itertools.count(1)
        self.starting: set[int] = set()
        self.running: set[int] = set()
        self.owners: dict[int, str] = {}
        self.asked: dict[int, str] = {}
        self.waiting: set[int] = set()
        self.serving: dict[int, int] = {}
        self.last_use: dict[int, float] = {}
        self.allocated_for: dict[int, int] = {}
        self.do(self.pool.advance(0))

    def do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Start(instance):
                    assert instance not in self.starting | self.running | set(self.owners)
                    self.starting.add(instance)
                case Stop(instance, identifier):
                    assert self.owners.get(instance, identifier) == identifier
                    self.forget(instance)
                case Refuse(number):
                    self.waiting.remove(number)
                case Serve(number, instance, new):
                    assert instance in self.running
                    self.waiting.remove(number)
                    owner = self.owners.setdefault(instance, self.asked[number])
                    assert owner == self.asked[number], "an instance served two identifiers"
                    assert new == (self.allocated_for.setdefault(instance, number) == number)
                    self.serving[number] = instance
                    self.last_use[instance] = self.now

    def forget(self, instance: int) -> None:
        assert instance in self.starting | self.running, "stopped twice, or never started"
        self.starting.discard(instance)
        self.running.discard(instance)
        self.serving = {n: it for n, it in self.serving.items() if it != instance}

    @rule(identifier=IDENTIFIERS)
    def request(self, identifier: str) -> None:
        number = next(self.numbers)
        self.asked[number] = identifier
        self.waiting.add(number)
        known = self.pool.find(identifier)
        self.do(self.pool.request(number, identifier, self.now))
        found = self.pool.find(identifier)
        if known is not None:
            assert found is not None
            assert found.instance == known.instance, "one identifier got two sessions"
        elif found is not None:
            self.allocated_for.setdefault(found.instance, number)
        if number in self.waiting | set(self.serving):
            assert found is not None
        else:
            assert found is None

    @precondition(lambda self: self.waiting or self.serving)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting | set(self.serving))))
        self.waiting.discard(number)
        instance = self.serving.pop(number, None)
        if instance is not None:
            self.last_use[instance] = self.now
        elif (view := self.pool.find(self.asked[number])) is not None:
            self.last_use[view.instance] = self.now
        self.do(self.pool.finished(number, self.now))

    @precondition(lambda self: self.starting)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        instance = data.draw(st.sampled_from(sorted(self.starting)))
        self.starting.remove(instance)
        self.running.add(instance)
        self.do(self.pool.started(instance, self.now))

    @precondition(lambda self: self.starting | self.running)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        instance = data.draw(st.sampled_from(sorted(self.starting | self.running)))
        self.forget(instance)
        self.do(self.pool.gone(instance, self.now))

    @rule(identifier=IDENTIFIERS)
    def stop(self, identifier: str) -> None:
        self.do(self.pool.stop(identifier, self.now))
        assert self.pool.find(identifier) is None

    @rule(seconds=st.sampled_from([0.5, 5.0, 299.0, 301.0]))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.pool.next_deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.do(self.pool.advance(self.now))
        self.now = until
        self.do(self.pool.advance(self.now))

    @invariant()
    def books_agree(self) -> None:
        census = self.pool.census
        sessions = self.pool.sessions()
        in_all = census.starting + census.ready + len(sessions)
        assert in_all == len(self.starting) + len(self.running)
        assert in_all <= self.config.maximum
        assert self.pool.held == len(sessions)
        assert len({view.identifier for view in sessions}) == len(sessions)
        assert len({view.instance for view in sessions}) == len(sessions)
        assert census.active == len(set(self.serving.values()))

    @invariant()
    def nothing_outlives_its_time(self) -> None:
        busy = {self.asked[number] for number in self.waiting | set(self.serving)}
        for view in self.pool.sessions():
            if isinstance(self.config.lifecycle, OnContainerExit):
                assert self.now < view.created + self.config.lifecycle.max_alive
            elif view.identifier not in busy:
                last = self.last_use.get(view.instance, view.last_accessed)
                assert self.now < last + self.config.lifecycle.cooldown

    def teardown(self) -> None:
        """Everything is freed one day, and the stock is whole again."""
        if not hasattr(self, "pool"):
            return
        for _ in range(20):
            for number in sorted(self.waiting | set(self.serving)):
                self.waiting.discard(number)
                self.serving.pop(number, None)
                self.do(self.pool.finished(number, self.now))
            for instance in sorted(self.starting):
                self.starting.remove(instance)
                self.running.add(instance)
                self.do(self.pool.started(instance, self.now))
            self.wait(301)
        assert self.pool.sessions() == []
        assert self.pool.census == Census(0, self.config.ready, 0, 0, 0)
        assert len(self.running) == self.config.ready
        assert self.pool.next_deadline is None


PoolUnderTest.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPool = PoolUnderTest.TestCase


def test_an_hour_with_thousands_of_users() -> None:
    """Everybody asks ten times within five minutes, and the pool is large enough or not."""
    chance = random.Random(5)
    rules = PoolRules(maximum=500, ready=50)
    pool = Pool(rules)
    events: list[tuple[float, int, str, str | int]] = []
    order = itertools.count()

    def happen(at: float, kind: str, what: str | int) -> None:
        heapq.heappush(events, (at, next(order), kind, what))

    for user in range(5000):
        begin = chance.uniform(0, 3000)
        for _ in range(10):
            happen(begin + chance.uniform(0, 300), "request", f"user-{user}")
    numbers = itertools.count(1)
    answered = refused = stopped = peak = 0
    running = 0
    actions: Sequence[Action] = pool.advance(0)
    now = 0.0
    while True:
        for action in actions:
            match action:
                case Start(instance):
                    running += 1
                    happen(now + 3, "started", instance)
                case Stop():
                    running -= 1
                    stopped += 1
                case Serve(number):
                    answered += 1
                    happen(now + 0.2, "finished", number)
                case Refuse():
                    refused += 1
        peak = max(peak, running)
        due = pool.next_deadline
        if due is not None and (not events or due <= events[0][0]):
            now = due
            actions = pool.advance(now)
        elif events:
            now, _, kind, what = heapq.heappop(events)
            if kind == "request":
                actions = pool.request(next(numbers), str(what), now)
            elif kind == "started":
                actions = pool.started(int(what), now)
            else:
                actions = pool.finished(int(what), now)
        else:
            break
    assert answered + refused == 50_000
    assert refused > 1000
    assert stopped > 2500
    assert peak == rules.maximum
    assert running == rules.ready
