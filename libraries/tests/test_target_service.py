"""The service under test, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psutil
import pytest

from codewitness.embedded.service import start_service
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
    SourceFile,
)
from codewitness.execution.piston import PROVENANCE_HEADER
from codewitness.target.breaker import ServiceDown
from codewitness.target.service_under_test import ServiceUnderTest
from codewitness.target.settings import SettingsError, resolve
from tests.front_door import Call, FrontDoor, Reply
from tests.scripted_server import GOOD, ScriptedServer, always, answer, good, in_turn

HELLO = ExecutionRequest("python", (SourceFile(b"print('hi')"),))
UNAVAILABLE = answer("503 Unavailable", '{"message": "no capacity"}')

Serve = Callable[..., ScriptedServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that answer in turn, and stop them."""
    servers: list[ScriptedServer] = []

    def start(*answers: bytes) -> ScriptedServer:
        servers.append(ScriptedServer(in_turn(*answers)))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def target(**given: Any) -> ServiceUnderTest:
    return ServiceUnderTest(resolve(given.get, {}))


def child_serving(command: str) -> psutil.Process:
    """Return the one child of this process that serves a command of the embedded services."""
    (process,) = [it for it in psutil.Process().children() if command in it.cmdline()[:3]]
    return process


def test_embedded_service_is_started_and_ended() -> None:
    service = target()
    service.open()
    result = service.execute(HELLO)
    assert result.run.stdout == b"hi\n"
    assert service.name.startswith("embedded backend → session pool → sandboxed process at")
    assert service.first_latency is not None
    assert service.record.executions == 2
    process = child_serving("backend")
    service.close()
    assert not process.is_running()
    service.close()


def test_embedded_service_that_ends_is_missed() -> None:
    with closing(target()) as service:
        service.open()
        process = child_serving("backend")
        process.kill()
        process.wait(10)
        with pytest.raises(PlatformFault):
            service.execute(HELLO)
        with pytest.raises(ServiceDown, match=rf"\(pid {process.pid}\) has ended"):
            service.execute(HELLO)


def test_local_executor_has_its_name() -> None:
    with closing(target(USE_LOCAL_EXECUTOR="true")) as service:
        assert service.name.startswith("local executor: embedded backend → sandboxed process at")


def test_credentials_are_sent_to_the_backend_that_wants_them(
    monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    monkeypatch.setenv("BACKEND_API_KEY", "canary")
    server = serve(good())
    with closing(target(ENDPOINT=server.url)) as service:
        service.execute(HELLO)
        assert service.sends_credentials
    with closing(target()) as service:
        assert not service.sends_credentials
    assert all(b"X-API-Key: canary" in request for request in server.requests)


@pytest.mark.parametrize(
    "given",
    [
        {"ENDPOINT": "localhost:2000"},
        {"ENDPOINT": "http://h", "DEVIATIONS": "argz"},
        {"ENDPOINT": "https://h", "CA_BUNDLE": "nowhere.pem"},
        {"POOL_MANAGEMENT_ENDPOINT": "localhost:2000"},
        {"ENDPOINT": "localhost:2000", "POOL_MANAGEMENT_ENDPOINT": "http://h"},
    ],
)
def test_unusable_setting_starts_nothing(given: dict[str, str]) -> None:
    before = psutil.Process().children()
    with pytest.raises(SettingsError, match=r"endpoint|DEVIATIONS|CA_BUNDLE"):
        target(**given)
    assert psutil.Process().children() == before


def test_first_request_gets_a_second_chance(serve: Serve) -> None:
    server = serve(UNAVAILABLE, good())
    with closing(target(ENDPOINT=server.url)) as service:
        service.open()
        assert service.record.faults == {FaultKind.CAPACITY.value: 1}
        # A cold start that failed has no latency to be proud of.
        assert service.first_latency is None
        assert service.first_fault is not None
    assert len(server.requests) == 2


def test_service_that_stays_away_is_not_opened(serve: Serve) -> None:
    server = serve(UNAVAILABLE)
    with (
        closing(target(ENDPOINT=server.url)) as service,
        pytest.raises(PlatformFault, match="no capacity"),
    ):
        service.open()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "said",
    [
        answer("400 Bad Request", '{"message": "python-* runtime is unknown"}'),
        answer(body='{"language": "python", "run": {"stdout": ""}}'),
        good(run={"stdout": "", "stderr": "", "code": None, "signal": None, "status": "XX"}),
    ],
)
def test_service_that_answers_in_its_own_way_is_worth_testing(serve: Serve, said: bytes) -> None:
    server = serve(said)
    with closing(target(ENDPOINT=server.url)) as service:
        service.open()
    assert len(server.requests) == 1


def test_refusal_is_no_reason_to_give_up(serve: Serve) -> None:
    refused = answer("400 Bad Request", '{"message": "no"}')
    server = serve(good(), refused, good())
    with closing(target(ENDPOINT=server.url)) as service:
        service.open()
        with pytest.raises(RequestRefused):
            service.execute(HELLO)
        assert service.execute(HELLO).run.stdout == b"hi\n"
        assert service.record.refusals == 1


def test_nothing_is_sent_to_a_service_that_went_away() -> None:
    server = ScriptedServer(always(good()))
    with closing(target(ENDPOINT=server.url)) as service:
        service.open()
        server.stop()
        with pytest.raises(PlatformFault) as first:
            service.execute(HELLO)
        assert not isinstance(first.value, ServiceDown)
        for ask in (
            lambda: service.execute(HELLO),
            lambda: service.exchange("GET", "runtimes"),
            service.runtimes,
            service.require,
        ):
            with pytest.raises(ServiceDown, match="not sent"):
                ask()
        outcomes = service.execute_many([HELLO] * 3)
        assert [type(outcome) for outcome in outcomes] == [ServiceDown] * 3


def test_fault_that_somebody_else_met_counts() -> None:
    server = ScriptedServer(always(good()))
    with closing(target(ENDPOINT=server.url)) as service:
        service.open()
        server.stop()
        service.lost(PlatformFault(FaultKind.TIMEOUT, "seen by RequestsLibrary"))
        with pytest.raises(ServiceDown):
            service.require()


def test_service_that_comes_back_is_used_again() -> None:
    cut: list[Call] = []

    def once(call: Call) -> Reply | None:
        if call.number == 1 and not cut:
            cut.append(call)
            raise OSError
        return None

    with (
        start_service(["backend", "--port", "0"]) as backend,
        FrontDoor(backend.url, once) as door,
        closing(target(ENDPOINT=door.url)) as service,
    ):
        service.open()
        with pytest.raises(PlatformFault, match="cut"):
            service.execute(HELLO)
        assert service.execute(HELLO).run.stdout == b"hi\n"


def test_runtimes_and_whereabouts_are_asked_for_once() -> None:
    with (
        start_service(["backend", "--port", "0"]) as backend,
        FrontDoor(backend.url) as door,
        closing(target(ENDPOINT=door.url)) as service,
    ):
        assert service.runtimes() == service.runtimes()
        assert service.whereabouts is service.whereabouts
        assert [call.path for call in door.calls] == ["/api/v2/runtimes", "/api/v2/execute"]


def test_whereabouts_of_a_service_out_of_order_are_not_proven(serve: Serve) -> None:
    with closing(target(ENDPOINT=serve(UNAVAILABLE).url)) as service:
        assert service.whereabouts.on_this_machine is None
        assert service.whereabouts.evidence.startswith("not proven: ")


def test_control_program_gives_an_error_instead_of_raising_it(serve: Serve) -> None:
    with closing(target(ENDPOINT=serve(UNAVAILABLE).url)) as service:
        assert isinstance(service.control("nonce-1"), PlatformFault)


def degraded() -> bytes:
    told = '{"executor": "local", "degraded": "the pool is full"}'
    return answer("200 OK", json.dumps(GOOD), f"{PROVENANCE_HEADER}: {told}")


def test_answer_of_a_fallback_is_a_fault_where_the_pool_is_required(serve: Serve) -> None:
    url = serve(degraded()).url
    with closing(target(ENDPOINT=url, REQUIRE_POOL="true")) as service:
        with pytest.raises(PlatformFault, match=r"pool is required.*the pool is full") as caught:
            service.execute(HELLO)
        assert "mend the pool" in caught.value.cause
        (outcome,) = service.execute_many([HELLO])
        assert isinstance(outcome, PlatformFault)
        assert service.record.degraded == {"the pool is full": 2}
        assert service.record.faults == {FaultKind.PLATFORM_ERROR_AS_RESULT.value: 2}


def test_answer_of_a_fallback_is_counted_where_no_pool_is_required(serve: Serve) -> None:
    with closing(target(ENDPOINT=serve(degraded()).url)) as service:
        assert service.execute(HELLO).run.stdout == b"hi\n"
        assert service.record.degraded == {"the pool is full": 1}
        assert not service.record.faults


def test_backend_alone_proves_nothing_about_a_pool(serve: Serve) -> None:
    server = serve(good())
    with closing(target(ENDPOINT=server.url)) as service:
        assert not service.knows_pool
        testimony = service.testify()
        assert testimony.in_pool is None
        assert "POOL_MANAGEMENT_ENDPOINT is not given" in testimony.evidence
        assert testimony.diagnosis is not None
        assert "give the pool's URL" in testimony.diagnosis.cure
    assert not server.requests


def test_embedded_flow_proves_that_it_runs_in_its_pool() -> None:
    with closing(target(REQUIRE_POOL="true")) as service:
        service.open()
        assert service.testimony is not None
        assert service.testimony.in_pool is True
        assert "run directly in the pool saw" in service.testimony.evidence
        assert service.whereabouts is service.testimony.whereabouts
        assert service.added_cold_start == 1


def test_pool_is_asked_directly_and_left_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    with start_service(["session-pool", "--allocation-time", "0"]) as pool:
        for name, value in pool.details["environment"].items():
            monkeypatch.setenv(name, value)
        with closing(target(POOL_MANAGEMENT_ENDPOINT=pool.url, MAX_SESSIONS_USED=2)) as service:
            service.open()
            assert service.sends_credentials
            assert service.testimony is not None
            assert service.testimony.in_pool is True
            result = service.execute(HELLO)
            assert result.provenance.session is not None
            assert result.provenance.session.startswith("run-")
            assert service.name == f"session pool at {pool.url}/api/v2/"
        assert str(service.sessions_used) == "1 opened, all stopped at the end"


def test_pool_without_a_token_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    with (
        closing(target(POOL_MANAGEMENT_ENDPOINT="http://127.0.0.1:9")) as service,
        pytest.raises(PlatformFault, match="no token for https"),
    ):
        service.open()


def test_many_requests_keep_their_places() -> None:
    with closing(target()) as service:
        requests = [
            ExecutionRequest("python", (SourceFile(f"print({number})".encode()),))
            for number in range(6)
        ]
        outcomes = service.execute_many(requests)
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, ExecutionResult)
        assert outcome.run.stdout == f"{number}\n".encode()
