"""Programs that look for what must not be there find it, and so does the keyword with them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from codewitness.embedded.service import start_service
from tests.front_door import Call, FrontDoor, Reply
from tests.robot_runs import PROJECT, run_robot

PROGRAMS = PROJECT / "resources" / "programs"

WORKERS = 4

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def output_of(
    program: str, stdin: str = "", environ: Mapping[str, str] | None = None, code: str = ""
) -> str:
    """Run a program as it stands, with ``code`` before it, and return its stdout."""
    source = code + (PROGRAMS / program).read_text(encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", source],
        input=stdin,
        env=None if environ is None else {"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://u:pw@h/d"),
        ("BROKER", "redis://:pw@h:6379"),
        ("DB_PWD", "x"),
        ("APPINSIGHTS_INSTRUMENTATIONKEY", "00000000-0000-0000-0000-000000000001"),
        ("STORAGE", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=YQ==;"),
        ("SQL", "Server=db;User Id=sa;Password=x"),
        ("DOWNLOAD", "https://a.example/b?sv=2024&sig=x"),
        ("SESSION", TOKEN),
        ("HEADER", f"Bearer {TOKEN}"),
        ("AZURE_CLIENT_SECRET", "x"),
        ("BACKEND_API_KEY", "x"),
        ("IDENTITY_ENDPOINT", "http://localhost:42356/msi/token"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("GITHUB_TOKEN", "x"),
    ],
)
def test_secret_is_named_and_not_shown(name: str, value: str) -> None:
    assert output_of("look_for_secrets.py", environ={name: value}) == f"@NONCE@ ['{name}']\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        ("PYTHON_SHA256", "8d3ed8ec5c88c1c95f5e558612a725450d2452813ddad5e58fdb1a53b1209b78"),
        ("PWD", "/home/runner"),
        ("OLDPWD", "/"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("AWS_REGION", "eu-central-1"),
        ("HOMEPAGE", "https://a.example:8080/user@b"),
        ("LS_COLORS", "rs=0:di=01;34:ln=01;36"),
        ("SSH_ASKPASS", "/usr/bin/ssh-askpass"),
    ],
)
def test_what_is_no_secret_is_not_named(name: str, value: str) -> None:
    assert output_of("look_for_secrets.py", environ={name: value}) == "@NONCE@ []\n"


def test_connection_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        told = output_of("connect.py", stdin=f"127.0.0.1 {port}\n")
    assert told == f"@NONCE@ reached port {port} on 127.0.0.1\n"


def test_port_where_nothing_listens_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert output_of("connect.py", stdin=f"127.0.0.1 {port}\n") == "@NONCE@ no way there\n"


def test_look_up_that_takes_long_is_not_waited_for() -> None:
    slow = "import socket, time\nsocket.getaddrinfo = lambda *_: time.sleep(45)\n"
    start = time.monotonic()
    assert output_of("connect.py", stdin="a.example 80\n", code=slow) == "@NONCE@ no way there\n"
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("kind", ["file", "variable", "process"])
def test_trace_is_found_without_walls(tmp_path: Path, kind: str) -> None:
    environ = {"HOME": str(tmp_path)}
    left = output_of(f"leave_{kind}.py", str(tmp_path), environ)
    assert left == "@NONCE@ left\n"
    if kind == "variable":
        assert "LEFT_BEHIND=@NONCE@" in (tmp_path / ".profile").read_text(encoding="utf-8")
        environ["LEFT_BEHIND"] = "@NONCE@"
    found = output_of(f"look_for_{kind}.py", str(tmp_path), environ)
    assert found == f"@NONCE@ a {kind} of the run before is there\n"


def test_folder_that_is_not_writable_is_told(tmp_path: Path) -> None:
    told = output_of("leave_file.py", str(tmp_path / "missing"))
    assert told.startswith("@NONCE@ left nothing: ")
    assert "is not writable" in told


def test_what_only_the_same_worker_shows_is_found(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        arguments = ["backend", "--port", "0", "--fault", "shared-tmp"]
        workers = [stack.enter_context(start_service(arguments)).url for _ in range(WORKERS)]

        def in_turn(call: Call) -> Reply | None:
            if call.method != "POST":
                return None
            url = workers[call.number % WORKERS].rstrip("/") + call.path
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(url, call.body, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Reply(answer.status, answer.read())

        door = stack.enter_context(FrontDoor(workers[0], in_turn))
        options = ["-v", f"ENDPOINT:{door.url}", "--test", "No File Survives In *m*"]
        run = run_robot(tmp_path / "results", *options)
    # One folder by two names.
    assert set(run.failed) == {"No File Survives In Tmp", "No File Survives In Var Tmp"}, run.brief
    assert run.passed
    assert "of 10 runs differ" in run.failed["No File Survives In Tmp"].message
