"""Running the suites as their users do, in a process of their own, and reading the outcome."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from robot.api import ExecutionResult

from codewitness.target.settings import KNOWN_SETTINGS

PROJECT = Path(__file__).resolve().parents[2]
SUITES = PROJECT / "suites"

FEW_CASES = ("-v", "CASES:hello-n-times,unicode-text,queens/sample/*")
"""Options that leave a run some of the test cases: all of them take longer than the rest."""

WITHOUT_LOADS = ("--exclude", "phase-3")
"""Options that leave out what has measurements of its own, which other tests here try."""

# Settings and credentials of whoever runs the tests must not reach the runs.
_NOT_INHERITED = (*KNOWN_SETTINGS, "BACKEND_", "AZURE_", "ROBOT_", "HTTP_PROXY", "HTTPS_PROXY")


@dataclass(frozen=True)
class Outcome:
    """The result of one test."""

    name: str
    status: str
    message: str
    tags: frozenset[str]
    full_name: str = ""


@dataclass(frozen=True)
class RobotRun:
    """What one run of Robot Framework gave.

    Attributes:
        testing: Seconds that the tests took, without the start and end of Robot Framework.
        seconds: Seconds from the start of the process to its end.
    """

    returncode: int
    console: str
    tests: tuple[Outcome, ...]
    metadata: Mapping[str, str]
    seconds: float
    folder: Path
    testing: float

    def having(self, status: str) -> dict[str, Outcome]:
        return {test.name: test for test in self.tests if test.status == status}

    @property
    def failed(self) -> dict[str, Outcome]:
        return self.having("FAIL")

    @property
    def passed(self) -> dict[str, Outcome]:
        return self.having("PASS")

    @property
    def skipped(self) -> dict[str, Outcome]:
        return self.having("SKIP")

    @property
    def brief(self) -> str:
        """What failed, for the message of an assertion."""
        lines = [f"{test.name}: {test.message[:300]}" for test in self.failed.values()]
        return "\n".join(lines) or self.console[-2000:]


def environment(**values: str) -> dict[str, str]:
    """Return this process's environment without what would configure a run."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_NOT_INHERITED)
    }
    # Whether Locust happens to be installed must not change what is skipped.
    return {**kept, "LOCUST": "none", **values}


def command(folder: Path, *options: str, suites: Path | str = SUITES) -> list[str]:
    """Return the command line that a user would type."""
    return [sys.executable, "-m", "robot", "--outputdir", str(folder), *options, str(suites)]


def run_robot(
    folder: Path,
    *options: str,
    suites: Path | str = SUITES,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 240,
) -> RobotRun:
    """Run suites and return the outcome.

    Args:
        folder: Folder for output.xml and the rest.
        options: Options of ``robot``.
        suites: What to run.
        environ: Environment, by default this one's without settings.
        cwd: Working directory.
        timeout: Seconds after which the run has failed.
    """
    with StartedRobot(folder, *options, suites=suites, environ=environ, cwd=cwd) as robot:
        return robot.finish(timeout)


class StartedRobot:
    """A run that goes on while a test watches or disturbs it; killed when the test is through.

    Args:
        folder: Folder for output.xml and the rest; the console is kept beside it.
        options: Options of ``robot``.
        suites: What to run.
        environ: Environment, by default this one's without settings.
        cwd: Working directory.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        suites: Path | str = SUITES,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._folder = folder
        self._console = folder.with_name(f"{folder.name}-console.txt")
        self._start = time.monotonic()
        with self._console.open("wb") as console:
            self.process = subprocess.Popen(
                command(folder, *options, suites=suites),
                env=environment() if environ is None else environ,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> StartedRobot:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def console(self) -> str:
        """What was printed so far."""
        return self._console.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, timeout: float = 60) -> None:
        """Wait until the console has a text."""
        wait_until(
            lambda: text in self.console or self.process.poll() is not None,
            timeout,
            lambda: f"no '{text}' in: {self.console}",
        )
        assert text in self.console, self.console

    def finish(self, timeout: float = 240) -> RobotRun:
        """Wait for the end and return the outcome."""
        self.process.wait(timeout)
        seconds = time.monotonic() - self._start
        output = self._folder / "output.xml"
        assert output.exists(), self.console
        suite = ExecutionResult(output).suite
        tests = tuple(
            Outcome(
                test.name, test.status, test.message, frozenset(map(str, test.tags)), test.full_name
            )
            for test in suite.all_tests
        )
        return RobotRun(
            self.process.returncode,
            self.console,
            tests,
            dict(suite.metadata.items()),
            seconds,
            self._folder,
            suite.elapsed_time.total_seconds(),
        )


def wait_until(
    holds: Callable[[], object], timeout: float, told: Callable[[], str] | str = ""
) -> None:
    """Wait until something holds; fail with what is ``told`` when it does not in time."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(told if isinstance(told, str) else told())
        time.sleep(0.05)
