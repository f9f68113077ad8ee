"""What keeps a run honest: known issues, documented skips, and that something was tested."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from codewitness.embedded.service import start_service
from tests.robot_runs import PROJECT, run_robot

REASON = "Output has been lost since the last release"
KNOWN = """\
- test: T1.1 simple_print statement
  reference: https://tracker.example/browse/EXEC-17
  reason: {reason}
- test: Session Pool Code Execution.1 Basic Code Execution.Planned Tests Of Section 1.{full}
  reference: EXEC-18
  reason: {reason}
"""


BROKEN_CASE_IS_KNOWN = """\
- {test: T5.2 Test Case Validation, reference: EXEC-19, reason: a case is being written}
- {test: T5.2 broken, reference: EXEC-19, reason: a case is being written}
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[tuple[str, str]]:
    """Options that aim a run at a healthy backend."""
    with start_service(["backend", "--port", "0"]) as service:
        yield ("-v", f"ENDPOINT:{service.url}")


@pytest.fixture
def known(tmp_path: Path) -> tuple[str, str]:
    """Options that list T1.1, in another spelling, and T1.2 by its full name, as known issues."""
    file = tmp_path / "known.yaml"
    text = KNOWN.format(reason=REASON, full="T1.2 Arithmetic Operations")
    file.write_text(text, encoding="utf-8")
    return ("-v", f"KNOWN_ISSUES:{file}")


def own_suite(folder: Path, *lines: str, settings: str = "") -> Path:
    """Write a suite of a user, which uses the project's vocabulary from elsewhere."""
    resource = PROJECT / "resources" / "execution.resource"
    text = "\n".join(
        ["*** Settings ***", f"Resource    {resource}", settings, "*** Test Cases ***", *lines, ""]
    )
    file = folder / "own.robot"
    file.write_text(text, encoding="utf-8")
    return file


def test_known_failures_become_skips_that_keep_their_message(
    tmp_path: Path, known: tuple[str, str]
) -> None:
    options = ["-v", "FAULT:stdout-dropped", "--include", "T1.*"]
    run = run_robot(tmp_path / "results", *known, *options)
    assert set(run.skipped) == {"T1.1 Simple Print Statement", "T1.2 Arithmetic Operations"}
    assert set(run.failed) == {"T1.3 Variable Assignment And Output"}
    assert run.returncode == 1
    message = run.skipped["T1.1 Simple Print Statement"].message
    assert message.startswith(f"Known issue https://tracker.example/browse/EXEC-17: {REASON}\n\n")
    assert "Hello, World!" in message
    assert "\nLikely cause " in message
    assert REASON in run.console


def test_known_issue_that_no_longer_fails_fails_the_run(
    tmp_path: Path, known: tuple[str, str], endpoint: tuple[str, str]
) -> None:
    run = run_robot(tmp_path / "results", *known, *endpoint, "--include", "T1.*")
    assert run.returncode == 2
    assert set(run.passed) == {"T1.3 Variable Assignment And Output"}
    message = run.failed["T1.1 Simple Print Statement"].message
    assert "EXEC-17 no longer fails" in message
    assert "Remove its entry" in message


@pytest.mark.parametrize("by", ["capability", "command line"])
def test_run_in_which_everything_is_skipped_fails(
    tmp_path: Path, endpoint: tuple[str, str], by: str
) -> None:
    options = (
        ["--include", "T4.3"] if by == "capability" else ["--include", "T1.*", "--skip", "must"]
    )
    run = run_robot(tmp_path / "results", *endpoint, *options)
    assert run.returncode == 1
    assert not run.passed
    (failed,) = run.failed.values()
    assert failed == run.tests[-1]
    assert failed.message.startswith("No test of this run passed: everything was skipped")
    assert len(run.skipped) == len(run.tests) - 1


def test_generated_tests_count_as_tested(tmp_path: Path, endpoint: tuple[str, str]) -> None:
    # All that the suites hold is skipped; what passes is added while the run goes on.
    shutil.copytree(PROJECT / "test_cases" / "hello-n-times", tmp_path / "cases" / "hello-n-times")
    options = ["--include", "T4.3", "--include", "T5.2", "-v", f"TEST_CASES:{tmp_path / 'cases'}"]
    known = tmp_path / "known.yaml"
    known.write_text(BROKEN_CASE_IS_KNOWN, encoding="utf-8")
    (tmp_path / "cases" / "broken").mkdir()
    run = run_robot(tmp_path / "results", *endpoint, *options, "-v", f"KNOWN_ISSUES:{known}")
    assert run.returncode == 0, run.brief
    assert set(run.passed) == {f"T5.2 hello-n-times input{number}" for number in range(1, 7)}
    assert set(run.skipped) == {
        "T4.3 Session Reuse",
        "T5.2 Test Case Validation",
        "T5.2 broken",
    }


def test_skip_on_the_command_line_is_accepted(tmp_path: Path, endpoint: tuple[str, str]) -> None:
    run = run_robot(tmp_path / "results", *endpoint, "--include", "T1.*", "--skip", "T1.2")
    assert run.returncode == 0, run.brief
    assert set(run.skipped) == {"T1.2 Arithmetic Operations"}
    assert len(run.passed) == 2


def test_skip_without_a_documented_reason_fails(tmp_path: Path, endpoint: tuple[str, str]) -> None:
    suite = own_suite(
        tmp_path,
        "Passes\n    Execute Python    print(1)\n    Stdout Should Be    1\\n",
        "Skips For A Reason\n    Requires Language    cobol",
        "Skips Itself\n    Skip    not today",
        "Skips By Tag\n    [Tags]    robot:skip\n    Fail    never run",
        "Skips In Passing\n    Execute Python    print(1)\n    Skip If    True    looked hard",
        "Fails\n    Execute Python    print(1)\n    Stdout Should Be    2\\n",
    )
    run = run_robot(tmp_path / "results", *endpoint, suites=suite)
    assert set(run.passed) == {"Passes"}
    assert set(run.skipped) == {"Skips For A Reason"}
    assert "cobol" in run.skipped["Skips For A Reason"].message
    undocumented = {name: run.failed[name].message for name in run.failed if name != "Fails"}
    assert set(undocumented) == {"Skips Itself", "Skips By Tag", "Skips In Passing"}
    for message in undocumented.values():
        assert message.startswith("Skipped without a documented reason: ")
    assert "not today" in undocumented["Skips Itself"]
    assert run.returncode == 4


def test_skip_in_the_setup_of_a_suite_needs_a_reason_too(
    tmp_path: Path, endpoint: tuple[str, str]
) -> None:
    suite = own_suite(
        tmp_path,
        "First\n    No Operation",
        "Second\n    No Operation",
        settings="Suite Setup    Skip",
    )
    run = run_robot(tmp_path / "results", *endpoint, suites=suite)
    assert run.returncode == 2
    assert set(run.failed) == {"First", "Second"}


def test_all_iterations_of_a_template_may_skip_for_a_reason(
    tmp_path: Path, endpoint: tuple[str, str]
) -> None:
    suite = own_suite(
        tmp_path,
        "Passes\n    Execute Python    print(1)",
        "Languages\n    [Template]    Requires Language\n    cobol\n    fortran-of-1957",
        "Some Languages\n    [Template]    Requires Language\n    cobol\n    python",
    )
    run = run_robot(tmp_path / "results", *endpoint, suites=suite)
    assert run.returncode == 0, run.brief
    assert set(run.passed) == {"Passes", "Some Languages"}
    assert "cobol" in run.skipped["Languages"].message
