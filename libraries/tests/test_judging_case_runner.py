"""Running cases: which limits are asked of the service for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Limits,
    Provenance,
    Stage,
)
from codewitness.judging.case_tests import Submissions, case_tests
from codewitness.target.case_runner import CaseRunner
from tests.problem_folders import PACKAGE, whole, write_tree


@pytest.mark.parametrize(
    ("limits", "filed", "asked"),
    [
        ("{}", "run_time_error", Limits()),
        ("{memory: 512}", "run_time_error", Limits(run_memory_limit=512 << 20)),
        (
            "{memory: 512}",
            "time_limit_exceeded",
            Limits(run_timeout=9000, run_cpu_time=4000, run_memory_limit=512 << 20),
        ),
    ],
)
def test_limits_of_the_problem_are_asked_of_the_service(
    tmp_path: Path, limits: str, filed: str, asked: Limits
) -> None:
    settings = {"problem.yaml": f"limits: {limits}\n", f"submissions/{filed}/x.py": ""}
    problem = whole(write_tree(tmp_path, {**PACKAGE, **settings}))
    test = case_tests([problem], Submissions.ALL)[-1]
    requests: list[ExecutionRequest] = []

    def execute(request: ExecutionRequest) -> ExecutionResult:
        requests.append(request)
        return ExecutionResult("python", "3", Stage(code=0), Provenance("test"))

    runner = CaseRunner(execute, [test])
    try:
        assert len(runner.runs_of(test, 60)) == 2
    finally:
        runner.close()
    assert {request.limits for request in requests} == {asked}
