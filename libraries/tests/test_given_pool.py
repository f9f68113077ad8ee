from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from codewitness.embedded.session_pool_service import PoolSettings
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.model import ExecutionRequest, FaultKind, PlatformFault, SourceFile
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import SCOPE
from codewitness.session_pool.identifiers import NoneFree, RunIdentifiers
from codewitness.session_pool.lifecycle import PoolRules
from codewitness.target.given_pool import GivenPool
from tests.session_pools import PoolClient, pool_of

HELLO = ExecutionRequest("python", (SourceFile(b"print('hi')"),))


@pytest.fixture(scope="module")
def pool() -> Iterator[PoolClient]:
    with pool_of(PoolSettings(rules=PoolRules(maximum=8, ready=1))) as client:
        yield client


def caller(pool: PoolClient, max_sessions: int) -> SessionPoolExecutor:
    credentials = BackendCredentials(scope=SCOPE, token_source=token_source_of(pool.environment))
    return SessionPoolExecutor(
        pool.url, run_id="run-a", credentials=credentials, max_sessions=max_sessions
    )


def held(pool: PoolClient) -> list[str]:
    return [session["identifier"] for session in pool.state()["sessions"]]


def test_fresh_identifiers_go_out_first() -> None:
    identifiers = RunIdentifiers("run", 3)
    used = identifiers.take(1)
    used.opened = True
    refused = identifiers.take_fresh()
    identifiers.give_back(used, usable=True)
    identifiers.give_back(refused, usable=True)
    assert identifiers.take_fresh() is refused
    assert identifiers.take_fresh().identifier not in (used.identifier, refused.identifier)
    assert identifiers.take_fresh() is used
    with pytest.raises(NoneFree, match="none of the 3 sessions"):
        identifiers.take_fresh()


def test_run_that_may_open_no_more_stops_a_session_to_open_one(pool: PoolClient) -> None:
    with closing(caller(pool, 1)) as executor:
        first = executor.execute(HELLO).provenance.session
        given = GivenPool(executor)
        call = given.call("alice", "print(1)")
        assert call.identifier == first
        assert call.is_new
        assert given.call("alice", "print(1)").is_reused
        with pytest.raises(NoneFree):
            given.call("bob", "print(1)")
        given.close()
        assert not held(pool)
        result = executor.execute(HELLO)
        assert (result.provenance.session, result.provenance.session_new) == (first, True)
    assert not held(pool)


def test_caller_who_is_refused_uses_up_no_session(pool: PoolClient) -> None:
    with closing(caller(pool, 1)) as executor:
        given = GivenPool(executor)
        assert given.call_as(None).status == 401
        assert given.call_as("https://storage.azure.com/.default").status == 401
        assert given.call_without_identifier().status == 400
        assert given.ask_about_nobody().status == 400
        assert not executor.identifiers
        assert given.call("alice", "print(1)").is_new
        assert executor.identifiers == (given.identifier("alice"),)
        assert given.cooldown("alice") == pytest.approx(300, abs=20)


def test_missing_token_is_told_from_a_refusal(pool: PoolClient) -> None:
    def none(scope: str) -> object:
        raise ValueError(f"no token for {scope}")

    credentials = BackendCredentials(scope=SCOPE, token_source=none)  # type: ignore[arg-type]
    with closing(SessionPoolExecutor(pool.url, credentials=credentials)) as executor:
        with pytest.raises(PlatformFault) as caught:
            GivenPool(executor).call_as("https://storage.azure.com/.default")
        assert caught.value.kind is FaultKind.UNAUTHENTICATED
        assert not executor.identifiers


def test_filling_stops_what_it_opened_and_nothing_else(pool: PoolClient) -> None:
    with closing(caller(pool, 3)) as executor:
        own = executor.execute(HELLO).provenance.session
        filled = GivenPool(executor).fill()
        assert (filled.held, filled.refusal) == (3, None)
        assert held(pool) == [own]
