"""A run leaves no process, port or temporary file behind, however it ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from robot.api import ExecutionResult

from tests.robot_runs import (
    FEW_CASES,
    PROJECT,
    WITHOUT_LOADS,
    StartedRobot,
    environment,
    wait_until,
)

SOON = 10.0
"""Seconds within which everything must be gone, on a machine that is busy."""

SHARED_MEMORY = Path("/dev/shm")

LONG_PROGRAMS = """\
*** Settings ***
Resource    {resource}

*** Test Cases ***
Answers
    Execute Python    print("${{NONCE}}")

Sleeps
    FOR    ${{_}}    IN RANGE    30
        Execute Python    import subprocess; subprocess.run(["sleep", "2.5"])
    END

Never Reached
    Execute Python    print("${{NONCE}}")
"""


class Remains:
    """What runs leave: processes below this one, and files in a folder for temporary ones."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._processes = set(psutil.Process().children(recursive=True))
        self._shared = set(SHARED_MEMORY.iterdir())

    @property
    def processes(self) -> list[psutil.Process]:
        """Processes that were not there before and still run."""
        found = []
        for process in psutil.Process().children(recursive=True):
            if process in self._processes:
                continue
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() == psutil.STATUS_ZOMBIE:
                    self._reap(process.pid)
                else:
                    found.append(process)
        return found

    @staticmethod
    def _reap(pid: int) -> None:
        # An orphan; whatever this process started itself is waited for where it was started.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

    def environment(self, name: str) -> dict[str, str]:
        folder = self.temporary / name
        folder.mkdir()
        return environment(TMPDIR=str(folder))

    def check(self, url: str) -> None:
        """Show that everything is gone, or soon will be."""
        wait_until(
            lambda: not self.processes,
            SOON,
            lambda: str([process.cmdline() for process in self.processes]),
        )
        for folder in self.temporary.iterdir():
            assert not list(folder.iterdir())
        wait_until(
            lambda: set(SHARED_MEMORY.iterdir()) <= self._shared,
            SOON,
            lambda: str(set(SHARED_MEMORY.iterdir()) - self._shared),
        )
        address = urlsplit(url)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.hostname, address.port or 0), timeout=5).close()


@pytest.fixture
def remains(tmp_path: Path) -> Iterator[Remains]:
    """Let orphans of the runs become children of this process, where they can be seen."""
    set_child_subreaper(True)
    try:
        yield Remains(tmp_path)
    finally:
        set_child_subreaper(False)


def set_child_subreaper(on: bool) -> None:
    pr_set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, int(on), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def url_in(console: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", console)
    assert found, console
    return found[0]


def test_orphans_are_seen(remains: Remains) -> None:
    # Otherwise the tests below would show nothing.
    os.system("(sleep 60 &) > /dev/null")
    (orphan,) = remains.processes
    orphan.kill()
    wait_until(lambda: not remains.processes, SOON)


def test_two_runs_at_once_of_which_one_is_killed(tmp_path: Path, remains: Remains) -> None:
    options = ["--include", "must", *FEW_CASES, *WITHOUT_LOADS]
    first = StartedRobot(tmp_path / "a", *options, environ=remains.environment("a"))
    second = StartedRobot(tmp_path / "b", *options, environ=remains.environment("b"))
    with first, second:
        first.wait_for("T2.2")
        second.wait_for("T2.2")
        urls = {url_in(first.console), url_in(second.console)}
        second.process.kill()
        run = first.finish()
    assert run.returncode == 0, run.brief
    assert len(urls) == 2
    for url in urls:
        remains.check(url)


@pytest.mark.parametrize(
    "signals",
    [
        ("SIGINT",),
        pytest.param(("SIGINT", "SIGINT"), marks=pytest.mark.thorough),
        pytest.param(("SIGTERM",), marks=pytest.mark.thorough),
        ("SIGKILL",),
    ],
)
def test_run_that_is_ended_in_the_middle_of_a_program(
    tmp_path: Path, remains: Remains, signals: tuple[str, ...]
) -> None:
    suite = tmp_path / "long.robot"
    suite.write_text(LONG_PROGRAMS.format(resource=PROJECT / "resources" / "execution.resource"))
    with StartedRobot(
        tmp_path / "results", suites=suite, environ=remains.environment("run")
    ) as robot:
        robot.wait_for("Sleeps")
        wait_until(
            lambda: any(process.name() == "sleep" for process in remains.processes),
            SOON,
            "the program was not seen",
        )
        for number, name in enumerate(signals):
            if number:
                robot.wait_for("Second signal will force exit")
            robot.process.send_signal(signal.Signals[name])
        robot.process.wait(30)
        console = robot.console
    remains.check(url_in(console))
    if signals in (("SIGINT",), ("SIGTERM",)):
        assert robot.process.returncode == 2
        statuses = {
            test.name: test.status
            for test in ExecutionResult(tmp_path / "results" / "output.xml").suite.all_tests
        }
        assert statuses == {"Answers": "PASS", "Sleeps": "FAIL", "Never Reached": "FAIL"}
        assert (tmp_path / "results" / "log.html").exists()
    else:
        assert robot.process.returncode != 0


def test_run_without_a_usable_service_leaves_nothing(tmp_path: Path, remains: Remains) -> None:
    options = ["-v", "FAULT:no-such-fault", "--include", "T1.1"]
    with StartedRobot(tmp_path / "results", *options, environ=remains.environment("run")) as robot:
        run = robot.finish()
    assert run.returncode == 1
    remains.check("http://127.0.0.1:9")
