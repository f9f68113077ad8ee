"""The requests of a planned load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from codewitness.distributed.plan import LoadPlan
from codewitness.execution.load import LoadRequest, LoadRequests, echo_requests
from codewitness.execution.model import ExecutionResult
from codewitness.execution.redaction import redact
from codewitness.judging.case_tests import CaseTest, case_tests
from codewitness.judging.problem import Case, Problem, Submission
from codewitness.judging.readers.collection import read_problems
from codewitness.judging.verdict import DefaultValidator, JudgingLimits, Verdict, judge

OWN_CASES = Path(__file__).resolve().parents[3] / "test_cases"
"""The project's own test cases."""

_LONGEST_DETAIL = 300


def requests_of(plan: LoadPlan) -> LoadRequests:
    """Return what makes the requests of a plan.

    Raises:
        CasesError: The folder of test cases can't be read.
        ValueError: Its patterns name no test case that can be run under load.
    """
    echo = echo_requests(plan.program_seconds)
    if not plan.cases:
        return echo
    cases = case_requests(Path(plan.case_folder or OWN_CASES), plan.cases)
    return lambda number: cases(number // 2) if number % 2 else echo(number)


def case_requests(folder: Path, patterns: Sequence[str]) -> LoadRequests:
    """Return requests that run accepted programs on test cases in turn.

    A test case is judged by what the program prints and how it ends. Its time says more of the
    load than of the program, and problems with validators of their own would cost the generator
    more than its requests: the former is not judged, the latter are left out.

    Args:
        folder: Folder of the test cases.
        patterns: What to run; see :func:`codewitness.judging.case_tests.case_tests`.

    Raises:
        CasesError: The folder can't be read.
        ValueError: The patterns name no test case that can be run so.
    """
    tests = [_maker(test) for test in case_tests(read_problems(folder), patterns=patterns)]
    made = [make for make in tests if make is not None]
    if not made:
        raise ValueError(
            f"{','.join(patterns)} names no test case of {folder} whose output is compared"
        )
    return lambda number: made[number % len(made)]()


def _maker(test: CaseTest) -> Callable[[], LoadRequest] | None:
    problem, submission, case = test.problem, test.submission, test.case
    if not isinstance(problem, Problem) or problem.validators or case is None:
        return None
    if not isinstance(submission, Submission):
        return None
    check = partial(_check, f"{problem.name}/{case.name}", case)
    return lambda: LoadRequest(problem.request(submission, case), b"", check=check)


def _check(name: str, case: Case, result: ExecutionResult) -> tuple[str, str]:
    judged = judge(result, case, DefaultValidator(), JudgingLimits())
    if judged.verdict is Verdict.AC:
        return "", ""
    told = redact(f"{name}: {judged.reason}")[:_LONGEST_DETAIL]
    return f"test case: {judged.verdict.words}", told
