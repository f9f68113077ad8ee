"""A problem to judge: its cases, its programs, and what each program is expected to come to.

Contents are read when they are needed and not before: a problem may have ten thousand cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from codewitness.execution.model import ExecutionRequest, Limits, SourceFile
from codewitness.judging.comparison import TRIMMED, Comparison

ALL_VERDICTS = frozenset({"AC", "WA", "TLE", "RTE"})
"""What the formats' authors can expect of a submission on a case."""


@dataclass(frozen=True)
class Content:
    """Bytes of a case: those of a file, or those that a list of cases holds itself.

    Attributes:
        path: The file; ``None`` when the bytes are held here.
        held: The bytes where there is no file.
    """

    path: Path | None = None
    held: bytes = b""

    def read(self, limit: int = -1) -> bytes:
        """Return the bytes, or the first of them.

        Args:
            limit: How many at most; all when negative.

        Raises:
            OSError: The file was there when the problem was read, but can't be read now.
        """
        if self.path is None:
            return self.held if limit < 0 else self.held[:limit]
        with self.path.open("rb") as file:
            return file.read(limit)

    @property
    def size(self) -> int:
        """Number of bytes.

        Raises:
            OSError: As with :meth:`read`.
        """
        return len(self.held) if self.path is None else self.path.stat().st_size


@dataclass(frozen=True)
class NamedFile:
    """A file that lies in the job folder of a run.

    Attributes:
        name: Path in the job folder, with ``/``.
        path: Where its content is.
    """

    name: str
    path: Path


@dataclass(frozen=True)
class Program:
    """A submission's or a validator's program.

    Attributes:
        name: Name of its file or folder.
        language: Canonical name of the language.
        files: Its files; the first is the one to run.
        constants: Names and values that replace ``{{name}}`` in its files.
    """

    name: str
    language: str
    files: tuple[NamedFile, ...]
    constants: tuple[tuple[str, str], ...] = ()

    def read(self) -> tuple[SourceFile, ...]:
        """Return the files with their contents.

        Raises:
            OSError: A file was there when the problem was read, but can't be read now.
        """
        return tuple(
            as_source(file.name, with_constants(file.path.read_bytes(), self.constants))
            for file in self.files
        )


@dataclass(frozen=True)
class Expectation:
    """What a submission is expected to come to on some or all cases.

    Attributes:
        permitted: The only verdicts that a case may get.
        required: At least one case gets one of these; empty when nothing is required.
        overall: The submission as a whole gets one of these, where its verdict is that of the
            first case in order that isn't accepted, else ``AC``; empty when any will do. This is
            what formats promise whose judges stop at the first rejected case.
        message: Text that the validator must say of at least one case; may be empty.
        cases: Patterns of the cases, or of their groups, that this is about; empty for all.
        time_limit: Whether its runs bound the time limit, where the author says so: ``lower``,
            ``upper`` or ``none``; empty leaves it to ``permitted`` and ``required``.
    """

    permitted: frozenset[str] = ALL_VERDICTS
    required: frozenset[str] = frozenset()
    overall: frozenset[str] = frozenset()
    message: str = ""
    cases: tuple[str, ...] = ()
    time_limit: str = ""

    def concerns(self, case: Case) -> bool:
        """Tell whether this is about a case."""
        return not self.cases or any(matches(pattern, case.name) for pattern in self.cases)


@dataclass(frozen=True)
class Submission:
    """A program that was written to solve a problem, or to fail at it.

    Attributes:
        name: Its path below the folder of submissions, such as ``wrong_answer/off_by_one.py``;
            that of its file where there is no such folder.
        program: The program.
        filed: Folder in which its author filed it, such as ``wrong_answer``.
        expectations: All of them hold; none for a submission that nothing is promised of.
    """

    name: str
    program: Program
    filed: str = "accepted"
    expectations: tuple[Expectation, ...] = (Expectation(frozenset({"AC"})),)

    @property
    def solves(self) -> bool:
        """Whether every case must accept it."""
        return any(not each.cases and each.permitted == {"AC"} for each in self.expectations)


@dataclass(frozen=True)
class BrokenSubmission:
    """A file or folder among the submissions that can't be run.

    Attributes:
        name: Its path below the folder of submissions.
        filed: Folder in which it is filed.
        reason: What is wrong, with the remedy.
    """

    name: str
    filed: str
    reason: str


@dataclass(frozen=True)
class Case:
    """One input of a problem, with everything expected for it.

    Attributes:
        name: Its path in the problem without an ending, such as ``secret/big/01``.
        stdin: Standard input.
        expected: Standard output expected, or what the validator is told about it.
        args: Command-line arguments, in order.
        files: Files that lie in the job folder beside the program, in place of its own.
        exit_code: Exit code expected.
        stderr: Standard error expected; ``None`` when any will do.
        comparison: How outputs are compared, where the problem has no validator.
        validator_args: Arguments for the problem's validators.
    """

    name: str
    stdin: Content
    expected: Content
    args: tuple[str, ...] = ()
    files: tuple[NamedFile, ...] = ()
    exit_code: int = 0
    stderr: Content | None = None
    comparison: Comparison = TRIMMED
    validator_args: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """Name of the group that it lies in, such as ``secret/big``; may be empty."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True)
class ProblemLimits:
    """Limits that a problem sets; ``None`` leaves one to the judge.

    Attributes:
        run_timeout: Limit of one run in milliseconds, to be asked of the service.
        time: Processor time of one run in seconds, at which a submission is too slow.
        ac_to_time_limit: The time limit is at least so many times the slowest run that must be
            accepted.
        time_limit_to_tle: The fastest submission that must be too slow takes at least so many
            times the time limit.
        time_resolution: An inferred time limit is a multiple of so many seconds.
        memory: Memory of one run in bytes.
        output: Output of one run in bytes.
        compilation_time: Seconds.
        compilation_memory: Bytes.
        validation_time: Seconds.
        validation_memory: Bytes.
    """

    run_timeout: float | None = None
    time: float | None = None
    ac_to_time_limit: float = 2.0
    time_limit_to_tle: float = 1.5
    time_resolution: float = 1.0
    memory: int | None = None
    output: int | None = None
    compilation_time: float | None = None
    compilation_memory: int | None = None
    validation_time: float | None = None
    validation_memory: int | None = None


@dataclass(frozen=True)
class Problem:
    """Cases, and programs to be judged on them.

    Attributes:
        name: Name of its folder, with the folders above it up to the root of all problems.
        folder: The folder.
        layout: What the folder was read as, in words.
        submissions: Programs that can be run, at least one, in the order of their names; those
            filed as accepted come first.
        cases: Cases in natural order, samples first; at least one.
        broken_submissions: Files among the submissions that can't be run.
        validators: Programs that judge outputs, all of which must accept. None means that outputs
            are compared with the expected ones.
        limits: Limits that it sets.
        title: Its name in words; may be empty.
        description: What it is about in words; may be empty.
        statement: File with its text, where there is one.
        scoring: Whether submissions get points; only verdicts are judged here.
        notes: What was left out of the folder or passed over, one line each.
    """

    name: str
    folder: Path
    layout: str
    submissions: tuple[Submission, ...]
    cases: tuple[Case, ...]
    broken_submissions: tuple[BrokenSubmission, ...] = ()
    validators: tuple[Program, ...] = ()
    limits: ProblemLimits = field(default_factory=ProblemLimits)
    title: str = ""
    description: str = ""
    statement: Path | None = None
    scoring: bool = False
    notes: tuple[str, ...] = ()

    def request(
        self, submission: Submission, case: Case, sources: Sequence[SourceFile] | None = None
    ) -> ExecutionRequest:
        """Return the request that runs a submission on a case, with everything read.

        Args:
            submission: The submission.
            case: The case.
            sources: The program's files where they were read before.

        Raises:
            OSError: A file was there when the problem was read, but can't be read now.
        """
        files = {file.name: file for file in sources or submission.program.read()}
        for file in case.files:
            files[file.name or ""] = as_source(file.name, file.path.read_bytes())
        return ExecutionRequest(
            language=submission.program.language,
            files=tuple(files.values()),
            stdin=case.stdin.read(),
            args=case.args,
            limits=Limits(run_timeout=self.limits.run_timeout),
        )


@dataclass(frozen=True)
class BrokenProblem:
    """A folder, or a stray file beside the folders, that can't be used.

    Attributes:
        name: Name of the folder or file.
        folder: Its path.
        problems: Everything that is wrong, each problem with its file and the remedy.
    """

    name: str
    folder: Path
    problems: tuple[str, ...]


@dataclass(frozen=True)
class RefusedProblem:
    """A sound problem of a kind that single, independent executions can't judge.

    Attributes:
        name: Name of the folder.
        folder: Its path.
        reason: Which kind, and why not.
    """

    name: str
    folder: Path
    reason: str


def as_source(name: str, content: bytes) -> SourceFile:
    """Return a file of a request, encoded as its content needs."""
    return SourceFile(content, name, "utf8" if is_text(content) else "base64")


def is_text(content: bytes) -> bool:
    """Tell whether a program can have this content."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def with_constants(content: bytes, constants: Sequence[tuple[str, str]]) -> bytes:
    """Return a content with every ``{{name}}`` replaced by its value."""
    if not constants:
        return content
    values = {name.encode(): value.encode() for name, value in constants}
    return _CONSTANT.sub(lambda found: values.get(found[1], found[0]), content)


_CONSTANT = re.compile(rb"\{\{([A-Za-z_][A-Za-z0-9_.]*)\}\}")
_MOST_ALTERNATIVES = 1000


def matches(pattern: str, path: str) -> bool:
    """Tell whether a pattern of the format 2025-09 matches a path or a folder above it.

    ``*`` stands for any characters but ``/``, and ``{a,b}`` for either of two; nothing else is
    special.

    Raises:
        ValueError: The pattern has too many alternatives to be meant.
    """
    parts = path.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return any(_as_expression(pattern).fullmatch(each) for each in above)


@cache
def _as_expression(pattern: str) -> re.Pattern[str]:
    alternatives = []
    for each in _alternatives(pattern.strip("/")):
        alternatives.append("[^/]*".join(map(re.escape, re.split(r"\*+", each))))
        if len(alternatives) > _MOST_ALTERNATIVES:
            raise ValueError(f"{pattern!r} has more than {_MOST_ALTERNATIVES} alternatives")
    return re.compile("|".join(alternatives))


def _alternatives(pattern: str) -> Iterator[str]:
    innermost = re.search(r"\{([^{}]*)\}", pattern)
    if innermost is None:
        yield pattern
        return
    for each in innermost[1].split(","):
        # No name has spaces, so that they only make lists readable.
        chosen = pattern[: innermost.start()] + each.strip() + pattern[innermost.end() :]
        yield from _alternatives(chosen)
