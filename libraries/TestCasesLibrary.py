"""Keywords that run test cases, each as a test of its own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

import generated_tests
import run_context
from codewitness import __version__
from codewitness.execution.model import (
    ExecutionError,
    ExecutionResult,
    PlatformFault,
    RequestRefused,
)
from codewitness.judging.case_tests import CaseTest
from codewitness.judging.problem import (
    BrokenProblem,
    BrokenSubmission,
    Problem,
    RefusedProblem,
    Submission,
)
from codewitness.judging.promises import Outcome, judge_submission
from codewitness.judging.validators import Validators
from codewitness.judging.verdict import Verdict
from codewitness.reporting.card import Mismatch
from codewitness.target.case_runner import CaseRun, CaseRunner
from codewitness.target.settings import SettingsError

MOST_SHOWN = 30
"""How many problems of unreadable cases are shown."""

LARGE = 64 * 1024
"""Bytes of program and input from which on a refusal may be meant for their length."""

OUTPUT_LIMIT = 1000
"""Bytes of output from which on a program may have been killed for them: Piston allows 1,024."""

_PROGRESS_EVERY = 5.0
_LONG_RUN = 100


@library(scope="GLOBAL", version=__version__, listener="SELF", auto_keywords=False)
class TestCasesLibrary:
    """Keywords that execute test cases and compare their outputs with the expected ones.

    A test case is a program's input with the output expected for it, in one of the layouts of
    ``test_cases/README.md``: a folder with a program and files, or a problem package of Kattis,
    ICPC or DOMjudge. In the suite that has the test `T5.2 Test Case Validation` this library adds
    one test for every case: adding files adds a test.

    = Choosing cases =

    The settings ``TEST_CASES`` (folder), ``CASES`` (patterns of problems, groups, cases, programs
    or languages) and ``SUBMISSIONS`` (``accepted``, or ``all`` programs of a problem) choose what
    is run; ``--include`` and ``--exclude`` work as with other tests. Selecting single cases by
    ``--test`` or ``--rerunfailed`` needs the argument file ``variables/cases.args``.

    = Speed =

    Cases are executed ahead of the tests that report them, ``CONCURRENCY`` at once. What was not
    selected is never executed.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self._collection: generated_tests.Collection | None = None
        self._selected: list[CaseTest] = []
        self._runner: CaseRunner | None = None
        self._validators = Validators()
        self._progress = _Progress()

    # Keywords

    @keyword(tags=["test-cases"])
    def every_test_case_should_be_readable(self) -> None:
        """Fails if the folder of test cases can't be read, is empty, or holds a broken case.

        Fails, too, if the setting ``CASES`` names no case.
        """
        collection = self._read()
        if collection.unreadable:
            raise AssertionError(collection.unreadable)
        told = [
            f"{each.name}: {problem}"
            for each in collection.problems
            if isinstance(each, BrokenProblem)
            for problem in each.problems
        ]
        whole = [each for each in collection.problems if isinstance(each, Problem)]
        told += [
            f"{each.name}: {broken.name}: {broken.reason}"
            for each in whole
            for broken in each.broken_submissions
        ]
        if told:
            raise AssertionError(f"Test cases in {collection.folder} can't be run:\n{_lines(told)}")
        if not collection.tests:
            names = _lines([each.name for each in collection.problems])
            raise AssertionError(
                f"CASES={','.join(collection.patterns)} names no test case of {collection.folder}. "
                f"Its problems are:\n{names}"
            )
        cases = sum(len(each.cases) for each in whole)
        logger.info(f"{len(whole)} problems with {cases} cases in {collection.folder}")
        for each in whole:
            for note in each.notes:
                logger.info(f"{each.name}: {note}")

    @keyword(tags=["test-cases"])
    def program_should_solve_case(self, problem: str, program: str, case: str) -> None:
        """Fails unless ``program`` is accepted on ``case`` of ``problem``.

        Skips the test if the service does not list the program's language, lacks the arguments or
        further files that it needs, refuses a request of its length or takes no output of the
        expected one's, and if the verdict hangs on the time limit: then the machine may be slow.
        """
        test = self._test(problem, program, case)
        (run,) = self._runs_of(test)
        if run.verdict.is_sensitive:
            run_context.skip(f"INCONCLUSIVE: {run.verdict}.")
        if run.verdict.verdict is not Verdict.AC:
            _skip_if_cut(test, run)
            self._fail(test, run)
        logger.info(f"{run.verdict}{_time(run)}")

    @keyword(tags=["test-cases"])
    def program_should_fail_as_filed(self, problem: str, program: str) -> None:
        """Fails unless ``program`` comes to what its author filed it under, on all its cases.

        A program filed as wrong must be rejected: one that gets through shows that the cases, or
        their judging, find too little. Skips the test as `Program Should Solve Case` does.
        """
        test = self._test(problem, program)
        assert isinstance(test.submission, Submission)
        runs = self._runs_of(test)
        judgement = judge_submission(test.submission, [(it.case, it.verdict) for it in runs])
        if judgement.outcome is Outcome.SENSITIVE:
            run_context.skip(f"INCONCLUSIVE: {judgement.message}")
        if judgement.outcome is Outcome.NOT_JUDGED:
            self._fail(test, next(it for it in runs if it.verdict.verdict is Verdict.JE))
        if judgement.outcome is Outcome.BROKEN:
            for run in runs:
                _skip_if_cut(test, run)
            raise AssertionError(judgement.message)
        logger.info(judgement.message)

    @keyword(tags=["test-cases"])
    def problem_should_be_usable(self, problem: str, program: str = "") -> None:
        """Fails, and says why, because ``problem`` or its ``program`` can't be read.

        Skips the test where the problem is of a kind that single executions can't judge.
        """
        test = self._test(*filter(None, (problem, program)))
        if isinstance(test.problem, RefusedProblem):
            run_context.skip(f"The problem {problem} is not judged: {test.problem.reason}.")
        if isinstance(test.problem, BrokenProblem):
            told = _lines(test.problem.problems)
            raise AssertionError(f"The test case {problem} can't be run:\n{told}")
        if isinstance(test.submission, BrokenSubmission):
            raise AssertionError(f"{problem}: {program} can't be run: {test.submission.reason}")

    # Listener

    def start_suite(self, data: Any, _result: Any) -> None:
        """Add the tests of cases to their suite."""
        if not any(test.name == generated_tests.PLACEHOLDER for test in data.tests) and not any(
            map(generated_tests.place_in, data.tests)
        ):
            return
        try:
            collection = self._read()
        except SettingsError:
            # The first keyword says so.
            return
        takes = generated_tests.selected_by_tags(BuiltIn().get_variable_value("${OPTIONS}"))
        generated_tests.add_tests(data, collection.tests, takes)
        places = filter(None, map(generated_tests.place_in, data.tests))
        self._selected = [collection.test_at(place) for place in places]

    def close(self) -> None:
        """End what still runs."""
        if self._runner is not None:
            self._runner.close()
        self._validators.close()

    def _read(self) -> generated_tests.Collection:
        if self._collection is None:
            self._collection = generated_tests.Collection(run_context.settings())
        return self._collection

    def _test(self, *place: str) -> CaseTest:
        try:
            return self._read().test_at(place)
        except KeyError:
            raise AssertionError(
                f"There is no test case {' '.join(place)} in {self._read().folder}: the tests were "
                "made from other files or settings than those of this run."
            ) from None

    def _runs_of(self, test: CaseTest) -> list[CaseRun]:
        assert isinstance(test.submission, Submission)
        run_context.require_language(test.submission.program.language)
        for capability in test.needs:
            run_context.require_capability(capability)
        deadline = run_context.service().settings["REQUEST_DEADLINE"]
        expected = f"a result of {' '.join(generated_tests.place_of(test))}"
        try:
            runs = self._open_runner().runs_of(test, 4 * deadline + 60)
        except PlatformFault as fault:
            run_context.fail_with(fault, None, expected)
        except TimeoutError as error:
            raise AssertionError(f"{expected} did not come: {error}") from error
        self._progress.show(self._open_runner())
        return runs

    def _open_runner(self) -> CaseRunner:
        if self._runner is None:
            service = run_context.service()
            listed = {
                name
                for runtime in run_context.runtimes()
                for name in (runtime.language, *runtime.aliases)
            }
            self._runner = CaseRunner(
                service.execute,
                [test for test in self._selected if test.language in listed and _is_able(test)],
                concurrency=service.settings["CONCURRENCY"] or None,
                validators=self._validators,
            )
        return self._runner

    def _fail(self, test: CaseTest, run: CaseRun) -> None:
        place = " ".join(generated_tests.place_of(test))
        request = self._open_runner().request_of(test, run.case)
        outcome = run.outcome
        if isinstance(outcome, RequestRefused) and (run.refused_bytes or 0) > LARGE:
            run_context.skip(
                f"The service refuses the {run.refused_bytes:,} bytes of this case: {outcome}."
            )
        if isinstance(outcome, ExecutionError):
            run_context.fail_with(outcome, request, f"a result of {place}")
        run_context.fail(_mismatch(run, place), request, outcome)


def _skip_if_cut(test: CaseTest, run: CaseRun) -> None:
    """Skip the test where a limit of the service's own, visible or probable, cut the output."""
    assert isinstance(test.problem, Problem)
    if test.problem.limits.output is not None or not isinstance(run.outcome, ExecutionResult):
        return
    stage = run.outcome.run
    # Services of the older kind say no more of it than this.
    killed = stage.signal == "SIGKILL" and not stage.status
    expected = run.case.expected.size
    if stage.status == "OL" or (killed and OUTPUT_LIMIT <= expected > len(stage.stdout)):
        run_context.skip(
            f"The service's limit of output is in the way: {expected:,} bytes are expected, "
            f"{len(stage.stdout):,} came ({stage.ending})."
        )


def _is_able(test: CaseTest) -> bool:
    return all(run_context.has_capability(name) for name in test.needs)


def _mismatch(run: CaseRun, place: str) -> Mismatch:
    judged, case = run.verdict, run.case
    difference = None if judged.validation is None else judged.validation.difference
    if judged.validation is None or difference is None or judged.run is None:
        subject = {Verdict.RTE: "exit code", Verdict.CE: "compilation"}.get(
            judged.verdict, "verdict"
        )
        return Mismatch(subject, "is accepted", Verdict.AC.words, str(judged), "", place)
    stream = judged.validation.stream
    expected = case.stderr if stream == "stderr" and case.stderr is not None else case.expected
    at, there = difference.expected_at, difference.received_at
    return Mismatch(
        stream,
        f"equals, compared {case.comparison}",
        expected.read(),
        judged.run.stderr if stream == "stderr" else judged.run.stdout,
        "",
        place,
        ((at.line, at.column), (there.line, there.column)),
        rule=difference.rule,
    )


def _time(run: CaseRun) -> str:
    return "" if run.verdict.time is None else f", {run.verdict.time:.3f} s"


def _lines(told: Sequence[str]) -> str:
    """Return problems, one a line, as many as can be read."""
    more = [f"and {len(told) - MOST_SHOWN} more"] if len(told) > MOST_SHOWN else []
    return "\n".join([*told[:MOST_SHOWN], *more])


class _Progress:
    """Tells on a terminal how far a long run is; quiet anywhere else."""

    def __init__(self) -> None:
        self._wanted = sys.__stdout__ is not None and sys.__stdout__.isatty()
        self._wanted &= not os.environ.get("CI")
        self._begun = self._told = time.monotonic()
        self._reported = 0

    def show(self, runner: CaseRunner) -> None:
        now = time.monotonic()
        self._reported += 1
        if not self._reported - 1:
            self._begun = self._told = now
        if not self._wanted or runner.total < _LONG_RUN or now - self._told < _PROGRESS_EVERY:
            return
        self._told = now
        rate = runner.done / (now - self._begun)
        left = (runner.total - runner.done) / rate if rate else 0
        logger.console(
            f"\n{runner.done} of {runner.total} cases executed, {rate:.0f} a second, "
            f"{runner.at_once} at once, about {left:.0f} s left"
        )
