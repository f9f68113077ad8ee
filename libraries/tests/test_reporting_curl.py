"""The command line that repeats a request, run for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.model import ExecutionRequest, Limits, SourceFile
from codewitness.execution.piston import request_to_json
from codewitness.reporting.curl import curl_line
from tests.scripted_server import ScriptedServer, always, good

AWKWARD = 'it\'s "$HOME" `id` $(id) \\ \\n %s !! # ~ * ; & | < >'


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    assert shutil.which("curl"), "these tests need curl on PATH"
    server = ScriptedServer(always(good()))
    yield server
    server.stop()


def run(line: str, server: ScriptedServer, **environ: str) -> tuple[str, dict[str, str], bytes]:
    """Run a command as pasted into a shell; return request line, headers and body that came."""
    server.requests.clear()
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, timeout=60, env=kept | environ, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (it.partition(":") for it in lines)
    }
    return first, headers, body


@pytest.mark.parametrize(
    "request_",
    [
        ExecutionRequest("python", (SourceFile(b"print('hi')\n"),)),
        ExecutionRequest(
            "c++",
            (SourceFile(AWKWARD.encode(), "a b.cpp"), SourceFile(b"\0\xff", encoding="base64")),
            version=">=3 || <2",
            stdin="é \0 \x1b 中 🙂\r\n\t".encode(),
            args=("", AWKWARD, "-x", "@file"),
            limits=Limits(run_timeout=500.5, run_memory_limit=10**8),
        ),
    ],
    ids=["simple", "awkward"],
)
def test_execution_is_repeated_to_the_letter(
    server: ScriptedServer, request_: ExecutionRequest
) -> None:
    body = request_to_json(request_)
    line = curl_line(f"{server.url}/api/v2/execute", body)
    assert line.isascii()
    assert "\n" not in line
    first, headers, sent = run(line, server)
    assert first == "POST /api/v2/execute HTTP/1.1"
    assert headers["content-type"] == "application/json"
    assert json.loads(sent) == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"@/etc/hostname",
        b"-n %d \\t",
        AWKWARD.encode(),
        b"two\nlines\n",
        bytes(range(256)),
        "é ❤\ufe0f \u200b".encode(),
    ],
)
def test_raw_body_is_repeated_to_the_byte(server: ScriptedServer, body: bytes) -> None:
    line = curl_line(f"{server.url}/x", body, headers={"X-Empty": "", "X-Told": "it's; so"})
    _, headers, sent = run(line, server)
    assert sent == body
    assert "content-type" not in headers
    assert headers["x-empty"] == ""
    assert headers["x-told"] == "it's; so"


@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", None), ("POST", None), ("HEAD", None), ("PUT", b"x"), ("GET", b"x"), ("DELETE", None)],
)
def test_method_is_repeated(server: ScriptedServer, method: str, body: bytes | None) -> None:
    url = f"{server.url}/a/../b?q={{1,2}}&r=[1-3]"
    line = curl_line(url, body, method=method)
    if method == "HEAD":
        # The scripted server sends a body, for which curl rightly complains.
        line += "; true"
    first, _, sent = run(line, server)
    assert first == f"{method} /a/../b?q={{1,2}}&r=[1-3] HTTP/1.1"
    assert sent == (body or b"")


def test_credentials_come_from_the_shell(server: ScriptedServer) -> None:
    credentials = BackendCredentials(authorization="Bearer s3cr3t-value", api_key="k-987654321")
    line = curl_line(server.url, {}, credentials.curl_options())
    assert "s3cr3t" not in line
    assert "987654321" not in line
    _, headers, _ = run(
        line, server, BACKEND_AUTHORIZATION="Bearer s3cr3t-value", BACKEND_API_KEY="k-987654321"
    )
    assert headers["authorization"] == "Bearer s3cr3t-value"
    assert headers["x-api-key"] == "k-987654321"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"files": [{"content": 'token = "s3cr3t-value"'}]}, None),
        ({"files": [{"content": 'password = "hunter2-hunter2"'}]}, None),
        (b"Authorization: Bearer hunter2-hunter2", None),
        (None, {"Authorization": "Bearer hunter2-hunter2", "Cookie": "a=hunter2-hunter2"}),
        (None, {"X-Functions-Key": "hunter2-hunter2"}),
    ],
)
def test_no_secret_is_shown(
    body: Mapping[str, Any] | bytes | None,
    headers: Mapping[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BACKEND_API_KEY", "s3cr3t-value")
    url = "http://user:hunter2-hunter2@localhost/x?sig=hunter2-hunter2"
    line = curl_line(url, body, headers=headers)
    assert "s3cr3t" not in line
    assert "hunter2" not in line
    assert "<redacted>" in line


def test_long_body_is_taken_from_a_file(server: ScriptedServer, tmp_path: Path) -> None:
    content = os.urandom(3000)
    file = tmp_path / "it's a body.bin"
    file.write_bytes(content)
    line = curl_line(server.url, content, body_file=str(file))
    assert len(line) < 300
    assert run(line, server)[2] == content
