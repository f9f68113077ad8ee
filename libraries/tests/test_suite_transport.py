"""The suite under transport faults: it ends in time, says what is wrong, and leaves whole files."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from codewitness.embedded.service import ServiceNotStarted
from codewitness.embedded.transport_faults import TRANSPORT_FAULTS, TransportFault
from codewitness.target.service_under_test import ServiceUnderTest
from codewitness.target.settings import resolve
from tests.robot_runs import RobotRun, run_robot

PLANNED = (
    "T1.1 Simple Print Statement",
    "T1.2 Arithmetic Operations",
    "T1.3 Variable Assignment And Output",
)
SHORT = 1
"""Seconds for each request, where all requests are broken."""

LONG = 10
"""Seconds for each request, where some are answered."""

WITHIN = 90
"""Seconds that a run may take on a busy machine, with every wait there is."""

QUICK = ("drip", "cut-in-body")
"""One that keeps the suite waiting, and one that does not."""


class _Pages(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        if tag in ("html", "body"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("html", "body"):
            assert self.open.pop() == tag


def _run(folder: Path, fault: TransportFault) -> RobotRun:
    tests = dict.fromkeys((*PLANNED, fault.claimed_by))
    chosen = [option for test in tests for option in ("--test", test)]
    spoils_all = fault.claimed_by == PLANNED[0] and not fault.borne
    deadline = SHORT if spoils_all else LONG
    settings = {"TRANSPORT_FAULT": fault.name, "REQUEST_DEADLINE": deadline}
    given = [option for name, it in settings.items() for option in ("-v", f"{name}:{it}")]
    return run_robot(folder, *chosen, *given, timeout=WITHIN)


def _files_should_be_whole(folder: Path) -> None:
    # output.xml has been read for the outcome.
    for name in ("log.html", "report.html"):
        page = _Pages()
        page.feed((folder / name).read_text(encoding="utf-8"))
        page.close()
        assert not page.open, name


def _should_be_noticed(folder: Path, fault: TransportFault) -> None:
    run = _run(folder, fault)
    _files_should_be_whole(folder)
    if fault.borne:
        assert run.returncode == 0, run.brief
        return
    assert run.returncode != 0, run.console
    assert fault.claimed_by in run.failed, run.console
    message = run.failed[fault.claimed_by].message
    missing = [word for word in fault.expect_words if word.lower() not in message.lower()]
    assert not missing, message


@pytest.mark.parametrize("name", QUICK)
def test_suite_names_what_breaks_the_transport(name: str, tmp_path: Path) -> None:
    _should_be_noticed(tmp_path / "results", TRANSPORT_FAULTS[name])


@pytest.mark.thorough
@pytest.mark.parametrize("name", [it for it in TRANSPORT_FAULTS if it not in QUICK])
def test_suite_names_everything_that_breaks_the_transport(name: str, tmp_path: Path) -> None:
    _should_be_noticed(tmp_path / "results", TRANSPORT_FAULTS[name])


def test_unknown_fault_is_named() -> None:
    settings = resolve({"TRANSPORT_FAULT": "cut-body"}.get, {})
    with pytest.raises(ServiceNotStarted, match="did you mean cut-in-body"):
        ServiceUnderTest(settings)
