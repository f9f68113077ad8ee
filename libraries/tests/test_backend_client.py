"""The backend executor against scripted sockets: every way in which a service can fail."""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from codewitness.execution.backend import BackendExecutor
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
    Runtime,
    SourceFile,
)
from tests.scripted_server import (
    GOOD,
    Connection,
    Script,
    ScriptedServer,
    always,
    answer,
    good,
    in_turn,
)

HELLO = ExecutionRequest("python", (SourceFile(b"print('hi')"),), stdin=b"in")
HTML = "<!DOCTYPE html><html><head><title>{}</title></head><body>x</body></html>"

Serve = Callable[..., ScriptedServer]
Connect = Callable[..., BackendExecutor]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("BACKEND_"):
            monkeypatch.delenv(name)
    for name in ("CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(script: Script, tls: ssl.SSLContext | None = None) -> ScriptedServer:
        servers.append(ScriptedServer(script, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Connect]:
    executors = []

    def make(target: ScriptedServer | str, **options: Any) -> BackendExecutor:
        url = target if isinstance(target, str) else target.url
        executors.append(BackendExecutor(url, **{"deadline": 8.0, **options}))
        return executors[-1]

    yield make
    for executor in executors:
        executor.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


def fault_of(executor: BackendExecutor, **options: Any) -> PlatformFault:
    with pytest.raises(PlatformFault) as caught:
        executor.execute(HELLO, **options)
    return caught.value


def silent(connection: Connection) -> None:
    connection.read()
    connection.hold()


def hanging_up(connection: Connection) -> None:
    connection.read()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# What a healthy service gets and gives.


def test_result_of_a_minimal_backend(serve: Serve, connect: Connect) -> None:
    server = serve(always(good()))
    result = connect(server).execute(HELLO)
    assert (result.run.stdout, result.run.stderr, result.run.code) == (b"hi\n", b"", 0)
    assert (result.language, result.version) == ("python", "3.11.2")
    assert result.provenance.executor == f"backend {server.url}/api/v2/"
    assert result.raw == GOOD
    assert 0 < result.elapsed < 8
    assert result.retries == ()


def test_request_on_the_wire(serve: Serve, connect: Connect) -> None:
    server = serve(always(good()))
    connect(f"{server.url}/prefix/").execute(
        ExecutionRequest("python", (SourceFile("print('é😀')".encode(), "main.py"),), args=("a b",))
    )
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /prefix/api/v2/execute HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert b"uthorization" not in head
    assert json.loads(body) == {
        "language": "python",
        "version": "*",
        "files": [{"name": "main.py", "content": "print('é😀')"}],
        "stdin": "",
        "args": ["a b"],
    }
    assert "é😀".encode() in body


def test_lone_surrogates_can_be_sent(serve: Serve, connect: Connect) -> None:
    server = serve(always(good()))
    stdin = "\ud83d".encode("utf-8", "surrogatepass")
    connect(server).execute(ExecutionRequest("python", HELLO.files, stdin=stdin))
    assert b'"stdin":"\\ud83d"' in server.requests[0]


def test_what_the_wire_cannot_carry_is_refused_unsent(serve: Serve, connect: Connect) -> None:
    server = serve(always(good()))
    executor = connect(server)
    binary = ExecutionRequest("python", HELLO.files, stdin=b"\xff")
    with pytest.raises(RequestRefused, match="stdin is not UTF-8"):
        executor.execute(binary)
    refused, result = executor.execute_many([binary, HELLO])
    assert isinstance(refused, RequestRefused)
    assert isinstance(result, ExecutionResult)
    assert len(server.requests) == 1


def test_runtimes(serve: Serve, connect: Connect) -> None:
    listed = [
        {"language": "python", "version": "3.11.2", "aliases": ["py"]},
        {"language": "javascript", "version": "20.1.0", "aliases": [], "runtime": "node"},
    ]
    server = serve(always(answer(body=json.dumps(listed))))
    assert connect(server).runtimes() == [
        Runtime("python", "3.11.2", ("py",)),
        Runtime("javascript", "20.1.0", (), "node"),
    ]
    assert server.requests[0].startswith(b"GET /api/v2/runtimes HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ({"runtimes": []}, "runtimes: expected an array, got an object"),
        ([{"language": "x"}], r"runtimes\[0\].version: expected a string, got nothing"),
        (["python"], r"runtimes\[0\]: expected an object, got a string"),
        (
            [{"language": "x", "version": "1", "aliases": [1]}],
            r"runtimes\[0\].aliases: expected an array of strings",
        ),
    ],
)
def test_malformed_runtimes(serve: Serve, connect: Connect, listed: Any, words: str) -> None:
    executor = connect(serve(always(answer(body=json.dumps(listed)))))
    with pytest.raises(PlatformFault, match=words):
        executor.runtimes()


def test_provenance_header_is_read(serve: Serve, connect: Connect) -> None:
    header = 'X-Execution-Provenance: {"executor":"local","sandbox":"bubblewrap 0.8"}'
    server = serve(always(answer("200 OK", json.dumps(GOOD), header)))
    provenance = connect(server).execute(HELLO).provenance
    assert (provenance.executor, provenance.sandbox) == ("local", "bubblewrap 0.8")


# Connections.


def test_one_connection_serves_many_requests(serve: Serve, connect: Connect) -> None:
    server = serve(always(good()))
    executor = connect(server)
    for _ in range(20):
        executor.execute(HELLO)
    assert server.connections == 1


def test_requests_in_turn_share_a_connection_also_after_many_at_once(
    serve: Serve, connect: Connect
) -> None:
    asked_over: list[Connection] = []

    def script(connection: Connection) -> None:
        while connection.read() is not None:
            asked_over.append(connection)
            connection.send(good())

    server = serve(script)
    executor = connect(server)
    executor.execute(HELLO)
    executor.execute_many([HELLO] * 5)
    for _ in range(3):
        executor.execute(HELLO)
    assert asked_over[-3:] == asked_over[:1] * 3
    assert server.connections == 6


def test_idle_connection_is_left_before_the_server_leaves_it(
    serve: Serve, connect: Connect
) -> None:
    def script(connection: Connection) -> None:
        closer = threading.Timer(2.0, connection.reset)
        if connection.read() is not None:
            connection.send(good())
            closer.start()
            if connection.read() is not None:
                closer.cancel()
                connection.send(good())

    server = serve(script)
    executor = connect(server)
    executor.execute(HELLO)
    time.sleep(1.7)
    executor.execute(HELLO)
    assert server.connections == 2


def test_server_that_closes_after_every_answer_is_healthy(serve: Serve, connect: Connect) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.send(good())

    server = serve(script)
    executor = connect(server)
    for _ in range(100):
        executor.execute(HELLO)
        # The closing is on its way while the answer is read; nobody asks within a microsecond.
        time.sleep(0.002)
    assert server.connections == 100


def test_many_requests_run_at_once_and_keep_their_order(serve: Serve, connect: Connect) -> None:
    count = 50
    barrier = threading.Barrier(count)

    def script(connection: Connection) -> None:
        request = connection.read()
        assert request is not None
        number = json.loads(request.partition(b"\r\n\r\n")[2])["stdin"]
        barrier.wait(20)
        connection.send(good(run={"stdout": number, "stderr": "", "code": 0}))

    server = serve(script)
    requests = [
        ExecutionRequest("python", HELLO.files, stdin=str(number).encode())
        for number in range(count)
    ]
    outcomes = connect(server, deadline=25.0).execute_many(requests)
    outputs = [it.run.stdout for it in outcomes if isinstance(it, ExecutionResult)]
    assert outputs == [str(number).encode() for number in range(count)]


def test_one_failure_among_many_stays_alone(serve: Serve, connect: Connect) -> None:
    def script(connection: Connection) -> None:
        request = connection.read()
        if request is not None and b'"stdin":"bad"' not in request:
            connection.send(good())

    bad = ExecutionRequest("python", HELLO.files, stdin=b"bad")
    outcomes = connect(serve(script)).execute_many([HELLO, bad, HELLO])
    assert [type(it) for it in outcomes] == [ExecutionResult, PlatformFault, ExecutionResult]


def test_several_threads_share_one_executor(serve: Serve, connect: Connect) -> None:
    executor = connect(serve(always(good())))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: executor.execute(HELLO), range(40)))
    assert {result.run.stdout for result in results} == {b"hi\n"}


# Deadlines.


def test_silent_service_times_out(serve: Serve, connect: Connect) -> None:
    server = serve(silent)
    start = time.monotonic()
    fault = fault_of(connect(server), deadline=0.5)
    assert fault.kind is FaultKind.TIMEOUT
    assert "no answer began" in fault.detail
    assert "hangs" in fault.cause
    assert 0.4 < fault.elapsed <= time.monotonic() - start < 5
    assert len(server.requests) == 1


def test_dripping_service_times_out(serve: Serve, connect: Connect) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(500):
            connection.send(b" ")
            time.sleep(0.05)

    fault = fault_of(connect(serve(script)), deadline=0.7)
    assert fault.kind is FaultKind.TIMEOUT
    assert fault.status == 200
    assert "bytes of its body came" in fault.detail
    assert "drops" in fault.cause


def test_connection_that_is_never_accepted_times_out(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        time.sleep(0.1)
        fault = fault_of(connect(f"http://127.0.0.1:{port}"), deadline=0.7)
        for filler in fillers:
            filler.close()
    assert fault.kind is FaultKind.TIMEOUT
    assert "connecting was not done" in fault.detail
    assert "firewall" in fault.cause


# Nobody there, or somebody else.


def test_nothing_listening(connect: Connect) -> None:
    start = time.monotonic()
    fault = fault_of(connect(f"http://127.0.0.1:{free_port()}"))
    assert fault.kind is FaultKind.NOTHING_LISTENING
    assert "refused" in fault.detail
    assert "no service listens" in fault.cause
    assert len(fault.retries) == 2
    assert "tried again after" in fault.retries[0]
    assert time.monotonic() - start < 5


def test_service_that_comes_up_late_is_reached(connect: Connect) -> None:
    port = free_port()
    executor = connect(f"http://127.0.0.1:{port}")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        calling = pool.submit(executor.execute, HELLO)
        time.sleep(0.05)
        with socket.create_server(("127.0.0.1", port)) as listener:
            stream, _ = listener.accept()
            stream.recv(65536)
            stream.sendall(good())
            result = calling.result(8)
            stream.close()
    assert result.retries
    assert "refused" in result.retries[0]


def test_unknown_host(connect: Connect) -> None:
    fault = fault_of(connect("http://no-such-host.invalid:2000"))
    assert fault.kind is FaultKind.NAME_NOT_RESOLVED
    assert "'no-such-host.invalid'" in fault.detail
    assert "typing error" in fault.cause


def test_something_that_is_not_http(serve: Serve, connect: Connect) -> None:
    server = serve(lambda connection: connection.send(b"SSH-2.0-OpenSSH_9.6\r\n"))
    fault = fault_of(connect(server))
    assert fault.kind is FaultKind.NOT_THE_API
    assert "not HTTP" in fault.detail


# TLS.


def test_trusted_certificate(
    serve: Serve, connect: Connect, authority: trustme.CA, tmp_path: Path
) -> None:
    server = serve(always(good()), server_context(authority, "localhost"))
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    assert connect(server, ca_bundle=str(bundle)).execute(HELLO).run.code == 0


@pytest.mark.parametrize("name", ["CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_authorities_of_the_environment(
    serve: Serve,
    connect: Connect,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    server = serve(always(good()), server_context(authority, "localhost"))
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv(name, str(bundle))
    assert connect(server).execute(HELLO).run.code == 0


def test_unknown_authority(serve: Serve, connect: Connect, authority: trustme.CA) -> None:
    fault = fault_of(connect(serve(always(good()), server_context(authority, "localhost"))))
    assert fault.kind is FaultKind.TLS
    assert "certificate was rejected" in fault.detail
    assert "CA_BUNDLE" in fault.cause


def test_certificates_are_not_checked_on_demand(
    serve: Serve, connect: Connect, authority: trustme.CA
) -> None:
    server = serve(always(good()), server_context(authority, "localhost"))
    assert connect(server, verify=False).execute(HELLO).run.code == 0


def test_expired_certificate(
    serve: Serve, connect: Connect, authority: trustme.CA, tmp_path: Path
) -> None:
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    server = serve(always(good()), server_context(authority, "localhost", not_after=yesterday))
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    fault = fault_of(connect(server, ca_bundle=str(bundle)))
    assert fault.kind is FaultKind.TLS
    assert "certificate has expired" in fault.detail
    assert "renew" in fault.cause


def test_certificate_of_another_host(
    serve: Serve, connect: Connect, authority: trustme.CA, tmp_path: Path
) -> None:
    server = serve(always(good()), server_context(authority, "elsewhere.example"))
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    fault = fault_of(connect(server, ca_bundle=str(bundle)))
    assert fault.kind is FaultKind.TLS
    assert "another host name" in fault.cause


def test_https_to_a_plain_port(serve: Serve, connect: Connect) -> None:
    def script(connection: Connection) -> None:
        connection.read_some()
        connection.send(answer("400 Bad Request"))

    fault = fault_of(connect(serve(script).url.replace("http:", "https:")))
    assert fault.kind is FaultKind.TLS
    assert "speaks plain http" in fault.cause


def test_https_to_a_port_that_waits_for_more(serve: Serve, connect: Connect) -> None:
    server = serve(always(good()))
    fault = fault_of(connect(server.url.replace("http:", "https:")), deadline=0.5)
    assert fault.kind is FaultKind.TIMEOUT
    assert "TLS handshake was not done" in fault.detail
    assert "write http://" in fault.cause


def test_http_to_a_tls_port(serve: Serve, connect: Connect, authority: trustme.CA) -> None:
    server = serve(always(good()), server_context(authority, "localhost"))
    fault = fault_of(connect(server.url.replace("https:", "http:")))
    assert fault.kind in (FaultKind.TLS, FaultKind.CONNECTION_CUT)
    assert "TLS" in fault.cause


def test_http_to_the_tls_port_of_a_web_server(serve: Serve, connect: Connect) -> None:
    page = HTML.format("400 The plain HTTP request was sent to HTTPS port")
    server = serve(always(answer("400 Bad Request", page, content_type="text/html")))
    fault = fault_of(connect(server))
    assert fault.kind is FaultKind.TLS
    assert "write https://" in fault.cause


def test_unusable_bundle_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(ValueError, match=r"missing.pem' can't be used: no such file"):
        BackendExecutor("https://localhost", ca_bundle=str(missing))
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    with pytest.raises(ValueError, match="is no PEM file"):
        BackendExecutor("https://localhost", ca_bundle=str(nonsense))


# Answers that break off.


def test_closed_instead_of_answered(serve: Serve, connect: Connect) -> None:
    server = serve(hanging_up)
    fault = fault_of(connect(server))
    assert fault.kind is FaultKind.CONNECTION_CUT
    assert "before an answer began" in fault.detail
    assert len(server.requests) == 1, "a request that may have run was sent again"


def test_reset_instead_of_answered(serve: Serve, connect: Connect) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.reset()

    server = serve(script)
    fault = fault_of(connect(server))
    assert fault.kind is FaultKind.CONNECTION_CUT
    assert "reset" in fault.detail
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", id="content-length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", id="chunked"
        ),
    ],
)
def test_cut_in_mid_answer(serve: Serve, connect: Connect, start: bytes) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.send(start)

    fault = fault_of(connect(serve(script)))
    assert fault.kind is FaultKind.CONNECTION_CUT
    assert fault.status == 200
    assert "cut off after 1 bytes" in fault.detail


def test_cut_in_mid_headers(serve: Serve, connect: Connect) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-")

    assert fault_of(connect(serve(script))).kind is FaultKind.CONNECTION_CUT


def test_content_length_too_short(serve: Serve, connect: Connect) -> None:
    whole = json.dumps(GOOD).encode()
    text = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(whole) - 5, whole)
    fault = fault_of(connect(serve(always(text))))
    assert fault.kind is FaultKind.BAD_ANSWER
    assert "Content-Length" in fault.detail
    assert "Content-Length" in fault.cause


def test_content_length_too_short_for_a_slow_body(serve: Serve, connect: Connect) -> None:
    whole = json.dumps(GOOD).encode()

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(whole) - 5))
        connection.send(whole[:20])
        time.sleep(0.2)
        connection.send(whole[20:])
        connection.read()

    fault = fault_of(connect(serve(script)))
    assert fault.kind is FaultKind.BAD_ANSWER
    assert "JSON breaks off" in fault.detail
    assert "Content-Length" in fault.detail


def test_endless_answer_is_given_up(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codewitness.execution.http_client._LONGEST_BODY", 100_000)

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            connection.send(b" " * 65536)

    fault = fault_of(connect(serve(script)))
    assert fault.kind is FaultKind.BAD_ANSWER
    assert "given up" in fault.detail


# Statuses.


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        ("401 Unauthorized", '{"message":"no"}', FaultKind.UNAUTHENTICATED, "none was sent"),
        ("403 Forbidden", "Unauthenticated", FaultKind.FORBIDDEN, "role"),
        ("403 Forbidden", "", FaultKind.FORBIDDEN, "5 minutes"),
        ("404 Not Found", '{"message":"Not Found"}', FaultKind.WRONG_ADDRESS, "target port"),
        ("404 Not Found", '{"detail":"Not Found"}', FaultKind.WRONG_ADDRESS, "base URL"),
        ("404 Not Found", HTML.format("404"), FaultKind.WRONG_ADDRESS, "base URL"),
        ("405 Method Not Allowed", "", FaultKind.WRONG_ADDRESS, "base URL"),
        ("407 Proxy Authentication Required", "", FaultKind.UNAUTHENTICATED, "HTTPS_PROXY"),
        ("408 Request Timeout", "", FaultKind.TIMEOUT, "waited in vain"),
        (
            "429 Too Many Requests",
            '{"message":"Error happened when allocating pod for session"}',
            FaultKind.CAPACITY,
            "identifier",
        ),
        ("429 Too Many Requests", HTML.format("Slow down"), FaultKind.CAPACITY, "rate limiter"),
        (
            "429 Too Many Requests",
            '{"message":"Requests limited to 1 per 200ms"}',
            FaultKind.CAPACITY,
            "lower the rate",
        ),
        ("500 Internal Server Error", "", FaultKind.SERVER_ERROR, "set up the job"),
        ("502 Bad Gateway", HTML.format("502"), FaultKind.SERVER_ERROR, "target port"),
        ("503 Service Unavailable", "", FaultKind.CAPACITY, "replica"),
        ("504 Gateway Timeout", "", FaultKind.TIMEOUT, "waited in vain"),
        ("418 I'm a teapot", "", FaultKind.NOT_THE_API, "something else"),
        ("201 Created", json.dumps(GOOD), FaultKind.NOT_THE_API, "something else"),
        ("400 Bad Request", HTML.format("Bad Request"), FaultKind.NOT_THE_API, "web page"),
    ],
)
def test_status_that_is_a_fault(
    serve: Serve, connect: Connect, status: str, body: str, kind: FaultKind, words: str
) -> None:
    content_type = "text/html" if body.startswith("<") else "application/json"
    fault = fault_of(connect(serve(always(answer(status, body, content_type=content_type)))))
    assert fault.kind is kind
    assert fault.status == int(status[:3])
    assert status[:3] in fault.detail
    assert words in fault.cause


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        ("400 Bad Request", '{"message":"language is required as a string"}', "language is requ"),
        ("400 Bad Request", "{}", ""),
        ("400 Bad Request", "", ""),
        ("400 Bad Request", "Bad Request", "'Bad Request'"),
        ("400 Bad Request", '{"error":{"code":"Oops","message":"why"}}', "Oops: why"),
        ("413 Content Too Large", "", ""),
        ("415 Unsupported Media Type", '{"message":"requests must be json"}', "requests must be"),
        (
            "422 Unprocessable Content",
            '{"detail":[{"type":"missing","loc":["body","version"],"msg":"Field required"}]}',
            "body.version: Field required",
        ),
    ],
)
def test_status_that_refuses_the_request(
    serve: Serve, connect: Connect, status: str, body: str, message: str
) -> None:
    executor = connect(serve(always(answer(status, body))))
    with pytest.raises(RequestRefused) as caught:
        executor.execute(HELLO)
    assert caught.value.status == int(status[:3])
    assert caught.value.message.startswith(message)
    assert bool(caught.value.message) == bool(message)


def test_stack_of_a_refusal_is_not_repeated(serve: Serve, connect: Connect) -> None:
    stack = "SyntaxError: Unexpected token in /srv/app/body.json\n    at parse (/srv/app/x.js:1:2)"
    executor = connect(serve(always(answer("400 Bad Request", json.dumps({"stack": stack})))))
    with pytest.raises(RequestRefused) as caught:
        executor.execute(HELLO)
    assert caught.value.message == "SyntaxError: Unexpected token in <path>"
    assert "/srv" not in caught.value.body
    assert "Unexpected token" in caught.value.body


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/login?state=s3cr3t", "sign-in page"),
        ("https://localhost:{port}/api/v2/execute", "write https://"),
        ("/api/v2/execute/", "final slash"),
        ("https://elsewhere.example/x", "another address"),
    ],
)
def test_redirects_are_not_followed(
    serve: Serve, connect: Connect, location: str, words: str
) -> None:
    server = serve(always(b""))
    target = location.format(port=server.port)
    server.script = always(answer("307 Temporary Redirect", b"", f"Location: {target}"))
    fault = fault_of(connect(server))
    assert fault.kind is FaultKind.REDIRECTED
    assert words in fault.cause
    assert "s3cr3t" not in fault.detail
    assert len(server.requests) == 1


# Answers 200 that are none.


@pytest.mark.parametrize(
    ("body", "content_type", "kind", "detail", "cause"),
    [
        (
            HTML.format("Sign in"),
            "text/html",
            FaultKind.NOT_THE_API,
            "HTML page titled 'Sign in'",
            "sign-in page",
        ),
        (HTML.format("Portal"), "text/html", FaultKind.NOT_THE_API, "HTML", "web page"),
        ("pong", "text/plain", FaultKind.NOT_THE_API, "'pong'", "something else"),
        ("", "application/json", FaultKind.BAD_ANSWER, "empty body", "shortened"),
        ('{"run": ', "application/json", FaultKind.BAD_ANSWER, "JSON breaks off", "shortened"),
        ('{"run": nope}', "application/json", FaultKind.BAD_ANSWER, "column 9", "shape"),
        ('{"run": NaN}', "application/json", FaultKind.BAD_ANSWER, "NaN", "shape"),
        ("[" * 100_000, "application/json", FaultKind.BAD_ANSWER, "not JSON", "shape"),
        (
            b'{"run": "\xff"}',
            "application/json",
            FaultKind.BAD_ANSWER,
            "not UTF-8",
            "UTF-8 without",
        ),
        ("[]", "application/json", FaultKind.BAD_ANSWER, "object", "shape"),
        ("{}", "application/json", FaultKind.BAD_ANSWER, "run: expected an object", "shape"),
        (
            '{"message":"internal failure"}',
            "application/json",
            FaultKind.BAD_ANSWER,
            "internal failure",
            "shape",
        ),
        (
            '{"properties":{"status":"Succeeded","stdout":"hi\\n","exitCode":0}}',
            "application/json",
            FaultKind.BAD_ANSWER,
            "properties.stdout",
            "adapter",
        ),
        (
            json.dumps(GOOD | {"run": {"stdout": "", "stderr": "", "code": "0"}}),
            "application/json",
            FaultKind.BAD_ANSWER,
            "run.code is a string instead of an integer or null",
            "contract, section 3",
        ),
    ],
)
def test_answer_200_that_is_none(
    serve: Serve,
    connect: Connect,
    body: str | bytes,
    content_type: str,
    kind: FaultKind,
    detail: str,
    cause: str,
) -> None:
    fault = fault_of(connect(serve(always(answer("200 OK", body, content_type=content_type)))))
    assert fault.kind is kind
    assert detail in fault.detail
    assert cause in fault.cause
    assert fault.status == 200


# Retries.


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_told_to_come_back(serve: Serve, connect: Connect, status: str) -> None:
    server = serve(in_turn(answer(status, b"", "Retry-After: 0"), good()))
    result = connect(server).execute(HELLO)
    assert len(server.requests) == 2
    assert result.retries == (f"HTTP {status[:3]} with Retry-After: 0; tried again after 0 s",)


def test_told_to_come_back_at_a_date(serve: Serve, connect: Connect) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    told = f"Retry-After: {format_datetime(now, usegmt=True)}"
    server = serve(in_turn(answer("503 Service Unavailable", b"", told), good()))
    assert len(connect(server).execute(HELLO).retries) == 1


def test_at_most_two_retries(serve: Serve, connect: Connect) -> None:
    server = serve(always(answer("429 Too Many Requests", b"", "Retry-After: 0")))
    fault = fault_of(connect(server))
    assert fault.kind is FaultKind.CAPACITY
    assert len(fault.retries) == 2
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "data",
    [
        answer("429 Too Many Requests"),
        answer("429 Too Many Requests", b"", "Retry-After: 60"),
        answer("429 Too Many Requests", b"", "Retry-After: soon"),
        answer("429 Too Many Requests", b"", "Retry-After: inf"),
        answer("500 Internal Server Error", b"", "Retry-After: 0"),
        answer("502 Bad Gateway", b"", "Retry-After: 0"),
    ],
)
def test_not_retried(serve: Serve, connect: Connect, data: bytes) -> None:
    server = serve(always(data))
    assert fault_of(connect(server)).retries == ()
    assert len(server.requests) == 1


# Raw exchanges.


def test_exchange_adds_nothing(serve: Serve, connect: Connect) -> None:
    server = serve(always(answer("415 Unsupported Media Type", "{}")))
    told = connect(server).exchange("POST", "execute", body=b"{malformed")
    assert (told.status, told.body, told.reason) == (415, b"{}", "Unsupported Media Type")
    assert told.headers["content-type"] == "application/json"
    assert told.url == f"{server.url}/api/v2/execute"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"{malformed"
    names = sorted(line.partition(b":")[0] for line in head.split(b"\r\n")[1:])
    assert names == [b"Content-Length", b"Host"]


def test_exchange_sends_the_headers_given(serve: Serve, connect: Connect) -> None:
    server = serve(always(answer()))
    connect(server).exchange("PUT", "/x?y=1", headers={"Content-Type": "text/plain"})
    assert server.requests[0].startswith(b"PUT /x?y=1 HTTP/1.1\r\n")
    assert b"Content-Type: text/plain" in server.requests[0]


def test_exchange_leaves_the_status_to_the_caller(serve: Serve, connect: Connect) -> None:
    server = serve(always(answer("429 Too Many Requests", b"", "Retry-After: 0")))
    assert connect(server).exchange("GET", "runtimes").status == 429
    assert len(server.requests) == 1


def test_refusal_before_the_body_was_read(serve: Serve, connect: Connect) -> None:
    def script(connection: Connection) -> None:
        connection.read_some()
        connection.send(answer("413 Content Too Large", "{}", "Connection: close"))
        connection.hold()

    body = b" " * 20_000_000
    assert connect(serve(script)).exchange("POST", "execute", body=body).status == 413


# Credentials.


def test_credentials_are_sent_and_never_shown(serve: Serve, connect: Connect) -> None:
    server = serve(always(answer("401 Unauthorized", "bad: Bearer abcdef123456")))
    credentials = BackendCredentials(authorization="Bearer abcdef123456", api_key="k-987654321")
    executor = connect(server, credentials=credentials)
    fault = fault_of(executor)
    assert b"\r\nAuthorization: Bearer abcdef123456\r\n" in server.requests[0]
    assert b"\r\nX-API-Key: k-987654321\r\n" in server.requests[0]
    executor.exchange("GET", "runtimes", headers={"authorization": "Bearer mine"})
    assert b"abcdef123456" not in server.requests[1]
    shown = f"{fault} {fault.cause} {fault.body} {fault!r} {credentials!r} {vars(fault)}"
    assert "abcdef123456" not in f"{executor.exchange('GET', 'runtimes')} {executor.curl_options}"
    assert "abcdef123456" not in shown
    assert "k-987654321" not in shown
    assert "BACKEND_AUTHORIZATION" in fault.detail


class Token:
    def __init__(self, token: str, lifetime: float) -> None:
        self.token = token
        self.expires_on = int(time.time() + lifetime)


def test_one_token_serves_all_requests(serve: Serve, connect: Connect) -> None:
    asked = []

    def source(scope: str) -> Token:
        asked.append(scope)
        time.sleep(0.2)
        return Token("t0ken", 3600)

    server = serve(always(good()))
    credentials = BackendCredentials(scope="api://x/.default", token_source=source)
    executor = connect(server, credentials=credentials)
    outcomes = executor.execute_many([HELLO] * 10)
    assert all(isinstance(it, ExecutionResult) for it in outcomes)
    assert asked == ["api://x/.default"]
    assert all(b"\r\nAuthorization: Bearer t0ken\r\n" in it for it in server.requests)


def test_no_token_is_a_fault_of_identity(serve: Serve, connect: Connect) -> None:
    def source(_scope: str) -> Token:
        raise RuntimeError("ManagedIdentityCredential: no managed identity endpoint found")

    server = serve(always(good()))
    credentials = BackendCredentials(scope="api://x/.default", token_source=source)
    fault = fault_of(connect(server, credentials=credentials))
    assert fault.kind is FaultKind.UNAUTHENTICATED
    assert "no managed identity endpoint" in fault.detail
    assert "AZURE_TOKEN_CREDENTIALS" in fault.cause
    assert server.requests == []


def test_slow_token_is_cut_by_the_deadline(serve: Serve, connect: Connect) -> None:
    def source(_scope: str) -> Token:
        time.sleep(3)
        return Token("late", 3600)

    credentials = BackendCredentials(scope="api://x/.default", token_source=source)
    executor = connect(serve(always(good())), credentials=credentials)
    fault = fault_of(executor, deadline=0.3)
    assert fault.kind is FaultKind.TIMEOUT
    assert "token" in fault.detail


# Proxies.


def test_requests_go_through_the_proxy(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(always(good()))
    monkeypatch.setenv("HTTP_PROXY", f"http://user:pass-word@localhost:{proxy.port}")
    assert connect("http://backend.invalid:2000").execute(HELLO).run.code == 0
    assert proxy.requests[0].startswith(b"POST http://backend.invalid:2000/api/v2/execute ")
    assert b"Proxy-Authorization: Basic" in proxy.requests[0]


def test_hosts_can_be_exempt_from_the_proxy(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(always(good()))
    monkeypatch.setenv("HTTP_PROXY", f"localhost:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "other.example,.invalid")
    assert fault_of(connect("http://backend.invalid:2000")).kind is FaultKind.NAME_NOT_RESOLVED
    assert proxy.requests == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_loopback_never_goes_through_the_proxy(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    server, proxy = serve(always(good())), serve(always(answer("502 Bad Gateway")))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert connect(f"http://{host}:{server.port}").execute(HELLO).run.code == 0
    assert proxy.requests == []


def test_dead_proxy_is_named(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://user:pass-word@127.0.0.1:{free_port()}")
    fault = fault_of(connect("http://backend.invalid:2000"))
    assert fault.kind is FaultKind.NOTHING_LISTENING
    assert "proxy" in fault.detail
    assert "pass-word" not in f"{fault} {fault.cause}"
    assert "NO_PROXY" in fault.cause


def test_proxy_that_refuses_the_tunnel(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(always(answer("407 Proxy Authentication Required")))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    fault = fault_of(connect("https://backend.invalid"))
    assert fault.kind is FaultKind.UNAUTHENTICATED
    assert "407" in fault.detail
    assert "HTTPS_PROXY" in fault.cause


def test_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://localhost:1080")
    with pytest.raises(ValueError, match="neither http nor https"):
        BackendExecutor("https://backend.example")


# Ownership.


def test_close_ends_the_thread_and_the_connections(serve: Serve, connect: Connect) -> None:
    ended = threading.Event()

    def script(connection: Connection) -> None:
        always(good())(connection)
        ended.set()

    executor = connect(serve(script))
    executor.execute(HELLO)
    before = threading.active_count()
    executor.close()
    executor.close()
    assert ended.wait(5)
    assert threading.active_count() < before
    with pytest.raises(RuntimeError, match="closed"):
        executor.execute(HELLO)


def test_close_gives_up_calls_in_flight(serve: Serve, connect: Connect) -> None:
    server = serve(silent)
    executor = connect(server)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        calling = pool.submit(executor.execute, HELLO)
        while not server.requests:
            time.sleep(0.01)
        executor.close()
        with pytest.raises(RuntimeError, match="closed during the call"):
            calling.result(5)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_interrupt_ends_a_waiting_call(serve: Serve, project_root: Path) -> None:
    server = serve(silent)
    program = (
        # A shell has its background jobs ignore interrupts.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from codewitness.execution.backend import BackendExecutor\n"
        "from codewitness.execution.model import ExecutionRequest, SourceFile\n"
        f"executor = BackendExecutor('{server.url}')\n"
        "executor.execute(ExecutionRequest('python', (SourceFile(b'1'),)))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(project_root / "libraries")},
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 20
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=10)
    finally:
        child.kill()
    assert b"KeyboardInterrupt" in stderr
