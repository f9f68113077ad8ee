"""Walks to servers that answer exactly what a test wants: what each answer says of which link."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from azure.core.credentials import AccessToken

from codewitness.execution.credentials import BackendCredentials
from codewitness.reporting.walk import Walk
from codewitness.target.deployment_walk import Deployment, walk_deployment
from tests.scripted_server import Connection, Script, ScriptedServer, always, answer

Serve = Callable[..., ScriptedServer]
HELD = "(session pool, of which the caller holds no session)"
POOL = "https://p.env.region.azurecontainerapps.io"


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[ScriptedServer] = []

    def start(script: Script, tls: ssl.SSLContext | None = None) -> ScriptedServer:
        servers.append(ScriptedServer(script, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def walk(url: str, **options: Any) -> Walk:
    return walk_deployment(Deployment(url), **{"link_within": 20.0, "within": 60.0, **options})


def stop(done: Walk) -> tuple[str, tuple[str, ...]]:
    assert done.broken is not None, done.headline
    return done.broken.name, done.broken.rows


def states(done: Walk) -> dict[str, str]:
    return {link.name: link.state.value for link in done.links}


def message(text: str) -> str:
    return json.dumps({"message": text})


def executing(*headers: str) -> Script:
    """Answer as an executor does that knows the walk's two programs."""

    def script(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            if request.startswith(b"GET"):
                connection.send(answer(body="[]"))
                continue
            nonce = re.findall(rb"nonce-[0-9a-f]{16}", request)[0].decode()
            control = b"sys.exit" in request
            run = {
                "stdout": f"{nonce}\n",
                "stderr": f"{nonce} on stderr\n" if control else "",
                "code": 3 if control else 0,
            }
            body = json.dumps({"language": "python", "version": "3.11.2", "run": run})
            connection.send(answer("200 OK", body, *headers))

    return script


def test_servers_programs_pass(serve: Serve) -> None:
    done = walk(serve(executing()).url)
    assert done.broken is None, done.headline
    assert states(done)["real execution"] == "passed"


@pytest.mark.parametrize(
    ("status", "body", "link", "rows"),
    [
        # What a backend says of its pool, in its own words.
        (
            "500 Internal Server Error",
            message(f"wrong address: HTTP 404 Not Found from {POOL}/x?identifier=u: {HELD}"),
            "target port",
            ("R1", "R2", "R3"),
        ),
        (
            "500 Internal Server Error",
            message(f"Client error '403 Forbidden' for url '{POOL}/execute?identifier=u'"),
            "role",
            ("I3", "I4", "R9"),
        ),
        (
            "500 Internal Server Error",
            message(f"Client error '401 Unauthorized' for url '{POOL}/execute?identifier=u'"),
            "token",
            ("I1",),
        ),
        ("502 Bad Gateway", message("session pool: HTTP 502"), "container", ("C7",)),
        (
            "503 Service Unavailable",
            message("Error happened when allocating pod for identifier u in pool p"),
            "free session",
            ("C1", "C2", "C3"),
        ),
        (
            "500 Internal Server Error",
            message("no token for https://dynamicsessions.io/.default: EnvironmentCredential: x"),
            "token",
            ("I7",),
        ),
        (
            "500 Internal Server Error",
            message("POOL_MANAGEMENT_ENDPOINT is not set"),
            "pool setting",
            ("X1",),
        ),
        (
            "500 Internal Server Error",
            message("session pool: [Errno -2] Name or service not known"),
            "pool reachable",
            ("N19",),
        ),
        (
            "400 Bad Request",
            json.dumps({"error": {"code": "SessionPropertiesMissing", "message": "no"}}),
            "pool request",
            ("R7",),
        ),
        ("500 Internal Server Error", message("session pool failed"), "real execution", ("C10",)),
        # What a backend, or what stands before it, says of itself.
        ("500 Internal Server Error", b"", "backend up", ("C10",)),
        ("404 Not Found", '{"detail":"Not Found"}', "backend up", ("R4",)),
        ("401 Unauthorized", b"", "backend up", ("I0",)),
        ("403 Forbidden", b"", "backend up", ("I3", "I4", "R9")),
        ("429 Too Many Requests", "<html>Too Many Requests</html>", "backend up", ("C5",)),
        ("422 Unprocessable Entity", '{"detail":[{"loc":["x"]}]}', "field names", ("R10",)),
        ("200 OK", "<!doctype html><title>Portal</title>", "backend up", ("N17",)),
        ("200 OK", '{"properties":{"stdout":"1"}}', "field names", ("X2",)),
        ("200 OK", '{"language":"python","version":"3"}', "field names", ("X0",)),
    ],
)
def test_answer_names_the_link(
    serve: Serve, status: str, body: bytes | str, link: str, rows: tuple[str, ...]
) -> None:
    done = walk(serve(always(answer(status, body))).url)
    assert stop(done) == (link, rows)
    if link not in ("backend up", "field names"):
        assert states(done)["backend up"] == "passed"


def test_gateway_of_the_backend_is_not_taken_for_the_pool(serve: Serve) -> None:
    page = "<html><title>502 Bad Gateway</title></html>"
    done = walk(f"{serve(always(answer('502 Bad Gateway', page))).url}/sessionpool")
    assert stop(done) == ("backend up", ("C7",))


def test_row_that_is_told_within_a_result(serve: Serve) -> None:
    run = {"stdout": "", "stderr": "Azure Session Pool Error: 403 Forbidden", "code": 1}
    body = json.dumps({"language": "python", "version": "3", "run": run})
    done = walk(serve(always(answer(body=body))).url)
    assert stop(done) == ("role", ("I3", "I4", "R9"))
    assert done.broken is not None
    assert "delivered as HTTP 200" in done.broken.seen


@pytest.mark.parametrize(
    ("reason", "link", "rows"),
    [
        (f"nothing listening: connection refused {HELD}", "pool reachable", ("N19",)),
        (f"not allowed: HTTP 403 Forbidden from {POOL} {HELD}", "role", ("I3", "I4", "R9")),
        ("because", "who executed", ("X4",)),
    ],
)
def test_open_fallback(serve: Serve, reason: str, link: str, rows: tuple[str, ...]) -> None:
    told = json.dumps({"executor": "local", "degraded": reason})
    done = walk(serve(executing(f"X-Execution-Provenance: {told}")).url)
    assert stop(done) == (link, rows)
    assert done.broken is not None
    assert "degraded (X4)" in done.broken.seen


def test_host_that_does_not_exist() -> None:
    done = walk("http://nonesuch.invalid:2000", link_within=15.0)
    assert stop(done) == ("host name", ("N1",))


def test_certificate_of_an_unknown_authority(serve: Serve) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    server = serve(executing(), context)
    done = walk(server.url)
    assert stop(done) == ("TLS", ("N7",))
    assert states(done)["connection"] == "passed"
    trusting = walk_deployment(Deployment(server.url, verify=False), link_within=20, within=60)
    assert trusting.broken is None, trusting.headline
    assert "VERIFY_TLS=false" in trusting.links[2].seen


def tokens(_scope: str) -> AccessToken:
    return AccessToken("a-token", int(time.time()) + 3600)


def walk_pool(url: str) -> Walk:
    return walk_deployment(Deployment(pool=url, token_source=tokens), link_within=20, within=60)


def test_pool_alone_shows_its_own_name_and_connection() -> None:
    nowhere = walk_pool("https://nonesuch.invalid")
    assert stop(nowhere) == ("host name", ("N1",))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    silent = walk_pool(f"http://127.0.0.1:{port}")
    assert stop(silent) == ("connection", ("N3",))
    assert states(silent)["host name"] == "passed"
    assert silent.repeat.startswith(f"curl -sS -i http://127.0.0.1:{port}/")


def test_certificate_of_a_pool_that_is_walked_alone(serve: Serve) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    done = walk_pool(serve(executing(), context).url)
    assert stop(done) == ("TLS", ("N7",))
    assert [states(done)[name] for name in ("host name", "connection")] == ["passed", "passed"]
    assert states(done)["pool reachable"] == "not asked"


def test_pool_that_hangs_is_asked_once(serve: Serve) -> None:
    server = serve(Connection.hold)
    done = walk_deployment(Deployment(pool=server.url), link_within=0.5, within=20.0)
    assert done.broken is not None
    assert done.broken.name == "pool reachable"
    assert done.elapsed < 10


def test_pool_whose_management_refuses_the_caller_proves_nothing(serve: Serve) -> None:
    """Everything runs, and nothing shows that it ran in a session."""
    runs = executing()

    def script(connection: Connection) -> None:
        read = connection.read

        def unless_managed() -> bytes | None:
            while (request := read()) is not None and b"/.management/" in request.split()[1]:
                connection.send(answer("403 Forbidden"))
            return request

        connection.read = unless_managed  # type: ignore[method-assign]
        runs(connection)

    done = walk_pool(serve(script).url)
    assert stop(done) == ("who executed", ("X4",))
    assert states(done)["real execution"] == "passed"
    assert done.broken is not None
    assert "HTTP 403" in done.broken.seen


def test_container_that_has_other_routes_than_the_walk_asks_for_is_not_blamed(
    serve: Serve,
) -> None:
    """Beside a backend that may ask its container for something else."""

    def script(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            route = request.split()[1]
            if b"/.management/listSessions" in route:
                connection.send(answer(body='{"value": []}'))
            elif b"/.management/" in route:
                connection.send(answer("200 OK", "{}"))
            elif route.startswith(b"/?"):
                connection.send(answer(body='{"message": "adapter"}'))
            else:
                connection.send(answer("404 Not Found", message("Not Found")))

    done = walk_deployment(
        Deployment(serve(executing()).url, serve(script).url, token_source=tokens),
        link_within=20,
        within=60,
    )
    assert states(done)["container"] == "not observable from here"
    assert done.broken is not None
    assert done.broken.name == "who executed"


def test_server_that_never_answers_is_bounded(serve: Serve) -> None:
    start = time.monotonic()
    done = walk(serve(Connection.hold).url, link_within=0.5, within=2.0)
    assert stop(done) == ("backend up", ("C9",))
    assert time.monotonic() - start < 15


def test_server_that_waits_for_something_behind_it(serve: Serve) -> None:
    def script(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            if not request.startswith(b"GET / "):
                connection.hold()
            connection.send(answer(body="{}"))

    done = walk(serve(script).url, link_within=1.0, within=30.0)
    assert stop(done) == ("backend up", ("C9",))
    assert done.broken is not None
    assert "the server lives" in done.broken.seen
    assert len(done.broken.candidates) == 2


def test_programs_that_are_never_answered(serve: Serve) -> None:
    def script(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            if request.startswith(b"POST"):
                connection.hold()
            connection.send(answer(body="[]"))

    done = walk(serve(script).url, link_within=1.0, within=30.0)
    assert stop(done) == ("real execution", ("C9",))
    assert states(done)["backend up"] == "passed"


def test_walk_without_time_left_says_so(serve: Serve) -> None:
    def script(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            if request.startswith(b"POST"):
                time.sleep(0.8)
            connection.send(answer(body="[]"))

    done = walk(serve(script).url, link_within=5.0, within=0.5)
    assert done.broken is not None
    assert done.broken.name in ("backend up", "real execution", "pool setting")
    assert done.broken.candidates


def test_credentials_are_sent_and_never_told(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_API_KEY", "a-key-that-nobody-sees")
    echo = message("a-key-that-nobody-sees is not welcome")
    server = serve(always(answer("403 Forbidden", echo)))
    done = walk_deployment(
        Deployment(server.url, credentials=BackendCredentials.from_environment()),
        link_within=20,
        within=60,
    )
    assert any(b"a-key-that-nobody-sees" in request for request in server.requests)
    assert "a-key-that-nobody-sees" not in repr(done)


def test_nothing_to_walk_is_an_error() -> None:
    with pytest.raises(ValueError, match="address of a backend"):
        walk_deployment(Deployment())
