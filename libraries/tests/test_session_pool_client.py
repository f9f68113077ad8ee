"""Executing through a session pool: the real client, real tokens, a real pool over sockets."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from codewitness.embedded.backend import create_app
from codewitness.embedded.identity import IdentityConfig
from codewitness.embedded.session_pool import ForwardingConfig
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
    SourceFile,
)
from codewitness.reporting.diagnosis import explain
from codewitness.session_pool.client import SessionPoolExecutor
from tests.loopback_identity import EventLoop, use_identity
from tests.loopback_pool import LoopbackPool, running_pool


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackPool]:
    with running_pool() as pool:
        use_identity(monkeypatch, pool.identity)
        yield pool


def program(code: str = "hello") -> ExecutionRequest:
    return ExecutionRequest("python", (SourceFile(code.encode()),))


def fault_of(client: SessionPoolExecutor, request: ExecutionRequest | None = None) -> PlatformFault:
    with pytest.raises(PlatformFault) as caught:
        client.execute(request or program())
    return caught.value


def test_program_runs_in_a_session_that_the_pool_vouches_for(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url, run_id="run 42") as client:
        before = datetime.now(timezone.utc)
        result = client.execute(program())
        assert result.run.stdout == b"hello"
        told = result.provenance
        assert told.executor == f"session pool {pool.url}"
        assert told.session == pool.sessions()[0] == client.identifiers[0]
        assert told.session_new is True
        assert told.sandbox == "none"
        assert told.degraded is None
        assert told.notes[0] == "container: echo"
        assert told.notes[1].startswith("listed by the pool as created at 2")
        session = client.get_session(told.session)
        assert session is not None
        assert session.created_at is not None
        assert session.expires_at is not None
        assert abs((session.created_at - before).total_seconds()) < 30
        assert 299 < (session.expires_at - session.created_at).total_seconds() < 330
        assert session.etag


def test_executions_in_sequence_share_a_session(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url) as client:
        told = [client.execute(program()).provenance for _ in range(4)]
    assert [it.session_new for it in told] == [True, False, False, False]
    assert len({it.session for it in told}) == 1


def test_session_that_ended_meanwhile_is_seen_to_be_new(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url) as client:
        first = client.execute(program()).provenance
        pool.move_clock(301)
        assert pool.sessions() == []
        second = client.execute(program()).provenance
        assert (second.session, second.session_new) == (first.session, True)


def hold_at_once(
    pool: LoopbackPool, client: SessionPoolExecutor, programs: int, sessions: int
) -> list[ExecutionResult | ExecutionError]:
    """Run programs that end when this many sessions are there."""
    with ThreadPoolExecutor(1) as threads:
        outcomes = threads.submit(client.execute_many, [program("hold")] * programs)
        wait_until(lambda: len(pool.sessions()) == sessions)
        pool.released.set()
        return outcomes.result(30)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_executions_at_once_get_sessions_of_their_own(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url) as client:
        outcomes = hold_at_once(pool, client, 3, 3)
        sessions = {it.provenance.session for it in outcomes if isinstance(it, ExecutionResult)}
        assert len(sessions) == 3
        assert set(pool.sessions()) == sessions
        assert all(container.most_running <= 1 for container in pool.containers)


def test_more_at_once_than_sessions_wait_for_their_turn(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url, max_sessions=2) as client:
        outcomes = hold_at_once(pool, client, 6, 2)
        assert all(isinstance(it, ExecutionResult) for it in outcomes)
        assert len(client.identifiers) == len(pool.sessions()) == 2
        assert all(container.most_running <= 1 for container in pool.containers)


def test_waiting_for_a_session_ends_at_the_deadline(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url, max_sessions=1) as client, ThreadPoolExecutor(1) as threads:
        busy = threads.submit(client.execute, program("hold"))
        wait_until(lambda: bool(pool.sessions()))
        with pytest.raises(PlatformFault) as caught:
            client.execute(program(), deadline=0.2)
        assert caught.value.kind is FaultKind.CAPACITY
        assert "none of the 1 sessions that this run may use" in caught.value.detail
        assert "raise MAX_SESSIONS_USED" in caught.value.cause
        pool.released.set()
        assert busy.result(30).run.code == 0


def test_session_of_a_timed_out_execution_is_not_used_again(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url, max_sessions=2) as client:
        with pytest.raises(PlatformFault) as caught:
            client.execute(program("hold"), deadline=0.5)
        assert caught.value.kind is FaultKind.TIMEOUT
        (spoilt,) = client.identifiers
        assert client.execute(program()).provenance.session != spoilt


def test_sessions_are_stopped_at_the_end(pool: LoopbackPool) -> None:
    client = SessionPoolExecutor(pool.url)
    hold_at_once(pool, client, 3, 3)
    client.close()
    assert client.left_open == ()
    assert pool.sessions() == []
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.execute(program())


def test_sessions_that_could_not_be_stopped_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_pool() as pool:
        use_identity(monkeypatch, pool.identity)
        client = SessionPoolExecutor(pool.url)
        client.execute(program())
    client.close()
    assert client.left_open == client.identifiers
    assert len(client.left_open) == 1


def test_nothing_is_stopped_where_nothing_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_pool() as pool:
        use_identity(monkeypatch, pool.identity)
        pool.identity.config = IdentityConfig(roles=())
        with SessionPoolExecutor(pool.url) as client:
            fault_of(client)
        assert not [path for path in pool.requests if "stopSession" in path]


def test_management_calls(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url) as client:
        identifier = client.execute(program()).provenance.session
        assert identifier
        assert client.get_session("nobody-has-this") is None
        assert client.stop_session("nobody-has-this") is False
        assert [it.identifier for it in client.list_sessions()] == [identifier]
        assert client.stop_session(identifier) is True
        assert client.list_sessions() == []


def test_application_routes_get_no_api_version(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url) as client:
        client.execute(program())
        client.runtimes()
    for path in pool.requests:
        assert ("api-version=" in path) == ("/.management/" in path), path
        assert "identifier=" in path


def test_runtimes_are_asked_once(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url) as client:
        assert [it.language for it in client.runtimes()] == ["python"]
        client.runtimes()
        assert sum("/runtimes" in path for path in pool.requests) == 1
        # Its session was opened then, and the execution can tell.
        assert client.execute(program()).provenance.session_new is False


def test_raw_exchange_goes_to_a_session(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url) as client:
        answer = client.exchange("POST", "execute", body=b"{", headers={"Content-Type": "x/y"})
        assert answer.status == 415
        assert len(client.identifiers) == 1
        assert client.exchange("GET", "/elsewhere").status == 404
        own = client.exchange("GET", "runtimes?identifier=mine-and-only-mine")
        assert own.status == 200
        assert "mine-and-only-mine" in pool.sessions()
        assert client.exchange("GET", "runtimes", headers={"Authorization": "x"}).status == 401
        client.stop_session("mine-and-only-mine")


def test_refusals_of_the_container_are_refusals(pool: LoopbackPool) -> None:
    with (
        SessionPoolExecutor(pool.url) as client,
        pytest.raises(RequestRefused, match="runtime is unknown"),
    ):
        client.execute(replace(program(), language="cobol"))


def test_without_proof_the_session_counts_as_used_only(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url, prove_sessions=False) as client:
        told = client.execute(program()).provenance
        assert (told.session, told.session_new) == (client.identifiers[0], None)
        assert "session not proven: the pool was not asked" in told.notes
        assert not [path for path in pool.requests if "/.management/" in path]


def test_whole_flow_names_the_session(pool: LoopbackPool) -> None:
    async def start() -> web.AppRunner:
        app = create_app(SessionPoolExecutor(pool.url))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    loop = EventLoop()
    try:
        runner = loop.run(start())
        with BackendExecutor(f"http://127.0.0.1:{runner.addresses[0][1]}") as backend:
            told = [backend.execute(program()).provenance for _ in range(2)]
            assert [it.session_new for it in told] == [True, False]
            assert {it.session for it in told} == set(pool.sessions())
            assert told[0].executor == f"session pool {pool.url}"
            with pytest.raises(RequestRefused, match="runtime is unknown"):
                backend.execute(replace(program(), language="cobol"))
        loop.run(runner.cleanup())
        # The backend ends what it opened.
        assert pool.sessions() == []
    finally:
        loop.close()


def test_one_token_serves_all(pool: LoopbackPool) -> None:
    for _ in range(2):
        with SessionPoolExecutor(pool.url) as client:
            client.execute_many([program()] * 4)
    assert len(pool.identity.requests) == 1


@pytest.mark.parametrize(
    ("config", "kind", "row", "detail"),
    [
        (IdentityConfig(lifetime=-30), FaultKind.UNAUTHENTICATED, "I2", "expired 3"),
        (
            IdentityConfig(audience="https://management.azure.com"),
            FaultKind.UNAUTHENTICATED,
            "I1",
            "audience https://management.azure.com",
        ),
        (IdentityConfig(foreign_signature=True), FaultKind.UNAUTHENTICATED, "I1", "expires in"),
        (IdentityConfig(roles=()), FaultKind.FORBIDDEN, "I3", "identity "),
        (IdentityConfig(error_status=400), FaultKind.UNAUTHENTICATED, "I7", "no token for"),
    ],
)
def test_token_problems_are_told_apart(
    pool: LoopbackPool, config: IdentityConfig, kind: FaultKind, row: str, detail: str
) -> None:
    pool.identity.config = config
    with SessionPoolExecutor(pool.url) as client:
        fault = fault_of(client)
    assert (fault.kind, explain(fault).row) == (kind, row)
    assert detail in fault.detail
    assert "of which the caller holds no session" in fault.detail
    assert "eyJ" not in f"{fault.detail} {fault.body} {fault.cause}"


def test_role_that_takes_effect_later_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    effective = time.time() + 3600
    with running_pool(rules=lambda it: replace(it, role_effective_at=effective)) as pool:
        use_identity(monkeypatch, pool.identity)
        with SessionPoolExecutor(pool.url) as client:
            assert "may not have taken effect" in fault_of(client).cause


@pytest.mark.parametrize(
    ("forwarding", "kind", "row"),
    [
        (ForwardingConfig(port_set=False), FaultKind.WRONG_ADDRESS, "R1"),
        (ForwardingConfig(listens_after=float("inf")), FaultKind.SERVER_ERROR, "C7"),
    ],
)
def test_platform_answers_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, forwarding: ForwardingConfig, kind: FaultKind, row: str
) -> None:
    with running_pool(forwarding=forwarding) as pool:
        use_identity(monkeypatch, pool.identity)
        with SessionPoolExecutor(pool.url) as client:
            fault = fault_of(client)
    assert (fault.kind, explain(fault).row) == (kind, row)


def test_full_pool_is_told_apart_by_what_the_run_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_pool(maximum=2) as pool:
        use_identity(monkeypatch, pool.identity)
        with SessionPoolExecutor(pool.url) as holder, ThreadPoolExecutor(1) as threads:
            held = threads.submit(holder.execute_many, [program("hold")] * 2)
            wait_until(lambda: len(pool.sessions()) == 2)
            with SessionPoolExecutor(pool.url) as client:
                refused = fault_of(client)
                assert (refused.kind, explain(refused).row) == (FaultKind.CAPACITY, "C3")
            pool.released.set()
            held.result(30)
            pool.released.clear()
            busy = threads.submit(holder.execute_many, [program("hold")] * 2)
            wait_until(lambda: sum(it.running for it in pool.containers) == 2)
            refused = fault_of(holder)
            pool.released.set()
            busy.result(30)
            assert "of which the caller holds 2 sessions" in refused.detail
            assert explain(refused).row == "C1"
            # The refused identifier leads to no session, so there is nothing to be stopped.
            assert len(holder.identifiers) == 2
        with SessionPoolExecutor(pool.url) as client:
            assert client.execute(program()).run.code == 0


def test_address_of_another_pool_kind_is_named(pool: LoopbackPool) -> None:
    regional = f"{pool.url}/subscriptions/s/resourceGroups/g/sessionPools/p"
    with SessionPoolExecutor(regional) as client:
        fault = fault_of(client)
    assert (fault.kind, explain(fault).row) == (FaultKind.WRONG_ADDRESS, "R8")


def test_cures_name_the_setting_of_pools() -> None:
    credentials = BackendCredentials(authorization="Bearer unused")
    with SessionPoolExecutor("http://127.0.0.1:9", credentials=credentials) as client:
        fault = fault_of(client)
    assert explain(fault).row == "N3"
    assert "host and port of POOL_MANAGEMENT_ENDPOINT;" in fault.cause


def test_many_threads_share_the_identifiers(pool: LoopbackPool) -> None:
    with SessionPoolExecutor(pool.url, max_sessions=3) as client:
        barrier = threading.Barrier(8)

        def work(_: int) -> set[str | None]:
            barrier.wait(30)
            return {client.execute(program()).provenance.session for _ in range(5)}

        with ThreadPoolExecutor(8) as threads:
            used = set().union(*threads.map(work, range(8)))
        assert used <= set(client.identifiers)
        assert len(client.identifiers) <= 3
        assert all(container.most_running <= 1 for container in pool.containers)


@given(st.text(max_size=300))
def test_identifiers_are_ones_that_any_pool_takes(run_id: str) -> None:
    with SessionPoolExecutor("http://127.0.0.1:9", run_id=run_id) as client:
        url = client.execute_url
    identifier = url.partition("?identifier=")[2]
    assert re.fullmatch(r"[A-Za-z0-9-]{4,128}", identifier)
    assert re.search(r"-[0-9a-f]{32}$", identifier)


def test_identifiers_carry_the_run_and_differ() -> None:
    urls = set()
    for _ in range(3):
        with SessionPoolExecutor("http://127.0.0.1:9", run_id="nightly/7") as client:
            urls.add(client.execute_url)
    assert len(urls) == 3
    assert all("identifier=nightly-7-" in url for url in urls)


def test_run_without_sessions_is_refused() -> None:
    with pytest.raises(ValueError, match="allow 1"):
        SessionPoolExecutor("http://127.0.0.1:9", max_sessions=0)
