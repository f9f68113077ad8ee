from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import jsonschema
import pytest
from aiohttp import web

from codewitness.embedded.backend import BackendConfig, create_app
from codewitness.embedded.validation import LimitCeilings
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    FaultKind,
    PlatformFault,
    Provenance,
    RequestRefused,
    Runtime,
    Stage,
)
from codewitness.execution.piston import (
    PROVENANCE_HEADER,
    RESPONSE_SCHEMA,
    RUNTIMES_SCHEMA,
    provenance_from_header,
)


class Interpreter:
    """Runs Python programs in this interpreter's child processes, nothing else."""

    def __init__(self) -> None:
        self.seen: list[ExecutionRequest] = []
        self.closed = False

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        self.seen.append(request)
        if request.language not in ("python", "py"):
            raise RequestRefused(f"{request.language}-{request.version} runtime is unknown")
        done = subprocess.run(
            [sys.executable, "-S", "-E", "-c", request.files[0].content, *request.args],
            input=request.stdin,
            capture_output=True,
            timeout=30,
        )
        stage = Stage(done.stdout, done.stderr, code=done.returncode, wall_time=1.5)
        who = Provenance("test", sandbox="none at all", session_new=True)
        return ExecutionResult("python", "3.11.2", stage, who)

    def runtimes(self) -> Sequence[Runtime]:
        return [Runtime("python", "3.11.2", ("py",)), Runtime("c", "12", (), "gcc")]

    def close(self) -> None:
        self.closed = True


class Answering(Interpreter):
    """Gives one answer or error to every request, at once."""

    def __init__(self, answer: ExecutionResult | Exception) -> None:
        super().__init__()
        self.answer = answer

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        self.seen.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@contextmanager
def serving(executor: Executor, config: BackendConfig | None = None) -> Iterator[int]:
    """Serve in a thread; yields the port."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(create_app(executor, config), access_log=None, shutdown_timeout=1)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Client:
    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, sent)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read()), response.headers

    def post(self, document: Any, path: str = "/api/v2/execute") -> tuple[int, Any]:
        body = json.dumps(document).encode()
        return self.ask("POST", path, body, Content_Type="application/json; charset=utf-8")[:2]

    def run(self, code: str, **fields: Any) -> tuple[int, Any]:
        return self.post(
            {"language": "python", "version": "*", "files": [{"content": code}], **fields}
        )


@pytest.fixture(scope="module")
def executor() -> Interpreter:
    return Interpreter()


@pytest.fixture(scope="module")
def port(executor: Interpreter) -> Iterator[int]:
    with serving(executor) as port:
        yield port


@pytest.fixture
def client(port: int) -> Client:
    return Client(port)


def test_a_program_runs(client: Client) -> None:
    code = "import sys; print(sys.argv[1:], repr(sys.stdin.read())); sys.exit(3)"
    status, answer = client.run(code, stdin="é", args=["a b", 1])
    assert status == 200
    assert answer["run"]["stdout"] == "['a b', '1'] 'é\\n'\n"
    assert (answer["run"]["code"], answer["run"]["status"]) == (3, "RE")
    assert (answer["language"], answer["version"]) == ("python", "3.11.2")
    jsonschema.validate(answer, RESPONSE_SCHEMA)


@pytest.mark.parametrize("path", ["/api/v2/execute/", "/api/v2/execute?x=1"])
def test_other_spellings_of_the_path(client: Client, path: str) -> None:
    document = {"language": "python", "version": "*", "files": [{"content": "print(1)"}]}
    assert client.post(document, path)[0] == 200


def test_the_answer_says_who_ran_the_program(client: Client) -> None:
    body = b'{"language": "python", "version": "*", "files": [{"content": ""}]}'
    headers = client.ask("POST", "/api/v2/execute", body, Content_Type="application/json")[2]
    told = provenance_from_header(headers[PROVENANCE_HEADER], "?")
    assert told == Provenance("test", sandbox="none at all", session_new=True)
    assert headers["Content-Type"] == "application/json; charset=utf-8"


def test_runtimes(client: Client) -> None:
    status, listed, _ = client.ask("GET", "/api/v2/runtimes")
    jsonschema.validate(listed, RUNTIMES_SCHEMA)
    assert (status, listed) == (
        200,
        [
            {"language": "python", "version": "3.11.2", "aliases": ["py"]},
            {"language": "c", "version": "12", "aliases": [], "runtime": "gcc"},
        ],
    )


def test_greeting(client: Client) -> None:
    assert client.ask("GET", "/")[:2] == (200, {"message": "Piston v3.1.1"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v2/execute"), ("PUT", "/api/v2/execute"), ("GET", "/x"), ("POST", "/"),
     ("POST", "/api/v2/runtimes"), ("GET", "/api/v2/packages"), ("GET", "/%00")],
)  # fmt: skip
def test_everything_else_is_not_found(client: Client, method: str, path: str) -> None:
    assert client.ask(method, path)[:2] == (404, {"message": "Not Found"})


REFUSED = [
    ("application/json", b"{", 400, "request body is not valid JSON"),
    ("application/json", b"null", 400, "request body must be a JSON object"),
    ("application/json", b"", 400, "language is required as a string"),
    ("application/json", b"[]", 400, "language is required as a string"),
    ("text/plain", b"{}", 415, "requests must be of type application/json"),
    ("", b"{", 415, "requests must be of type application/json"),
    ("application/json", b'"' + b"x" * 102_400, 400, "request body exceeds the limit of 102400"),
    (
        "application/json",
        b'{"language": "py\\ud800", "version": "3", "files": [{"content": ""}]}',
        400,
        "py\ud800-3 runtime is unknown",
    ),
    (
        "application/json",
        b'{"language": "x", "version": "3", "files": []}',
        400,
        "x-3 runtime is unknown",
    ),
    (
        "application/json",
        b'{"language": "python", "version": "latest", "files": []}',
        400,
        "python-latest runtime is unknown",
    ),
    (
        "application/json",
        b'{"language": "py", "version": ">=3.11", "files": []}',
        400,
        "files must include at least one utf8 encoded file",
    ),
]


@pytest.mark.parametrize(("kind", "body", "status", "message"), REFUSED)
def test_bad_requests(client: Client, kind: str, body: bytes, status: int, message: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answered, document, _ = client.ask("POST", "/api/v2/execute", body, **headers)
    assert answered == status
    assert list(document) == ["message"]
    assert document["message"].startswith(message)
    assert client.run("print(1)")[1]["run"]["stdout"] == "1\n"


def test_stdin_of_a_wrong_type_has_an_empty_answer(client: Client) -> None:
    assert client.run("", stdin=5) == (400, {})


def test_body_of_exactly_the_limit_is_accepted(client: Client) -> None:
    body = json.dumps({"language": "python", "version": "*", "files": [{"content": "print(1)"}]})
    answered = client.ask(
        "POST", "/api/v2/execute", body.encode().ljust(102_400), Content_Type="application/json"
    )
    assert answered[0] == 200


def test_very_large_body_is_answered_while_it_is_sent(client: Client) -> None:
    status, document, _ = client.ask(
        "POST", "/api/v2/execute", b" " * 20_000_000, Content_Type="application/json"
    )
    assert (status, document) == (
        400,
        {"message": "request body exceeds the limit of 102400 bytes"},
    )


def test_body_that_is_not_what_its_encoding_says(client: Client) -> None:
    status, document, _ = client.ask(
        "POST",
        "/api/v2/execute",
        b"not compressed",
        Content_Type="application/json",
        Content_Encoding="gzip",
    )
    assert (status, list(document)) == (400, ["message"])


OUT_OF_ORDER = PlatformFault(FaultKind.SANDBOX, "bwrap is gone")
FULL = PlatformFault(FaultKind.CAPACITY, "no session free")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OUT_OF_ORDER, 500, "sandbox out of order: bwrap is gone"),
        (FULL, 503, "out of capacity: no session free"),
        (RequestRefused("no", 422), 422, "no"),
        (ZeroDivisionError("/secret/path"), 500, "internal error of the backend"),
    ],
)
def test_errors_of_the_executor(error: Exception, status: int, message: str) -> None:
    with serving(Answering(error)) as port:
        answered, document = Client(port).run("")
    assert (answered, list(document)) == (status, ["message"])
    assert document["message"].startswith(message)
    assert "/" not in document["message"]


def test_older_generation_has_fewer_fields() -> None:
    stage = Stage(b"x", code=1, memory=1)
    who = Provenance("test")
    result = ExecutionResult("c", "12", stage, who, compile=stage)
    with serving(Answering(result), BackendConfig(generation="a")) as port:
        status, answer = Client(port).run("", run_cpu_time="ignored")
    assert status == 200
    fields = {"stdout", "stderr", "output", "code", "signal"}
    assert (set(answer["run"]), set(answer["compile"])) == (fields, fields)


def test_limits_reach_the_executor() -> None:
    executor = Answering(ExecutionResult("python", "3", Stage(code=0), Provenance("test")))
    config = BackendConfig(ceilings=LimitCeilings(run_timeout=900))
    with serving(executor, config) as port:
        Client(port).run("", run_timeout=800)
        Client(port).run("")
        assert "configured limit of 900" in Client(port).run("", run_timeout=901)[1]["message"]
    assert [request.limits.run_timeout for request in executor.seen] == [800, 900]
    assert executor.closed


def test_fifty_requests_at_once(port: int) -> None:
    def ask(number: int) -> Any:
        return Client(port).run(f"import time; time.sleep(0.2); print({number})")[1]

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(ask, range(50)))
    assert [answer["run"]["stdout"] for answer in answers] == [f"{i}\n" for i in range(50)]


class Gated(Answering):
    """Holds every program back until the gate is opened."""

    def __init__(self) -> None:
        super().__init__(ExecutionResult("python", "3", Stage(code=0), Provenance("test")))
        self.gate = threading.Event()
        self.running = 0
        self.most = 0
        self.lock = threading.Lock()

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.gate.wait(30)
        with self.lock:
            self.running -= 1
        return super().execute(request)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_further_requests_wait_but_bad_ones_do_not() -> None:
    executor = Gated()
    with (
        serving(executor, BackendConfig(max_concurrent_jobs=2)) as port,
        ThreadPoolExecutor(10) as threads,
    ):
        answers = [threads.submit(Client(port).run, "") for _ in range(10)]
        assert eventually(lambda: executor.running == 2)
        assert Client(port).run("", files=[])[0] == 400
        assert not any(answer.done() for answer in answers)
        executor.gate.set()
        assert [answer.result(20)[0] for answer in answers] == [200] * 10
    assert executor.most == 2


def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    executor = Gated()
    body = json.dumps({"language": "python", "version": "*", "files": [{"content": ""}]}).encode()
    head = b"POST /api/v2/execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with serving(executor, BackendConfig(max_concurrent_jobs=2)) as port:
        for sent in (body, body[:-5]):
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
                    peer.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + sent)
        executor.gate.set()
        assert Client(port).run("")[0] == 200
        assert eventually(lambda: len(executor.seen) == 6)
        assert executor.running == 0
