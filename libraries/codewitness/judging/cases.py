"""Test cases held whole: folders of a program and its inputs, with everything read.

For a few small cases that is the simplest form. :mod:`codewitness.judging.readers` reads all
layouts, and contents only when they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codewitness.execution.model import ExecutionRequest, Limits, SourceFile
from codewitness.judging.comparison import TRIMMED, Comparison
from codewitness.judging.problem import BrokenProblem, Case, Problem, Submission
from codewitness.judging.readers.collection import CasesError, names_of_problems
from codewitness.judging.readers.plain import read_plain

__all__ = [
    "LANGUAGES",
    "BrokenCase",
    "CaseInput",
    "CasesError",
    "TestCase",
    "hold",
    "read_cases",
]

LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "python": (".py",),
    "javascript": (".js",),
    "bash": (".sh",),
    "c": (".c",),
    "c++": (".cpp", ".cc"),
    "java": (".java",),
    "csharp": (".cs",),
}
"""Languages of the project's own cases, and the endings of their programs."""

BrokenCase = BrokenProblem
"""A folder, or a stray file beside the folders, that can't be used as a test case."""


@dataclass(frozen=True)
class CaseInput:
    """One input of a case, with everything expected for it.

    Attributes:
        name: Name of the input's file without its ending.
        stdin: Bytes for standard input.
        expected: Standard output expected.
        args: Command-line arguments, in order.
        exit_code: Exit code expected.
        stderr: Standard error expected; ``None`` when any will do.
    """

    name: str
    stdin: bytes
    expected: bytes
    args: tuple[str, ...] = ()
    exit_code: int = 0
    stderr: bytes | None = None


@dataclass(frozen=True)
class TestCase:
    """A program with its inputs.

    Attributes:
        name: Name of the folder.
        folder: The folder.
        description: What the program does, in words; may be empty.
        language: Canonical name of the language.
        files: The program's files, the program first.
        inputs: Inputs in natural order of their names, at least one.
        comparison: How outputs are compared.
        run_timeout: Limit of one run in milliseconds; ``None`` leaves it to the service.
    """

    __test__ = False  # Not a test of pytest's, whatever its name says.

    name: str
    folder: Path
    description: str
    language: str
    files: tuple[SourceFile, ...]
    inputs: tuple[CaseInput, ...]
    comparison: Comparison = TRIMMED
    run_timeout: float | None = None

    def request(self, given: CaseInput) -> ExecutionRequest:
        """Return the request that runs the program on one of its inputs."""
        return ExecutionRequest(
            language=self.language,
            files=self.files,
            stdin=given.stdin,
            args=given.args,
            limits=Limits(run_timeout=self.run_timeout),
        )


def read_cases(root: Path) -> list[TestCase | BrokenCase]:
    """Read all cases right below a folder, in natural order of their names.

    Raises:
        CasesError: The root is no folder, can't be read, or holds no case at all.
    """
    problems = [read_plain(root / name) for name in names_of_problems(root)]
    return [_held(each) if isinstance(each, Problem) else each for each in problems]


def _held(problem: Problem) -> TestCase:
    cases = [hold(problem, problem.submissions[0], case) for case in problem.cases]
    inputs = tuple(given for case in cases for given in case.inputs)
    return replace(cases[0], inputs=inputs)


def hold(
    problem: Problem,
    submission: Submission,
    case: Case,
    sources: Sequence[SourceFile] | None = None,
) -> TestCase:
    """Return a submission with one case of its problem, with everything read.

    Args:
        problem: The problem.
        submission: One of its submissions.
        case: One of its cases.
        sources: The program's files where they were read before.

    Raises:
        OSError: A file was there when the problem was read, but can't be read now.
    """
    request = problem.request(submission, case, sources)
    given = CaseInput(
        name=case.name,
        stdin=request.stdin,
        expected=case.expected.read(),
        args=request.args,
        exit_code=case.exit_code,
        stderr=case.stderr.read() if case.stderr else None,
    )
    return TestCase(
        name=problem.name,
        folder=problem.folder,
        description=problem.description or problem.title,
        language=request.language,
        files=request.files,
        inputs=(given,),
        comparison=case.comparison,
        run_timeout=problem.limits.run_timeout,
    )
