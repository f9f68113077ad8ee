"""Keywords that run the folders of ``test_cases/``, each as a test of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn
from robot.model import TagPatterns

import run_context
from codewitness import __version__
from codewitness.execution.model import ExecutionError, ExecutionResult
from codewitness.judging import verdict
from codewitness.judging.cases import (
    BrokenCase,
    CaseInput,
    CasesError,
    TestCase,
    read_cases,
)
from codewitness.judging.comparison import compare
from codewitness.reporting.card import Mismatch

PLACEHOLDER = "T5.2 Test Case Validation"
"""The test beside which one test for every case folder is put."""

AT_ONCE = 4
"""How many inputs of a case are executed at once."""


@library(scope="GLOBAL", version=__version__, listener="SELF", auto_keywords=False)
class TestCasesLibrary:
    """Keywords that execute test cases and compare their outputs with the expected ones.

    A test case is a folder with a program, its inputs and the outputs expected for them (see
    ``test_cases/README.md``). In the suite that has the test `T5.2 Test Case Validation` this
    library adds one test for every folder, with the same tags: adding a folder adds a test.
    The folder of cases is the setting ``TEST_CASES``.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self._cases: dict[str, TestCase | BrokenCase] = {}
        self._unreadable: str | None = None

    @keyword(tags=["test-cases"])
    def every_test_case_should_be_readable(self) -> None:
        """Fails if the folder of test cases can't be read, is empty, or holds a broken case."""
        self._read()
        if self._unreadable:
            raise AssertionError(self._unreadable)
        broken = [case for case in self._cases.values() if isinstance(case, BrokenCase)]
        if broken:
            told = [f"{case.name}: {problem}" for case in broken for problem in case.problems]
            raise AssertionError(
                f"{len(broken)} of {len(self._cases)} test cases can't be run:\n" + "\n".join(told)
            )
        inputs = sum(
            len(case.inputs) for case in self._cases.values() if isinstance(case, TestCase)
        )
        logger.info(f"{len(self._cases)} test cases with {inputs} inputs in {_folder()}")

    @keyword(tags=["test-cases"])
    def test_case_should_match(self, name: str) -> None:
        """Executes the case ``name`` with all its inputs and fails unless all outputs match.

        Skips the test if the service does not list the case's language, or lacks the arguments
        or further files that the case needs. A case that can't be read fails, whatever the
        service can.
        """
        case = self._cases[name]
        if isinstance(case, BrokenCase):
            raise AssertionError(
                f"The test case {case.name} can't be run:\n" + "\n".join(case.problems)
            )
        run_context.require_language(case.language)
        if any(given.args for given in case.inputs):
            run_context.require_capability("args")
        if len(case.files) > 1:
            run_context.require_capability("files")
        wrong = []
        for start in range(0, len(case.inputs), AT_ONCE):
            wrong += self._run(case, case.inputs[start : start + AT_ONCE])
        logger.info(f"{len(case.inputs) - len(wrong)} of {len(case.inputs)} inputs match")
        if wrong:
            given, result, mismatch = wrong[0]
            others = ", ".join(other.name for other, *_ in wrong[1:])
            told = f"{len(wrong)} of {len(case.inputs)} inputs of {case.name} differ; shown is "
            told += given.name + (f", then come {others}" if others else "")
            mismatch = replace(mismatch, detail=f"{told}. {mismatch.detail}")
            run_context.fail(mismatch, case.request(given), result)

    def start_suite(self, data: Any, _result: Any) -> None:
        """Add a test for every case folder to the suite that has the placeholder."""
        placeholder = next((test for test in data.tests if test.name == PLACEHOLDER), None)
        if placeholder is None:
            return
        self._read()
        selected = _Selection()
        for case in self._cases.values():
            tags = list(placeholder.tags)
            if isinstance(case, TestCase):
                tags.append(f"language-{case.language}")
            if not selected.takes(tags):
                continue
            test = data.tests.create(
                name=f"T5.2 {case.name}",
                doc=getattr(case, "description", "") or "",
                tags=tags,
                lineno=placeholder.lineno,
            )
            test.body.create_keyword(name="Test Case Should Match", args=[case.name])

    def _read(self) -> None:
        if self._cases or self._unreadable:
            return
        try:
            self._cases = {case.name: case for case in read_cases(_folder())}
        except CasesError as error:
            self._unreadable = str(error)

    def _run(
        self, case: TestCase, inputs: tuple[CaseInput, ...]
    ) -> list[tuple[CaseInput, ExecutionResult, Mismatch]]:
        requests = [case.request(given) for given in inputs]
        wrong = []
        outcomes = run_context.service().execute_many(requests)
        for given, request, outcome in zip(inputs, requests, outcomes, strict=True):
            if isinstance(outcome, ExecutionError):
                expected = f"a result of {case.name} for the input {given.name}"
                run_context.fail_with(outcome, request, expected)
            found = verdict.mismatches(case, given, outcome.run, outcome.compile)
            if found:
                wrong.append((given, outcome, _as_mismatch(case, found[0])))
        return wrong


class _Selection:
    """What ``--include`` and ``--exclude`` select, which Robot applies before tests are added."""

    def __init__(self) -> None:
        options = BuiltIn().get_variable_value("${OPTIONS}")
        self._include = TagPatterns(options["include"])
        self._exclude = TagPatterns(options["exclude"])

    def takes(self, tags: list[str]) -> bool:
        included = not self._include or self._include.match(tags)
        return bool(included and not self._exclude.match(tags))


def _as_mismatch(case: TestCase, found: verdict.Mismatch) -> Mismatch:
    places = None
    relation = "equals"
    if isinstance(found.expected, bytes) and isinstance(found.received, bytes):
        relation = f"equals, compared {case.comparison}"
        difference = compare(found.expected, found.received, case.comparison)
        if difference is not None:
            at, there = difference.expected_at, difference.received_at
            places = (at.line, at.column), (there.line, there.column)
    return Mismatch(
        found.subject, relation, found.expected, found.received, "", found.detail, places
    )


def _folder() -> Path:
    configured = run_context.settings()["TEST_CASES"]
    return Path(configured) if configured else run_context.PROJECT / "test_cases"
