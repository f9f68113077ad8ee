"""Running the suites against one fault, in a process of its own that ends in time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from codewitness.kill_matrix.catalogues import TriedFault
from codewitness.target.settings import KNOWN_SETTINGS

SUITES = Path(__file__).resolve().parents[3] / "suites"

Scope = Literal["claims", "sentinels", "all"]
"""Which tests run: those that claim the fault, the sentinels, too, or all that could notice it."""

_WITHIN: Mapping[Scope, float] = {"claims": 120.0, "sentinels": 180.0, "all": 900.0}
"""Seconds until a run is killed. The suite gives up on a service that hangs much earlier."""

_LONGEST_MESSAGE = 4000
# Settings and credentials of whoever calls must not reach the runs.
_NOT_INHERITED = (*KNOWN_SETTINGS, "BACKEND_", "AZURE_", "ROBOT_", "HTTP_PROXY", "HTTPS_PROXY")
# What Robot Framework writes on tests that it does not run any more.
_NOT_RUN = "Test execution stopped"
# A run in which everything was skipped fails at its last test, which has noticed nothing.
_NOTHING_PASSED = "No test of this run passed: everything was skipped"


@dataclass(frozen=True)
class Tried:
    """What became of the suites against one fault.

    Attributes:
        fault: Name of the fault; empty for a healthy run.
        scope: Which tests were chosen.
        seconds: How long it took.
        exit_code: Of Robot Framework; ``None`` when it was killed because it took too long.
        failed: Message of each test that ran and failed, by its name.
        passed: Names of the tests that passed.
        skipped: Names of the tests that were skipped.
    """

    fault: str
    scope: Scope
    seconds: float
    exit_code: int | None
    failed: Mapping[str, str]
    passed: Sequence[str]
    skipped: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Return this as a JSON object."""
        return {**vars(self)}

    def complaint(self, fault: TriedFault) -> str:
        """Return why the suite did not notice the fault as it should; empty if it did."""
        if self.exit_code is None:
            return f"the run did not end within {_WITHIN[self.scope]:g} s"
        if fault.borne:
            return f"failed: {', '.join(self.failed)}" if self.exit_code else ""
        if self.exit_code == 0 or not self.failed:
            return f"survived: exit code {self.exit_code}, nothing failed"
        message = self.failed.get(fault.claimed_by)
        if message is None:
            return f"the test that claims it did not fail: {fault.claimed_by}"
        if message.startswith(_NOTHING_PASSED):
            return f"the test that claims it was skipped: {fault.claimed_by}"
        missing = [word for word in fault.words if word.lower() not in message.lower()]
        return f"its message lacks: {', '.join(missing)}" if missing else ""


def try_fault(fault: TriedFault, scope: Scope) -> Tried:
    """Run the suites against a fault."""
    if scope == "all":
        chosen: tuple[str, ...] = fault.everything
    else:
        sentinels = fault.sentinels if scope == "sentinels" else ()
        tests = dict.fromkeys((fault.claimed_by, *fault.also_needs, *sentinels))
        chosen = tuple(option for test in tests for option in ("--test", test))
    return _run((*chosen, *fault.options), fault.name, scope)


def run_healthy() -> Tried:
    """Run all suites against the embedded services as they are."""
    return _run((), "", "all")


def _run(options: Sequence[str], fault: str, scope: Scope) -> Tried:
    with tempfile.TemporaryDirectory(prefix="kill-matrix-", ignore_cleanup_errors=True) as folder:
        output = Path(folder) / "output.xml"
        files = ("--outputdir", folder, "--log", "NONE", "--report", "NONE")
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "robot", *files, *options, str(SUITES)],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(_WITHIN[scope])
        except subprocess.TimeoutExpired:
            return Tried(fault, scope, time.monotonic() - started, None, {}, (), ())
        finally:
            # Its services end with it.
            process.kill()
            process.wait()
        seconds = round(time.monotonic() - started, 1)
        failed: dict[str, str] = {}
        names: dict[str, list[str]] = {"PASS": [], "SKIP": []}
        with contextlib.suppress(OSError, ElementTree.ParseError):
            for test in ElementTree.parse(output).iter("test"):
                _note(test, failed, names)
        return Tried(
            fault, scope, seconds, process.returncode, failed, names["PASS"], names["SKIP"]
        )


def _note(test: ElementTree.Element, failed: dict[str, str], names: dict[str, list[str]]) -> None:
    name, status = test.get("name", ""), test.find("status")
    if status is None:
        return
    verdict, message = status.get("status", ""), status.text or ""
    if verdict in names:
        names[verdict].append(name)
    elif not message.startswith(_NOT_RUN):
        failed[name] = message[:_LONGEST_MESSAGE]


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_NOT_INHERITED)
    }
