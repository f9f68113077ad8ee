"""What the pool client makes of answers that an emulator would not give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.model import (
    ExecutionRequest,
    FaultKind,
    PlatformFault,
    RequestRefused,
    SourceFile,
)
from codewitness.reporting.diagnosis import explain
from codewitness.session_pool.client import SessionPoolExecutor
from tests.scripted_server import Connection, ScriptedServer, always, answer, good

PROGRAM = ExecutionRequest("python", (SourceFile(b"print('hi')"),))
SESSION = {"identifier": "x", "createdAt": "2026-11-24T20:00:00.1234567Z", "etag": "1"}
NOT_FOUND = answer("404 Not Found", '{"message": "Not Found"}')
UNKNOWN = answer(
    "400 Bad Request", '{"error": {"code": "SessionWithIdentifierNotFound", "message": "none"}}'
)

Serve = Callable[[bytes], ScriptedServer]


@pytest.fixture
def servers() -> Iterator[list[ScriptedServer]]:
    started: list[ScriptedServer] = []
    yield started
    for server in started:
        server.stop()


@pytest.fixture
def serve(servers: list[ScriptedServer]) -> Callable[..., SessionPoolExecutor]:
    def start(execute: bytes, manage: bytes = NOT_FOUND, **options: Any) -> SessionPoolExecutor:
        def script(connection: Connection) -> None:
            while (request := connection.read()) is not None:
                connection.send(manage if b"/.management/" in request[:200] else execute)

        servers.append(ScriptedServer(script))
        return client_of(servers[-1], **options)

    return start


def client_of(server: ScriptedServer, **options: Any) -> SessionPoolExecutor:
    credentials = BackendCredentials(authorization="Bearer canary-token-4711")
    return SessionPoolExecutor(server.url, credentials=credentials, **options)


def envelope(code: str, message: str = "words") -> str:
    return json.dumps({"error": {"code": code, "message": message, "traceId": "1"}})


ALLOCATOR = "Error happened when allocating pod for identifier x in pool y"


@pytest.mark.parametrize(
    ("status", "body", "kind", "row"),
    [
        ("400 Bad Request", envelope("SessionRequestValidationFailed"), "NOT_THE_API", "R9"),
        ("400 Bad Request", envelope("SessionRequestNotSupported"), "NOT_THE_API", "R9"),
        ("400 Bad Request", envelope("SessionPropertiesMissing"), "NOT_THE_API", "R7"),
        ("400 Bad Request", envelope("DynamicApisNotAllowed"), "WRONG_ADDRESS", "R8"),
        ("401 Unauthorized", "", "UNAUTHENTICATED", "I1"),
        ("403 Forbidden", "", "FORBIDDEN", "I3"),
        ("403 Forbidden", "Unauthenticated", "FORBIDDEN", "I3"),
        ("404 Not Found", '{"message": "Not Found"}', "WRONG_ADDRESS", "R1"),
        ("404 Not Found", "", "WRONG_ADDRESS", "R3"),
        ("429 Too Many Requests", ALLOCATOR, "CAPACITY", "C3"),
        ("429 Too Many Requests", envelope("x", ALLOCATOR), "CAPACITY", "C3"),
        (
            "429 Too Many Requests",
            '{"code": "SessionsCountExceedsLimit", "message": "already \'5\' active sessions"}',
            "CAPACITY",
            "C4",
        ),
        ("429 Too Many Requests", "<html>slow down</html>", "CAPACITY", "C5"),
        ("500 Internal Server Error", ALLOCATOR, "SERVER_ERROR", "C10"),
        ("502 Bad Gateway", "", "SERVER_ERROR", "C7"),
        ("503 Service Unavailable", "", "CAPACITY", "C6"),
        ("504 Gateway Timeout", "", "TIMEOUT", "C9"),
        ("200 OK", '{"properties": {"stdout": "", "exitCode": 0}}', "BAD_ANSWER", "X2"),
        ("200 OK", "<html><title>Sign in</title></html>", "NOT_THE_API", "N15"),
    ],
)
def test_every_platform_answer_has_its_row(
    serve: Callable[..., SessionPoolExecutor], status: str, body: str, kind: str, row: str
) -> None:
    with serve(answer(status, body)) as client, pytest.raises(PlatformFault) as caught:
        client.execute(PROGRAM)
    fault = caught.value
    assert (fault.kind.name, explain(fault).row) == (kind, row)
    assert fault.status == int(status[:3])
    assert "canary" not in f"{fault.detail} {fault.body} {fault.cause}"
    assert not fault.retries


def test_word_of_the_container_is_a_refusal(serve: Callable[..., SessionPoolExecutor]) -> None:
    refusal = answer("400 Bad Request", '{"message": "cobol-* runtime is unknown"}')
    with serve(refusal) as client, pytest.raises(RequestRefused, match="cobol") as caught:
        client.execute(PROGRAM)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("value", "new"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("0", False), ("42m", None)],
)
def test_allocation_header_is_believed(
    serve: Callable[..., SessionPoolExecutor],
    servers: list[ScriptedServer],
    value: str,
    new: bool | None,
) -> None:
    headed = good().replace(b"\r\n\r\n", f"\r\nX-Ms-New-Allocation: {value}\r\n\r\n".encode(), 1)
    with serve(headed) as client:
        told = client.execute(PROGRAM).provenance
        assert told.session_new is new
        if new is not None:
            assert told.session == client.identifiers[0]
            assert f"X-Ms-New-Allocation: {value}" in told.notes
            assert len(servers[0].requests) == 1


def test_service_without_management_is_no_proven_pool(
    serve: Callable[..., SessionPoolExecutor], servers: list[ScriptedServer]
) -> None:
    with serve(good()) as client:
        for _ in range(3):
            told = client.execute(PROGRAM).provenance
            assert (told.session, told.session_new, told.degraded) == (None, None, None)
            assert "session not proven: HTTP 404" in told.notes[-1]
        asked = [request for request in servers[0].requests if b"/.management/" in request]
        assert len(asked) == 1


def test_management_that_fails_once_is_asked_again(
    serve: Callable[..., SessionPoolExecutor], servers: list[ScriptedServer]
) -> None:
    with serve(good(), answer("503 Service Unavailable")) as client:
        for _ in range(2):
            assert client.execute(PROGRAM).provenance.session is None
        asked = [request for request in servers[0].requests if b"/.management/" in request]
        assert len(asked) == 2


def test_session_that_the_pool_does_not_know_is_a_fallback(
    serve: Callable[..., SessionPoolExecutor],
) -> None:
    with serve(good(), UNKNOWN) as client:
        told = client.execute(PROGRAM).provenance
    assert told.session is None
    assert told.degraded is not None
    assert "something else answered" in told.degraded


def test_session_without_a_date_is_listed_all_the_same(
    serve: Callable[..., SessionPoolExecutor],
) -> None:
    with serve(good(), answer(body='{"identifier": "x"}')) as client:
        told = client.execute(PROGRAM).provenance
    assert (told.session, told.session_new) == (client.identifiers[0], None)
    assert "listed by the pool" in told.notes


def test_sessions_are_read_leniently(serve: Callable[..., SessionPoolExecutor]) -> None:
    utc = timezone.utc
    for text, moment in (
        ("2026-11-24T20:00:00.1234567Z", datetime(2026, 11, 24, 20, 0, 0, 123456, utc)),
        ("2026-11-24T20:00:00Z", datetime(2026, 11, 24, 20, tzinfo=utc)),
        ("2026-11-24T20:00:00.5", datetime(2026, 11, 24, 20, 0, 0, 500000, utc)),
        (
            "2026-11-24T20:00:00+01:00",
            datetime(2026, 11, 24, 20, tzinfo=timezone(timedelta(hours=1))),
        ),
        ("2026-13-24T20:00:00Z", None),
        ("yesterday", None),
        (None, None),
        (7, None),
    ):
        for name in ("expiresAt", "expireAt"):
            document = json.dumps({"identifier": "x", name: text, "etag": 1})
            with serve(good(), answer(body=document)) as client:
                session = client.get_session("x")
            assert session is not None
            assert (session.expires_at, session.etag) == (moment, None)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(body="[]"), FaultKind.BAD_ANSWER),
        (answer(body="{}"), FaultKind.BAD_ANSWER),
        (answer(body='{"identifier": 7}'), FaultKind.BAD_ANSWER),
        (answer(body="text"), FaultKind.BAD_ANSWER),
        (answer("400 Bad Request", '{"message": "no"}'), FaultKind.NOT_THE_API),
        (answer("400 Bad Request", envelope("SessionRequestNotSupported")), FaultKind.NOT_THE_API),
        (answer("403 Forbidden"), FaultKind.FORBIDDEN),
        (answer("500 Internal Server Error"), FaultKind.SERVER_ERROR),
    ],
)
def test_management_answers_that_are_none(
    serve: Callable[..., SessionPoolExecutor], reply: bytes, kind: FaultKind
) -> None:
    with serve(good(), reply) as client:
        for ask in (lambda: client.get_session("x"), client.list_sessions):
            with pytest.raises(PlatformFault) as caught:
                ask()
            assert caught.value.kind is kind
        # Executing is not to suffer from it.
        assert client.execute(PROGRAM).run.code == 0


def test_stopping_tells_what_became_of_it(serve: Callable[..., SessionPoolExecutor]) -> None:
    with serve(good(), answer(body="Session x stopped.", content_type="text/plain")) as client:
        assert client.stop_session("x") is True
    with serve(good(), UNKNOWN) as client:
        assert client.stop_session("x") is False
    with serve(good(), answer("500 Oops")) as client, pytest.raises(PlatformFault):
        client.stop_session("x")


@pytest.mark.parametrize("key", ["value", "sessions"])
@pytest.mark.parametrize("absolute", [True, False])
def test_lists_are_read_page_by_page(
    servers: list[ScriptedServer], key: str, absolute: bool
) -> None:
    def script(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            skip = int(request.partition(b"skip=")[2].partition(b" ")[0].partition(b"&")[0])
            path = f"/.management/listSessions?api-version=v&skip={skip + 2}"
            link = (servers[0].url if absolute else "") + path if skip < 4 else None
            entries = [SESSION | {"identifier": f"s{skip + each}"} for each in range(2)]
            connection.send(answer(body=json.dumps({key: entries, "nextLink": link})))

    servers.append(ScriptedServer(script))
    with client_of(servers[0]) as client:
        found = client.list_sessions()
    assert [session.identifier for session in found] == [f"s{number}" for number in range(6)]
    assert len(servers[0].requests) == 3


def test_list_that_leads_to_another_host_gets_no_token(servers: list[ScriptedServer]) -> None:
    servers.append(ScriptedServer(always(answer(body='{"value": []}'))))
    page = json.dumps({"value": [], "nextLink": f"{servers[0].url}/.management/listSessions"})
    servers.append(ScriptedServer(always(answer(body=page))))
    with (
        client_of(servers[1]) as client,
        pytest.raises(PlatformFault, match=f"another host, localhost:{servers[0].port}"),
    ):
        client.list_sessions()
    assert servers[0].connections == 0


def test_list_that_goes_in_circles_ends(
    servers: list[ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codewitness.session_pool.management._MOST_PAGES", 20)
    page = json.dumps({"value": [], "nextLink": "/.management/listSessions?skip=0"})
    servers.append(ScriptedServer(always(answer(body=page))))
    with client_of(servers[0]) as client, pytest.raises(PlatformFault, match="after 20 pages"):
        client.list_sessions()
    assert len(servers[0].requests) == 20


def test_only_what_surely_never_ran_is_repeated(servers: list[ScriptedServer]) -> None:
    for status in ("500 Oops", "502 Bad Gateway", "429 Too Many Requests", "504 Late"):
        server = ScriptedServer(always(answer(status)))
        servers.append(server)
        with client_of(server) as client, pytest.raises(PlatformFault):
            client.execute(PROGRAM)
        executions = [request for request in server.requests if b"/execute" in request[:60]]
        assert len(executions) == 1


def test_told_to_come_back_it_does(servers: list[ScriptedServer]) -> None:
    answers = [answer("429 Too Many Requests", "", "Retry-After: 0"), good()]

    def script(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            manage = b"/.management/" in request[:60]
            connection.send(answer(body=json.dumps(SESSION)) if manage else answers.pop(0))

    servers.append(ScriptedServer(script))
    with client_of(servers[0]) as client:
        result = client.execute(PROGRAM)
    assert result.run.stdout == b"hi\n"
    assert len(result.retries) == 1


def test_cut_connection_costs_the_identifier(servers: list[ScriptedServer]) -> None:
    spoilt: list[bytes] = []

    def script(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            if b"/.management/" in request[:60]:
                connection.send(answer(body=json.dumps(SESSION)))
            elif not spoilt:
                spoilt.append(request)
                connection.reset()
                return
            else:
                connection.send(good())

    servers.append(ScriptedServer(script))
    with client_of(servers[0]) as client:
        with pytest.raises(PlatformFault) as caught:
            client.execute(PROGRAM)
        assert caught.value.kind is FaultKind.CONNECTION_CUT
        client.execute(PROGRAM)
        first, second = client.identifiers
        assert first != second
    # Its session may be there, so it is stopped as well.
    stopped = [request for request in servers[0].requests if b"stopSession" in request[:60]]
    assert len(stopped) == 2


def test_curl_line_holds_no_secret(serve: Callable[..., SessionPoolExecutor]) -> None:
    with serve(good()) as client:
        assert not [option for option in client.curl_options if "canary" in option]
        assert "/api/v2/execute?identifier=run-" in client.execute_url
