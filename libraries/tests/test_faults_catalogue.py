"""Every fault of the catalogue does over HTTP what it says, and nothing else to its probe."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from codewitness.embedded.backend import create_app
from codewitness.embedded.faults import FAULTS, Fault, faulty, find_fault
from codewitness.execution.local import LocalExecutor

JSON = {"Content-Type": "application/json"}


class Client:
    """Sends one request per call; answers are what a probe compares."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] = JSON
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def answer(self, code: str, **fields: Any) -> Any:
        document = {"language": "python", "version": "*", "files": [{"content": code}], **fields}
        status, body = self.ask("POST", "/api/v2/execute", document)
        return json.loads(body) if status == 200 else status

    def run(self, code: str, **fields: Any) -> Any:
        answer = self.answer(code, **fields)
        return answer["run"] if isinstance(answer, dict) else answer

    def stdout(self, code: str, **fields: Any) -> Any:
        run = self.run(code, **fields)
        return run["stdout"] if isinstance(run, dict) else run

    def runtimes(self) -> Any:
        return json.loads(self.ask("GET", "/api/v2/runtimes")[1])


@contextmanager
def serving(fault: Fault | None) -> Iterator[Client]:
    executor = LocalExecutor()
    spoiled = executor if fault is None else faulty(executor, fault)
    app = create_app(spoiled, middlewares=() if fault is None else fault.middlewares())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    loop = asyncio.new_event_loop()

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
def healthy() -> Iterator[Client]:
    with serving(None) as client:
        yield client


Probe = Callable[[Client], Any]


@dataclass(frozen=True)
class Case:
    """What a probe sees of a healthy service and of the faulty one."""

    probe: Probe
    healthy: Any
    faulty: Any


def writes(text: str | bytes) -> Probe:
    raw = text.encode() if isinstance(text, str) else text
    return lambda client: client.stdout(f"import sys; sys.stdout.buffer.write({raw!r})")


def changes_stdout(text: str, faulty: str) -> Case:
    return Case(writes(text), text, faulty)


ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"


def changes_stdin(text: str, faulty: Any, code: str = ECHO) -> Case:
    return Case(lambda client: client.stdout(code, stdin=text), text, faulty)


def changes_args(args: list[str], faulty: list[str]) -> Case:
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    return Case(lambda client: json.loads(client.stdout(code, args=args)), args, faulty)


BOTH = "import sys; print('out'); print('error ' * 40 + '\\nlast', file=sys.stderr)"
ERROR = "error " * 40 + "\nlast\n"


def streams(client: Client) -> Any:
    run = client.run(BOTH)
    return run["stdout"], run["stderr"]


def changes_streams(stdout: str, stderr: str) -> Case:
    return Case(streams, ("out\n", ERROR), (stdout, stderr))


def exit_codes(*codes: int) -> Probe:
    return lambda client: [client.run(f"import os; os._exit({code})")["code"] for code in codes]


def changes_codes(codes: list[int], faulty: list[int | None]) -> Case:
    return Case(exit_codes(*codes), codes, faulty)


def killed_by_signal(client: Client) -> Any:
    return client.run("import os; os.kill(os.getpid(), 11)")["code"]


def killed_by_broken_pipe(client: Client) -> Any:
    code = "import os, signal; signal.signal(13, signal.SIG_DFL); os.kill(os.getpid(), 13)"
    return client.run(code)["code"]


def compile_error(client: Client) -> Any:
    return client.run("int main( {", language="c")["code"] == 0


def several_files(*files: dict[str, str]) -> Probe:
    return lambda client: client.stdout("", files=list(files))


MODULE = {"name": "pack/module.py", "content": "name = 'module'"}
IMPORTS = {"name": "main.py", "content": "from pack import module; print(module.name)"}
READS = {"name": "main.py", "content": "print(open('data').read())"}
DATA = {"name": "data", "content": "aGk=", "encoding": "base64"}
HEX_DATA = {"name": "data", "content": "6869", "encoding": "hex"}
SAYS_NAME = {"name": "main.py", "content": "import os; print(os.path.basename(__file__))"}
LISTS = {"name": "main.py", "content": "import os; print(sorted(os.listdir()))"}
OTHER = {"name": "other.py", "content": "print('other')"}


def numbers_at_once(client: Client) -> Any:
    with ThreadPoolExecutor(2) as threads:
        asked = [f"import time; time.sleep(0.5); print({n})" for n in (1, 2)]
        return list(threads.map(client.stdout, asked))


def overlap(client: Client) -> Any:
    code = "import time; a = time.time(); time.sleep(0.5); print(a, time.time())"
    with ThreadPoolExecutor(2) as threads:
        spans = sorted(
            tuple(map(float, text.split())) for text in threads.map(client.stdout, [code, code])
        )
    return spans[1][0] < spans[0][1]


def same_code_other_stdin(client: Client) -> Any:
    return [client.stdout(ECHO, stdin=text) for text in ("1\n", "2\n")]


def two_programs(client: Client) -> Any:
    return [client.stdout(f"print({n})") for n in (1, 2)]


def size_of_large_output(client: Client) -> Any:
    run = client.run("print('x' * 200_000)")
    return len(run["stdout"]), run["code"]


def leaves_behind(path: str) -> Probe:
    """Write a file in one program and look for it in the next."""
    code = (
        f"import os; path = os.path.expanduser({path!r}); print(os.path.exists(path)); "
        "open(path, 'w').close()"
    )
    return lambda client: [client.stdout(code).strip() for _ in range(2)]


def remembers_environment(client: Client) -> Any:
    code = "import os; print(os.environ.get('LEFT')); os.environ['LEFT'] = 'behind'"
    return [client.stdout(code).strip() for _ in range(2)]


SURVIVOR = """\
import os, time
if os.fork() == 0:
    os.setsid()
    for fd in range(3): os.close(fd)
    os.execvp("sleep", ["sleep", "7.531"])
"""
LOOKS = """\
import pathlib
found = [p for p in pathlib.Path("/proc").glob("[0-9]*/cmdline") if b"7.531" in p.read_bytes()]
print(len(found))
"""


def survivors(client: Client) -> Any:
    client.run(SURVIVOR)
    return client.stdout(LOOKS).strip()


def secrets(client: Client) -> Any:
    code = "import os; print([name for name in os.environ if 'SECRET' in name])"
    return client.stdout(code).strip()


def connects(client: Client) -> Any:
    code = f"import socket; socket.create_connection(('127.0.0.1', {client.port}), 2); print(1)"
    return client.run(code)["code"] == 0


def ending(code: str, **limits: float) -> Probe:
    def probe(client: Client) -> Any:
        run = client.run(code, **limits)
        return run if isinstance(run, int) else (run["stdout"], run["code"], run["signal"])

    return probe


IDLE = "import time; print('a', flush=True); time.sleep(1.2); print('b')"
BUSY = """\
import time
import tracemalloc
print('a', flush=True)
end = time.process_time() + 0.7
while time.process_time() < end: pass
print('b')
"""
STOPPED = ("a\n", None, "SIGKILL")
WHOLE = ("a\nb\n", 0, None)


def runs_out_of_time(code: str, faulty: Any) -> Case:
    return Case(ending(code, run_timeout=400), STOPPED, faulty)


def after_timeout(client: Client) -> Any:
    client.run("import time; time.sleep(5)", run_timeout=200)
    start = time.monotonic()
    return client.stdout("print(1)"), time.monotonic() - start > 2.9


def memory(client: Client) -> Any:
    return client.run("x = bytearray(400 << 20)", run_memory_limit=200 << 20)["code"] == 0


MANY = """\
import os, time
for number in range(100):
    try:
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
    except OSError:
        break
print(number == 99)
"""
SEEN = "import os; print(sum(it.isdigit() for it in os.listdir('/proc')) > 5)"


def length_of_flood(client: Client) -> Any:
    return len(client.stdout("print('x' * (3 << 20))"))


def after_flood(client: Client) -> Any:
    client.run("print('x' * (3 << 20))")
    return client.stdout("print(1)")


def capability(client: Client) -> Any:
    return "CapEff:\t0000000000000000" not in client.stdout(
        "print(open('/proc/self/status').read())"
    )


def after_closing_stdout(client: Client) -> Any:
    return client.run("import os; os.close(1); os._exit(5)")["code"]


def long_file_name(client: Client) -> Any:
    files = [{"content": "print(1)"}, {"name": "a/" * 200 + "x", "content": ""}]
    return posted({**VALID, "files": files})(client)


def background_child(client: Client) -> Any:
    start = time.monotonic()
    client.run("import subprocess; subprocess.Popen(['sleep', '4'])")
    return time.monotonic() - start > 3.5


def posted(body: Any, headers: dict[str, str] = JSON, path: str = "/api/v2/execute") -> Probe:
    return lambda client: client.ask("POST", path, body, headers)[0]


def status_of(path: str) -> Probe:
    return lambda client: client.ask("GET", path)[0]


def refused_at_once(client: Client) -> Any:
    code = "import time; time.sleep(1)"
    with ThreadPoolExecutor(10) as threads:
        return sum(isinstance(it, int) for it in threads.map(client.run, [code] * 10))


VALID = {"language": "python", "version": "*", "files": [{"content": ""}]}
BAD = {
    "no-language": posted({}),
    "no-version": posted({"language": "python"}),
    "files-not-an-array": posted({"language": "python", "version": "*"}),
    "no-content": posted({**VALID, "files": [{}]}),
    "no-files": posted({**VALID, "files": []}),
    "limit-not-a-number": posted({**VALID, "run_timeout": "1"}),
    "negative-limit": posted({**VALID, "run_timeout": -1}),
    "limit-too-high": posted({**VALID, "run_timeout": 99999}),
    "stdin-not-a-string": posted({**VALID, "stdin": 5}),
    "malformed-json": posted(b"{"),
    "body-not-an-object": posted(b"null"),
    "oversized-body": posted(b" " * 200_000),
    "content-type": posted(VALID, {"Content-Type": "text/plain"}),
    "unknown-language": posted({**VALID, "language": "nonesuch"}),
    "unknown-version": posted({**VALID, "version": "99"}),
}


def after_refusal(client: Client) -> Any:
    client.ask("POST", "/api/v2/execute", {})
    return client.stdout("print(1)")


def listed_languages(client: Client) -> Any:
    return all(
        client.answer("", language=it["language"]) != 400
        for it in client.runtimes()
        if it["language"] in ("python", "befunge93")
    )


def python_entry(client: Client) -> Any:
    return next(it for it in client.runtimes() if it["language"] == "python")


def listed_aliases(client: Client) -> Any:
    return isinstance(client.answer("", language=python_entry(client)["aliases"][0]), dict)


def listed_version(client: Client) -> Any:
    return isinstance(client.answer("", version=python_entry(client)["version"]), dict)


def first_keys(client: Client) -> Any:
    listed = client.runtimes()
    return sorted(listed[0])[:3] if isinstance(listed, list) and listed else listed


def in_run(field: str, faulty: Any, code: str = "print('a\\nb')", healthy: Any = ...) -> Case:
    """Look at a field of run; a healthy one is of the right type unless it is given."""

    def probe(client: Client) -> Any:
        run = client.run(code)
        value = run.get(field, "absent")
        return ... if healthy is ... and value != faulty else value

    return Case(probe, healthy, faulty)


def in_answer(look: Callable[[Any], Any], healthy: Any, faulty: Any) -> Case:
    return Case(lambda client: look(client.answer("print('a\\nb')")), healthy, faulty)


def has(key: str) -> Case:
    return in_answer(lambda it: key in it, True, False)


def ends(code: str) -> Probe:
    def probe(client: Client) -> Any:
        run = client.run(code)
        return run["code"], run["status"], run["stderr"]

    return probe


def platform(code: int | None, status: str, stderr: str) -> Case:
    return Case(ends(""), (0, None, ""), (code, status, stderr))


def spoiled_requests(code: str, expected: Any, field: str, count: int) -> Probe:
    """Number the requests whose answer is not as expected."""

    def probe(client: Client) -> Any:
        with ThreadPoolExecutor(4) as threads:
            runs = list(threads.map(lambda n: client.run(code, stdin=f"{n}\n"), range(count)))
        return sum(
            not isinstance(run, dict)
            or run[field] != (f"{number}\n" if expected is None else expected)
            for number, run in enumerate(runs)
        )

    return probe


def once_in_25(code: str, field: str, expected: Any = None, faulty: int = 2) -> Case:
    return Case(spoiled_requests(code, expected, field, 50), 0, faulty)


def since_151(code: str, field: str, expected: Any = None) -> Case:
    return Case(spoiled_requests(code, expected, field, 155), 0, 5)


def status_of_everything(client: Client) -> Any:
    return posted(VALID)(client), client.ask("GET", "/api/v2/runtimes")[0]


def everything(status: int) -> Case:
    return Case(status_of_everything, (200, 200), (status, status))


def kind_of_body(client: Client) -> Any:
    try:
        body = client.ask("POST", "/api/v2/execute", VALID)[1]
        return "JSON" if json.loads(body) else ""
    except http.client.IncompleteRead:
        return "cut"
    except ValueError:
        return body[:5].decode()


def answers_within_a_second(client: Client) -> Any:
    with socket.create_connection(("127.0.0.1", client.port), timeout=5) as connection:
        connection.settimeout(1)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            return bool(connection.recv(1))
        except TimeoutError:
            return False


def answer_times(client: Client) -> Any:
    """Say which of two requests in turn took longer than the fault's 6 s."""
    taken = []
    for _ in range(2):
        start = time.monotonic()
        client.run("")
        taken.append(time.monotonic() - start >= 6)
    return taken


def is_slow(client: Client) -> Any:
    start = time.monotonic()
    client.run("")
    return time.monotonic() - start > 1.5


def keeps_memory(client: Client) -> Any:
    # The service runs in this process, whose size depends on what was here before.
    tracemalloc.start()
    try:
        for _ in range(20):
            client.run("")
        return tracemalloc.get_traced_memory()[0] > 10 << 20
    finally:
        tracemalloc.stop()


DECOMPOSED = "e\u0301"

CASES = {
    "stdout-final-newline-stripped": changes_stdout("a\n\n", "a\n"),
    "stdout-newline-added": changes_stdout("a", "a\n"),
    "stdout-stripped": changes_stdout("\n a \n", "a"),
    "stdout-blank-lines-dropped": changes_stdout("\na\n \n\nb\n", "a\nb\n"),
    "stdout-trailing-spaces-stripped": changes_stdout("a \n b\t\r\nc ", "a\n b\r\nc"),
    "stdout-spaces-collapsed": changes_stdout("a   b  c", "a b c"),
    "stdout-tabs-expanded": changes_stdout("a\tb", "a    b"),
    "stdout-crlf-to-lf": changes_stdout("a\r\nb\rc\n", "a\nb\rc\n"),
    "stdout-lf-to-crlf": changes_stdout("a\nb\r\n", "a\r\nb\r\n"),
    "stdout-lines-reordered": changes_stdout("a\nb\nc\n", "c\nb\na\n"),
    "stdout-first-line-only": changes_stdout("a\nb\n", "a\n"),
    "stdout-last-line-lost": changes_stdout("a\nb\n", "a\n"),
    "stdout-doubled": changes_stdout("a\n", "a\na\n"),
    "stdout-dropped": changes_stdout("a\n", ""),
    "stdout-cut-at-64k": changes_stdout("x" * 65536, "x" * 65535),
    "stdout-html-escaped": changes_stdout("<&>", "&lt;&amp;&gt;"),
    "stdout-latin-1": changes_stdout("é", "Ã©"),
    "stdout-ascii-only": changes_stdout("aé", "a?"),
    "stdout-nfc-normalised": changes_stdout(DECOMPOSED, "é"),
    "stderr-merged-into-stdout": changes_streams("out\n" + ERROR, ""),
    "stderr-in-both": changes_streams("out\n" + ERROR, ERROR),
    "streams-swapped": changes_streams(ERROR, "out\n"),
    "stderr-lost": changes_streams("out\n", ""),
    "stderr-cut": changes_streams("out\n", ERROR[:100]),
    "stderr-last-line-only": changes_streams("out\n", "last\n"),
    "sys-exit-text-lost": Case(
        lambda client: [
            client.run(code)["stderr"][-4:] for code in ("exit('gone')", "raise OSError('here')")
        ],
        ["one\n", "ere\n"],
        ["", "ere\n"],
    ),
    "exit-code-nonzero-becomes-1": changes_codes([0, 2, 200], [0, 1, 1]),
    "exit-code-wrapped": changes_codes([0, 127, 200, 255], [0, 127, -56, -1]),
    "exit-code-7-bits": changes_codes([0, 127, 200], [0, 127, 72]),
    "exit-code-null-on-success": changes_codes([0, 1], [None, 1]),
    "exit-code-always-0": changes_codes([0, 42], [0, 0]),
    "exit-code-0-becomes-1": changes_codes([0, 3], [1, 3]),
    "exit-code-124-becomes-timeout": Case(
        ending("exit(124)"), ("", 124, None), ("", None, "SIGKILL")
    ),
    "broken-pipe-as-success": Case(killed_by_broken_pipe, 141, 0),
    "signal-death-as-success": Case(killed_by_signal, 139, 0),
    "signal-on-success": Case(lambda client: client.run("")["signal"], None, "SIGTERM"),
    "compile-errors-hidden": Case(compile_error, False, True),
    "compile-errors-only-in-compile": Case(
        lambda client: client.run("int main( {", language="c")["stderr"] == "", False, True
    ),
    "stdin-ignored": changes_stdin("a\n", "\n"),
    "stdin-trimmed": changes_stdin(" a \n", "a\n"),
    "stdin-newline-doubled": changes_stdin("a\n", "a\n\n"),
    "stdin-first-line-only": changes_stdin("a\nb\n", "a\n"),
    "stdin-blank-lines-dropped": changes_stdin("a\n\nb\n", "a\nb\n"),
    "stdin-cut-at-4k": changes_stdin("x" * 5000 + "\n", "x" * 4096 + "\n"),
    "stdin-crlf-to-lf": changes_stdin("a\r\n", "a\n"),
    "stdin-latin-1": changes_stdin("é\n", "Ã©\n"),
    "stdin-emoji-lost": changes_stdin("é😀\n", "é\n"),
    "stdin-byte-order-mark-lost": changes_stdin("\ufeffa\n", "a\n"),
    "stdin-nfc-normalised": changes_stdin(DECOMPOSED + "\n", "é\n"),
    "stdin-must-be-read": Case(
        lambda client: [client.run(code, stdin="a")["code"] for code in ("print(1)", ECHO)],
        [0, 0],
        [1, 0],
    ),
    "stdin-stays-open": Case(
        lambda client: client.run(ECHO, stdin="a", run_timeout=700)["status"], None, "TO"
    ),
    "args-ignored": changes_args(["a"], []),
    "args-joined": changes_args(["a", "b c"], ["a b c"]),
    "args-split-on-spaces": changes_args(["a", "b c"], ["a", "b", "c"]),
    "args-through-a-shell": changes_args(["a", '"b" c', "it's"], ["a", "b c", "its"]),
    "args-reordered": changes_args(["a", "b"], ["b", "a"]),
    "args-empty-dropped": changes_args(["a", "", "b"], ["a", "b"]),
    "files-only-first": Case(several_files(IMPORTS, MODULE), "module\n", ""),
    "files-sub-folders-flattened": Case(several_files(IMPORTS, MODULE), "module\n", ""),
    "files-base64-not-decoded": Case(several_files(READS, DATA), "hi\n", "aGk=\n"),
    "files-hex-not-decoded": Case(several_files(READS, HEX_DATA), "hi\n", "6869\n"),
    "files-latin-1": Case(lambda client: client.stdout("print('é')"), "é\n", "Ã©\n"),
    "files-outside-the-job-folder": Case(
        several_files({"content": "print(open('../x').read())"}, {"name": "../x", "content": "hi"}),
        400,
        "hi\n",
    ),
    "working-directory-elsewhere": Case(several_files(READS, DATA), "hi\n", ""),
    "files-leading-dot-lost": Case(
        several_files(LISTS, {"name": ".a", "content": ""}),
        "['.a', 'main.py']\n",
        "['a', 'main.py']\n",
    ),
    "files-names-ignored": Case(
        lambda client: several_files(SAYS_NAME)(client) == "main.py\n", True, False
    ),
    "files-last-is-program": Case(several_files(SAYS_NAME, OTHER), "main.py\n", "other\n"),
    "program-is-not-main": Case(
        lambda client: [client.stdout(f"{it}print(__name__)") for it in ("", "if 1: ")],
        ["__main__\n"] * 2,
        ["program\n"] * 2,
    ),
    "cached-by-code": Case(same_code_other_stdin, ["1\n", "2\n"], ["1\n", "1\n"]),
    "cached-by-request": Case(
        lambda client: len({client.stdout("import os; print(os.urandom(8))") for _ in range(2)}),
        2,
        1,
    ),
    "stale-answers": Case(two_programs, ["1\n", "2\n"], ["1\n", "1\n"]),
    "swapped-answers": Case(numbers_at_once, ["1\n", "2\n"], ["2\n", "1\n"]),
    "canned-answer": Case(two_programs, ["1\n", "2\n"], ["Hello, World!\n"] * 2),
    "mock-execution": Case(two_programs, ["1\n", "2\n"], ["Mock execution for python\n"] * 2),
    "language-ignored": Case(
        lambda client: client.run("echo bash; true", language="bash")["code"], 0, 1
    ),
    "invalid-utf8-fails": Case(ends("import os; os.write(1, b'a\\xffb')"), (0, None, ""), (
        1, "RE", "'utf-8' codec can't decode byte 0xff in position 1: invalid start byte\n")),
    "invalid-utf8-dropped": Case(writes(b"a\xffb"), "a\ufffdb", "ab"),
    "invalid-utf8-of-stderr-dropped": Case(
        lambda client: client.run("import os; os.write(2, b'a\\xffb')")["stderr"], "a\ufffdb", "ab"
    ),
    "nul-cuts-output": changes_stdout("a\0b", "a"),
    "nul-dropped": changes_stdout("a\0b", "ab"),
    "ansi-stripped": changes_stdout("\x1b[1;31mred\x1b[0m", "red"),
    "output-limit-hidden": Case(size_of_large_output, (200_001, 0), (131_072, 0)),
    "shared-working-directory": Case(leaves_behind("x"), ["False"] * 2, ["False", "True"]),
    "shared-home": Case(leaves_behind("~/x"), ["False"] * 2, ["False", "True"]),
    "shared-tmp": Case(leaves_behind("/tmp/x"), ["False"] * 2, ["False", "True"]),
    "shared-dev-shm": Case(leaves_behind("/dev/shm/x"), ["False"] * 2, ["False", "True"]),
    "shared-environment": Case(remembers_environment, ["None", "None"], ["None", "behind"]),
    "background-processes-survive": Case(survivors, "0", "1"),
    "secrets-in-environment": Case(secrets, "[]", "['AZURE_CLIENT_SECRET']"),
    "network-shared": Case(connects, False, True),
    "run-timeout-ignored": runs_out_of_time(IDLE, WHOLE),
    "run-timeout-ignored-when-busy": runs_out_of_time(BUSY, WHOLE),
    "run-timeout-ignored-when-idle": runs_out_of_time(IDLE, WHOLE),
    "run-timeout-in-whole-seconds": Case(ending(IDLE, run_timeout=1100), STOPPED, WHOLE),
    "run-timeout-too-early": Case(ending(IDLE, run_timeout=2400), WHOLE, STOPPED),
    "timeout-as-success": runs_out_of_time(IDLE, ("a\n", 0, None)),
    "timeout-as-exit-code-1": runs_out_of_time(IDLE, ("a\n", 1, None)),
    "timeout-loses-output": runs_out_of_time(IDLE, ("", None, "SIGKILL")),
    "broken-after-timeout": Case(after_timeout, ("1\n", False), (500, False)),
    "slow-after-timeout": Case(after_timeout, ("1\n", False), ("1\n", True)),
    "memory-limit-ignored": Case(memory, False, True),
    "background-child-holds-answer": Case(background_child, False, True),
    "processes-unlimited": Case(lambda client: client.stdout(MANY).strip(), "False", "True"),
    "processes-visible": Case(lambda client: client.stdout(SEEN).strip(), "False", "True"),
    "output-unlimited": Case(length_of_flood, 1 << 20, (3 << 20) + 1),
    "broken-after-flood": Case(after_flood, "1\n", 500),
    "capabilities-kept": Case(capability, False, True),
    "shared-var": Case(
        lambda client: client.run("open('/var/x', 'w').close()")["code"] == 0, False, True
    ),
    "out-of-memory-as-success": Case(
        ending("x = bytearray(400 << 20)", run_memory_limit=200 << 20),
        ("", 1, None),
        ("", 0, None),
    ),
    "closed-stdout-ends-program": Case(after_closing_stdout, 5, 0),
    "crashes-on-long-file-name": Case(long_file_name, 200, 500),
    "accepts-other-case": Case(posted({**VALID, "language": "Python"}), 400, 200),
    "accepts-latest": Case(posted({**VALID, "version": "latest"}), 400, 200),
    "broken-after-bad-request": Case(after_refusal, "1\n", 500),
    "runtimes-list-too-much": Case(listed_languages, True, False),
    "runtimes-aliases-unknown": Case(listed_aliases, True, False),
    "runtimes-versions-refused": Case(listed_version, True, False),
    "runtimes-lack-python": Case(
        lambda client: any(it["language"] == "python" for it in client.runtimes()), True, False
    ),
    "version-ranges-refused": Case(
        lambda client: [posted({**VALID, "version": it})(client) for it in ("*", "3", ">=3.0")],
        [200, 200, 200],
        [200, 400, 400],
    ),
    "runtimes-empty": Case(first_keys, ["aliases", "language", "version"], []),
    "runtimes-not-a-list": Case(lambda client: type(client.runtimes()), list, dict),
    "runtimes-without-aliases": Case(
        first_keys, ["aliases", "language", "version"], ["language", "version"]
    ),
    "answer-lacks-run": has("run"),
    "answer-lacks-version": has("version"),
    "answer-lacks-language": has("language"),
    "answer-lacks-code": in_run("code", "absent"),
    "answer-lacks-stdout": in_run("stdout", "absent"),
    "answer-lacks-stderr": in_run("stderr", "absent"),
    "answer-code-as-string": in_run("code", "0", healthy=0),
    "answer-stdout-null": in_run("stdout", None),
    "answer-stderr-null": in_run("stderr", None),
    "answer-stdout-as-lines": in_run("stdout", ["a", "b"], healthy="a\nb\n"),
    "answer-run-null": in_answer(lambda it: it["run"] is None, False, True),
    "answer-in-a-list": in_answer(type, dict, list),
    "answer-of-another-api": has("run"),
    "answer-signal-as-number": in_run("signal", 9, healthy=None),
    "answer-status-unknown": in_run("status", "OK", healthy=None),
    "answer-message-as-object": in_run("message", {}, healthy=None),
    "answer-output-as-list": in_run("output", [], healthy="a\nb\n"),
    "answer-wall-time-as-text": in_run("wall_time", "12 ms"),
    "answer-cpu-time-negative": in_run("cpu_time", -1),
    "answer-memory-as-text": in_run("memory", "12 MB"),
    "answer-memory-zero": Case(lambda client: client.run("")["memory"] == 0, False, True),
    "answer-wall-time-zero": Case(lambda client: client.run("")["wall_time"] == 0, False, True),
    "answer-cpu-time-huge": Case(
        lambda client: client.run("")["cpu_time"] == 86_400_000, False, True
    ),
    "answer-output-lacks-stderr": Case(
        lambda client: "last" in client.run(BOTH)["output"], True, False
    ),
    "answer-other-version": in_answer(lambda it: it["version"] == "3.1.4", False, True),
    "answer-compile-as-text": in_answer(lambda it: it.get("compile"), None, "ok"),
    "answer-echoes-language": Case(
        lambda client: client.answer("", language="py")["language"], "python", "py"
    ),
    "answer-echoes-version": in_answer(lambda it: it["version"] == "*", False, True),
    "sandbox-error-as-result": platform(None, "XX", ""),
    "platform-error-in-stderr": platform(1, "RE", "Azure Session Pool Error: 403 Forbidden\n"),
    "missing-settings-in-stderr": platform(
        1, "RE", "ERROR: POOL_MANAGEMENT_ENDPOINT not configured\n"
    ),
    "authentication-error-in-stderr": platform(
        1, "RE", "ERROR: Azure authentication failed: no credential could get a token\n"
    ),
    "executor-error-in-stderr": platform(1, "RE", "Piston API error: 502 Bad Gateway\n"),
    "everything-succeeds-empty": Case(
        lambda client: client.run("1 / 0")["code"], 1, 0
    ),
    "slow": Case(is_slow, False, True),
    "slow-first-request": Case(answer_times, [False, False], [True, False]),
    "simultaneous-refused": Case(refused_at_once, 0, 5),
    "one-at-a-time": Case(overlap, True, False),
    "memory-leaked": Case(keeps_memory, False, True),
    "1-in-25-drops-stdout": once_in_25(ECHO, "stdout"),
    "1-in-25-loses-exit-code": once_in_25("exit(3)", "code", 3),
    "1-in-25-ignores-stdin": once_in_25(ECHO, "stdout"),
    "1-in-25-crashes": once_in_25("", "code", 0),
    "1-in-25-stale": once_in_25(ECHO, "stdout", faulty=1),
    "1-in-50-crashes": Case(spoiled_requests("", 0, "code", 50), 0, 1),
    "after-150-loses-exit-code": since_151("exit(3)", "code", 3),
    "after-150-drops-stdout": since_151(ECHO, "stdout"),
    "after-150-crashes": since_151("", "code", 0),
    "trailing-slash-redirected": Case(posted(VALID, path="/api/v2/execute/"), 200, 307),
    "trailing-slash-not-found": Case(posted(VALID, path="/api/v2/execute/"), 200, 404),
    "get-execute-accepted": Case(status_of("/api/v2/execute"), 404, 200),
    "unknown-route-accepted": Case(status_of("/api/v2/nonesuch"), 404, 200),
    "html-error-page": everything(502),
    "html-page-as-200": Case(kind_of_body, "JSON", "<!DOC"),
    "redirect-to-login": everything(302),
    "unauthorised": everything(401),
    "forbidden": everything(403),
    "not-found": everything(404),
    "too-many-requests": everything(429),
    "server-error": everything(500),
    "unavailable": everything(503),
    "empty-answer": Case(kind_of_body, "JSON", ""),
    "connection-cut": Case(kind_of_body, "JSON", "cut"),
    "json-truncated": Case(kind_of_body, "JSON", '{"lan'),
    "never-answers": Case(answers_within_a_second, True, False),
    **{
        f"{verb}-{kind}": Case(probe, 415 if kind == "content-type" else 400, status)
        for kind, probe in BAD.items()
        for verb, status in (("accepts", 200), ("crashes-on", 500))
    },
}  # fmt: skip


TAKES_LONG = {
    *(f"after-150-{loss}" for loss in ("loses-exit-code", "drops-stdout")),
    *(f"1-in-25-{loss}" for loss in ("loses-exit-code", "ignores-stdin", "crashes")),
    "1-in-50-crashes",
}
"""Faults that show only after many requests, each like another one that is always tried."""


def test_every_fault_has_a_case() -> None:
    assert set(CASES) == set(FAULTS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.thorough) if name in TAKES_LONG else name
        for name in CASES
    ],
)
def test_fault_does_what_it_says(name: str, healthy: Client) -> None:
    case = CASES[name]
    assert case.probe(healthy) == case.healthy
    with serving(FAULTS[name]) as client:
        assert case.probe(client) == case.faulty


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_descriptions(fault: Fault) -> None:
    assert fault.name == fault.name.lower()
    assert " " not in fault.name
    assert fault.summary
    assert not fault.summary.endswith(".")
    assert fault.spoiler or fault.middleware


@pytest.mark.parametrize(
    ("name", "near"), [("stdout-droped", "stdout-dropped"), ("stdin", "stdin-")]
)
def test_unknown_name_gets_the_nearest(name: str, near: str) -> None:
    with pytest.raises(LookupError, match=near):
        find_fault(name)
