"""Running the cases of problems ahead of the tests that report them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    Limits,
    PlatformFault,
    RequestRefused,
    SourceFile,
)
from codewitness.execution.pipeline import Concurrency, Pipeline
from codewitness.judging.case_tests import CaseTest
from codewitness.judging.problem import Case, Problem, Program, Submission
from codewitness.judging.validators import Validators
from codewitness.judging.verdict import (
    CaseVerdict,
    JudgingLimits,
    Verdict,
    judge,
    judging_limits,
)

_PROGRAMS_KEPT = 64
_LIMIT_NAMES = ("run_timeout", "run_cpu_time", "run_memory_limit", "compile_timeout")

Execute = Callable[[ExecutionRequest], ExecutionResult]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class CaseRun:
    """What came of a program on a case.

    Attributes:
        case: The case.
        verdict: The verdict.
        outcome: Result or error that it stands on; ``None`` once it is accepted, so that ten
            thousand of them need no room, and where a file could not be read.
        refused_bytes: Length of the program and its input, where the service refused them.
    """

    case: Case
    verdict: CaseVerdict
    outcome: ExecutionResult | ExecutionError | None = None
    refused_bytes: int | None = None

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        if not isinstance(self.outcome, ExecutionResult):
            return 0
        run = self.outcome.run
        return 2 * len(run.stdout) + 2 * len(run.stderr)


@dataclass(frozen=True)
class _Task:
    problem: Problem
    submission: Submission
    case: Case


class CaseRunner:
    """Runs the cases of tests in their order, some at a time, before the tests ask for them.

    Args:
        execute: Runs one request; called from several threads.
        tests: Tests that will be run. What none of them needs is never executed.
        concurrency: How many at once; found from what the service shows when ``None``.
        validators: The problems' own validators; closed by whoever made them.
    """

    def __init__(
        self,
        execute: Execute,
        tests: Iterable[CaseTest],
        *,
        concurrency: int | None = None,
        validators: Validators | None = None,
    ) -> None:
        self._execute = execute
        self._validators = validators or Validators()
        self._tasks = {_key(*task): _Task(*task) for test in tests for task in _tasks(test)}
        # Several threads at first sight of a program would read it several times; no harm.
        self._sources = lru_cache(_PROGRAMS_KEPT)(_read_program)
        self._limits_refused: set[Limits] = set()
        self._pipeline: Pipeline[Key, CaseRun] = Pipeline(
            list(self._tasks),
            self._run,
            concurrency=Concurrency(concurrency),
            size=lambda run: run.size,
        )

    @property
    def total(self) -> int:
        """How many cases are run in all."""
        return self._pipeline.total

    @property
    def done(self) -> int:
        """How many have been run."""
        return self._pipeline.done

    @property
    def at_once(self) -> int:
        """How many may run at once now."""
        return self._pipeline.concurrency.limit

    @property
    def refusals(self) -> int:
        """How often the service had no room."""
        return self._pipeline.refusals

    def runs_of(self, test: CaseTest, within: float) -> list[CaseRun]:
        """Return what came of the cases of a test, in their order; wait for it.

        Args:
            test: One of those given.
            within: Seconds for each case.

        Raises:
            PlatformFault: The service had no room for a case, however often it was asked.
            TimeoutError: A case did not end in time.
        """
        return [self._pipeline.claim(_key(*task), within) for task in _tasks(test)]

    def request_of(self, test: CaseTest, case: Case) -> ExecutionRequest | None:
        """Return the request for a case of a test; ``None`` when it can't be read."""
        task = self._tasks.get(_key(*_task_of(test, case)))
        try:
            return (
                None
                if task is None
                else self._request(task, judging_limits_of(task.problem, task.submission))
            )
        except OSError:
            return None

    def close(self) -> None:
        """Begin nothing more."""
        self._pipeline.close()

    def _run(self, key: Key) -> CaseRun:
        task = self._tasks[key]
        case = task.case
        limits = judging_limits_of(task.problem, task.submission)
        try:
            request = self._request(task, limits)
        except OSError as error:
            reason = f"{error.filename} can't be read any more: {error.strerror}"
            return CaseRun(case, CaseVerdict(Verdict.JE, Verdict.JE, reason))
        outcome: ExecutionResult | ExecutionError
        try:
            outcome = self._execute_within(request)
        except PlatformFault as fault:
            if fault.kind is FaultKind.CAPACITY:
                # The pipeline waits, and tries again with fewer at once.
                raise
            outcome = fault
        except ExecutionError as error:
            outcome = error
        try:
            judged = judge(outcome, case, self._validators.of(task.problem), limits)
        except PlatformFault as fault:
            judged = CaseVerdict(Verdict.JE, Verdict.JE, str(fault))
        if judged.verdict is Verdict.AC:
            return CaseRun(case, replace(judged, run=None))
        refused = _length(request) if isinstance(outcome, RequestRefused) else None
        return CaseRun(case, judged, outcome, refused)

    def _execute_within(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute with the limits of the problem, or those of the service where it takes none."""
        if request.limits in self._limits_refused:
            request = replace(request, limits=Limits())
        try:
            return self._execute(request)
        except RequestRefused as refused:
            if request.limits == Limits() or not _is_about_limits(refused):
                raise
        self._limits_refused.add(request.limits)
        return self._execute(replace(request, limits=Limits()))

    def _request(self, task: _Task, limits: JudgingLimits) -> ExecutionRequest:
        sources = self._sources(task.submission.program)
        request = task.problem.request(task.submission, task.case, sources)
        if request.limits != Limits():
            return request
        return replace(request, limits=limits.to_ask())


def judging_limits_of(problem: Problem, submission: Submission | None = None) -> JudgingLimits:
    """Return the limits that runs of a problem are judged by.

    A problem that sets none leaves them to the service, unless a program is there to be too slow.
    """
    too_slow = submission is not None and any(
        "TLE" in each.required | each.overall for each in submission.expectations
    )
    if problem.limits.time is None and not too_slow:
        return replace(judging_limits(problem.limits, 1.0), time=None, wider_time=None)
    return judging_limits(problem.limits)


def _read_program(program: Program) -> tuple[SourceFile, ...]:
    return program.read()


def _tasks(test: CaseTest) -> Sequence[tuple[Problem, Submission, Case]]:
    return [_task_of(test, case) for case in test.cases]


def _task_of(test: CaseTest, case: Case) -> tuple[Problem, Submission, Case]:
    assert isinstance(test.problem, Problem)
    assert isinstance(test.submission, Submission)
    return test.problem, test.submission, case


def _key(problem: Problem, submission: Submission, case: Case) -> Key:
    return problem.name, submission.name, case.name


def _is_about_limits(refused: RequestRefused) -> bool:
    return any(name in refused.message for name in _LIMIT_NAMES)


def _length(request: ExecutionRequest) -> int:
    return len(request.stdin) + sum(len(file.content) for file in request.files)
