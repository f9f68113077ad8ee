"""No secret reaches anything that a run writes, prints or hands to a process."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from codewitness.embedded.service import start_service
from tests.front_door import Call, FrontDoor, Reply
from tests.robot_runs import RobotRun, StartedRobot, environment

# The middle of each is plain, so that it is found however its neighbours are escaped.
CORES = ("Canary4Authorization7", "Canary4ApiKey7")
SECRETS = {
    "BACKEND_AUTHORIZATION": f"Bearer t0p+/\"<&'{CORES[0]}\\%41=",
    "BACKEND_API_KEY": f"k3y {{\"<&'{CORES[1]}\\%41}}",
}
HEADERS = {"authorization": "BACKEND_AUTHORIZATION", "x-api-key": "BACKEND_API_KEY"}


def traces_of(content: bytes) -> list[str]:
    """Return the secrets that some bytes hold: as they are, encoded, or packed as in log.html."""
    packed = re.findall(rb'"\*(eN[\w+/]+=*)"', content)
    unpacked = [zlib.decompress(base64.b64decode(text)) for text in packed]
    everything = b"\n".join([content, *unpacked])
    found = []
    for core in CORES:
        raw = core.encode()
        # Three positions within the groups of three bytes; what depends on neighbours is cut off.
        encoded = [base64.b64encode(b"\0" * n + raw)[4:-4] for n in range(3)]
        if any(form in everything for form in (raw, raw.hex().encode(), *encoded)):
            found.append(core)
    return found


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    "written", ["{}", "Basic {}", '"*{}"'], ids=["plain", "base64", "packed in log.html"]
)
def test_traces_would_be_found(core: str, written: str) -> None:
    forms = {
        "{}": f"before{core}after".encode(),
        "Basic {}": base64.b64encode(f"user:{core}!".encode()),
        '"*{}"': base64.b64encode(zlib.compress(f"before {core} after".encode(), 9)),
    }
    assert traces_of(written.encode().replace(b"{}", forms[written])) == [core]


def told_back(headers: Mapping[str, str]) -> list[str]:
    """Return the credentials of a request in the forms in which servers tell them back."""
    values = [headers[name] for name in HEADERS if name in headers]
    return [
        form
        for value in values
        for form in (value, value.partition(" ")[2], html.escape(value), quote(value, safe=""))
    ]


def gossip(call: Call) -> Reply | None:
    """Ask for both credentials, and spread them in most answers."""
    for header, name in HEADERS.items():
        if call.headers.get(header) != SECRETS[name]:
            return Reply(401, json.dumps({"message": f"bad {call.headers.get(header)}"}).encode())
    told = told_back(call.headers)
    result = {"language": "python", "version": "3.11.2", "run": {"stderr": "", "code": 0}}
    replies = {
        2: Reply(500, json.dumps({"message": f"broken: {told}"}).encode()),
        3: Reply(200, json.dumps(result | {"run": {"stdout": "\n".join(told)}}).encode()),
        4: Reply(401, "\n".join(told).encode(), "text/plain"),
        5: Reply(302, b"", location=f"https://login.example/{quote(told[0])}?t={quote(told[1])}"),
        6: Reply(200, "\n".join(told).encode(), "text/html"),
        7: Reply(403, json.dumps({"stack": f"Error: {told}\n  at /srv/{told[0]}:1"}).encode()),
        8: Reply(200, json.dumps(with_stdout("\n".join([*told, "x" * 3000]))).encode()),
        9: Reply(400, json.dumps({"message": f"{told[0]}-* runtime is unknown"}).encode()),
        10: Reply(200, json.dumps({**with_stdout("1\n"), "version": told[0]}).encode()),
    }
    return replies.get(call.number % 12)


def with_stdout(stdout: str) -> dict[str, object]:
    run = {"stdout": stdout, "stderr": stdout, "code": 0, "message": stdout}
    return {"language": "python", "version": "3.11.2", "run": run}


def watch(robot: StartedRobot) -> Iterator[str]:
    """Yield the command lines of a run and of all that it starts, until it ends."""
    root = psutil.Process(robot.process.pid)
    while robot.process.poll() is None:
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                yield "\0".join(process.cmdline())
        time.sleep(0.1)


def run_watched(folder: Path, *options: str, **secrets: str) -> RobotRun:
    """Run suites with secrets in the environment and everything written down; check it all."""
    everything = ["--loglevel", "TRACE", "--xunit", "xunit.xml", "--debugfile", "debug.txt"]
    environ = environment(**secrets)
    with StartedRobot(folder, *everything, *options, environ=environ) as robot:
        for line in watch(robot):
            assert not traces_of(line.encode())
        run = robot.finish()
    assert not traces_of(run.console.encode()), run.console
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"output.xml", "log.html", "xunit.xml", "debug.txt"}
    leaks = {str(path): traces_of(path.read_bytes()) for path in files}
    assert not {path: found for path, found in leaks.items() if found}
    return run


def test_failures_of_a_service_that_tells_credentials_back(tmp_path: Path) -> None:
    sections = [
        "--exclude",
        "T4.*",
        "--exclude",
        "R1",
        "--exclude",
        "P?",
        "--exclude",
        "language-*",
        "--exclude",
        "rehearsal",
    ]
    with (
        start_service(["backend", "--port", "0"]) as service,
        FrontDoor(service.url, gossip) as door,
    ):
        run = run_watched(tmp_path / "results", *sections, "-v", f"ENDPOINT:{door.url}", **SECRETS)
    assert len(run.failed) > 30
    assert len(run.passed) > 10
    messages = "\n".join(test.message for test in run.failed.values())
    assert "<redacted>" in messages
    assert '-H "X-API-Key: $BACKEND_API_KEY" -H "Authorization: $BACKEND_AUTHORIZATION"' in messages
    assert (tmp_path / "results" / "bodies").is_dir()


def test_credential_that_is_refused(tmp_path: Path) -> None:
    wrong = {name: value.replace("%41", "%42") for name, value in SECRETS.items()}
    with FrontDoor("http://127.0.0.1:9", gossip) as door:
        run = run_watched(tmp_path / "results", "-v", f"ENDPOINT:{door.url}", **wrong)
    assert not run.passed
    assert "401" in run.tests[0].message


def test_credential_that_cannot_be_sent(tmp_path: Path) -> None:
    broken = {"BACKEND_AUTHORIZATION": SECRETS["BACKEND_AUTHORIZATION"] + "\nnext line"}
    run = run_watched(tmp_path / "results", "-v", "ENDPOINT:http://127.0.0.1:9", **broken)
    assert not run.passed
    assert "BACKEND_AUTHORIZATION" in run.tests[0].message


def test_credentials_are_not_for_the_embedded_backend(tmp_path: Path) -> None:
    options = ["--include", "T1.1", "--include", "T5.1", "--test", "*.Environment Holds No Secrets"]
    run = run_watched(
        tmp_path / "results", "--test", "*.T1.1 *", "--test", "*.T5.1 *", *options[4:], **SECRETS
    )
    assert run.returncode == 0, run.brief
    assert len(run.passed) == 3


def test_credentials_go_with_every_request_when_the_service_wants_them(tmp_path: Path) -> None:
    def strict(call: Call) -> Reply | None:
        sent = {name: call.headers.get(header) for header, name in HEADERS.items()}
        return None if sent == SECRETS else Reply(401, b'{"message": "who are you?"}')

    tests = ["--test", "*.T1.1 *", "--test", "*.T5.1 *", "--suite", "*.Runtimes"]
    with (
        start_service(["backend", "--port", "0"]) as service,
        FrontDoor(service.url, strict) as door,
    ):
        run = run_watched(tmp_path / "results", "-v", f"ENDPOINT:{door.url}", *tests[:4], **SECRETS)
    assert run.returncode == 0, run.brief
    assert len(run.passed) == 2
    assert len(door.calls) > 3
