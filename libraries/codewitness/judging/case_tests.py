"""Which tests a collection of problems makes: their names, their tags, and which were asked for.

Every case of a problem is a test of its own, run by a program that solves the problem. A program
that its author filed as a failing one is one test, about all cases: a single case says nothing
of whether it fails as promised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from codewitness.judging.problem import (
    BrokenProblem,
    BrokenSubmission,
    Case,
    Problem,
    RefusedProblem,
    Submission,
)

PLAN_ID = "T5.2"
"""Number in the plan of the test that all these belong to; every name begins with it."""

AnyProblem = Problem | BrokenProblem | RefusedProblem

# What selects tests by name takes these for patterns.
_PATTERN_CHARACTERS = re.compile(r"[*?\[\]]")


class Submissions(str, Enum):
    """Which programs of a problem are run."""

    ACCEPTED = "accepted"
    ALL = "all"


@dataclass(frozen=True)
class CaseTest:
    """One test.

    Attributes:
        name: Name, the same in every run.
        problem: The problem, or what is there in its place.
        submission: The program; ``None`` where the problem can't be run at all.
        case: The case; ``None`` for a test about all of them.
    """

    name: str
    problem: AnyProblem
    submission: Submission | BrokenSubmission | None = None
    case: Case | None = None

    @property
    def cases(self) -> Sequence[Case]:
        """All cases that the program is run on."""
        if self.case is not None:
            return (self.case,)
        if isinstance(self.problem, Problem) and isinstance(self.submission, Submission):
            return self.problem.cases
        return ()

    @property
    def language(self) -> str | None:
        """Language of the program."""
        return self.submission.program.language if isinstance(self.submission, Submission) else None

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags that the test has besides those of all test cases."""
        return (f"language-{self.language}",) if self.language else ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Capabilities that the service must have for it."""
        if not isinstance(self.submission, Submission):
            return ()
        files = len(self.submission.program.files) > 1 or any(case.files for case in self.cases)
        args = any(case.args for case in self.cases)
        return (*(("args",) if args else ()), *(("files",) if files else ()))


def case_tests(
    problems: Iterable[AnyProblem],
    submissions: Submissions = Submissions.ACCEPTED,
    patterns: Sequence[str] = (),
) -> list[CaseTest]:
    """Return the tests of problems, in their order.

    Args:
        problems: The problems. What can't be read or judged gets a test that says so.
        submissions: One program that solves each problem, or all that there are.
        patterns: Only tests that one of these names: by problem, ``problem/group``,
            ``problem/case``, submission or language; ``*`` and ``?`` stand for any characters.
            Everything when empty.
    """
    made = [test for problem in problems for test in _tests_of(problem, submissions)]
    return [test for test in _with_unique_names(made) if not patterns or _is_named(test, patterns)]


def _tests_of(problem: AnyProblem, submissions: Submissions) -> Iterator[CaseTest]:
    title = f"{PLAN_ID} {problem.name}"
    if not isinstance(problem, Problem):
        yield CaseTest(title, problem)
        return
    chosen: Sequence[Submission] = problem.submissions
    if submissions is Submissions.ACCEPTED:
        chosen = [next((it for it in chosen if it.solves), chosen[0])]
    for submission in chosen:
        told = "" if submissions is Submissions.ACCEPTED else f" {submission.name}"
        if submission.solves:
            for case in problem.cases:
                yield CaseTest(f"{title}{told} {case.name}", problem, submission, case)
        else:
            yield CaseTest(f"{title} {submission.name} as filed", problem, submission)
    for broken in problem.broken_submissions:
        yield CaseTest(f"{title} {broken.name}", problem, broken)


def _with_unique_names(tests: Iterable[CaseTest]) -> Iterator[CaseTest]:
    seen: dict[str, int] = {}
    for test in tests:
        name = _PATTERN_CHARACTERS.sub("_", " ".join(test.name.split()))
        # Test names are compared without regard to case.
        count = seen[name.lower()] = seen.get(name.lower(), 0) + 1
        unique = name if count == 1 else f"{name} ({count})"
        yield CaseTest(unique, test.problem, test.submission, test.case)


def _is_named(test: CaseTest, patterns: Sequence[str]) -> bool:
    names = {test.problem.name, test.name, test.name.removeprefix(f"{PLAN_ID} ")}
    if test.submission is not None:
        names |= {test.submission.name, f"{test.problem.name}/{test.submission.name}"}
    if test.language:
        names.add(test.language)
    if test.case is not None:
        parts = test.case.name.split("/")
        names |= {"/".join((test.problem.name, *parts[:end])) for end in range(1, len(parts) + 1)}
        names.add(parts[-1])
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns for name in names)
