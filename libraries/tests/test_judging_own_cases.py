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
from codewitness.judging.problem import Case, Problem
from codewitness.judging.readers.collection import read_problems
from codewitness.judging.validators import Validators
from codewitness.judging.verdict import JudgingLimits, Verdict, judge

ROOT = Path(__file__).resolve().parents[2] / "test_cases"
PROBLEMS = {problem.name: problem for problem in read_problems(ROOT)}
# Folders without a package's ceremony.
PLAIN = [name for name in PROBLEMS if not (ROOT / name / "problem.yaml").exists()]

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


@pytest.fixture(scope="module")
def validators() -> Iterator[Validators]:
    validators = Validators()
    yield validators
    validators.close()


def whole(name: str) -> Problem:
    problem = PROBLEMS[name]
    assert isinstance(problem, Problem), problem
    return problem


@pytest.mark.parametrize("name", PROBLEMS)
def test_problem_is_whole(name: str) -> None:
    problem = whole(name)
    assert not problem.broken_submissions
    assert not problem.notes


@pytest.mark.parametrize("name", PLAIN)
def test_case_fits_every_service(name: str) -> None:
    for case in whole(name).cases:
        for data in (case.stdin, case.expected, case.stderr):
            text = data.read() if data else b""
            assert text.decode("utf-8").encode("utf-8") == text
        assert case.expected.size < PISTON_OUTPUT_LIMIT
        assert case.stdin.size < 5000


def test_cases_are_varied() -> None:
    problems = [whole(name) for name in PLAIN]
    languages = Counter(each.submissions[0].program.language for each in problems)
    assert languages.keys() == LANGUAGES.keys()
    assert languages["python"] > len(problems) / 2
    cases = [case for problem in problems for case in problem.cases]
    assert {case.comparison.mode for case in cases} == set(Mode)
    assert len(cases) >= 60
    assert any(case.args for case in cases)
    assert any(case.exit_code for case in cases)
    inputs = [case.stdin.read() for case in cases]
    assert any(not stdin for stdin in inputs)
    assert any(stdin and not stdin.endswith(b"\n") for stdin in inputs)
    assert any(b"\r\n" in stdin for stdin in inputs)
    assert any(not stdin.isascii() for stdin in inputs)


def test_case_of_the_plan_is_there() -> None:
    cases = whole("hello-n-times").cases
    assert cases[0].stdin.read() == b"5\n"
    for case in cases:
        assert case.expected.read() == b"Hello\n" * int(case.stdin.read())


def some_cases(problem: Problem) -> list[Case]:
    """Return all cases of a plain folder, and of a package the first few."""
    if problem.name in PLAIN:
        return list(problem.cases)
    return list(problem.cases[:2])


@pytest.mark.parametrize("name", PROBLEMS)
def test_program_does_what_its_case_says(
    name: str, executor: LocalExecutor, validators: Validators
) -> None:
    problem = whole(name)
    submission = problem.submissions[0]
    language = submission.program.language
    if language not in {runtime.language for runtime in executor.runtimes()}:
        tool = TOOLS[language]
        assert not shutil.which(tool), f"{tool} is there, but {language} can't be run"
        pytest.skip(f"no {tool} for {language} on this machine")
    for case in some_cases(problem):
        result = executor.execute(problem.request(submission, case))
        judged = judge(result, case, validators.of(problem), JudgingLimits())
        assert judged.verdict is Verdict.AC, (case.name, str(judged), result.run.stderr)


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
