"""Folders of test cases: adding one adds a test, and a broken one fails by its name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from codewitness.embedded.service import start_service
from tests.robot_runs import PROJECT, RobotRun, run_robot

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
    assert list(run.passed) == [VALIDATION, "T5.2 doubled", "T5.2 hello-n-times"]


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
    message = run.failed["T5.2 doubled"].message
    for words in ("1 of 2 inputs of doubled differ", "wrong", "'7'", "'6'", "test plan, T5.2"):
        assert words in message, message


def test_broken_cases_fail_by_their_names(tmp_path: Path, backend: str, cases: Path) -> None:
    add(cases, "unpaired", main_py="print(1)\n", first_in="1\n")
    add(cases, "empty")
    add(cases, "without-program", **{"1_in": "1\n", "1_out": "1\n"})
    add(cases, "bad-settings", main_py="", case_yaml="no: [such", **{"1_in": "", "1_out": ""})
    run = run_cases(tmp_path, backend, cases)
    assert set(run.passed) == {"T5.2 hello-n-times"}
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
