"""A problem package from its folder to the judgement on each of its submissions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import ExecutionError, ExecutionResult, Executor
from codewitness.judging.problem import Problem
from codewitness.judging.promises import Outcome, SubmissionJudgement, judge_submission
from codewitness.judging.readers.collection import read_problems
from codewitness.judging.validators import Validators
from codewitness.judging.verdict import judge, judging_limits

# Any two numbers with the sum given will do.
VALIDATOR = """\
import sys
total = int(open(sys.argv[1]).read())
try:
    first, second = map(int, sys.stdin.read().split())
except ValueError:
    first = second = 0
    open(sys.argv[3] + "judgemessage.txt", "w").write("not two numbers")
sys.exit(42 if first + second == total and first > 0 < second else 43)
"""
SUBMISSIONS = {
    "accepted/halves.py": "n = int(input())\nprint(n // 2, n - n // 2)",
    "accepted/one.c": (
        '#include <stdio.h>\nint main(void) { int n; scanf("%d", &n); printf("1\\n%d\\n", n - 1); }'
    ),
    "wrong_answer/zero.py": "print(0, input())",
    "wrong_answer/silent.py": "",
    "wrong_answer/right.py": "n = int(input())\nprint(1, n - 1)",
    "run_time_error/big.py": "n = int(input())\nprint(1, n - 1, 1 // (n < 9) and '')",
    "time_limit_exceeded/loops.py": "n = int(input())\nwhile n > 9: pass\nprint(1, n - 1)",
    "time_limit_exceeded/fast.py": "n = int(input())\nprint(1, n - 1)",
}
KEPT = {
    "accepted/halves.py": Outcome.KEPT,
    "accepted/one.c": Outcome.KEPT,
    "wrong_answer/zero.py": Outcome.KEPT,
    "wrong_answer/silent.py": Outcome.KEPT,
    "wrong_answer/right.py": Outcome.BROKEN,
    "run_time_error/big.py": Outcome.KEPT,
    "time_limit_exceeded/loops.py": Outcome.KEPT,
    "time_limit_exceeded/fast.py": Outcome.BROKEN,
}


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    root = tmp_path_factory.mktemp("packages")
    files = {f"submissions/{name}": content for name, content in SUBMISSIONS.items()}
    files["problem.yaml"] = (
        "problem_format_version: 2025-09\nname: Two Parts\n"
        "uuid: 9d1b8d3c-3f3a-4d5e-8d0f-0d9a1c5a7f10\nlimits:\n  time_limit: 1\n"
    )
    files["statement/problem.en.md"] = "Split a number into two.\n"
    files["output_validator/check.py"] = VALIDATOR
    for number in (2, 5, 10):
        files[f"data/secret/{number}.in"] = f"{number}\n"
        files[f"data/secret/{number}.ans"] = ""
    for name, content in files.items():
        path = root / "twoparts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (found,) = read_problems(root)
    assert isinstance(found, Problem), found
    return found


@pytest.fixture(scope="module")
def judgements(problem: Problem) -> Iterator[dict[str, SubmissionJudgement]]:
    with closing(LocalExecutor()) as executor, closing(Validators()) as validators:
        yield {name: judged(problem, name, executor, validators) for name in SUBMISSIONS}


def judged(
    problem: Problem, name: str, executor: Executor, validators: Validators
) -> SubmissionJudgement:
    submission = next(each for each in problem.submissions if each.name == name)
    limits = judging_limits(problem.limits)
    verdicts = []
    for case in problem.cases:
        request = replace(problem.request(submission, case), limits=limits.to_ask())
        outcome: ExecutionResult | ExecutionError
        try:
            outcome = executor.execute(request)
        except ExecutionError as error:
            outcome = error
        verdicts.append((case, judge(outcome, case, validators.of(problem), limits)))
    return judge_submission(submission, verdicts)


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_submission_is_judged_as_it_deserves(
    judgements: dict[str, SubmissionJudgement], name: str
) -> None:
    assert judgements[name].outcome is KEPT[name], judgements[name].message


def test_messages_say_why(judgements: dict[str, SubmissionJudgement]) -> None:
    told = judgements["wrong_answer/right.py"].message
    assert "at least one case is WA. All 3 are accepted" in told
    told = judgements["time_limit_exceeded/fast.py"].message
    assert "at least one case is TLE. All 3 are accepted" in told
