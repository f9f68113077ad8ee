"""The minimal backend deviates from Piston exactly as such backends were seen to do."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from codewitness.embedded.lax_sandbox import LaxSandbox
from codewitness.embedded.minimal import ISOLATION, OUTPUT_LIMIT, create_minimal_app
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    FaultKind,
    PlatformFault,
    Provenance,
    Runtime,
    Stage,
)
from codewitness.execution.piston import RESPONSE_SCHEMA, RUNTIMES_SCHEMA

JSON = {"Content-Type": "application/json"}


class Client:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] = JSON
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read(), response.headers

    def post(self, document: Any) -> tuple[int, Any]:
        status, body, _ = self.ask("POST", "/api/v2/execute", json.dumps(document).encode())
        return status, json.loads(body)

    def answer(self, code: str, **fields: Any) -> Any:
        status, answer = self.post(
            {"language": "python", "version": "3", "files": [{"content": code}], **fields}
        )
        assert status == 200
        return answer

    def run(self, code: str, **fields: Any) -> tuple[int, str, str]:
        run = self.answer(code, **fields)["run"]
        return run["code"], run["stdout"], run["stderr"]


@contextmanager
def serving(executor: Executor) -> Iterator[Client]:
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(create_minimal_app(executor), access_log=None, shutdown_timeout=1)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Client(asyncio.run_coroutine_threadsafe(start(), loop).result(10))
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    executor = LaxSandbox(LocalExecutor(), ISOLATION, output_limit=OUTPUT_LIMIT)
    with serving(executor) as client:
        yield client


def test_only_the_fields_of_the_plan(client: Client) -> None:
    answer = client.answer("import sys; print(1); print(2, file=sys.stderr); sys.exit(3)")
    assert answer == {
        "language": "python",
        "version": "3",
        "run": {"stdout": "1\n", "stderr": "2\n", "code": 3},
    }
    jsonschema.validate(answer, RESPONSE_SCHEMA)


def test_only_python_is_listed(client: Client) -> None:
    status, body, _ = client.ask("GET", "/api/v2/runtimes")
    listed = json.loads(body)
    jsonschema.validate(listed, RUNTIMES_SCHEMA)
    assert (status, [entry["language"] for entry in listed]) == (200, ["python"])
    assert client.answer("print(1)", version=listed[0]["version"])["run"]["code"] == 0


@pytest.mark.parametrize("version", ["latest", "99", ""])
def test_any_version_is_accepted_and_echoed(client: Client, version: str) -> None:
    answer = client.answer("print(1)", version=version)
    assert (answer["version"], answer["run"]["stdout"]) == (version, "1\n")


@pytest.mark.parametrize("language", ["befunge93", "PYTHON", "py", ""])
def test_unknown_language_is_a_failed_run(client: Client, language: str) -> None:
    answer = client.answer("print(1)", language=language)
    assert answer["run"]["code"] == 1
    assert language in answer["run"]["stderr"]
    assert not answer["run"]["stdout"]


def test_no_files_is_a_silent_success(client: Client) -> None:
    assert client.run("", files=[]) == (0, "", "")


PLACE = "import os, sys; print(sys.argv[1:], os.path.exists('data'), os.path.exists('main.py'))"


def test_most_fields_have_no_effect(client: Client) -> None:
    fields = {
        "files": [
            {"name": "main.py", "content": PLACE, "encoding": "hex"},
            {"name": "data", "content": "aGk=", "encoding": "base64"},
        ],
        "args": ["a", 1],
        "run_timeout": "soon",
        "run_memory_limit": 1,
    }
    code, stdout, _ = client.run("", **fields)
    assert (code, stdout) == (0, "[] False False\n")


def test_timeout_loses_everything(client: Client) -> None:
    code = "import time; print('before', flush=True); time.sleep(60)"
    assert client.run(code, run_timeout=100) == (124, "", "Execution timed out.")


def test_crash_is_a_negative_code(client: Client) -> None:
    assert client.run("import os; os.kill(os.getpid(), 11)")[0] == -11


ECHO = "import sys; print(repr(sys.stdin.buffer.read()))"


@pytest.mark.parametrize(
    ("stdin", "seen"), [("", b""), (None, b""), ("a", b"a"), ("a\n", b"a\n"), ("é", "é".encode())]
)
def test_stdin_comes_as_it_was_sent(client: Client, stdin: Any, seen: bytes) -> None:
    assert client.run(ECHO, stdin=stdin)[1] == f"{seen!r}\n"


def test_reading_from_empty_stdin_fails(client: Client) -> None:
    code, _, stderr = client.run("input()")
    assert code == 1
    assert stderr.endswith("EOFError: EOF when reading a line\n")


def test_output_that_is_not_utf8_is_an_error(client: Client) -> None:
    code, stdout, stderr = client.run("import os; os.write(1, b'a\\xff')")
    assert (code, stdout) == (1, "")
    assert "codec can't decode byte 0xff in position 1" in stderr


def test_long_output_passes(client: Client) -> None:
    assert client.run("print('x' * 3_000_000)") == (0, "x" * 3_000_000 + "\n", "")


@pytest.mark.parametrize("path", ["~/left", "/tmp/left", "/dev/shm/left", "left"])
def test_files_stay(client: Client, path: str) -> None:
    code = (
        f"import os; path = os.path.expanduser({path!r}); print(os.path.exists(path)); "
        "open(path, 'w').close()"
    )
    assert [client.run(code)[1] for _ in range(2)] == ["False\n", "True\n"]


def test_network_is_the_hosts(client: Client) -> None:
    code = f"import socket; socket.create_connection(('127.0.0.1', {client.port}), 5); print(1)"
    assert client.run(code)[1] == "1\n"


def test_simultaneous_programs_keep_their_code_and_input(client: Client) -> None:
    def ask(number: int) -> str:
        code = f"import time; time.sleep(0.3); print({number}, input())"
        return client.run(code, stdin=f"{number}")[1]

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(ask, range(20))) == [f"{n} {n}\n" for n in range(20)]


VALID = {"language": "python", "version": "3", "files": [{"content": ""}]}


@pytest.mark.parametrize(
    ("document", "kind", "place"),
    [
        ({}, "missing", ["language"]),
        ({"language": "python"}, "missing", ["version"]),
        ({**VALID, "version": 3.11}, "string_type", ["version"]),
        ({"language": "python", "version": "3"}, "missing", ["files"]),
        ({**VALID, "files": "x"}, "list_type", ["files"]),
        ({**VALID, "files": [{"content": ""}, {}]}, "missing", ["files", 1, "content"]),
        ({**VALID, "files": [{"content": 1}]}, "string_type", ["files", 0, "content"]),
        ({**VALID, "files": ["x"]}, "model_attributes_type", ["files", 0]),
        ({**VALID, "stdin": 5}, "string_type", ["stdin"]),
        ([], "model_attributes_type", []),
        (None, "model_attributes_type", []),
    ],
)
def test_invalid_body(client: Client, document: Any, kind: str, place: list[Any]) -> None:
    status, answer = client.post(document)
    assert status == 422
    problem = answer["detail"][0]
    assert (problem["type"], problem["loc"]) == (kind, ["body", *place])
    assert set(problem) == {"type", "loc", "msg", "input"}


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (b"{", "application/json", "json_invalid"),
        (b"\xff\xfe", "application/json", "json_invalid"),
        (b"[" * 100_000, "application/json", "json_invalid"),
        (json.dumps(VALID).encode(), "text/plain", "model_attributes_type"),
        (b"", "application/json", "missing"),
    ],
)
def test_body_that_is_no_json(client: Client, body: bytes, content_type: str, kind: str) -> None:
    headers = {"Content-Type": content_type}
    status, answer, _ = client.ask("POST", "/api/v2/execute", body, headers)
    assert (status, json.loads(answer)["detail"][0]["type"]) == (422, kind)


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/api/v2/execute", 405, "Method Not Allowed"),
        ("POST", "/api/v2/runtimes", 405, "Method Not Allowed"),
        ("GET", "/api/v2/packages", 404, "Not Found"),
        ("GET", "/", 404, "Not Found"),
    ],
)
def test_other_routes(client: Client, method: str, path: str, status: int, detail: str) -> None:
    answered, body, _ = client.ask(method, path)
    assert (answered, json.loads(body)) == (status, {"detail": detail})


def test_trailing_slash_is_redirected(client: Client) -> None:
    status, body, headers = client.ask("POST", "/api/v2/execute/", json.dumps(VALID).encode())
    assert (status, body) == (307, b"")
    assert headers["Location"] == f"http://127.0.0.1:{client.port}/api/v2/execute"


class Answering:
    """Gives one answer or error to every request, at once."""

    def __init__(self, answer: Stage | Exception) -> None:
        self.answer = answer
        self.seen: list[ExecutionRequest] = []
        self.closed = False

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        self.seen.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return ExecutionResult("python", "3", self.answer, Provenance("test"))

    def runtimes(self) -> Sequence[Runtime]:
        return []

    def close(self) -> None:
        self.closed = True


def test_platform_fault_is_a_failed_run() -> None:
    executor = Answering(PlatformFault(FaultKind.SANDBOX, "bwrap is gone"))
    with serving(executor) as client:
        code, stdout, stderr = client.run("print(1)")
    assert (code, stdout) == (1, "")
    assert "bwrap is gone" in stderr
    assert executor.closed


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def quick() -> Iterator[Client]:
    with serving(Answering(Stage(b"x", code=0))) as client:
        yield client


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "language": st.just("python") | json_values,
            "version": json_values,
            "files": json_values | st.lists(st.fixed_dictionaries({"content": json_values})),
            "stdin": json_values,
        },
    )
    | json_values
)
def test_any_json_is_executed_or_invalid(quick: Client, document: Any) -> None:
    status, answer = quick.post(document)
    assert status in (200, 422)
    if status == 200:
        jsonschema.validate(answer["run"], RESPONSE_SCHEMA["$defs"]["stage"])
    else:
        assert answer["detail"]
