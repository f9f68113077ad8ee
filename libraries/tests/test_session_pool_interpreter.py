"""The built-in pool: both generations of operations, in front of real interpreters."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from codewitness.embedded.interpreter_session import InterpreterHost
from codewitness.embedded.session_pool_service import PoolSettings
from codewitness.execution.model import PlatformFault
from codewitness.session_pool.contract import GENERATION_A, GENERATION_B
from codewitness.session_pool.lifecycle import PoolRules
from tests.session_pools import Answer, PoolClient, pool_of, sandboxes, still_alive

A, A_NEWER = GENERATION_A
B, B_2025_02, B_2025_10 = GENERATION_B

TIMED_OUT = "Request timed out waiting for code execution to complete"


class Interpreters(PoolClient):
    """Calls operations of the built-in pool."""

    def operate(
        self,
        version: str,
        method: str,
        path: str,
        body: Any = None,
        /,
        identifier: str | None = None,
        **more: Any,
    ) -> Answer:
        query = {"api-version": version, **more}
        if identifier is not None:
            query["identifier"] = identifier
        headers = query.pop("headers", None)
        return self.ask(method, f"/{path}", body, headers=headers, **query)

    def wrapped(self, code: str, identifier: str, **properties: Any) -> Any:
        body = {
            "properties": {
                "codeInputType": "inline",
                "executionType": "synchronous",
                "code": code,
                **properties,
            }
        }
        answer = self.operate(A, "POST", "code/execute", body, identifier)
        assert answer.status == 200, answer
        return answer.json["properties"]

    def flat(self, code: str, identifier: str, version: str = B, **fields: Any) -> Any:
        body = {"code": code, **fields}
        answer = self.operate(version, "POST", "executions", body, identifier)
        assert answer.status == 200, answer
        return answer.json

    def upload(
        self,
        name: str,
        content: bytes,
        identifier: str,
        version: str = A,
        *,
        type_first: bool = False,
        **more: Any,
    ) -> Answer:
        disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        kind = "Content-Type: application/octet-stream"
        head = [kind, disposition] if type_first else [disposition, kind]
        body = "\r\n".join(["--limit", *head, "", ""]).encode() + content + b"\r\n--limit--\r\n"
        path = "files/upload" if version in GENERATION_A else "files"
        headers = {"Content-Type": "multipart/form-data; boundary=limit"}
        return self.operate(version, "POST", path, body, identifier, headers=headers, **more)


def interpreters(pool: PoolClient) -> Interpreters:
    told = {"url": pool.url, "control_url": pool.control, "environment": pool.environment}
    return Interpreters(told)


@pytest.fixture(scope="module")
def pool() -> Iterator[Interpreters]:
    rules = PoolRules(maximum=100)
    with pool_of(PoolSettings(kind="python", identity=None, rules=rules)) as served:
        yield interpreters(served)


def test_result_of_the_last_expression(pool: Interpreters) -> None:
    told = pool.wrapped("x = 6\nx * 7", "result-1")
    assert told["executionTimeInMilliseconds"] >= 0
    assert {name: told[name] for name in ("status", "stdout", "stderr", "result")} == {
        "status": "Success",
        "stdout": "",
        "stderr": "",
        "result": 42,
    }


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("x = 1", ""),
        ("", ""),
        ("# nothing", ""),
        ("None", ""),
        ("2.5", 2.5),
        ("True", True),
        ("'é'", "é"),
        ("[1, 2.5, None, {'a': True}]", "[1, 2.5, None, {'a': True}]"),
        ("['x' * 40, 'y' * 40]", f"['{'x' * 40}',\n '{'y' * 40}']"),
        ("(1, 2)", "(1, 2)"),
        ("float('nan')", "nan"),
        ("{1: 2}", "{1: 2}"),
        ("2 ** 63", "9223372036854775808"),
        ("print", "<built-in function print>"),
        ("'\\ud800'", "\ud800"),
    ],
)
def test_results(pool: Interpreters, code: str, result: Any) -> None:
    told = pool.wrapped(code, "results-1")
    assert (told["status"], told["result"]) == ("Success", result)


def test_picture_as_result(pool: Interpreters) -> None:
    code = "class P:\n    def _repr_png_(self):\n        return b'png'\nP()"
    data = base64.b64encode(b"png").decode()
    image = {"type": "image", "format": "png", "base64_data": data}
    assert pool.wrapped(code, "image-1")["result"] == image
    assert pool.wrapped("P", "image-1")["result"] == "<class '__main__.P'>"


def test_figure_that_is_left_open(pool: Interpreters) -> None:
    pyplot = b"""
figures = [1]
def get_fignums(): return figures
def close(which): figures.clear()
class _Figure:
    def savefig(self, file, format): file.write(b"drawn as " + format.encode())
def gcf(): return _Figure()
"""
    pool.upload("__init__.py", b"", "plot-1", B, path="matplotlib")
    pool.upload("pyplot.py", pyplot, "plot-1", B, path="matplotlib")
    shown = pool.wrapped("import matplotlib.pyplot", "plot-1")["result"]
    assert base64.b64decode(shown["base64_data"]) == b"drawn as png"
    assert pool.wrapped("1", "plot-1")["result"] == 1


def test_variables_and_definitions_stay(pool: Interpreters) -> None:
    pool.wrapped("import math\ndef area(r): return math.pi * r ** 2\nx = 2", "state-1")
    assert pool.flat("round(area(x), 2)", "state-1")["result"]["executionResult"] == 12.57
    assert pool.wrapped("'x' in globals()", "state-2")["result"] is False


def test_output_of_the_program_and_of_its_children(pool: Interpreters) -> None:
    code = (
        "import os, sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.stdout.flush()\n"
        "os.system('echo child; echo grief >&2'); print('é\\udc80'.encode('utf-8', "
        "'surrogateescape').decode('latin-1'))"
    )
    told = pool.wrapped(code, "output-1")
    assert told["stdout"].startswith("out\nchild\nÃ©")
    assert sorted(told["stderr"].split()) == ["err", "grief"]


def test_much_output_is_cut(pool: Interpreters) -> None:
    assert len(pool.wrapped("print('x' * 3_000_000)", "much-1")["stdout"]) == 1 << 20


@pytest.mark.parametrize(
    ("code", "last_line"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("input()", "EOFError: EOF when reading a line"),
    ],
)
def test_exception_is_an_answer(pool: Interpreters, code: str, last_line: str) -> None:
    told = pool.wrapped(f"print('before')\n{code}", "failing-1")
    assert (told["status"], told["result"]) == ("Failure", "")
    assert told["stderr"].splitlines()[-1] == last_line
    assert "interpreter_kernel" not in told["stderr"]
    assert pool.flat(code, "failing-1")["status"] == "Failed"


def test_traceback_shows_the_callers_lines(pool: Interpreters) -> None:
    pool.wrapped("def broken():\n    raise ValueError('here')", "trace-1")
    stderr = pool.wrapped("broken()", "trace-1")["stderr"]
    assert "raise ValueError('here')" in stderr
    assert stderr.startswith("Traceback (most recent call last):\n")


@pytest.mark.parametrize("code", ["bytearray(10 ** 13)", "import os; os._exit(1)"])
def test_lost_interpreter_is_replaced_and_files_stay(pool: Interpreters, code: str) -> None:
    identifier = f"lost-{len(code)}"
    pool.wrapped("x = 1\nopen('kept', 'w').write('1')", identifier)
    told = pool.wrapped(code, identifier)
    assert (told["status"], told["stderr"]) == ("Failure", "Execution aborted")
    told = pool.wrapped("open('kept').read(), 'x' in globals()", identifier)
    assert told["result"] == "('1', False)"


def test_call_ends_after_220_seconds_of_the_pools_clock(pool: Interpreters) -> None:
    code = "print('begun')\nimport time\ntime.sleep(100)"
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(pool.wrapped, code, "slow-1")
        # Moving the clock also ages what other tests left, which is over.
        time.sleep(1)
        pool.move(190)
        time.sleep(0.2)
        assert not answer.done()
        pool.move(40)
        told = answer.result(30)
    assert (told["status"], told["stdout"], told["stderr"]) == ("Failure", "begun\n", TIMED_OUT)


def test_call_may_ask_for_less_time(pool: Interpreters) -> None:
    told = pool.flat("import time; time.sleep(100)", "hasty-1", timeoutInSeconds=0.2)
    assert (told["status"], told["result"]["stderr"]) == ("Failed", TIMED_OUT)


def test_simultaneous_calls_of_one_session_take_turns(pool: Interpreters) -> None:
    pool.wrapped("n = 0", "turns-1")
    code = "m = n\nimport time\ntime.sleep(0.05)\nn = m + 1"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: pool.wrapped(code, "turns-1"), range(8)))
    assert pool.wrapped("n", "turns-1")["result"] == 8


def test_children_that_code_forks_are_no_interpreters(pool: Interpreters) -> None:
    assert pool.wrapped("import os\nos.fork()\n5", "fork-1")["result"] == 5
    assert pool.wrapped("6", "fork-1")["result"] == 6


def test_walls_of_the_sandbox(pool: Interpreters) -> None:
    told = pool.wrapped(
        "import os, urllib.request\n"
        "seen = os.getcwd(), os.path.exists('/etc/shadow'), "
        "[n for n in os.environ if n.startswith(('IDENTITY', 'AZURE', 'MSI'))]\n"
        "try:\n    os.kill(1, 9)\nexcept OSError:\n    pass\n"
        "try:\n    open('/new', 'w')\nexcept OSError as error:\n    print('read-only')\n"
        "seen",
        "walls-1",
    )
    assert told["result"] == "('/mnt/data', False, [])"
    assert told["stdout"] == "read-only\n"
    told = pool.wrapped("urllib.request.urlopen('http://127.0.0.1')", "walls-1")
    assert "URLError" in told["stderr"]


def test_packages_can_be_listed_and_the_data_folder_entered(pool: Interpreters) -> None:
    code = "import pkg_resources\n[d.project_name for d in pkg_resources.working_set]"
    assert pool.wrapped(code, "listing-1")["result"].startswith("[")
    assert pool.wrapped("import os\nos.chdir('/mnt/data')", "listing-1")["status"] == "Success"


@pytest.mark.parametrize(
    "code",
    ["import sys; sys.stderr.close(); 1 / 0", "import os; os.close(1); os.close(2)", "10 ** 9999"],
)
def test_careless_code_does_not_break_the_interpreter(pool: Interpreters, code: str) -> None:
    pool.wrapped("x = 1", "careless-1")
    pool.wrapped(code, "careless-1")
    assert pool.wrapped("x", "careless-1")["result"] == 1


@pytest.mark.parametrize("kind", ["Inline", "inline", "InlineText"])
def test_case_of_names_does_not_matter(pool: Interpreters, kind: str) -> None:
    told = pool.flat("1", "case-1", codeInputType=kind, executionType="SYNCHRONOUS")
    assert told["result"]["executionResult"] == 1


def test_code_as_base64(pool: Interpreters) -> None:
    code = base64.b64encode("'é'".encode()).decode()
    told = pool.flat(code, "base64-1", codeInputType="InlineBase64")
    assert told["result"]["executionResult"] == "é"


def test_flat_answer_without_result(pool: Interpreters) -> None:
    assert pool.flat("x = 1", "flat-2")["result"]["executionResult"] is None


def test_flat_answer(pool: Interpreters) -> None:
    told = pool.flat("print('x')\n1", "flat-1", B_2025_02)
    assert told["result"].pop("executionTimeInMilliseconds") >= 0
    assert told == {
        "id": told["id"],
        "identifier": "flat-1",
        "executionType": "Synchronous",
        "status": "Succeeded",
        "result": {"stdout": "x\n", "stderr": "", "executionResult": 1},
    }
    answer = pool.operate(B, "GET", f"executions/{told['id']}", identifier="flat-1")
    assert answer.json["status"] == "Succeeded"
    assert pool.operate(B, "GET", "executions/x", identifier="flat-1").status == 404


def test_output_has_a_length_since_2025_10(pool: Interpreters) -> None:
    code = "print('x' * 5000)"
    assert len(pool.flat(code, "length-1", B_2025_02)["result"]["stdout"]) == 5001
    assert len(pool.flat(code, "length-1", B_2025_10)["result"]["stdout"]) == 4096
    told = pool.flat(code, "length-1", B_2025_10, outputStreamsMaxLength=10)
    assert told["result"]["stdout"] == "x" * 10


def test_execution_that_the_caller_comes_back_for(pool: Interpreters) -> None:
    body = {"code": "import time; time.sleep(0.3); 1", "executionType": "Asynchronous"}
    headers = {"operation-id": "mine"}
    answer = pool.operate(B, "POST", "executions", body, "later-1", headers=headers)
    assert (answer.status, answer.json["status"]) == (202, "Running")
    assert answer.headers["operation-id"] == "mine"
    assert "/executions/mine?" in answer.headers["Operation-Location"]
    deadline = time.monotonic() + 30
    while (told := pool.operate(B, "GET", "executions/mine", identifier="later-1").json)[
        "status"
    ] == "Running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert told["result"]["executionResult"] == 1


def test_headers_of_an_execution(pool: Interpreters) -> None:
    def ask() -> Answer:
        return pool.operate(A, "POST", "code/execute", {"properties": {"code": "1"}}, "heads-1")

    first, second = ask(), ask()
    assert [it.headers["X-Ms-New-Allocation"] for it in (first, second)] == ["true", "false"]
    assert first.headers["X-Ms-Session-Guid"] == second.headers["X-Ms-Session-Guid"]
    for name in ("Allocation-Time", "Overall-Execution-Time", "Total-Execution-Service-Time"):
        assert first.headers[f"X-Ms-{name}"]
    listed = pool.operate(A, "GET", "files", identifier="heads-1")
    assert "X-Ms-New-Allocation" not in listed.headers


def test_files_of_the_older_generation(pool: Interpreters) -> None:
    answer = pool.upload("/mnt/data/a b.csv", b"1,2\n", "files-1")
    assert answer.status == 200
    (entry,) = answer.json["value"]
    assert set(entry["properties"]) == {"filename", "size", "lastModifiedTime"}
    assert (entry["properties"]["filename"], entry["properties"]["size"]) == ("a b.csv", 4)
    assert pool.wrapped("open('/mnt/data/a b.csv').read()", "files-1")["result"] == "1,2\n"
    pool.wrapped("open('made.bin', 'wb').write(bytes(range(256)))", "files-1")
    listed = pool.operate(A_NEWER, "GET", "files", identifier="files-1").json["value"]
    assert [it["properties"]["filename"] for it in listed] == ["a b.csv", "made.bin"]
    content = pool.operate(A, "GET", "files/content/made.bin", identifier="files-1")
    assert content.body == bytes(range(256))
    told = pool.operate(A, "GET", "files/a%20b.csv", identifier="files-1").json
    assert told["properties"]["size"] == 4
    deleted = pool.operate(A, "DELETE", "files/a%20b.csv", identifier="files-1")
    assert (deleted.status, "a b.csv" in deleted.json["message"]) == (200, True)
    assert pool.operate(A, "GET", "files/a%20b.csv", identifier="files-1").status == 404


def test_files_of_the_newer_generation(pool: Interpreters) -> None:
    empty = pool.operate(B, "GET", "files", identifier="files-2").json
    assert empty == {"value": [], "nextLink": None}
    told = pool.upload("x.txt", b"abc", "files-2", B, path="sub/deeper").json
    assert told.pop("lastModifiedAt")
    assert told == {
        "name": "x.txt",
        "type": "file",
        "contentType": "text/plain",
        "sizeInBytes": 3,
        "directory": "/mnt/data/sub/deeper",
    }
    (listed,) = pool.operate(B, "GET", "files", identifier="files-2").json["value"]
    assert (listed["name"], listed["type"]) == ("sub", "directory")
    found = pool.operate(B_2025_10, "GET", "files", identifier="files-2", recursive="true").json
    assert [it["name"] for it in found["value"]] == ["sub", "deeper", "x.txt"]
    where = {"identifier": "files-2", "path": "/mnt/data/sub/deeper"}
    assert pool.operate(B, "GET", "files/x.txt/content", **where).body == b"abc"
    assert pool.operate(B, "GET", "files/x.txt", **where).json["sizeInBytes"] == 3
    assert pool.operate(B, "DELETE", "files/x.txt", **where).status == 204
    assert pool.operate(B, "GET", "files/x.txt/content", **where).status == 404
    assert pool.operate(B, "DELETE", "files/x.txt", **where).status == 404


def test_form_whose_parts_begin_with_their_type(pool: Interpreters) -> None:
    assert pool.upload("é,(1)%20.txt", b"abc", "forms-1", type_first=True).status == 200
    listed = pool.operate(A, "GET", "files", identifier="forms-1").json["value"]
    assert listed[0]["properties"]["filename"] == "é,(1) .txt"


def test_upload_that_is_no_form_is_refused(pool: Interpreters) -> None:
    kinds = ["application/json", "multipart/form-data", "multipart/form-data; boundary=limit"]
    for kind in kinds:
        headers = {"Content-Type": kind}
        answer = pool.operate(A, "POST", "files/upload", b"abc", "forms-2", headers=headers)
        assert answer.status == 400, kind


@pytest.mark.parametrize(
    ("name", "folder"), [("..", ""), ("a:b", ""), ("x.txt", "../up"), ("x.txt", "a.b"), ("", "")]
)
def test_names_that_are_refused(pool: Interpreters, name: str, folder: str) -> None:
    assert pool.upload(name, b"", "names-1", B, path=folder).status == 400


def test_file_is_served_while_code_runs(pool: Interpreters) -> None:
    code = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n1"
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(pool.wrapped, code, "busy-1")
        assert pool.upload("go", b"", "busy-1").status == 200
        assert answer.result(30)["result"] == 1


def test_longest_upload_and_one_beyond(pool: Interpreters) -> None:
    assert pool.upload("large", b"x" * (128 << 20), "large-1").status == 200
    assert pool.upload("larger", b"x" * ((128 << 20) + 1), "large-1").status == 413
    assert pool.wrapped("import os\nos.path.getsize('large')", "large-1")["result"] == 128 << 20


def test_session_of_the_newer_generation(pool: Interpreters) -> None:
    pool.flat("x = 1", "session-1")
    told = pool.operate(B_2025_02, "GET", "session", identifier="session-1").json
    assert set(told) == {"identifier", "etag", "expireAt", "createdAt", "lastAccessedAt"}
    listed = pool.operate(B_2025_02, "GET", "listSessions", skip=0).json
    assert told in listed["sessions"]
    assert listed["nextLink"] is None
    assert pool.operate(B_2025_02, "GET", "metadata", identifier="session-1").status == 200
    assert pool.operate(B_2025_10, "DELETE", "session", identifier="session-1").status == 204
    again = pool.operate(B_2025_02, "GET", "session", identifier="session-1")
    assert (again.status, again.code) == (400, "SessionWithIdentifierNotFound")
    assert pool.wrapped("'x' in globals()", "session-1")["result"] is False


def test_session_of_the_older_generation(pool: Interpreters) -> None:
    pool.wrapped("1", "session-2")
    where = {"identifier": "session-2"}
    told = pool.operate(A, "POST", ".management/getSession", **where).json
    listed = pool.operate(A, "POST", ".management/listSessions").json
    assert told in listed["value"]
    stopped = pool.operate(B_2025_10, "POST", ".management/stopSession", **where)
    assert stopped.text == "Session session-2 in session pool embedded-pool stopped."


VALIDATION, UNSUPPORTED = "SessionRequestValidationFailed", "SessionRequestNotSupported"
SHAPE = "SessionPropertiesMissing"


@pytest.mark.parametrize(
    ("version", "method", "path", "body", "code"),
    [
        (A, "POST", "code/execute", {"code": "1"}, SHAPE),
        (A, "POST", "code/execute", {"properties": 1}, SHAPE),
        (B, "POST", "executions", {"properties": {"code": "1"}}, SHAPE),
        (A, "POST", "code/execute", {"properties": {}}, VALIDATION),
        (B, "POST", "executions", {}, VALIDATION),
        (B, "POST", "executions", {"code": "1", "codeInputType": "File"}, VALIDATION),
        (B, "POST", "executions", {"code": "1", "executionType": 1}, VALIDATION),
        (B, "POST", "executions", {"code": "1", "timeoutInSeconds": 0}, VALIDATION),
        (B, "POST", "executions", {"code": "#", "codeInputType": "InlineBase64"}, VALIDATION),
        (B, "POST", "executions", b"{", VALIDATION),
        (B, "POST", "executions", [], VALIDATION),
        (B, "POST", "executions", {"shellCommand": "ls"}, UNSUPPORTED),
        (B, "POST", "code/execute", {"properties": {"code": "1"}}, UNSUPPORTED),
        (A, "POST", "executions", {"code": "1"}, UNSUPPORTED),
        (A, "GET", "session", None, UNSUPPORTED),
        (B, "GET", "session", None, UNSUPPORTED),
        (B, "GET", "nonesuch", None, UNSUPPORTED),
        (A, "GET", "code/execute", None, VALIDATION),
        ("2023-08-01-preview", "POST", "code/execute", {}, VALIDATION),
    ],
)
def test_requests_that_are_refused(
    pool: Interpreters, version: str, method: str, path: str, body: Any, code: str
) -> None:
    answer = pool.operate(version, method, path, body, "refused-1")
    assert (answer.status, answer.code) == (400, code)
    assert answer.json["error"]["traceId"]


def test_path_of_the_legacy_service_and_of_another_pool(pool: Interpreters) -> None:
    legacy = pool.operate("2023-08-01-preview", "POST", "python/execute", {}, "legacy-1")
    assert (legacy.status, legacy.body) == (403, b"")
    elsewhere = Interpreters({"url": f"{pool.url}x", "control_url": "", "environment": {}}).operate(
        A, "GET", "files", identifier="legacy-1"
    )
    assert elsewhere.status == 404


@pytest.mark.parametrize("identifier", [None, "abc", "a b c"])
def test_every_operation_needs_an_identifier(pool: Interpreters, identifier: str | None) -> None:
    for version, method, path in ((A, "POST", "code/execute"), (B, "GET", "files")):
        body = {"properties": {"code": "1"}} if method == "POST" else None
        answer = pool.operate(version, method, path, body, identifier)
        assert (answer.status, answer.json["error"]["target"]) == (400, "identifier")


def test_session_that_is_stopped_ends_its_call(pool: Interpreters) -> None:
    marker = f"6{time.monotonic_ns()}"
    answers: list[Answer] = []

    def call() -> None:
        code = f"import subprocess; subprocess.run(['sleep', '{marker}'])"
        body = {"properties": {"code": code}}
        answers.append(pool.operate(A, "POST", "code/execute", body, "ended-1"))

    def sleepers() -> int:
        found = psutil.process_iter(["cmdline"])
        return sum(it.info["cmdline"] == ["sleep", marker] for it in found)

    thread = threading.Thread(target=call)
    thread.start()
    deadline = time.monotonic() + 30
    while not sleepers():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert pool.operate(B_2025_10, "DELETE", "session", identifier="ended-1").status == 204
    thread.join(30)
    assert [answer.status for answer in answers] == [502]
    assert not sleepers()


def test_pool_is_guarded_and_ends(pool: Interpreters) -> None:
    deadline = time.monotonic() + 30
    while pool.state()["instances"]["ready"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    before = sandboxes()
    with pool_of(PoolSettings(kind="python", rules=PoolRules(maximum=2))) as served:
        guarded = interpreters(served)
        assert guarded.operate(A, "GET", "files", identifier="user-1").status == 401
        guarded.headers["Authorization"] = f"Bearer {guarded.token()}"
        assert guarded.wrapped("1", "user-1")["result"] == 1
        assert guarded.wrapped("2", "user-2")["result"] == 2
        full = guarded.operate(A, "GET", "files", identifier="user-3")
        assert full.status == 429
        own = sandboxes() - before
        assert own
    assert not still_alive(own)


def test_without_walls() -> None:
    host = InterpreterHost(sandbox="none")
    session = host.open()
    try:
        assert session.submit("x = 1\nx").result(30).result == 1
        assert session.submit("import os; os._exit(1)").result(30).ended == "killed"
        session.write_file("a", b"1")
        assert session.submit("open('a').read()").result(30).result == "1"
        with pytest.raises(FileNotFoundError):
            session.read_file("b")
    finally:
        session.close()
        host.close()
    with pytest.raises(PlatformFault):
        session.submit("1")


def test_answers_are_json_that_everybody_reads(pool: Interpreters) -> None:
    told = pool.wrapped("float('inf')", "json-1")
    assert told["result"] == "inf"
    json.dumps(told, allow_nan=False)
