"""The project's own test cases: whole, varied, and right, which running them shows."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from codewitness.execution.local import LocalExecutor
from codewitness.judging.cases import LANGUAGES, TestCase, read_cases
from codewitness.judging.comparison import Mode
from codewitness.judging.verdict import mismatches

ROOT = Path(__file__).resolve().parents[2] / "test_cases"
CASES = {case.name: case for case in read_cases(ROOT)}

PISTON_OUTPUT_LIMIT = 1024
"""Characters of output after which Piston ends a program, unless configured otherwise."""

TOOLS = {
    "javascript": "node",
    "bash": "bash",
    "c": "gcc",
    "c++": "g++",
    "java": "javac",
    "csharp": "mcs",
}
"""What a machine needs to run programs in a language other than Python."""


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor()
    yield executor
    executor.close()


def whole(name: str) -> TestCase:
    case = CASES[name]
    assert isinstance(case, TestCase), case
    return case


@pytest.mark.parametrize("name", CASES)
def test_case_fits_every_service(name: str) -> None:
    case = whole(name)
    for given in case.inputs:
        for text in (given.stdin, given.expected, given.stderr or b""):
            assert text.decode("utf-8").encode("utf-8") == text
        assert len(given.expected) < PISTON_OUTPUT_LIMIT
        assert len(given.stdin) < 5000


def test_cases_are_varied() -> None:
    cases = [whole(name) for name in CASES]
    languages = Counter(case.language for case in cases)
    assert languages.keys() == LANGUAGES.keys()
    assert languages["python"] > len(cases) / 2
    assert {case.comparison.mode for case in cases} == set(Mode)
    inputs = [given for case in cases for given in case.inputs]
    assert len(inputs) >= 60
    assert any(given.args for given in inputs)
    assert any(given.exit_code for given in inputs)
    assert any(not given.stdin for given in inputs)
    assert any(given.stdin and not given.stdin.endswith(b"\n") for given in inputs)
    assert any(b"\r\n" in given.stdin for given in inputs)
    assert any(not given.stdin.isascii() for given in inputs)


def test_case_of_the_plan_is_there() -> None:
    case = whole("hello-n-times")
    assert case.inputs[0].stdin == b"5\n"
    for given in case.inputs:
        assert given.expected == b"Hello\n" * int(given.stdin)


@pytest.mark.parametrize("name", CASES)
def test_program_does_what_its_case_says(name: str, executor: LocalExecutor) -> None:
    case = whole(name)
    if case.language not in {runtime.language for runtime in executor.runtimes()}:
        tool = TOOLS[case.language]
        assert not shutil.which(tool), f"{tool} is there, but {case.language} can't be run"
        pytest.skip(f"no {tool} for {case.language} on this machine")
    for given in case.inputs:
        result = executor.execute(case.request(given))
        found = mismatches(case, given, result.run, result.compile)
        assert not found, (given.name, [str(each) for each in found], result.run.stderr)


def test_readme_names_every_setting_and_language(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "case.yaml").write_text("no_such_key: 1", encoding="utf-8")
    (case,) = read_cases(tmp_path)
    assert not isinstance(case, TestCase)
    keys = re.search("known are (.*)", case.problems[0])
    assert keys
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall("^[|] `(\\w+)` [|].*[|].*[|]$", readme, re.M) == keys[1].split(", ")
    for name, endings in LANGUAGES.items():
        for word in (name, *endings):
            assert f"`{word}`" in readme
