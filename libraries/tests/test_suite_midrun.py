"""A service that dies or hangs in mid-run costs the rest of the run little time."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil
import pytest

from codewitness.embedded.service import start_service
from tests.front_door import Call, FrontDoor, Reply
from tests.robot_runs import FEW_CASES, WITHOUT_LOADS, RobotRun, StartedRobot

ENDED = "T1.3 Variable Assignment And Output"
"""The test whose start on the console is the middle of a run."""

NEEDS_NO_SERVICE = {
    "Cold Start Meets The Plan",
    "Python Is Listed",
    "T4.3 Session Reuse",
    "T5.2 Test Case Validation",
}
"""Tests whose outcome is known before the service breaks, or does not depend on it."""


OF_THE_TARGET = ("--exclude", "rehearsal", *FEW_CASES, *WITHOUT_LOADS)
"""Options that leave the tests of the target alone."""

SOME_SECTIONS = tuple(
    option for section in ("1 *", "3 *", "7 *", "8 *") for option in ("--suite", section)
)
"""Options for sections that must not wait for a service in vain, those with loads among them."""


def services_of(robot: StartedRobot) -> list[psutil.Process]:
    """Return the embedded services that a run has started."""
    children = psutil.Process(robot.process.pid).children()
    return [child for child in children if "backend" in child.cmdline()[:3]]


def fails_fast(run: RobotRun, *says: str) -> None:
    """Show that everything after the middle of a run failed, and says why."""
    assert run.returncode != 0
    assert run.testing < 180
    assert run.passed
    failed = [test.status == "FAIL" for test in run.tests]
    rest = run.tests[failed.index(True) :]
    assert len(rest) > 100
    for test in rest:
        if test.status == "SKIP" and test.tags & {"phase-3", "hostile"}:
            assert not test.message.startswith("INCONCLUSIVE"), test
            continue
        # Tests of the pool ask it directly, and the walk tells in its own way what is broken.
        if test.name not in NEEDS_NO_SERVICE and "6 Session Pool" not in test.full_name:
            assert test.status == "FAIL", test.full_name
            assert test.message.startswith("PLATFORM FAULT, not the program's:"), test
    for words in says:
        assert words in run.console


def test_embedded_backend_that_is_killed(tmp_path: Path) -> None:
    with StartedRobot(tmp_path / "results", *OF_THE_TARGET) as robot:
        robot.wait_for(ENDED)
        (service,) = services_of(robot)
        service.kill()
        run = robot.finish(120)
    fails_fast(run, f"the embedded backend (pid {service.pid}) has ended")


@pytest.mark.thorough
def test_backend_that_is_killed(tmp_path: Path) -> None:
    with (
        start_service(["backend", "--port", "0"]) as service,
        StartedRobot(
            tmp_path / "results", "-v", f"ENDPOINT:{service.url}", *OF_THE_TARGET
        ) as robot,
    ):
        robot.wait_for(ENDED)
        psutil.Process(service.pid).kill()
        run = robot.finish(120)
    fails_fast(run, "connection refused", "Likely cause")


def test_backend_that_hangs(tmp_path: Path) -> None:
    gone = threading.Event()

    def hang(call: Call) -> Reply | None:
        if call.number > 12:
            gone.wait(120)
        return None

    with start_service(["backend", "--port", "0"]) as service, FrontDoor(service.url, hang) as door:
        options = ["-v", f"ENDPOINT:{door.url}", "-v", "REQUEST_DEADLINE:2", *SOME_SECTIONS]
        try:
            with StartedRobot(tmp_path / "results", *options) as robot:
                run = robot.finish(180)
        finally:
            gone.set()
    fails_fast(run, "no answer began within")
