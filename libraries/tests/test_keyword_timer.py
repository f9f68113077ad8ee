from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SUITE = """\
*** Test Cases ***
Wait
    FOR    ${round}    IN RANGE    3
        No Operation
        Sleep    0.05s
    END
"""


class Recorder(BaseHTTPRequestHandler):
    """Answers every POST and remembers what it got."""

    protocol_version = "HTTP/1.1"
    bodies: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append((self.path, body))
        self.send_response(200 if body == b"{}" else 400)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Recorder.bodies = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run_robot(
    project_root: Path, folder: Path, server: ThreadingHTTPServer, body: str
) -> tuple[str, list[tuple[float, float]]]:
    suite, request, samples = folder / "wait.robot", folder / "body.json", folder / "pairs.json"
    suite.write_text(SUITE)
    request.write_text(body)
    url = f"http://127.0.0.1:{server.server_port}/api/v2/execute"
    timer = "codewitness.embedded.keyword_timer.KeywordTimer"
    listener = ";".join([timer, "Sleep", url, str(request), str(samples)])
    options = ["--output", "NONE", "--log", "NONE", "--report", "NONE", "--listener", listener]
    robot = subprocess.run(
        [sys.executable, "-m", "robot", *options, "--pythonpath", "libraries", str(suite)],
        cwd=project_root,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return robot.stdout, json.loads(samples.read_text())


def test_every_call_of_the_keyword_is_paired_with_a_bare_call(
    project_root: Path, tmp_path: Path, server: ThreadingHTTPServer
) -> None:
    _, pairs = run_robot(project_root, tmp_path, server, "{}")
    assert Recorder.bodies == [("/api/v2/execute", b"{}")] * 3
    assert len(pairs) == 3
    assert all(0.05 <= keyword < 30 and 0 < call < 30 for keyword, call in pairs)


def test_refused_bare_call_is_no_sample(
    project_root: Path, tmp_path: Path, server: ThreadingHTTPServer
) -> None:
    console, pairs = run_robot(project_root, tmp_path, server, "[]")
    assert not pairs
    assert "HTTP 400 from /api/v2/execute" in console
