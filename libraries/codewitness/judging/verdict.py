"""Verdict on one run of a test case: everything in which it differs from what was expected."""

from __future__ import annotations

from dataclasses import dataclass

from codewitness.execution.model import Stage
from codewitness.judging.cases import CaseInput, TestCase
from codewitness.judging.comparison import Comparison, compare


@dataclass(frozen=True)
class Mismatch:
    """One respect in which a run is not what was expected.

    Attributes:
        subject: ``compilation``, ``exit code``, ``stdout`` or ``stderr``.
        expected: Bytes of an output as they are, anything else in words.
        received: The same for what the run did.
        detail: What makes the difference, in words.
    """

    subject: str
    expected: bytes | str
    received: bytes | str
    detail: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}"


def mismatches(
    case: TestCase, given: CaseInput, run: Stage, compilation: Stage | None = None
) -> list[Mismatch]:
    """Return in what a run differs from what its case expects; nothing when it matches.

    How the program ended comes first: one that was killed, ran out of time or left with
    another exit code never matches, even if its output does.

    Args:
        case: The case that ran.
        given: The input that it ran with.
        run: The run stage.
        compilation: The compile stage, where there was one. When it failed it is all there is to
            say, because no program ran.
    """
    if compilation is not None and not compilation.exited(0):
        return [
            Mismatch("compilation", "success", compilation.ending, f"failed: {compilation.ending}")
        ]
    found = []
    if not run.exited(given.exit_code):
        expected, received = f"exit code {given.exit_code}", run.ending
        found.append(
            Mismatch("exit code", expected, received, f"expected {expected}, got {received}")
        )
    found += _output_mismatch("stdout", given.expected, run.stdout, case.comparison)
    if given.stderr is not None:
        found += _output_mismatch("stderr", given.stderr, run.stderr, case.comparison)
    return found


def _output_mismatch(
    subject: str, expected: bytes, received: bytes, comparison: Comparison
) -> list[Mismatch]:
    difference = compare(expected, received, comparison)
    return [Mismatch(subject, expected, received, str(difference))] if difference else []
