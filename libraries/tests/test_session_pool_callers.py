"""Callers of a service in front of a pool: decided, lent to threads, told apart over sockets."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from codewitness.embedded.backend import create_app
from codewitness.embedded.callers import USER_HEADER, tell_callers_apart
from codewitness.execution.fallback import FallbackExecutor
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    Provenance,
    SourceFile,
)
from codewitness.execution.piston import PROVENANCE_HEADER, provenance_from_header
from codewitness.session_pool.caller_leases import MOST_WAITING, CallerLeases
from codewitness.session_pool.callers import (
    Action,
    Caller,
    CallerSessions,
    Connection,
    Ending,
    Grant,
    StopSession,
    User,
    calling,
)
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.identifiers import CallerBusy, Lease, NoneFree
from tests.loopback_identity import EventLoop, use_identity
from tests.loopback_pool import LoopbackPool, running_pool

CALLERS: list[Caller] = [User("ann"), User("bob"), *map(Connection, range(1, 5))]


class Decisions(RuleBasedStateMachine):
    """Whatever happens in whatever order, callers are kept apart and nobody is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        issued = itertools.count(1)
        self.most = 2
        self.sessions = CallerSessions(self.most, lambda: f"id-{next(issued)}")
        self.tickets = itertools.count(1)
        self.caller_of: dict[int, Caller] = {}
        self.owner_of: dict[str, Caller] = {}
        self.serving: dict[int, str] = {}
        self.stopping: set[str] = set()
        self.over: set[str] = set()
        self.left: set[Caller] = set()
        self.unserved: list[int] = []

    def follow(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Grant(ticket, identifier):
                    caller = self.caller_of[ticket]
                    assert self.owner_of.setdefault(identifier, caller) == caller
                    assert identifier not in self.serving.values()
                    assert identifier not in self.stopping | self.over
                    earlier = self.unserved[: self.unserved.index(ticket)]
                    assert caller not in [self.caller_of[it] for it in earlier]
                    self.unserved.remove(ticket)
                    self.serving[ticket] = identifier
                case StopSession(identifier):
                    assert identifier in self.owner_of
                    assert identifier not in self.serving.values()
                    assert identifier not in self.stopping | self.over
                    self.stopping.add(identifier)

    @rule(caller=st.sampled_from(CALLERS))
    def ask(self, caller: Caller) -> None:
        ticket = next(self.tickets)
        self.caller_of[ticket] = caller
        self.unserved.append(ticket)
        self.left.discard(caller)
        self.follow(self.sessions.ask(ticket, caller))

    @rule(data=st.data(), ending=st.sampled_from(["kept", "kept", "spoilt", "unopened"]))
    def finish(self, data: st.DataObject, ending: Ending) -> None:
        if self.serving:
            ticket = data.draw(st.sampled_from(sorted(self.serving)))
            identifier = self.serving.pop(ticket)
            if ending == "unopened":
                self.over.add(identifier)
            self.follow(self.sessions.finished(ticket, ending))
            if ending == "spoilt":
                assert identifier in self.stopping

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        if self.unserved:
            ticket = data.draw(st.sampled_from(self.unserved))
            self.unserved.remove(ticket)
            self.follow(self.sessions.withdraw(ticket))

    @rule(caller=st.sampled_from(CALLERS))
    def leave(self, caller: Caller) -> None:
        self.left.add(caller)
        self.follow(self.sessions.leave(caller))

    @rule(data=st.data())
    def stopped(self, data: st.DataObject) -> None:
        if self.stopping:
            self.confirm_stop(data.draw(st.sampled_from(sorted(self.stopping))))

    def confirm_stop(self, identifier: str) -> None:
        self.stopping.remove(identifier)
        self.over.add(identifier)
        self.follow(self.sessions.stopped(identifier))

    @invariant()
    def holds_no_more_than_allowed(self) -> None:
        alive = set(self.owner_of) - self.over
        assert self.sessions.held == len(alive) <= self.most

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        if self.unserved and not self.serving:
            assert self.stopping

    def teardown(self) -> None:
        for _ in range(4 * len(self.caller_of) + 4):
            for identifier in sorted(self.stopping):
                self.confirm_stop(identifier)
            for ticket in sorted(self.serving):
                del self.serving[ticket]
                self.follow(self.sessions.finished(ticket, "kept"))
        assert not self.unserved
        assert not self.serving
        assert not self.stopping
        kept = {self.owner_of[identifier] for identifier in set(self.owner_of) - self.over}
        assert not kept & self.left


Decisions.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_decisions = Decisions.TestCase


def grants(actions: Sequence[Action]) -> list[int]:
    return [action.ticket for action in actions if isinstance(action, Grant)]


def stops(actions: Sequence[Action]) -> list[str]:
    return [action.identifier for action in actions if isinstance(action, StopSession)]


def sessions_of(most: int) -> CallerSessions:
    issued = itertools.count(1)
    return CallerSessions(most, lambda: f"id-{next(issued)}")


def test_caller_that_never_pauses_keeps_nobody_waiting() -> None:
    sessions = sessions_of(1)
    assert grants(sessions.ask(1, User("ann"))) == [1]
    assert grants(sessions.ask(2, User("ann"))) == []
    assert grants(sessions.ask(3, User("bob"))) == []
    assert grants(sessions.ask(4, User("ann"))) == []
    # In order of arrival: first what Ann asked for before Bob did.
    assert grants(sessions.finished(1, "kept")) == [2]
    assert stops(sessions.finished(2, "kept")) == ["id-1"]
    assert grants(sessions.stopped("id-1")) == [3]
    assert stops(sessions.finished(3, "kept")) == ["id-2"]
    assert grants(sessions.stopped("id-2")) == [4]


def test_room_is_made_where_it_was_used_longest_ago() -> None:
    sessions = sessions_of(3)
    for ticket, caller in enumerate(("ann", "bob", "cid"), 1):
        sessions.ask(ticket, User(caller))
    for ticket in (2, 1):
        sessions.finished(ticket, "kept")
    assert stops(sessions.ask(4, User("dan"))) == ["id-2"]
    # One that is in use is never stopped, so the next one in line is.
    assert stops(sessions.ask(5, User("eve"))) == ["id-1"]
    assert stops(sessions.ask(6, User("fay"))) == []
    assert sessions.held == 3


def test_room_on_its_way_is_not_made_twice() -> None:
    sessions = sessions_of(2)
    for ticket, caller in enumerate(("ann", "bob"), 1):
        sessions.ask(ticket, User(caller))
        sessions.finished(ticket, "kept")
    assert stops(sessions.ask(3, User("cid"))) == ["id-1"]
    assert stops(sessions.ask(4, User("cid"))) == []
    assert grants(sessions.stopped("id-1")) == [3]
    assert grants(sessions.finished(3, "kept")) == [4]


def test_caller_that_comes_again_gets_a_new_identifier() -> None:
    sessions = sessions_of(2)
    sessions.ask(1, Connection(1))
    sessions.finished(1, "kept")
    assert stops(sessions.leave(Connection(1))) == ["id-1"]
    assert sessions.ask(2, Connection(1)) == [Grant(2, "id-2")]


def test_service_without_sessions_is_refused() -> None:
    with pytest.raises(ValueError, match="allow 1"):
        sessions_of(0)


class Stopping:
    """Stops sessions when it is let, and notes which."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.fails = False
        self.asked: list[str] = []

    def __call__(self, identifiers: Sequence[str]) -> Sequence[str]:
        assert self.may.wait(30)
        self.asked += identifiers
        return identifiers if self.fails else []


def take(leases: CallerLeases, user: str, within: float = 20) -> Lease:
    with calling(User(user)):
        return leases.take(within)


def use(leases: CallerLeases, user: str, *, usable: bool = True) -> str:
    lease = take(leases, user)
    lease.opened = True
    leases.give_back(lease, usable=usable)
    return lease.identifier


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_caller_meets_what_is_known_of_its_session() -> None:
    leases = CallerLeases("nightly", 2, Stopping())
    lease = take(leases, "ann")
    assert not lease.opened
    lease.opened = True
    leases.give_back(lease, usable=True)
    assert take(leases, "ann") is lease
    assert leases.opened == [lease.identifier]
    assert lease.identifier.startswith("nightly-")


def test_session_that_may_still_be_busy_is_stopped_and_replaced() -> None:
    stopping = Stopping()
    leases = CallerLeases("run", 1, stopping)
    spoilt = use(leases, "ann", usable=False)
    assert use(leases, "ann") != spoilt
    assert stopping.asked == [spoilt]


def test_identifier_without_a_session_needs_no_stopping() -> None:
    stopping = Stopping()
    leases = CallerLeases("run", 1, stopping)
    leases.give_back(take(leases, "ann"), usable=True)
    use(leases, "bob")
    assert stopping.asked == []


def test_waiting_for_a_slow_stop_ends_at_the_deadline() -> None:
    stopping = Stopping()
    stopping.may.clear()
    leases = CallerLeases("run", 1, stopping)
    first = use(leases, "ann")
    with pytest.raises(NoneFree, match="none of the 1 sessions that this run may use was free"):
        take(leases, "bob", within=0.1)
    # What is being stopped counts until it is gone.
    assert leases.opened == [first]
    stopping.may.set()
    assert use(leases, "bob") != first


def test_session_that_can_not_be_stopped_is_remembered_but_keeps_nobody_out() -> None:
    stopping = Stopping()
    stopping.fails = True
    leases = CallerLeases("run", 1, stopping)
    first, second = use(leases, "ann"), use(leases, "bob")
    assert leases.opened == [first, second]


def refusal_of(leases: CallerLeases, user: str) -> str:
    with pytest.raises(CallerBusy) as refused:
        take(leases, user, within=0.001)
    return str(refused.value)


def test_requests_of_a_caller_wait_for_its_session_but_not_too_many() -> None:
    leases = CallerLeases("run", 5, Stopping())
    lease = take(leases, "ann")
    with pytest.raises(CallerBusy, match=r"the session of this caller was busy for 0\.1 s"):
        take(leases, "ann", within=0.1)
    with ThreadPoolExecutor(MOST_WAITING) as threads:
        waiting = [threads.submit(use, leases, "ann") for _ in range(MOST_WAITING)]
        wait_until(lambda: "wait for its session already" in refusal_of(leases, "ann"))
        assert use(leases, "bob") != lease.identifier
        lease.opened = True
        leases.give_back(lease, usable=True)
        assert {each.result(30) for each in waiting} == {lease.identifier}


def test_many_threads_of_many_callers() -> None:
    stopping = Stopping()
    leases = CallerLeases("run", 3, stopping)
    users_of: dict[str, set[int]] = {}
    busy: set[str] = set()
    most = 0
    lock = threading.Lock()

    def work(number: int) -> None:
        nonlocal most
        user = number % 7
        lease = take(leases, f"user {user}", within=30)
        with lock:
            assert lease.identifier not in busy
            busy.add(lease.identifier)
            most = max(most, len(busy))
            users_of.setdefault(lease.identifier, set()).add(user)
        lease.opened = True
        time.sleep(0.001)
        with lock:
            busy.remove(lease.identifier)
        leases.give_back(lease, usable=number % 11 != 0)

    with ThreadPoolExecutor(14) as threads:
        list(threads.map(work, range(400)))
    assert all(len(users) == 1 for users in users_of.values())
    assert most == 3
    assert len(stopping.asked) == len(set(stopping.asked))


def program(code: str) -> ExecutionRequest:
    return ExecutionRequest("python", (SourceFile(code.encode()),))


def request_of(code: str) -> dict[str, Any]:
    return {"language": "python", "version": "*", "files": [{"content": code}]}


@dataclass
class Service:
    """A backend in front of a pool."""

    port: int
    pool: LoopbackPool
    client: SessionPoolExecutor

    def connect(self, user: str | None = None) -> Peer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return Peer(connection, {} if user is None else {USER_HEADER: user})


@dataclass
class Peer:
    """One connection to a backend, on which one user or none is named."""

    connection: http.client.HTTPConnection
    headers: dict[str, str]

    def run(self, code: str = "hello") -> Provenance:
        status, document, received = self.execute(code)
        assert status == 200, document
        assert document["run"]["stdout"] == code
        return provenance_from_header(received[PROVENANCE_HEADER], "nobody")

    def session(self, code: str = "hello") -> str:
        session = self.run(code).session
        assert session is not None
        return session

    def execute(self, code: str) -> tuple[int, Any, http.client.HTTPMessage]:
        sent = {"Content-Type": "application/json", **self.headers}
        body = json.dumps(request_of(code)).encode()
        self.connection.request("POST", "/api/v2/execute", body, sent)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read()), response.headers

    def close(self) -> None:
        self.connection.close()


@contextmanager
def serving(
    pool: LoopbackPool,
    most: int = 5,
    make: Callable[[SessionPoolExecutor], web.Application] = create_app,
    deadline: float = 30,
) -> Iterator[Service]:
    client = SessionPoolExecutor(pool.url, max_sessions=most, per_caller=True, deadline=deadline)
    app = make(client)
    tell_callers_apart(app, client.leave)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    loop = EventLoop()
    try:
        yield Service(loop.run(start()), pool, client)
        loop.run(runner.cleanup())
        assert pool.sessions() == []
        assert client.left_open == ()
    finally:
        loop.close()


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackPool]:
    with running_pool() as pool:
        use_identity(monkeypatch, pool.identity)
        yield pool


@pytest.fixture
def service(pool: LoopbackPool) -> Iterator[Service]:
    with serving(pool) as service:
        yield service


def test_two_users_over_one_connection_have_two_sessions(service: Service) -> None:
    peer = service.connect()
    sessions = []
    for user in ("ann", "bob", "ann", "bob"):
        peer.headers = {USER_HEADER: user}
        sessions.append(peer.session())
    assert sessions[:2] == sessions[2:]
    assert len(set(sessions)) == 2
    assert set(service.pool.sessions()) == set(sessions)


def test_user_over_two_connections_has_one_session(service: Service) -> None:
    first, second = service.connect("ann"), service.connect("ann")
    session = first.session()
    told = second.run()
    assert (told.session, told.session_new) == (session, False)
    first.close()
    second.close()
    # A user may come back, over whatever connection.
    assert service.connect("ann").session() == session


def test_connections_that_name_nobody_have_a_session_each(service: Service) -> None:
    peers = [service.connect() for _ in range(3)]
    sessions = [peer.session() for peer in peers]
    assert len(set(sessions)) == 3
    assert [peer.session() for peer in peers] == sessions
    named = service.connect("")
    assert named.session() not in sessions


def test_connection_that_names_a_user_in_between_is_still_told_apart(service: Service) -> None:
    peer = service.connect()
    own = peer.session()
    peer.headers = {USER_HEADER: "ann"}
    assert peer.session() != own
    peer.headers = {}
    assert peer.session() == own


def test_closed_connections_free_their_sessions(service: Service) -> None:
    user = service.connect("ann")
    kept = user.session()
    used: set[str] = set()
    for _ in range(3):
        peers = [service.connect() for _ in range(4)]
        with ThreadPoolExecutor(4) as threads:
            sessions = set(threads.map(Peer.session, peers))
        assert not sessions & used
        used |= sessions
        assert set(service.pool.sessions()) == sessions | {kept}
        for peer in peers:
            peer.close()
        wait_until(lambda: service.pool.sessions() == [kept])
    assert user.run().session_new is False


def test_connections_beyond_the_maximum_follow_those_that_pause(pool: LoopbackPool) -> None:
    with serving(pool, most=3) as service:
        peers = [service.connect() for _ in range(9)]
        sessions = []
        for peer in peers:
            sessions.append(peer.session())
            assert len(pool.sessions()) <= 3
        assert len(set(sessions)) == 9
        assert set(pool.sessions()) == set(sessions[-3:])
        # Whoever lost a session gets a new one, never somebody else's.
        told = peers[0].run()
        assert told.session_new is True
        assert told.session not in sessions


def test_full_pool_gets_room_by_sessions_that_pause(pool: LoopbackPool) -> None:
    with serving(pool, most=20) as service, SessionPoolExecutor(pool.url) as other:
        held = other.execute(program("hello")).provenance.session
        peers = [service.connect() for _ in range(7)]
        sessions = [peer.session() for peer in peers]
        assert len(set(sessions)) == 7
        assert set(pool.sessions()) == {held, *sessions[-4:]}


def test_full_pool_without_a_session_that_pauses_says_so(pool: LoopbackPool) -> None:
    with serving(pool, most=20) as service, ThreadPoolExecutor(5) as threads:
        peers = [service.connect() for _ in range(5)]
        busy = [threads.submit(peer.session, "hold") for peer in peers]
        wait_until(lambda: sum(it.running for it in pool.containers) == 5)
        status, document, _ = service.connect("ann").execute("hello")
        assert (status, "allocating pod" in document["message"]) == (503, True)
        pool.released.set()
        assert len({each.result(30) for each in busy}) == 5
        assert service.connect("ann").session()


def test_connection_closed_while_its_program_runs_frees_its_session_afterwards(
    service: Service,
) -> None:
    body = json.dumps(request_of("hold"))
    head = "POST /api/v2/execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as peer:
        peer.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        wait_until(lambda: any(it.running for it in service.pool.containers))
    # It may have side effects that somebody counts on, so it is not cut off.
    other = service.connect()
    other.session()
    assert len(service.pool.sessions()) == 2
    service.pool.released.set()
    other.close()
    wait_until(lambda: service.pool.sessions() == [])


def test_requests_of_one_user_at_once_take_turns(service: Service) -> None:
    peers = [service.connect("ann") for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        waiting = [threads.submit(peer.session, "hold") for peer in peers]
        wait_until(lambda: any(it.running for it in service.pool.containers))
        assert len(service.pool.sessions()) == 1
        service.pool.released.set()
        assert len({each.result(30) for each in waiting}) == 1
    assert max(container.most_running for container in service.pool.containers) == 1


@pytest.mark.parametrize("falls_back", [False, True])
def test_user_whose_session_is_busy_is_told_so_in_time(
    pool: LoopbackPool, falls_back: bool
) -> None:
    def make(executor: Executor) -> web.Application:
        return create_app(FallbackExecutor(executor, LocalExecutor()) if falls_back else executor)

    def hold(client: SessionPoolExecutor) -> ExecutionResult:
        with calling(User("ann")):
            return client.execute(program("hold"), deadline=30)

    with serving(pool, make=make, deadline=1) as service, ThreadPoolExecutor(1) as threads:
        # Finds out about languages, which takes a session, too.
        service.connect("ann").run()
        busy = threads.submit(hold, service.client)
        wait_until(lambda: any(it.running for it in pool.containers))
        status, document, _ = service.connect("ann").execute("hello")
        assert (status, "of this caller was busy" in document["message"]) == (429, True)
        assert service.connect("bob").session()
        pool.released.set()
        assert busy.result(30).run.stdout == b"hold"


def test_user_named_twice_is_refused(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as peer:
        named = f"{USER_HEADER}: ann\r\n{USER_HEADER}: bob\r\n"
        peer.sendall(f"GET /api/v2/runtimes HTTP/1.1\r\nHost: x\r\n{named}\r\n".encode())
        assert peer.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert service.pool.sessions() == []


def test_backend_with_a_fallback_tells_callers_apart(pool: LoopbackPool) -> None:
    with serving(
        pool, make=lambda it: create_app(FallbackExecutor(it, LocalExecutor()))
    ) as service:
        sessions = [service.connect(user).session() for user in ("ann", "bob", "ann")]
        assert sessions[0] == sessions[2] != sessions[1]
