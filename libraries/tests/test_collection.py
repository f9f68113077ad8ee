"""The problems of test_cases/ that have submissions: whole, varied, and as their authors promise.

The quick form has one accepted submission of each problem solve the samples. ``--every-submission``
judges all submissions on all cases, right ones and wrong ones, as judges do.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pytest

import generate_cases
from codewitness.execution.backend import encode_body
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import ExecutionError, ExecutionResult
from codewitness.execution.piston import request_to_json
from codewitness.judging.comparison import Mode
from codewitness.judging.problem import Case, Content, Problem, Submission
from codewitness.judging.promises import Outcome, judge_submission
from codewitness.judging.readers.collection import read_problems
from codewitness.judging.validators import Validators
from codewitness.judging.verdict import Verdict, judge, judging_limits

ROOT = Path(__file__).resolve().parents[2] / "test_cases"
PROBLEMS = {problem.name: problem for problem in read_problems(ROOT)}
NAMES = [name for name in PROBLEMS if (ROOT / name / "submissions").is_dir()]
VALIDATED = [name for name in NAMES if (ROOT / name / "output_validator").is_dir()]

PISTON_BODY_LIMIT = 100 << 10
"""Bytes of a request that Piston takes, unless configured otherwise."""

PISTON_RUN_TIMEOUT = 3000.0
"""Milliseconds that Piston lets a request ask for, unless configured otherwise."""

PISTON_OUTPUT_LIMIT = 1024
"""Characters of output after which Piston ends a program, unless configured otherwise."""

MOST_OUTPUT = 500_000
MOST_BYTES_OF_FILE = 600_000
MOST_BYTES_IN_ALL = 4_000_000

TOOLS = {"javascript": "node", "c": "gcc", "c++": "g++", "java": "javac"}
"""What a machine needs to run programs in a language other than Python."""

# Elapsed time says nothing of a program on a busy machine.
_RUN_TIMEOUT = 120_000.0


@dataclass(frozen=True)
class _Judged:
    """A submission and the cases that it is judged on."""

    problem: Problem
    submission: Submission
    cases: tuple[Case, ...]

    def __str__(self) -> str:
        return f"{self.problem.name}/{self.submission.name}"


def whole(name: str) -> Problem:
    problem = PROBLEMS[name]
    assert isinstance(problem, Problem), problem
    return problem


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "judged" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-submission")
        problems = [each for each in map(PROBLEMS.get, NAMES) if isinstance(each, Problem)]
        submissions = list(chain.from_iterable(map(_all if every else _samples, problems)))
        metafunc.parametrize("judged", submissions, ids=str)


def _all(problem: Problem) -> list[_Judged]:
    return [_Judged(problem, each, problem.cases) for each in problem.submissions]


def _samples(problem: Problem) -> list[_Judged]:
    samples = [case for case in problem.cases if case.group == "sample"]
    cases = tuple(samples or problem.cases[:2])
    return [_Judged(problem, problem.submissions[0], cases)]


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


@pytest.mark.parametrize("name", NAMES)
def test_problem_has_right_and_wrong_submissions(name: str) -> None:
    problem = whole(name)
    assert not problem.broken_submissions
    assert not problem.notes
    solving = [each for each in problem.submissions if each.solves]
    assert len({each.program.language for each in solving}) > 1
    assert any(each.filed == "wrong_answer" for each in problem.submissions)


@pytest.mark.parametrize("name", NAMES)
def test_problem_fits_services(name: str) -> None:
    problem = whole(name)
    for case in problem.cases:
        stdin, expected = case.stdin.read(), case.expected.read()
        assert stdin.decode("utf-8").encode("utf-8") == stdin
        assert expected.decode("utf-8").encode("utf-8") == expected
        # A service may append a newline, which a program must not mistake for more.
        assert stdin.endswith(b"\n") or not stdin
        for submission in problem.submissions:
            body = encode_body(request_to_json(problem.request(submission, case)))
            assert len(body) < PISTON_BODY_LIMIT, (submission.name, case.name)
        assert len(expected) <= MOST_OUTPUT
    assert (problem.limits.run_timeout or 0) <= PISTON_RUN_TIMEOUT


@pytest.mark.parametrize("name", NAMES)
def test_only_long_outputs_exceed_the_usual_limit(name: str) -> None:
    for case in whole(name).cases:
        is_long = case.group == "secret/long-output"
        assert is_long or case.expected.size < PISTON_OUTPUT_LIMIT, case.name


def test_collection_is_large_and_varied() -> None:
    assert len(PROBLEMS) >= 30
    problems = [whole(name) for name in PROBLEMS]
    assert sum(len(problem.cases) for problem in problems) >= 400
    first = Counter(problem.submissions[0].program.language for problem in problems)
    assert {"python", "javascript", "java", "c", "c++"} <= first.keys()
    filed = Counter(each.filed for problem in problems for each in problem.submissions)
    assert filed["wrong_answer"] >= 40
    assert filed["time_limit_exceeded"] + filed["brute_force"] >= 8
    assert filed["run_time_error"] >= 15
    layouts = {problem.layout.partition(",")[0].partition(" in ")[0] for problem in problems}
    assert len(layouts) >= 4, layouts
    assert {each.language for name in VALIDATED for each in whole(name).validators} == {
        "python",
        "c",
        "c++",
    }
    cases = [case for name in NAMES for case in whole(name).cases]
    assert any(case.comparison.float_absolute_tolerance for case in cases)
    assert any(case.comparison.float_relative_tolerance for case in cases)
    assert any(case.comparison.case_sensitive for case in cases)
    assert any(case.comparison.space_change_sensitive for case in cases)
    assert any(case.comparison.mode is Mode.EXACT for case in cases)
    assert any(case.files for case in cases)
    assert any(case.args for case in cases)
    assert any(case.exit_code for case in cases)


def test_packages_have_ids_of_their_own() -> None:
    settings = [path.read_text("utf-8") for path in sorted(ROOT.glob("*/problem.yaml"))]
    ids = [line for text in settings for line in text.splitlines() if line.startswith("uuid: ")]
    assert len(set(ids)) == len(settings)
    for path in ROOT.glob("*/problem.yaml"):
        assert (path.parent / "statement" / "problem.en.md").is_file()


def test_collection_is_small() -> None:
    sizes = {path: path.stat().st_size for path in ROOT.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < MOST_BYTES_IN_ALL
    assert max(sizes.values()) < MOST_BYTES_OF_FILE


def test_every_byte_is_kept_by_git(project_root: Path) -> None:
    assert "test_cases/** -text" in (project_root / ".gitattributes").read_text().splitlines()


def test_large_inputs_are_those_generated(tmp_path: Path) -> None:
    generate_cases.generate(tmp_path)
    for name in generate_cases.GENERATED:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), name


@pytest.mark.parametrize("name", VALIDATED)
def test_validator_tells_right_outputs_from_wrong_ones(name: str, validators: Validators) -> None:
    problem = whole(name)
    require({each.language for each in problem.validators}, {"c", "c++", "python"})
    data = ROOT / name / "data"
    for folder, verdict in (("valid_output", Verdict.AC), ("invalid_output", Verdict.WA)):
        outputs = sorted((data / folder).glob("*.out"))
        assert outputs, folder
        for path in outputs:
            given, answer = Content(path.with_suffix(".in")), Content(path.with_suffix(".ans"))
            case = Case(path.stem, given, answer)
            validation = validators.of(problem).validate(path.read_bytes(), case)
            assert validation.verdict is verdict, (path.name, validation.reason)


def test_submission_is_as_promised(
    judged: _Judged, executor: LocalExecutor, validators: Validators
) -> None:
    problem, submission = judged.problem, judged.submission
    require({submission.program.language}, {each.language for each in executor.runtimes()})
    limits = judging_limits(problem.limits)
    validator = validators.of(problem)

    def execute(case: Case) -> ExecutionResult | ExecutionError:
        request = problem.request(submission, case)
        asked = replace(limits.to_ask(), run_timeout=_RUN_TIMEOUT, compile_timeout=_RUN_TIMEOUT)
        try:
            return executor.execute(replace(request, limits=asked))
        except ExecutionError as error:
            return error

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(execute, judged.cases))
    verdicts = [
        (case, judge(outcome, case, validator, limits))
        for case, outcome in zip(judged.cases, outcomes, strict=True)
    ]
    judgement = judge_submission(submission, verdicts)
    assert judgement.outcome is Outcome.KEPT, judgement.message


def require(needed: set[str], there: set[str]) -> None:
    """Skip a test that needs a language which this machine has no tool for."""
    for language in needed - there:
        tool = TOOLS[language]
        assert not shutil.which(tool), f"{tool} is there, but {language} can't be run"
        pytest.skip(f"no {tool} for {language} on this machine")
