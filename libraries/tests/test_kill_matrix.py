from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from robot import running

from codewitness.embedded.pool_faults import POOL_FAULTS
from codewitness.embedded.service import POOL_FAULT, start_service
from codewitness.kill_matrix.catalogues import (
    POOL_SENTINELS,
    SENTINELS,
    TriedFault,
    every_fault,
    some_of_each_group,
)
from codewitness.kill_matrix.matrix import Journal, Matrix
from codewitness.kill_matrix.page import to_page
from codewitness.kill_matrix.runs import SUITES, Tried

PACKAGE = Path(__file__).resolve().parents[1] / "codewitness"
FAULT = TriedFault(
    "backend", "shouts", "shouts", "stdout", "T1.1", ("stdout",), (), (), SENTINELS, ()
)
FAILED = {"T1.1": "Stdout differs\n<b>HELLO</b>", "T1.2": "differs"}
KILLED = Tried("shouts", "all", 1.5, 2, FAILED, ("T1.3",), ("T1.4",))


def healthy(failed: Mapping[str, str] | None = None) -> Tried:
    return Tried("", "all", 90.0, 1 if failed else 0, failed or {}, ("T1.1", "T1.5"), ())


def test_names_are_unique_and_tell_whose_fault_it_is() -> None:
    faults = every_fault()
    assert len({it.name for it in faults}) == len(faults)
    for fault in faults:
        assert fault.name.startswith(POOL_FAULT) == (fault.catalogue == "pool")
        assert fault.name.startswith("transport-") == (fault.catalogue == "transport")
    assert all(it.words for it in faults if it.catalogue == "pool")


def test_claiming_tests_and_sentinels_exist() -> None:
    suite = running.TestSuite.from_file_system(str(SUITES))
    there = {test.name for test in suite.all_tests}
    named = {name for it in every_fault() for name in (it.claimed_by, *it.also_needs)}
    assert {*named, *SENTINELS, *POOL_SENTINELS} <= there


def test_each_group_is_among_some_faults() -> None:
    some = some_of_each_group(1000)
    assert {(it.catalogue, it.group) for it in some} == {
        (it.catalogue, it.group) for it in every_fault()
    }
    assert len(some) < len(every_fault())


@pytest.mark.parametrize(
    ("tried", "complaint"),
    [
        (KILLED, ""),
        (replace(KILLED, exit_code=None), "did not end within 900 s"),
        (replace(KILLED, exit_code=0, failed={}), "survived"),
        (replace(KILLED, exit_code=252, failed={}), "survived: exit code 252"),
        (replace(KILLED, failed={"T1.2": "differs"}), "did not fail: T1.1"),
        (replace(KILLED, failed={"T1.1": "Something"}), "lacks: stdout"),
        (
            replace(KILLED, failed={"T1.1": "No test of this run passed: everything was skipped"}),
            "was skipped: T1.1",
        ),
    ],
)
def test_fault_is_noticed_by_the_claiming_test_in_its_words(tried: Tried, complaint: str) -> None:
    found = tried.complaint(FAULT)
    assert complaint in found
    assert bool(found) == bool(complaint)


def test_what_is_borne_must_not_fail() -> None:
    borne = replace(FAULT, borne=True)
    assert KILLED.complaint(borne) == "failed: T1.1, T1.2"
    assert not replace(KILLED, exit_code=0, failed={}).complaint(borne)


def test_matrix_tells_what_no_fault_makes_fail_and_false_alarms() -> None:
    matrix = Matrix([(FAULT, KILLED)], [healthy(), healthy({"T1.1": "late"})])
    assert matrix.by_test() == {"T1.1": ["shouts"], "T1.2": ["shouts"], "T1.3": [], "T1.5": []}
    assert matrix.never_failing() == ["T1.3", "T1.5"]
    assert matrix.complaints == ["false alarm in healthy run 2: T1.1"]
    assert matrix.summary == "1 faults, 1 of them as claimed; 2 healthy runs, 1 with a false alarm"


def test_journal_outlives_whoever_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "kill-matrix.jsonl"
    Journal(path, "all").add(KILLED)
    Journal(path, "all").add(healthy())
    with path.open("a", encoding="utf-8") as file:
        file.write('{"fault": "cut-off')
    found = Journal(path, "all")
    assert list(found.faults()) == ["shouts"]
    assert found.faults()["shouts"].failed == FAILED
    assert len(found.healthy()) == 1
    assert not Journal(path, "claims").faults()
    Journal(path, "all").add(replace(KILLED, fault="whispers"))
    assert list(found.faults()) == ["shouts", "whispers"]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.targets: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        told = dict(attrs)
        self.targets |= {told["id"] or ""} if "id" in told else set()
        self.links |= {(told["href"] or "").removeprefix("#")} if "href" in told else set()


def test_page_needs_no_script_and_its_links_lead_somewhere() -> None:
    survivor = replace(KILLED, fault="whispers", failed={}, exit_code=0)
    rows = [(FAULT, KILLED), (replace(FAULT, name="whispers"), survivor)]
    page = to_page(Matrix(rows, [healthy({"T1.5": "late"})]))
    reader = _Reader()
    reader.feed(page)
    assert "script" not in reader.tags
    assert "details" in reader.tags
    assert reader.links <= reader.targets
    assert "&lt;b&gt;HELLO" in page
    assert "<b>" not in page
    assert "survived" in page
    assert "false alarms: 1" in page


def test_command_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    arguments = ["kill-matrix", "--output", str(tmp_path), "--fault", "pool-list-emty"]
    done = subprocess.run(
        [sys.executable, str(PACKAGE), *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "did you mean pool-list-empty" in done.stderr


def test_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    claimed_by = POOL_FAULTS["pool-list-empty"].claimed_by
    words = " ".join(POOL_FAULTS["pool-list-empty"].expect_words)
    known = replace(KILLED, fault="pool-list-empty", scope="claims", failed={claimed_by: words})
    Journal(tmp_path / "kill-matrix.jsonl", "claims").add(known)
    arguments = ["kill-matrix", "--output", str(tmp_path), "--fault", known.fault]
    done = subprocess.run(
        [sys.executable, str(PACKAGE), *arguments, "--tests", "claims"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "1 faults, 1 of them as claimed" in done.stdout
    assert (tmp_path / "kill-matrix.html").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("name", POOL_FAULTS)
@pytest.mark.parametrize("kind", ["custom-container", "python"])
def test_broken_pool_starts_and_ends(name: str, kind: str) -> None:
    with start_service(["session-pool", "--kind", kind, "--fault", name]) as pool:
        assert pool.running
