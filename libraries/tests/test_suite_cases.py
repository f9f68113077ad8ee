"""Folders of test cases: adding one adds a test, and a broken one fails by its name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from robot.api import ExecutionResult

from codewitness.embedded.service import start_service
from tests.robot_runs import PROJECT, RobotRun, environment, run_robot

VALIDATION = "T5.2 Test Case Validation"


@pytest.fixture(scope="module")
def backend() -> Iterator[str]:
    """URL of a healthy backend."""
    with start_service(["backend", "--port", "0"]) as service:
        yield service.url


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A folder with one good case."""
    folder = tmp_path / "my cases"
    shutil.copytree(PROJECT / "test_cases" / "hello-n-times", folder / "hello-n-times")
    return folder


def run_cases(tmp_path: Path, backend: str, cases: Path, *options: str) -> RobotRun:
    settings = ["-v", f"ENDPOINT:{backend}", "-v", f"TEST_CASES:{cases}"]
    return run_robot(tmp_path / "results", *settings, "--include", "T5.2", *options)


def add(cases: Path, name: str, **files: str) -> None:
    (cases / name).mkdir()
    for file, text in files.items():
        (cases / name / file.replace("_", ".")).write_text(text, encoding="utf-8")


def test_adding_a_folder_adds_a_test(tmp_path: Path, backend: str, cases: Path) -> None:
    add(cases, "doubled", main_py="print(2 * int(input()))\n", **{"1_in": "21\n", "1_out": "42\n"})
    run = run_cases(tmp_path, backend, cases)
    assert run.returncode == 0, run.brief
    hello = [f"T5.2 hello-n-times input{number}" for number in range(1, 7)]
    assert list(run.passed) == [VALIDATION, "T5.2 doubled 1", *hello]


def test_wrong_output_shows_input_and_difference(tmp_path: Path, backend: str, cases: Path) -> None:
    add(
        cases,
        "doubled",
        main_py="print(2 * int(input()))\n",
        right_in="2\n",
        right_out="4\n",
        wrong_in="3\n",
        wrong_out="7\n",
    )
    run = run_cases(tmp_path, backend, cases)
    assert run.returncode == 1
    assert list(run.failed) == ["T5.2 doubled wrong"]
    assert "T5.2 doubled right" in run.passed
    message = run.failed["T5.2 doubled wrong"].message
    for words in ("doubled main.py wrong", "'7'", "'6'", "test plan, T5.2"):
        assert words in message, message


def test_broken_cases_fail_by_their_names(tmp_path: Path, backend: str, cases: Path) -> None:
    add(cases, "unpaired", main_py="print(1)\n", first_in="1\n")
    add(cases, "empty")
    add(cases, "without-program", **{"1_in": "1\n", "1_out": "1\n"})
    add(cases, "bad-settings", main_py="", case_yaml="no: [such", **{"1_in": "", "1_out": ""})
    run = run_cases(tmp_path, backend, cases)
    assert {name.rpartition(" ")[0] for name in run.passed} == {"T5.2 hello-n-times"}
    broken = {"unpaired", "empty", "without-program", "bad-settings"}
    assert set(run.failed) == {VALIDATION, *(f"T5.2 {name}" for name in broken)}
    assert run.returncode == 5
    for name in broken:
        assert name in run.failed[VALIDATION].message
        assert name in run.failed[f"T5.2 {name}"].message
    assert "first.in" in run.failed["T5.2 unpaired"].message
    assert "case.yaml" in run.failed["T5.2 bad-settings"].message


def test_unreadable_file_of_a_case_is_named(tmp_path: Path, backend: str, cases: Path) -> None:
    add(cases, "looped", main_py="print(1)\n", **{"1_in": "1\n"})
    (cases / "looped" / "1.out").symlink_to("1.out")
    run = run_cases(tmp_path, backend, cases)
    assert set(run.failed) == {VALIDATION, "T5.2 looped"}
    assert "1.out" in run.failed["T5.2 looped"].message


@pytest.mark.parametrize("made", [True, False])
def test_folder_without_cases_fails_by_its_name(tmp_path: Path, backend: str, made: bool) -> None:
    folder = tmp_path / "none here"
    if made:
        folder.mkdir()
    run = run_cases(tmp_path, backend, folder)
    assert run.returncode == 1
    assert list(run.failed) == [VALIDATION]
    assert str(folder) in run.failed[VALIDATION].message
    assert not run.passed


def test_file_instead_of_a_folder_is_named(tmp_path: Path, backend: str) -> None:
    file = tmp_path / "a file"
    file.write_text("")
    run = run_cases(tmp_path, backend, file)
    assert list(run.failed) == [VALIDATION]
    assert str(file) in run.failed[VALIDATION].message


@pytest.fixture
def one_fails(cases: Path) -> Path:
    """A folder with five cases that pass and one that fails."""
    (cases / "hello-n-times" / "output3.txt").write_text("nonsense\n", encoding="utf-8")
    return cases


FAILING = "T5.2 hello-n-times input3"
WITH_SELECTION = ("-A", str(PROJECT / "variables" / "cases.args"))


def run_selection(tmp_path: Path, backend: str, cases: Path, *options: str) -> RobotRun:
    """Run with options of selection, from the project's folder as the argument file asks for."""
    settings = ["-v", f"ENDPOINT:{backend}", "-v", f"TEST_CASES:{cases}"]
    return run_robot(tmp_path / "selected", *settings, *options, cwd=PROJECT)


def test_single_case_is_selected_by_its_name(tmp_path: Path, backend: str, one_fails: Path) -> None:
    run = run_selection(tmp_path, backend, one_fails, *WITH_SELECTION, "--test", FAILING)
    assert [test.name for test in run.tests] == [FAILING]
    assert run.returncode == 1


def test_failed_case_is_run_again(tmp_path: Path, backend: str, one_fails: Path) -> None:
    first = run_cases(tmp_path, backend, one_fails)
    assert list(first.failed) == [FAILING]
    again = ("--rerunfailed", str(tmp_path / "results" / "output.xml"))
    run = run_selection(tmp_path, backend, one_fails, *WITH_SELECTION, *again)
    assert [test.name for test in run.tests] == [FAILING]


def test_failed_case_that_is_lost_fails_the_run_with_advice(
    tmp_path: Path, backend: str, one_fails: Path
) -> None:
    run_cases(tmp_path, backend, one_fails)
    again = ("--rerunfailed", str(tmp_path / "results" / "output.xml"), "--test", "T1.1*")
    run = run_selection(tmp_path, backend, one_fails, *again)
    assert run.returncode != 0
    for words in (FAILING, "-A variables/cases.args"):
        assert words in run.failed["T1.1 Simple Print Statement"].message


def test_tags_that_lose_cases_fail_the_run_with_advice(
    tmp_path: Path, backend: str, cases: Path
) -> None:
    tags = ("--include", "T1.1 OR language-python")
    run = run_selection(tmp_path, backend, cases, *tags)
    assert run.returncode != 0
    for words in ("lose 6 tests", "T5.2 hello-n-times input1", "-A variables/cases.args"):
        assert words in run.failed["T1.1 Simple Print Statement"].message
    run = run_selection(tmp_path, backend, cases, *WITH_SELECTION, *tags)
    assert run.returncode == 0, run.brief
    assert "T5.2 hello-n-times input1" in run.passed


def test_patterns_choose_cases(tmp_path: Path, backend: str, one_fails: Path) -> None:
    run = run_cases(tmp_path, backend, one_fails, "-v", "CASES:hello-n-times/input[12],*/input5")
    names = [f"T5.2 hello-n-times input{number}" for number in (1, 2, 5)]
    assert list(run.passed) == [VALIDATION, *names]
    assert run.returncode == 0


def test_pattern_that_names_no_case_fails(tmp_path: Path, backend: str, cases: Path) -> None:
    run = run_cases(tmp_path, backend, cases, "-v", "CASES:nonesuch")
    assert list(run.failed) == [VALIDATION]
    for words in ("nonesuch", "hello-n-times"):
        assert words in run.failed[VALIDATION].message


def test_every_submission_is_held_to_its_promise(tmp_path: Path, backend: str) -> None:
    package = tmp_path / "packages" / "twice"
    write(package / "problem.yaml", "problem_format_version: 2025-09\nname: Twice\n")
    for number in (1, 2, 3):
        write(package / f"data/secret/{number}.in", f"{number}\n")
        write(package / f"data/secret/{number}.ans", f"{2 * number}\n")
    submissions = package / "submissions"
    write(submissions / "accepted" / "right.py", "print(2 * int(input()))\n")
    write(submissions / "accepted" / "squares.py", "print(int(input()) ** 2)\n")
    write(submissions / "wrong_answer" / "adds.py", "print(2 + int(input()))\n")
    write(submissions / "wrong_answer" / "right_too.py", "print(int(input()) * 2)\n")
    run = run_cases(tmp_path, backend, package.parent, "-v", "SUBMISSIONS:all")
    assert set(run.failed) == {
        "T5.2 twice accepted/squares.py secret/1",
        "T5.2 twice accepted/squares.py secret/3",
        "T5.2 twice wrong_answer/right_too.py as filed",
    }
    message = run.failed["T5.2 twice wrong_answer/right_too.py as filed"].message
    assert "the cases don't tell this program from a right one" in message
    assert "T5.2 twice wrong_answer/adds.py as filed" in run.passed


def test_pabot_gives_single_cases_to_its_processes(
    tmp_path: Path, backend: str, one_fails: Path
) -> None:
    folder = Path(sys.executable).parent
    options = ["--processes", "2", "--testlevelsplit", "--outputdir", str(tmp_path / "results")]
    settings = ["-v", f"ENDPOINT:{backend}", "-v", f"TEST_CASES:{one_fails}"]
    settings += ["-v", "CASES:*/input[123]", "--include", "T5.2"]
    finished = subprocess.run(
        [str(folder / "pabot"), *options, *WITH_SELECTION, *settings, str(PROJECT / "suites")],
        env=environment(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}"),
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 1, finished.stdout
    suite = ExecutionResult(tmp_path / "results" / "output.xml").suite
    ran = {test.name: test.status for test in suite.all_tests}
    passed = (VALIDATION, *(f"T5.2 hello-n-times input{number}" for number in (1, 2)))
    assert ran == {FAILING: "FAIL", **dict.fromkeys(passed, "PASS")}


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
