"""Ten clients with a process each, as pabot starts them."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from robot.api import ExecutionResult

from tests.processes_by_mark import MARK, marked
from tests.robot_runs import PROJECT, SUITES, Outcome, environment, run_robot, wait_until

SUITE = SUITES / "4__concurrency" / "4__ten_clients.robot"
FIRST = "Client 1 Of 10 And All Ten Together"
TOGETHER = "10 clients at once"
SOON = 20.0

SKIPS_ALL = """\
*** Settings ***
Library    {library}

*** Test Cases ***
{tests}
"""
SKIPPED = """\
Skipped {number}
    Requires Language    no-such-language
"""


@dataclass(frozen=True)
class PabotRun:
    """What one run of pabot gave."""

    returncode: int
    console: str
    tests: Mapping[str, Outcome]
    metadata: Mapping[str, str]
    log: str

    @property
    def failed(self) -> dict[str, str]:
        return {it.name: it.message for it in self.tests.values() if it.status == "FAIL"}


class StartedPabot:
    """A run of pabot as in the README, with temporary files and processes of its own."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        suite: Path = SUITE,
        processes: int = 10,
        split: Sequence[str] = ("--testlevelsplit",),
    ) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._results = folder / "results"
        self._console = folder / "console.txt"
        python = Path(sys.executable)
        with self._console.open("wb") as console:
            self.process = subprocess.Popen(
                [
                    *(str(python.with_name("pabot")), *split),
                    *("--processes", str(processes), "--pabotlibport", "0"),
                    *("--command", str(python), "-m", "robot", "--end-command"),
                    *(*options, "--outputdir", str(self._results), str(suite)),
                ],
                env=environment(TMPDIR=str(self.temporary), **{MARK: self.mark}),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> StartedPabot:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for process in marked(self.mark):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    @property
    def console(self) -> str:
        return self._console.read_text(encoding="utf-8", errors="replace")

    def worker(self, test: str) -> psutil.Process:
        """Wait until a test has its process, and return that."""
        pattern = rf"PID:(\d+)\].*EXECUTING .*{test}"
        wait_until(lambda: re.search(pattern, self.console), 60, lambda: self.console)
        found = re.search(pattern, self.console)
        assert found
        return psutil.Process(int(found[1]))

    def wait_until_all_are_connected(self) -> None:
        """Wait until the processes of all tests have come to the place where they meet."""

        def count() -> int:
            folders = list(self.temporary.glob("codewitness-run-*"))
            services = [it for it in marked(self.mark) if folders and str(folders[0]) in _words(it)]
            return sum(len(_connections(it)) for it in services)

        wait_until(lambda: count() >= 10, 60, lambda: self.console)

    def finish(self, within: float = 240) -> PabotRun:
        self.process.wait(within)
        self.check_nothing_is_left()
        output = self._results / "output.xml"
        assert output.exists(), self.console
        suite = ExecutionResult(output).suite
        tests = {
            it.name: Outcome(it.name, it.status, it.message, frozenset(map(str, it.tags)))
            for it in suite.all_tests
        }
        log = output.read_text(encoding="utf-8")
        metadata = dict(suite.metadata.items())
        return PabotRun(self.process.returncode, self.console, tests, metadata, log)

    def check_nothing_is_left(self) -> None:
        wait_until(
            lambda: not marked(self.mark),
            SOON,
            lambda: str([_words(it) for it in marked(self.mark)]),
        )
        assert not list(self.temporary.iterdir())


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _connections(process: psutil.Process) -> list[object]:
    try:
        return [it for it in process.net_connections("tcp") if it.status == "ESTABLISHED"]
    except psutil.Error:
        return []


@pytest.fixture
def folder() -> Iterator[Path]:
    # Short: pabot makes paths of it that some systems find too long.
    with tempfile.TemporaryDirectory(prefix="pabot-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def test_ten_processes_overlap_and_leave_nothing(folder: Path) -> None:
    with StartedPabot(folder) as pabot:
        run = pabot.finish()
    assert run.returncode == 0, run.console
    assert len(run.tests) == 10
    assert not run.failed
    told = run.metadata[TOGETHER]
    assert told.startswith("a process each: 10 requests sent within "), told
    assert "10 right answers, 0 wrong ones, 0 failures; greatest overlap 10 of 10" in told
    assert run.log.count(f'name="{TOGETHER}"') == 1
    assert run.log.count("&lt;svg") == 1
    assert len(set(re.findall(r"at (http://127[\d.:]+)/api/v2/", run.log))) == 1


@pytest.mark.thorough
def test_too_few_processes_are_told_at_once(folder: Path) -> None:
    with StartedPabot(folder, processes=3) as pabot:
        run = pabot.finish()
    assert run.returncode != 0
    assert len(run.failed) == 10
    assert all("Run it with --processes 10" in message for message in run.failed.values())


@pytest.mark.thorough
def test_plain_robot_drives_all_ten(tmp_path: Path) -> None:
    options = ["-v", "USE_LOCAL_EXECUTOR:true", "--log", "NONE", "--report", "NONE"]
    run = run_robot(tmp_path, *options, suites=SUITE)
    assert run.returncode == 0, run.brief
    assert len(run.passed) == 10
    assert run.metadata[TOGETHER].startswith("from one process: 10 requests sent within ")


@pytest.mark.thorough
@pytest.mark.parametrize("parallel", [True, False])
def test_service_that_serialises_fails_the_first_test_alone(folder: Path, parallel: bool) -> None:
    failed = failures_with(folder, "one-at-a-time", parallel)
    assert set(failed) == {FIRST}
    assert "one after the other" in failed[FIRST]


@pytest.mark.thorough
@pytest.mark.parametrize("parallel", [True, False])
def test_swapped_answers_are_named(folder: Path, parallel: bool) -> None:
    failed = failures_with(folder, "swapped-answers", parallel)
    assert "answers were swapped" in failed[FIRST]
    assert len(failed) >= 2
    for message in failed.values():
        assert "this is the answer to the question of client" in message


def failures_with(folder: Path, fault: str, parallel: bool) -> dict[str, str]:
    options = ["-v", f"FAULT:{fault}"]
    if parallel:
        with StartedPabot(folder, *options) as pabot:
            return pabot.finish().failed
    run = run_robot(folder / "results", *options, suites=SUITE)
    return {name: it.message for name, it in run.failed.items()}


@pytest.mark.thorough
def test_killed_client_is_named_to_all_others(folder: Path) -> None:
    with StartedPabot(folder, "-v", "FAULT:one-at-a-time") as pabot:
        worker = pabot.worker("Client 7 Of 10")
        pabot.wait_until_all_are_connected()
        worker.kill()
        run = pabot.finish()
    assert run.returncode != 0
    others = {name: message for name, message in run.failed.items() if "Client 7 " not in name}
    assert len(others) == 9
    for message in others.values():
        assert message.startswith("The 10 clients did not come together: the process of client 7")


@pytest.mark.thorough
def test_client_that_never_comes_is_named_within_the_deadline(folder: Path) -> None:
    suite = folder / "ten_clients.robot"
    text = SUITE.read_text(encoding="utf-8").replace("../../resources", f"{PROJECT}/resources")
    text = re.sub(r"Client 1 And .* 10\n", "Client Should Get Its Own Result    1\n", text)
    text = re.sub(r"Client Should Get Its Own Result +4\n", "No Operation\n", text)
    text = re.sub(r"(Own Result    \d+)", r"\1    within=15", text)
    suite.write_text(text, encoding="utf-8")
    with StartedPabot(folder, suite=suite) as pabot:
        run = pabot.finish()
    assert run.returncode != 0
    assert len(run.failed) == 9
    for message in run.failed.values():
        assert message.startswith(
            "The 10 clients did not come together within 15 s: client 4 did not come."
        )


@pytest.mark.thorough
def test_killed_pabot_leaves_nothing(folder: Path) -> None:
    with StartedPabot(folder) as pabot:
        pabot.wait_until_all_are_connected()
        pabot.process.kill()
        pabot.process.wait()
        pabot.check_nothing_is_left()


@pytest.mark.thorough
def test_two_runs_at_once_do_not_meet(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    with StartedPabot(folder / "a") as one, StartedPabot(folder / "b") as other:
        runs = [one.finish(), other.finish()]
    for run in runs:
        assert run.returncode == 0, run.console
        assert "10 right answers" in run.metadata[TOGETHER]


@pytest.mark.thorough
def test_suite_of_one_process_drives_all_ten_under_pabot_too(folder: Path) -> None:
    with StartedPabot(folder, split=()) as pabot:
        run = pabot.finish()
    assert run.returncode == 0, run.console


@pytest.mark.thorough
def test_run_in_which_every_process_skips_everything_fails(folder: Path) -> None:
    suite = folder / "skips.robot"
    tests = "".join(SKIPPED.format(number=number) for number in range(4))
    library = PROJECT / "libraries" / "TargetLibrary.py"
    suite.write_text(SKIPS_ALL.format(library=library.as_posix(), tests=tests), encoding="utf-8")
    options = ["-v", "USE_LOCAL_EXECUTOR:true"]
    with StartedPabot(folder, *options, suite=suite, processes=2) as pabot:
        run = pabot.finish()
    assert run.returncode != 0, run.console
    (message,) = run.failed.values()
    assert "No test of this run passed" in message
