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
    if compilation is not None and not _exited(compilation, 0):
        return [
            Mismatch(
                "compilation", "success", _ending(compilation), f"failed: {_ending(compilation)}"
            )
        ]
    found = []
    if not _exited(run, given.exit_code):
        expected, received = f"exit code {given.exit_code}", _ending(run)
        found.append(
            Mismatch("exit code", expected, received, f"expected {expected}, got {received}")
        )
    found += _output_mismatch("stdout", given.expected, run.stdout, case.comparison)
    if given.stderr is not None:
        found += _output_mismatch("stderr", given.stderr, run.stderr, case.comparison)
    return found


def _exited(stage: Stage, code: int) -> bool:
    """Tell whether a stage ended by itself with an exit code."""
    # RE is how services mark an exit code other than 0. Absent and empty mean the same.
    normal = (None, "") if code == 0 else (None, "", "RE")
    return stage.code == code and not stage.signal and stage.status in normal


def _ending(stage: Stage) -> str:
    """Say in words how a stage ended."""
    facts = []
    if stage.code is not None:
        facts.append(f"exit code {stage.code}")
    if stage.signal:
        facts.append(f"signal {stage.signal}")
    if stage.status:
        facts.append(f"status {stage.status}")
    if stage.message:
        facts.append(stage.message)
    return ", ".join(facts) or "no exit code"


def _output_mismatch(
    subject: str, expected: bytes, received: bytes, comparison: Comparison
) -> list[Mismatch]:
    difference = compare(expected, received, comparison)
    return [Mismatch(subject, expected, received, str(difference))] if difference else []
