"""What past runs tell, what is made of them, and running again what failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from codewitness.embedded.cli import main
from codewitness.reporting.history import (
    History,
    PastRun,
    PastTest,
    find_outputs,
    history_as_markdown,
    read_history,
    read_run,
)
from codewitness.target.history_cli import add_history
from tests.robot_runs import PROJECT, environment, run_robot

RESULTS = {
    "P": PastTest("PASS", 1.0),
    "F": PastTest("FAIL", 1.0, "expected a | b"),
    "s": PastTest("SKIP", 0.0),
    "2": PastTest("PASS", 1.0, "the first message", retried=True),
    "S": PastTest("PASS", 2.0),
}


def history(**results: str) -> History:
    """Return a history from a letter for each run of each test, the oldest first."""
    length = max(map(len, results.values()))
    runs = []
    for at in range(length):
        tests = {name: RESULTS[each[at]] for name, each in results.items() if each[at] != "-"}
        runs.append(PastRun(f"run {at + 1}", tests, frozenset({"python"})))
    return History(runs)


@pytest.mark.parametrize(
    ("results", "since"),
    [("PFF", ("run 2", 2)), ("FPF", ("run 3", 1)), ("FF", ("run 1", 2)), ("PF-sF", ("run 2", 2))],
)
def test_failing_since_the_first_of_the_failures_in_a_row(
    results: str, since: tuple[str, int]
) -> None:
    (found,) = history(a=results).failing
    assert (found.test, found.run, found.runs, found.told) == ("a", *since, "expected a | b")


@pytest.mark.parametrize("results", ["FP", "F-", "Fs", "P"])
def test_what_does_not_fail_in_the_latest_run_is_not_failing(results: str) -> None:
    assert history(a=results, other="P" * len(results)).failing == []


@pytest.mark.parametrize(
    ("results", "since"),
    [
        ("PPPSS", "run 4"),
        ("PPPPFSFS", "run 6"),
        ("PPPPS", None),
        ("PPSS", None),
        ("PPPSP", None),
        ("PPPSS-", None),
    ],
)
def test_slower_takes_two_runs_against_three(results: str, since: str | None) -> None:
    found = history(a=results, other="P" * len(results)).slower
    assert [it.run for it in found] == ([since] if since else [])


@pytest.mark.parametrize(
    ("results", "is_flaky"),
    [("PFP", True), ("PsFsP", True), ("P2P", True), ("PPF", False), ("FFP", False), ("PsP", False)],
)
def test_flaky_goes_to_and_fro_or_needs_a_second_try(results: str, is_flaky: bool) -> None:
    assert [it.results for it in history(a=results).flaky] == ([results] if is_flaky else [])


def test_vanished_test_and_runtime_are_told() -> None:
    runs = list(history(a="PP", b="P-").runs)
    runs[0] = PastRun("run 1", runs[0].tests, frozenset({"python", "java"}))
    assert History(runs).vanished == ["test b", "runtime java"]
    runs[1] = PastRun("run 2", runs[1].tests)
    assert History(runs).vanished == ["test b", "all 2 runtimes: the latest run lists none"]
    assert History(runs[:1]).vanished == []


def test_text_counts_the_latest_run_and_escapes_what_it_shows() -> None:
    told = history_as_markdown(history(a="PF", b="P2", c="P-"))
    assert "run 2: 1 passed (1 of them at the second try), 1 failed, 0 skipped" in told
    assert r"| a | run 2 | 1 | expected a \| b |" in told
    assert "| test c |" in told


SUITE = """\
*** Settings ***
Library     OperatingSystem


*** Test Cases ***
Needs A Second Try
    [Setup]    Set Suite Metadata    Versions    Python 3; the service lists python 3.1, java 17
    ${seen}    Run Keyword And Return Status    File Should Exist    ${MARKER}
    Create File    ${MARKER}
    Should Be True    ${seen}    not <there>

Always Passes
    No Operation
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a first try, a second one, and both merged."""
    folder = tmp_path_factory.mktemp("runs")
    suite = folder / "flaky.robot"
    suite.write_text(SUITE, encoding="utf-8")
    marker = ("-v", f"MARKER:{folder / 'marker'}")
    first, again = folder / "output.xml", folder / "again" / "output.xml"
    run_robot(folder, *marker, suites=suite)
    run_robot(folder / "again", "--rerunfailed", str(first), *marker, suites=suite)
    kept = first.rename(folder / "output-first-try.xml")
    rebot = [sys.executable, "-m", "robot.rebot", "--merge", "--output", str(first)]
    rebot += ["--log", "NONE", "--report", "NONE", str(kept), str(again)]
    subprocess.run(rebot, check=True, env=environment(), timeout=60, capture_output=True)
    return folder


def test_run_is_read_with_its_second_tries(runs: Path) -> None:
    first, merged = read_run(runs / "output-first-try.xml"), read_run(runs / "output.xml")
    assert first.tests["Flaky.Needs A Second Try"].status == "FAIL"
    test = merged.tests["Flaky.Needs A Second Try"]
    assert test.passed_on_second_try
    assert test.message == "not <there>"
    assert not merged.tests["Flaky.Always Passes"].retried
    assert merged.runtimes == {"python", "java"}


def test_parts_of_a_merged_run_count_once(runs: Path) -> None:
    assert find_outputs([runs]) == [runs / "output.xml"]


def test_command_writes_one_self_contained_page(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["history", str(runs), "--output", str(tmp_path)]
    assert main(arguments, add_commands=add_history) == 0
    assert "1 of them at the second try" in capsys.readouterr().out
    assert "Needs A Second Try" in (tmp_path / "history.md").read_text(encoding="utf-8")
    page = (tmp_path / "dashboard.html").read_text(encoding="utf-8")
    assert "<script src=" not in page
    assert 'rel="stylesheet"' not in page


def test_missing_test_is_told_by_the_exit_code(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_robot(tmp_path / "b", "--test", "Always Passes", suites=runs / "flaky.robot")
    arguments = ["history", str(runs), str(tmp_path / "b"), "--output", str(tmp_path / "c")]
    assert main(arguments, add_commands=add_history) == 1
    assert "test Flaky.Needs A Second Try" in capsys.readouterr().out


def test_what_is_no_run_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["history", str(tmp_path)]
    assert main(arguments, add_commands=add_history) == 2
    (tmp_path / "output.xml").write_text("<robot><suite name='a'></suite></robot>", "utf-8")
    assert main(arguments, add_commands=add_history) == 2
    assert "holds no test" in capsys.readouterr().err
    (tmp_path / "output.xml").write_text("<robot><suite", "utf-8")
    with pytest.raises(ValueError, match="can't be read"):
        read_history([tmp_path], 9)


@pytest.mark.thorough
def test_failed_test_and_case_are_run_again_and_merged(tmp_path: Path) -> None:
    chosen = ("--include", "T1.1", "--include", "T5.2", "-v", "CASES:hello-n-times")
    first = run_robot(tmp_path, *chosen, "-v", "FAULT:stdout-dropped")
    assert {"T1.1 Simple Print Statement", "T5.2 hello-n-times input1"} <= first.failed.keys()
    command = [sys.executable, "libraries/codewitness", "rerun", str(tmp_path)]
    again = subprocess.run(
        [*command, "-v", "CASES:hello-n-times"],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert (
        f"{len(first.failed)} had failed: {len(first.failed)} passed at the second" in again.stdout
    )
    tests = read_run(tmp_path / "output.xml").tests
    assert {test.status for test in tests.values()} == {"PASS"}
    assert sum(test.passed_on_second_try for test in tests.values()) == len(first.failed)
