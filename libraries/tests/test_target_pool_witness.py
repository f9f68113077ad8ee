"""A session pool tells whether a program ran in it, over real sockets."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from codewitness.embedded.service import RunningService, start_service
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    PlatformFault,
    Provenance,
    SourceFile,
)
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import SCOPE
from codewitness.target import pool_witness
from codewitness.target.pool_witness import PoolWitness
from codewitness.target.sessions_used import SessionsUsed, close_sessions
from codewitness.target.whereabouts import Whereabouts, alike, differences

Execute = Callable[[ExecutionRequest], ExecutionResult]
Caller = Callable[..., SessionPoolExecutor]

HELLO = ExecutionRequest("python", (SourceFile(b"print('hi')"),))


@pytest.fixture(scope="module")
def pool() -> Iterator[RunningService]:
    with start_service(
        ["session-pool", "--max-sessions", "4", "--allocation-time", "0"]
    ) as service:
        yield service


@pytest.fixture(scope="module")
def host() -> Iterator[Execute]:
    """A backend that executes on its own host."""
    with start_service(["backend"]) as service, BackendExecutor(service.url) as executor:
        yield executor.execute


@pytest.fixture
def caller(pool: RunningService) -> Iterator[Caller]:
    """Make callers of the pool; what they opened is gone when the test is through."""
    with ExitStack() as stack:

        def make(scope: str = SCOPE, max_sessions: int = 1) -> SessionPoolExecutor:
            source = token_source_of(pool.details["environment"])
            executor = SessionPoolExecutor(
                pool.url,
                run_id=f"test-{secrets.token_hex(2)}",
                credentials=BackendCredentials(scope=scope, token_source=source),
                max_sessions=max_sessions,
            )
            return stack.enter_context(executor)

        yield make


def with_provenance(
    execute: Execute, *, session: str | None = None, degraded: str | None = None
) -> Execute:
    """Let a backend say something else about where it executed."""
    told = Provenance("backend", session=session, degraded=degraded)

    def changed(request: ExecutionRequest) -> ExecutionResult:
        return replace(execute(request), provenance=told)

    return changed


def sessions(executor: SessionPoolExecutor) -> set[str]:
    return {session.identifier for session in executor.list_sessions()}


def test_session_that_the_answer_names_is_seen_to_move(caller: Caller) -> None:
    backend = caller()
    for _ in range(2):
        seen = PoolWitness(caller()).watch(backend.execute)
        assert seen.in_pool is True
        assert backend.identifiers[0] in seen.evidence
        assert seen.diagnosis is None
        assert seen.verdict.startswith("proven: ")


def test_session_is_seen_though_the_answer_names_none(caller: Caller) -> None:
    backend = caller()
    seen = PoolWitness(caller()).watch(with_provenance(backend.execute))
    assert seen.in_pool is True
    assert backend.identifiers[0] in seen.evidence


def test_program_finds_itself_alike_and_nothing_is_left(caller: Caller) -> None:
    backend, own = caller(), caller()
    witness = PoolWitness(own)
    for _ in range(2):
        compared = witness.compare(witness.watch(backend.execute))
        assert compared.in_pool is True
        assert "run directly in the pool saw kernel" in compared.evidence
        assert sessions(own) == set(backend.identifiers)
    assert len(own.identifiers) == 1


def test_execution_on_another_host_moves_no_session(caller: Caller, host: Execute) -> None:
    caller().execute(HELLO)
    seen = PoolWitness(caller()).watch(host)
    assert seen.in_pool is False
    assert "sessions of the pool that moved: none" in seen.evidence
    assert seen.verdict.startswith("NOT in the session pool: ")
    assert seen.diagnosis is not None
    assert "on its own host" in seen.diagnosis.cause


@pytest.mark.parametrize("named", [True, False])
def test_session_that_is_stopped_after_each_execution_is_seen(caller: Caller, named: bool) -> None:
    def once(request: ExecutionRequest) -> ExecutionResult:
        with caller() as backend:
            return backend.execute(request)

    seen = PoolWitness(caller()).watch(once if named else with_provenance(once))
    assert seen.in_pool is True, seen.verdict
    assert "test-" in seen.evidence


def test_session_that_is_named_and_was_not_used_is_a_lie(caller: Caller, host: Execute) -> None:
    other = caller()
    other.execute(HELLO)
    (name,) = other.identifiers
    seen = PoolWitness(caller()).watch(with_provenance(host, session=name))
    assert seen.in_pool is False
    assert f"the answer names session {name}" in seen.evidence
    assert "moved: none" in seen.evidence


def test_degraded_answer_is_no_execution_in_the_pool(caller: Caller) -> None:
    backend = with_provenance(caller().execute, degraded="the pool is full")
    seen = PoolWitness(caller()).watch(backend)
    assert seen.in_pool is False
    assert "degraded: the pool is full" in seen.evidence


def test_sessions_that_others_use_prove_nothing(caller: Caller, host: Execute) -> None:
    other, done = caller(), threading.Event()

    def keep_using() -> None:
        while not done.is_set():
            other.execute(HELLO)

    other.execute(HELLO)
    thread = threading.Thread(target=keep_using)
    thread.start()
    try:
        seen = PoolWitness(caller()).watch(_slow(with_provenance(host)))
    finally:
        done.set()
        thread.join(30)
    assert seen.in_pool is None
    assert "do so without this run, too" in seen.evidence
    assert seen.diagnosis is not None
    assert "other callers" in seen.diagnosis.cause


def _slow(execute: Execute) -> Execute:
    """Let so much time pass that another caller is served meanwhile, and afterwards."""

    def slowed(request: ExecutionRequest) -> ExecutionResult:
        time.sleep(2)
        return replace(execute(request), elapsed=2.0)

    return slowed


def test_list_that_can_not_be_read_proves_nothing(caller: Caller, host: Execute) -> None:
    stranger = caller(scope="https://management.azure.com/.default")
    seen = PoolWitness(stranger).watch(host)
    assert seen.in_pool is None
    assert "list of sessions can't be read" in seen.evidence
    assert "401" in seen.evidence


def test_answer_of_another_program_proves_nothing(caller: Caller) -> None:
    backend = caller()
    seen = PoolWitness(caller()).watch(lambda _request: backend.execute(HELLO))
    assert seen.in_pool is None
    assert "did not print what it had to" in seen.evidence


def test_pool_that_is_full_can_not_be_compared_with(caller: Caller) -> None:
    backends = [caller() for _ in range(4)]
    for backend in backends:
        backend.execute(HELLO)
    witness = PoolWitness(caller())
    compared = witness.compare(witness.watch(backends[0].execute))
    assert compared.in_pool is None
    assert "could not be run directly in the pool" in compared.evidence
    assert "429" in compared.evidence


def test_other_surroundings_are_told(caller: Caller) -> None:
    backend = caller()
    witness = PoolWitness(caller())
    seen = witness.watch(backend.execute)
    assert seen.whereabouts is not None
    elsewhere = replace(seen.whereabouts, facts={**seen.whereabouts.facts, "python": "2.7.18"})
    compared = witness.compare(replace(seen, whereabouts=elsewhere))
    assert compared.in_pool is False
    assert "fingerprints differ: python was 2.7.18, and 3." in compared.evidence


def test_what_a_session_has_of_its_own_makes_no_difference() -> None:
    facts = {"kernel": "6.1", "python": "3.11.2", "uid": 1000, "first": "node"}
    one = Whereabouts("", None, {**facts, "host": "a", "boot": "1", "pid": 3})
    other = Whereabouts("", None, {**facts, "host": "b", "boot": "2", "pid": 5})
    assert differences(one, other) == {}
    assert alike(one, other) == "kernel 6.1, python 3.11.2, uid 1000, first node"
    moved = Whereabouts("", None, {**facts, "kernel": "6.2", "boot": "1"})
    assert differences(one, moved) == {"kernel": ("6.1", "6.2")}
    assert alike(one, replace(one)).endswith("the same boot of the kernel")


def test_sessions_are_stopped_and_counted(caller: Caller) -> None:
    target = caller(max_sessions=3)
    target.execute_many(
        [ExecutionRequest("python", (SourceFile(b"import time; time.sleep(1)"),))] * 2
    )
    used = close_sessions(target, caller)
    assert str(used) == "2 opened, all stopped at the end"
    assert not sessions(caller())


def test_sessions_left_are_told_with_their_end(caller: Caller) -> None:
    target, other = caller(), caller()
    target.execute(HELLO)
    (name,) = target.identifiers
    target.close()
    # As if the pool had refused to stop it.
    with _reopened(other, name):
        target.left_open = (name,)
        used = close_sessions(target, caller)
    assert used.opened == 1
    assert list(used.left) == [name]
    end = used.left[name]
    assert end is not None
    assert f"1 left open: {name}, until {end:%Y-%m-%d %H:%M:%S} UTC" in str(used)


@contextmanager
def _reopened(executor: SessionPoolExecutor, identifier: str) -> Iterator[None]:
    answer = executor.exchange("GET", f"runtimes?identifier={identifier}")
    assert answer.status == 200
    yield
    executor.stop_session(identifier)


def test_session_whose_end_is_not_known_is_told() -> None:
    assert str(SessionsUsed(1, {"run-1": None})).endswith("run-1, until its cooldown has passed")
    assert str(SessionsUsed(0, {})) == "none was opened"


def test_execution_that_fails_is_no_testimony(caller: Caller) -> None:
    def fail(_request: ExecutionRequest) -> ExecutionResult:
        return caller(scope="https://management.azure.com/.default").execute(HELLO)

    with pytest.raises(PlatformFault, match="401"):
        PoolWitness(caller()).watch(fail)


def test_verdict_says_what_is_not_proven() -> None:
    assert pool_witness.Testimony(None, "nobody saw it").verdict == "not proven: nobody saw it"
