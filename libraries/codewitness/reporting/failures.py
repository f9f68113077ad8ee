"""Reading failure cards again, and grouping failures by what probably caused them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codewitness.reporting.visible import cut

_LONGEST_HEADLINE = 400
_LONGEST_REPEAT = 600

_PLATFORM = "PLATFORM FAULT, not the program's: "
# What Robot Framework puts before the message of a keyword.
_BEFORE = re.compile(
    r"(?:Several failures occurred:|(?:Parent suite )?(?:setup|teardown) failed:|\d+\) )\s*",
    re.IGNORECASE,
)
_LABELLED = re.compile(r"^(Likely cause|To do|Repeat) +(.*(?:\n {14}.*)*)", re.MULTILINE)
_ROWS = re.compile(r"\[((?:[A-Z]\d+(?:, )?)+)\] ")
# Failures that say nothing new: what they wait for has failed before.
_CONSEQUENCE = re.compile(
    r"Test execution stopped due to a fatal error"
    r"|PLATFORM FAULT, not the program's: (?:\w+ )*(?:: )?not sent, because the service"
)


@dataclass(frozen=True)
class Failure:
    """What a failure's message says.

    Attributes:
        headline: Its first line.
        rows: Names of the findings that may be the cause, such as ``C7``, the likeliest first.
        cause: The likely cause; empty where none is told.
        cure: What to do about it, likewise.
        repeat: Command line that repeats the request, likewise.
        by_platform: Whether the platform failed, not the program under test.
        is_consequence: Whether it only repeats that an earlier failure left nothing to test.
    """

    headline: str
    rows: tuple[str, ...] = ()
    cause: str = ""
    cure: str = ""
    repeat: str = ""
    by_platform: bool = False
    is_consequence: bool = False


def read_failure(message: str) -> Failure:
    """Read the message of a failed test, which is a failure card more often than not."""
    text = message.strip()
    while before := _BEFORE.match(text):
        text = text[before.end() :]
    headline = text.partition("\n")[0].strip() or "failed without a message"
    # Several cards may stand in one message; the first counts.
    told: dict[str, str] = {}
    for label, value in _LABELLED.findall(text):
        told.setdefault(label, " ".join(value.split()))
    cause = told.get("Likely cause", "")
    rows = _ROWS.match(cause)
    return Failure(
        cut(headline, _LONGEST_HEADLINE),
        tuple(rows[1].split(", ")) if rows else (),
        cause[rows.end() :] if rows else cause,
        told.get("To do", ""),
        cut(told.get("Repeat", ""), _LONGEST_REPEAT),
        headline.startswith(_PLATFORM),
        bool(_CONSEQUENCE.match(text)),
    )


@dataclass(frozen=True)
class Problem:
    """Failures that probably have one cause.

    Attributes:
        failure: The first of them.
        tests: Numbers of the tests that failed so, in the order given.
    """

    failure: Failure
    tests: tuple[int, ...]

    @property
    def title(self) -> str:
        """What is wrong, in words: the cause where a finding names it, else what was seen."""
        failure = self.failure
        if failure.rows and failure.cause:
            return f"[{', '.join(failure.rows)}] {failure.cause}"
        return failure.headline

    @property
    def advice(self) -> str:
        """What to do, in a sentence without the final stop."""
        failure = self.failure
        if not failure.cure:
            return "read the failure card of the test in the log"
        return failure.cure if failure.rows else f"{failure.cure} ({failure.cause})"


def group_failures(failures: Iterable[tuple[int, Failure]]) -> Sequence[Problem]:
    """Group failures by cause: by finding where there is one, else by the kind of headline.

    Args:
        failures: Failures with the numbers of their tests; consequences are left out.

    Returns:
        The groups: those of the platform first, as they explain others, then by size.
    """
    groups: dict[tuple[str, ...], list[tuple[int, Failure]]] = {}
    for number, failure in failures:
        if not failure.is_consequence:
            groups.setdefault(_kind(failure), []).append((number, failure))
    problems = [
        Problem(members[0][1], tuple(number for number, _ in members))
        for members in groups.values()
    ]
    return sorted(
        problems, key=lambda it: (not it.failure.by_platform, -len(it.tests), it.tests[0])
    )


def _kind(failure: Failure) -> tuple[str, ...]:
    if failure.rows:
        # A card with little room cuts its cause.
        return (*failure.rows, failure.cause[:100])
    subject = failure.headline if failure.by_platform else failure.headline.partition(": ")[0]
    return "", re.sub(r"\d+", "#", subject), failure.cause[:100]
