"""Load from several workers with the real Locust, which is installed in an environment of its own.

Where it is missing, these fail: what is thorough is not skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web

from codewitness.distributed.plan import LoadPlan
from codewitness.measuring.samples import OK, Run, count_outcomes, read_run
from codewitness.target.locust_run import INSTALL, LoadBroken, Workers, find_locust, run_load
from tests.load_server import echo, load_server
from tests.processes_by_mark import MARK, marked
from tests.robot_runs import environment, run_robot, wait_until

pytestmark = pytest.mark.thorough

ANSWERS = "Two Workers Get Their Own Answers"
WARM = "Warm Executions Of Two Workers Meet The Plan"


@pytest.fixture(scope="module")
def locust() -> Path:
    found = find_locust()
    assert found is not None, f"Locust is not installed; {INSTALL}"
    return found


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Mark what a test starts, and see that nothing of it is left."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield mark
    own = {os.getpid()}
    left = [it.cmdline() for it in marked(mark) if it.pid not in own]
    assert not left


@contextmanager
def keyed_server(key: str) -> Iterator[str]:
    """Serve the execute API to whoever sends a key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            let_in = self.headers["X-API-Key"] == key
            run = {"stdout": told["stdin"], "stderr": "", "output": "", "code": 0, "signal": None}
            answer = {"language": "python", "version": "3.10.0", "run": run} if let_in else {}
            body = json.dumps(answer).encode()
            self.send_response(200 if let_in else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def started(mark: str, option: str) -> list[psutil.Process]:
    return [it for it in marked(mark) if option in it.cmdline()]


def test_workers_share_a_plan_and_hand_back_every_sample(
    locust: Path, tmp_path: Path, mark: str
) -> None:
    assert mark
    with load_server(echo) as url:
        plan = LoadPlan(url, 20, 3, workers=3, warm_up=1)
        run = run_load(plan, locust, tmp_path)
    assert count_outcomes(run.samples) == {OK: 72}
    assert [it.planned for it in run.samples] == list(plan.schedule.starts)
    assert run.generator is not None
    assert run.generator.planned == 72
    for index in range(3):
        part = read_run(tmp_path / f"worker-{index + 1}.jsonl")
        assert {it.number for it in part.samples} == dict(plan.share(index)).keys()
    kept = read_run(tmp_path / "all.jsonl")
    assert kept == Run(run.samples, run.generator, json.loads(json.dumps(dict(run.header))))


def test_failures_have_the_names_that_other_clients_give_them(
    locust: Path, tmp_path: Path, mark: str
) -> None:
    assert mark

    async def broken(number: int, body: dict[str, Any]) -> web.StreamResponse:
        if number % 4 == 0:
            return web.json_response({"message": "no"}, status=503)
        if number % 4 == 1:
            return web.Response(
                text="<html><title>Sign in</title></html>", content_type="text/html"
            )
        if number % 4 == 2:
            raise web.HTTPFound("/login")
        return await echo(number, body)

    with load_server(broken) as url:
        run = run_load(LoadPlan(url, 16, 1, warm_up=0), locust, tmp_path)
    assert count_outcomes(run.samples) == {
        "HTTP 503": 4,
        "answer is not the execute API's": 4,
        "HTTP 302": 4,
        OK: 4,
    }
    run = run_load(LoadPlan("http://127.0.0.1:9", 16, 1, warm_up=0), locust, tmp_path)
    assert count_outcomes(run.samples) == {"nothing listening": 16}


def test_lost_worker_breaks_the_load(locust: Path, tmp_path: Path, mark: str) -> None:
    def kill() -> None:
        wait_until(lambda: (tmp_path / "worker-2.jsonl").exists(), 60)
        started(mark, "--worker")[0].kill()

    with load_server(echo) as url:
        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(LoadBroken, match=r"of this machine ended with|workers were lost"):
            run_load(LoadPlan(url, 20, 30), locust, tmp_path)
        killer.join()


def test_worker_that_never_comes_breaks_the_load(locust: Path, tmp_path: Path, mark: str) -> None:
    assert mark
    workers = Workers(remote=1, connect_within=3)
    with pytest.raises(LoadBroken, match="Gave up waiting for workers"):
        run_load(LoadPlan("http://127.0.0.1:9", 1, 1), locust, tmp_path, workers=workers)


def test_killed_owner_leaves_no_process(
    locust: Path, tmp_path: Path, mark: str, project_root: Path
) -> None:
    with load_server(echo) as url:
        arguments = ["load", "--endpoint", url, "--seconds", "60", "--output", str(tmp_path)]
        program = str(project_root / "libraries" / "codewitness")
        command = [sys.executable, program, *arguments, "--locust", str(locust)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as owner:
            wait_until(lambda: (tmp_path / "worker-2.jsonl").exists(), 60)
            assert len(started(mark, "--worker")) == 2
            owner.kill()
        wait_until(lambda: not started(mark, "-f"), 30, lambda: str(marked(mark)))


def test_worker_on_another_machine_takes_part(
    locust: Path, tmp_path: Path, mark: str, project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mark
    monkeypatch.setenv("BACKEND_API_KEY", "canary-of-the-load")
    program = str(project_root / "libraries" / "codewitness")
    with keyed_server("canary-of-the-load") as url:
        load = ["load", "--endpoint", url, "--seconds", "6", "--remote-workers", "1"]
        master = subprocess.Popen(
            [sys.executable, program, *load, "--output", str(tmp_path), "--locust", str(locust)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        worker = subprocess.Popen(
            [sys.executable, program, "load-worker", "--master", "127.0.0.1"],
            stdin=subprocess.DEVNULL,
        )
        try:
            said, _ = master.communicate(timeout=120)
            assert worker.wait(30) == 0
        finally:
            for process in (master, worker):
                process.kill()
                process.wait()
    assert "PASS: every request gets its own, right answer; all 68 did" in said
    for file in tmp_path.iterdir():
        assert "canary-of-the-load" not in file.read_text()


@pytest.mark.parametrize(
    ("options", "failed", "words"),
    [
        ((), (), ""),
        (("-v", "FAULT:swapped-answers"), (ANSWERS,), "another request's answer"),
        (("-v", "FAULT:slow"), (WARM,), "p50 of the response time is below"),
    ],
)
def test_suite_finds_what_is_wrong(
    locust: Path, tmp_path: Path, options: tuple[str, ...], failed: tuple[str, ...], words: str
) -> None:
    run = run_robot(
        tmp_path / "results", "--suite", "*.Distributed Load", "-v", f"LOCUST:{locust}", *options
    )
    assert set(failed) <= run.failed.keys(), run.console
    assert all(words in run.failed[name].message for name in failed)
    if not failed:
        assert run.passed.keys() == {ANSWERS, WARM}, run.console
        assert run.testing < 60


def test_suite_is_skipped_without_locust(tmp_path: Path) -> None:
    run = run_robot(
        tmp_path / "results",
        *("--suite", "*.Distributed Load", "--suite", "*.1 Basic Code Execution.Programs"),
        *("-v", "LOCUST:none"),
        environ=environment(),
    )
    assert run.returncode == 0, run.brief
    assert {it.message.partition(",")[0] for it in run.skipped.values()} == {
        "Locust is not installed"
    }
    assert run.skipped.keys() == {ANSWERS, WARM}
