"""The documentation that real runs of Robot Framework write, and that of merged results."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zlib
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from robot.api import ExecutionResult, ResultVisitor

from codewitness.reporting.metrics import Metric, MetricsFiles
from ResultsDocumentation import CommandLine
from tests.robot_runs import PROJECT, RobotRun, environment, run_robot

FILES = {
    "summary.html",
    "summary.css",
    "summary.md",
    "summary-short.md",
    "summary.json",
    "xunit.xml",
}

_ROOT = f"""\
*** Settings ***
Documentation    What these suites are for.
Library          {PROJECT / "libraries" / "TargetLibrary.py"}
"""
_ONE = """\
*** Test Cases ***
T1.1 Print
    [Tags]    T1.1    must
    No Operation

T1.2 Add
    [Tags]    T1.2    must
    Fail    stdout differs from what was expected: line 1@CAUSE@

Fails At First
    [Tags]    contract
    Should Be Equal    ${FIXED}    yes
"""
_TWO = """\
*** Test Cases ***
T4.2 Concurrent
    [Tags]    T4.2    P3
    Fail    stdout differs from what was expected: line 2@CAUSE@

Left Out
    [Tags]    left-out
    No Operation

Odd Characters
    Fail    <b>&|* \\u2028 ``` [x|y]
"""
# As a failure card has it; without the backslash the brackets would be an index.
_CAUSE = r"\n\nLikely cause${SPACE * 2}\[X5] too late\nTo do${SPACE * 9}hurry up"
# Robot Framework itself accepts this reason for a skip.
_OPTIONS = ("-v", "FIXED:no", "--skip", "left-out")


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Suites of two sections that need no service."""
    folder = tmp_path_factory.mktemp("results-of-runs") / "suites"
    folder.mkdir()
    (folder / "__init__.robot").write_text(_ROOT)
    (folder / "1__one.robot").write_text(_ONE.replace("@CAUSE@", _CAUSE))
    (folder / "2__two.robot").write_text(_TWO.replace("@CAUSE@", _CAUSE))
    # What variables/results.args names relative to the project's folder, where pabot would leave a
    # file behind.
    (folder.parent / "libraries").symlink_to(PROJECT / "libraries")
    return folder


@pytest.fixture(scope="module")
def single(suites: Path) -> RobotRun:
    """A plain run of all of them."""
    return run_robot(suites.parent / "single", *_OPTIONS, suites=suites)


def rebot(suites: Path, folder: Path, *arguments: str | Path) -> str:
    """Read results again, with the argument file that documents them."""
    command = [sys.executable, "-m", "robot.rebot", "-A", str(PROJECT / "variables/results.args")]
    return _run([*command, "--outputdir", str(folder), *map(str, arguments)], suites.parent)


def _run(command: list[str], cwd: Path) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout + done.stderr


def summary(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return told


def comparable(folder: Path) -> dict[str, Any]:
    """Return a summary without what two runs of the same can't have alike."""
    return {
        name: value
        for name, value in summary(folder).items()
        if name not in ("started", "seconds", "facts")
    }


def numbers(folder: Path) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Yield how many tests passed, failed and were skipped, by every file that says so."""
    totals = summary(folder)["totals"]
    yield "json", (totals["passed"], totals["failed"], totals["skipped"])
    page = r"(\d+) passed, (\d+) failed, (\d+) skipped"
    for name in ("summary.md", "summary-short.md", "summary.html"):
        yield name, _triple(page, (folder / name).read_text())
    for name in ("log.html", "report.html"):
        text = (folder / name).read_text()
        stats = re.search(r'window\.output\["stats"\] = (\[\[.*?\]\]);', text)
        assert stats
        told = json.loads(stats[1])[0][0]
        yield name, (told["pass"], told["fail"], told["skip"])
        # The table on top of it.
        yield f"top of {name}", _triple(r">All</td>\s*" + 3 * r"<td>(\d+)</td>\s*", _strings(text))
    suite = ElementTree.parse(folder / "xunit.xml").getroot()
    tests, failed, skipped = (int(suite.attrib[it]) for it in ("tests", "failures", "skipped"))
    yield "xunit", (tests - failed - skipped, failed, skipped)


def _strings(page: str) -> str:
    """Return the texts that a log or report holds; long ones are packed."""
    told = "".join(re.findall(r'window\.output\["strings"\]\.concat\((\[.*?\])\);', page))
    texts = re.findall(r'"((?:[^"\\]|\\.)*)"', told)
    return "\n".join(
        text[1:] if text.startswith("*") else zlib.decompress(b64decode(text)).decode()
        for text in texts
        if text
    )


def _triple(pattern: str, text: str) -> tuple[int, int, int]:
    found = re.search(pattern, text)
    assert found, f"no {pattern}"
    one, two, three = map(int, found.groups())
    return one, two, three


def test_plain_run_documents_itself(single: RobotRun) -> None:
    assert {path.name for path in single.folder.iterdir()} >= FILES
    told = summary(single.folder)
    assert told["verdict"] == "NOT HEALTHY: 4 of 6 tests failed"
    assert told["problems"][0]["findings"] == ["X5"]
    assert told["problems"][0]["tests"] == ["T1.2 Add", "T4.2 Concurrent"]


def test_all_files_have_the_same_numbers(single: RobotRun) -> None:
    told = dict(numbers(single.folder))
    assert len(told) == 9
    assert set(told.values()) == {(1, 4, 1)}
    assert (len(single.passed), len(single.failed), len(single.skipped)) == (1, 4, 1)


def test_console_ends_with_what_matters(single: RobotRun) -> None:
    lines = single.console.strip().splitlines()[-5:]
    assert [line.split()[0] for line in lines] == ["Target", "Ran", "Totals", "Worst", "Report"]
    assert "NOT HEALTHY: 4 of 6 tests failed" in lines[2]
    assert "[X5] too late. To do: hurry up. Failed: T1.2 Add, 1 more" in lines[3]
    assert str(single.folder / "report.html") in lines[4]


def test_own_documentation_of_the_suites_stays(suites: Path, single: RobotRun) -> None:
    doc = ExecutionResult(single.folder / "output.xml").suite.doc
    assert doc.count("What these suites are for.") == 1
    again = suites.parent / "again"
    rebot(suites, again, "--output", "output.xml", single.folder / "output.xml")
    assert ExecutionResult(again / "output.xml").suite.doc == doc


def test_results_read_again_say_the_same(suites: Path, single: RobotRun) -> None:
    folder = suites.parent / "read-again"
    console = rebot(suites, folder, single.folder / "output.xml")
    assert comparable(folder) == comparable(single.folder)
    assert set(dict(numbers(folder)).values()) == {(1, 4, 1)}
    assert "Totals  NOT HEALTHY: 4 of 6 tests failed" in console


def test_merged_results_of_pabot_are_those_of_a_single_run(suites: Path, single: RobotRun) -> None:
    folder = suites.parent / "pabot"
    robot = ["--command", sys.executable, "-m", "robot", "--end-command"]
    options = ["-A", str(PROJECT / "variables/results.args"), "--outputdir", str(folder)]
    command = [sys.executable, "-m", "pabot.pabot", *robot, "--processes", "2"]
    console = _run([*command, *options, *_OPTIONS, str(suites)], suites.parent)
    assert (folder / "summary.json").exists(), console
    assert comparable(folder) == comparable(single.folder)
    assert set(dict(numbers(folder)).values()) == {(1, 4, 1)}
    # A part of a run says nothing of the whole.
    assert not list(folder.glob("pabot_results/**/summary*"))


def test_metrics_of_merged_parts_are_found(suites: Path, single: RobotRun) -> None:
    folder = suites.parent / "merged"
    metric = Metric("warm, p90", "s", 0.3, 0.2, 0.4, 50, "P2", 1.0, "PASS")
    for name, part in (("one", single.folder), ("two", folder / "pabot_results" / "0")):
        part.mkdir(parents=True, exist_ok=True)
        MetricsFiles(part).add(replace(metric, name=name))
    rebot(suites, folder, single.folder / "output.xml")
    (single.folder / "judgements.json").unlink()
    told = {it["name"]: it["figure"] for it in summary(folder)["performance"]}
    assert told == dict.fromkeys(("one", "two"), "0.3 s (0.2 to 0.4), n = 50")


def test_passing_at_the_second_try_is_its_own_state(suites: Path, single: RobotRun) -> None:
    output = single.folder / "output.xml"
    again = suites.parent / "rerun"
    run_robot(again, "-v", "FIXED:yes", "--rerunfailed", str(output), suites=suites)
    folder = suites.parent / "with-rerun"
    rebot(suites, folder, "--merge", output, again / "output.xml")
    told = summary(folder)
    assert told["totals"] == {"passed": 2, "failed": 3, "skipped": 1}
    assert "1 test passed only when executed anew: 'Fails At First'" in told["remarks"]
    assert told["problems"][0]["findings"] == ["X5"]
    assert told["problems"][0]["tests"] == ["T1.2 Add", "T4.2 Concurrent"]


def test_files_given_side_by_side_are_documented_as_one_run(suites: Path) -> None:
    folder = suites.parent / "side-by-side"
    library = _ROOT.replace("*** Settings ***\nDocumentation    What these suites are for.\n", "")
    for name in ("one", "two"):
        text = f"*** Settings ***\n{library}\n*** Test Cases ***\nTest {name}\n    No Operation\n"
        (suites.parent / f"{name}.robot").write_text(text)
    run_robot(folder, str(suites.parent / "one.robot"), suites=suites.parent / "two.robot")
    assert summary(folder)["verdict"] == "HEALTHY: all 2 tests that ran passed"
    assert [it["name"] for it in summary(folder)["sections"]] == ["One", "Two"]


@pytest.mark.parametrize(
    "options",
    [["--dryrun"], pytest.param(["--output", "NONE"], marks=pytest.mark.thorough)],
)
def test_what_is_no_result_is_not_documented(suites: Path, options: list[str]) -> None:
    folder = suites.parent / options[0].strip("-")
    command = [sys.executable, "-m", "robot", "--outputdir", str(folder), *options, str(suites)]
    console = _run(command, suites.parent)
    assert "T1.1 Print" in console
    assert not list(folder.glob("summary*"))


@pytest.mark.parametrize(
    ("arguments", "environ", "folder"),
    [
        (["-d", "one", "x.xml"], {}, "one"),
        (["--outputdir=two", "x.xml"], {}, "two"),
        (["--processes", "2", "--OutputDir", "three", "suites"], {}, "three"),
        (["suites"], {"REBOT_OPTIONS": "--outputdir 'fo ur'"}, "fo ur"),
        (["-d", "five", "x.xml"], {"REBOT_OPTIONS": "-d six"}, "five"),
        (["-A", "missing.args", "x.xml"], {}, "."),
    ],
)
def test_output_folder_is_found(arguments: list[str], environ: dict[str, str], folder: str) -> None:
    assert CommandLine(arguments, environ).value("-d", "--outputdir", default=".") == folder


def test_output_folder_is_found_in_an_argument_file(tmp_path: Path) -> None:
    file = tmp_path / "some.args"
    file.write_text("# comment\n--outputdir results of mine\n")
    options = CommandLine(["-A", str(file), "x.xml"], {})
    assert options.value("-d", "--outputdir", default=".") == "results of mine"


# What a failing run of the real suites says, and how much.

MOST_BYTES_PER_TEST = 25_000
"""Bytes of output.xml for a test, its failure card and pictures included."""

LONGEST_MESSAGE = 8_000
"""Characters of one message of the log that is no picture."""

LONGEST_PICTURE = 60_000
"""Characters of one that is."""


class _Messages(ResultVisitor):  # type: ignore[misc]
    def __init__(self) -> None:
        self.too_long: list[str] = []

    def visit_message(self, message: Any) -> None:
        picture = message.html and "<svg" in message.message
        if len(message.message) > (LONGEST_PICTURE if picture else LONGEST_MESSAGE):
            self.too_long.append(f"{len(message.message)}: {message.message[:100]}")


@pytest.fixture(
    scope="module",
    params=[
        "Planned Tests Of Section 1",
        pytest.param("*", marks=pytest.mark.thorough),
    ],
)
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RobotRun:
    """A run against a service that runs requests, but answers without what they printed."""
    folder = tmp_path_factory.mktemp("broken")
    options = ("-v", "FAULT:stdout-dropped", "--suite", request.param)
    return run_robot(folder / "results", *options, timeout=900)


def test_summary_alone_says_what_failed_why_and_what_to_do(broken: RobotRun) -> None:
    told = summary(broken.folder)
    worst = told["problems"][0]
    assert worst["findings"], told["problems"]
    assert worst["problem"] in (broken.folder / "summary.md").read_text().replace("\\", "")
    assert len(worst["to do"]) > 20
    assert "T1.1 Simple Print Statement" in worst["tests"]
    assert told["facts"]["Tested"].startswith("embedded")
    assert worst["problem"][:100] in broken.console


def test_log_stays_small(broken: RobotRun) -> None:
    output = broken.folder / "output.xml"
    # The settings at the top and the statistics come once.
    assert output.stat().st_size < 40_000 + MOST_BYTES_PER_TEST * len(broken.tests)
    messages = _Messages()
    ExecutionResult(output).suite.visit(messages)
    assert not messages.too_long
    assert (broken.folder / "summary.html").stat().st_size < 200_000
