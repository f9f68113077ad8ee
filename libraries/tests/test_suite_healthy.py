"""The whole suite on the embedded backend: everything passes, and the report says what was run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import compare_skips
from codewitness.embedded.faults import FAULTS
from codewitness.judging.problem import Problem
from codewitness.judging.readers.collection import read_problems
from codewitness.target.settings import KNOWN_SETTINGS
from tests.robot_runs import (
    FEW_CASES,
    PROJECT,
    WITHOUT_LOADS,
    Outcome,
    RobotRun,
    StartedRobot,
    environment,
    run_robot,
)

PLAN = [
    "1.1",
    "1.2",
    "1.3",
    "2.1",
    "2.2",
    "2.3",
    "3.1",
    "3.2",
    "3.3",
    "4.1",
    "4.2",
    "4.3",
    "5.1",
    "5.2",
]
NEEDS_SESSIONS = "T4.3 Session Reuse"

# Without one of these the run below skips tests; .ci/run installs them all.
TOOLS = ("bwrap", "node", "bash", "gcc", "g++", "javac", "mcs", "mono")


@pytest.fixture(scope="module")
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RobotRun, RobotRun]:
    """The run of the README, with some of the test cases, and the plan's Phase 1 beside it.

    Without ``--thorough`` rehearsals and loads are left out, which need services of their own: the
    project's acceptance run has them.
    """
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"install {missing} (.ci/run does) for a run without skips"
    folder = tmp_path_factory.mktemp("healthy")
    thorough = request.config.getoption("--thorough")
    left_out = () if thorough else ("--exclude", "rehearsal", *WITHOUT_LOADS)
    options = (*FEW_CASES, *left_out)
    with (
        StartedRobot(folder / "whole", *options, suites="suites/", cwd=PROJECT) as whole,
        StartedRobot(
            folder / "local",
            "--include",
            "must",
            *FEW_CASES,
            *WITHOUT_LOADS,
            environ=environment(USE_LOCAL_EXECUTOR="true"),
        ) as local,
    ):
        return whole.finish(), local.finish()


@pytest.fixture(scope="module")
def every_test(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, ...]:
    """All tests that there are, without having been run."""
    folder = tmp_path_factory.mktemp("every-test") / "results"
    return run_robot(folder, "--dryrun", "-v", "THOROUGH:true", *FEW_CASES).tests


@pytest.fixture(scope="module")
def whole(both: tuple[RobotRun, RobotRun]) -> RobotRun:
    return both[0]


@pytest.fixture(scope="module")
def local(both: tuple[RobotRun, RobotRun]) -> RobotRun:
    return both[1]


def test_nothing_fails(whole: RobotRun) -> None:
    assert not whole.failed, whole.brief
    assert whole.returncode == 0
    assert not re.search(r"\[ (WARN|ERROR) \]", whole.console), whole.console


def test_every_planned_test_passes(whole: RobotRun) -> None:
    for number in PLAN:
        of_plan = [test for test in whole.tests if test.name.startswith(f"T{number} ")]
        assert {test.status for test in of_plan} == {"PASS"}, number
    for test in whole.skipped.values():
        assert "costly" in test.tags or test.message.startswith("Locust is not installed"), test


def test_phase_1_has_no_sessions(local: RobotRun) -> None:
    skipped = local.skipped
    assert set(skipped) == {NEEDS_SESSIONS}
    assert "sessions" in skipped[NEEDS_SESSIONS].message


@pytest.mark.thorough
def test_skips_are_those_kept_in_git(whole: RobotRun, capsys: pytest.CaptureFixture[str]) -> None:
    kept = PROJECT / "variables" / "expected_skips.txt"
    differing = compare_skips.main([str(whole.folder / "output.xml"), str(kept)])
    assert differing == 0, capsys.readouterr().out


def test_whatever_claims_to_find_a_fault_is_there_and_passes(
    whole: RobotRun, every_test: tuple[Outcome, ...]
) -> None:
    claiming = {fault.claimed_by for fault in FAULTS.values()}
    assert claiming <= {test.name for test in every_test}
    assert claiming & {test.name for test in whole.tests} <= set(whole.passed)


def test_every_case_is_a_test(tmp_path: Path) -> None:
    listed = run_robot(tmp_path / "results", "--dryrun", "--include", "T5.2")
    cases = {
        f"T5.2 {problem.name} {case.name}"
        for problem in read_problems(PROJECT / "test_cases")
        if isinstance(problem, Problem)
        for case in problem.cases
    }
    assert len(cases) > 400
    assert {test.name for test in listed.tests} == cases | {"T5.2 Test Case Validation"}
    assert "T5.2 hello-n-times input1" in cases


def test_every_test_says_who_demands_it_and_in_which_phase(every_test: tuple[Outcome, ...]) -> None:
    for test in every_test:
        assert len(test.tags & {"must", "contract"}) == 1, test.full_name
        assert len(test.tags & {"phase-1", "phase-2", "phase-3"}) == 1, test.full_name


def test_number_in_name_and_tag_agree(every_test: tuple[Outcome, ...]) -> None:
    for test in every_test:
        in_name = set(re.findall(r"^T\d\.\d", test.name))
        assert {tag for tag in test.tags if re.fullmatch(r"[Tt]\d\.\d", tag)} == in_name
        if in_name:
            assert "must" in test.tags


def test_plans_requirements_are_each_demanded_by_a_test(every_test: tuple[Outcome, ...]) -> None:
    tags = {tag.upper() for test in every_test for tag in test.tags}
    assert tags >= {"P1", "P2", "P3", "P4", "P5", "R1", "R2", "R3"}


def test_names_are_unique(every_test: tuple[Outcome, ...]) -> None:
    assert len({test.name for test in every_test}) == len(every_test)


def test_names_hold_no_pattern_characters(every_test: tuple[Outcome, ...]) -> None:
    assert not [test.name for test in every_test if re.search(r"[*?\[\]]", test.name)]


def test_top_of_the_report_says_what_was_tested(whole: RobotRun) -> None:
    told = whole.metadata
    assert re.match(r"embedded backend → .* at http://127\.0\.0\.1:\d+/api/v2/", told["Tested"])
    assert "default" in told["Tested"]
    assert told["Where code ran"].startswith("on this machine (proven by the kernel's boot id)")
    assert re.search(
        r"session pool http://127.* in bubblewrap .*, a new session", told["Answered by"]
    )
    assert re.search(r"\d+ executions", told["Answered by"])
    assert "Robot Framework 7." in told["Versions"]
    assert "python 3." in told["Versions"]
    assert told["Platform faults"] == "none"
    assert re.search(r"median \d\.\d+ s", told["Latency"])
    assert re.search(r"programs a second", told["Throughput, 10 at a time"])
    assert told["Session reuse"].endswith("; the embedded pool adds 1 s to every new one")


def test_every_setting_is_listed_with_its_origin(whole: RobotRun, local: RobotRun) -> None:
    for name in KNOWN_SETTINGS.keys() - {"CASES", "LOCUST"}:
        assert re.search(rf"^\| {name} \| .* \| default \|", whole.metadata["Your settings"], re.M)
    assert "| USE_LOCAL_EXECUTOR | true | environment |" in local.metadata["Your settings"]


def test_first_line_names_the_target_and_its_origin(whole: RobotRun, local: RobotRun) -> None:
    assert first_line_about_the_target(whole) == (
        "Target: embedded (default, because none of ENDPOINT, USE_LOCAL_EXECUTOR and "
        "POOL_MANAGEMENT_ENDPOINT is set)"
    )
    assert first_line_about_the_target(local) == "Target: local (USE_LOCAL_EXECUTOR, environment)"


def first_line_about_the_target(run: RobotRun) -> str:
    lines: list[str] = run.console.splitlines()
    return next(line for line in lines if line.startswith("Target"))


def test_report_log_and_output_are_there(whole: RobotRun) -> None:
    assert {path.name for path in whole.folder.iterdir()} >= {
        "output.xml",
        "log.html",
        "report.html",
    }


def test_log_stays_small(whole: RobotRun) -> None:
    assert (whole.folder / "output.xml").stat().st_size < 5_000_000
    assert (whole.folder / "log.html").stat().st_size < 5_000_000


def test_local_run_holds_the_plan_alone(local: RobotRun, every_test: tuple[Outcome, ...]) -> None:
    assert local.returncode == 0, local.brief
    assert all("must" in test.tags for test in local.tests)
    assert {test.name for test in local.tests} == {
        test.name for test in every_test if "must" in test.tags and "phase-3" not in test.tags
    }
    assert set(local.skipped) == {NEEDS_SESSIONS}
    assert local.metadata["Tested"].startswith("local executor: embedded backend →")
    assert "(USE_LOCAL_EXECUTOR, environment)" in local.metadata["Tested"]


def test_only_the_plan_says_must(every_test: tuple[Outcome, ...]) -> None:
    unnumbered = [
        test for test in every_test if "must" in test.tags and not re.match(r"T\d\.\d ", test.name)
    ]
    assert unnumbered
    # Its requirements without a number of a test.
    assert all(test.tags & {"P1", "P2", "P4", "P5", "R3"} for test in unnumbered), unnumbered
