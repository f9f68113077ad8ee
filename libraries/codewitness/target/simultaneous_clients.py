"""Clients that send one request each at the same moment, and are judged together.

Whether they are threads of one process or processes of their own makes no difference here: each
sends its own request and reports what came back, and whoever has the reports of all can judge.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    SourceFile,
)
from codewitness.measuring.charts import GanttRow, gantt
from codewitness.measuring.overlap import Interval, Overlap, measure_overlap
from codewitness.reporting.card import Mismatch
from codewitness.reporting.diagnosis import new_nonce

FIRST_ROUND = 0.8
"""Seconds that each program runs."""

LONGER_ROUND = 2.2
"""The same where starts were so far apart that nothing is proven; within Piston's own limit."""

# Leaves a folder wherever a program may, and looks for those of the others at the end.
_PROGRAM = """\
import os, time
start = time.time()
asked = input()
mine = {token!r}
places = {{os.path.realpath(place) for place in (os.curdir, "/tmp", os.path.expanduser("~"))}}
left = []
for place in places:
    try:
        os.mkdir(os.path.join(place, mine))
        left.append(os.path.join(place, mine))
    except OSError:
        pass
time.sleep(max(0, start + {seconds} - time.time()))
met = set()
for place in places:
    for _, folders, _ in os.walk(place):
        met.update(name for name in folders if name.startswith({meeting!r}))
        break
for folder in left:
    os.rmdir(folder)
print(asked, mine, repr(start), repr(time.time()), *sorted(met - {{mine}}))
"""
_WORDS = 4


@dataclass(frozen=True)
class Report:
    """What one client sent and got, as the others learn of it.

    Attributes:
        number: Number of the client, from 1.
        token: What it sent, and wants back.
        sent: When it sent its request, in seconds since the epoch by its own clock.
        received: When its answer was there.
        words: What its answer says, in words; empty without an answer.
        failure: Why there is no answer, in words.
    """

    number: int
    token: str
    sent: float
    received: float
    words: tuple[str, ...] = ()
    failure: str = ""

    @property
    def ran(self) -> Interval | None:
        """When the program ran by its own clock, where the answer is one of these programs'."""
        try:
            start, end = map(float, self.words[2:_WORDS])
            # A clock too coarse for a short program must not look like one that was set back.
            return Interval(start, max(end, start + 1e-6))
        except ValueError:
            return None

    @property
    def as_json(self) -> dict[str, Any]:
        """The report as JSON can say it."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Report:
        """Return the report that another process has told."""
        return cls(**{**told, "words": tuple(told["words"])})


@dataclass(frozen=True)
class Client:
    """One client's request, and what came back.

    Attributes:
        request: What it sent.
        outcome: What came back.
        report: The same for the others.
    """

    request: ExecutionRequest
    outcome: ExecutionResult | ExecutionError
    report: Report


def ask(
    number: int,
    meeting: str,
    seconds: float,
    execute: Callable[[ExecutionRequest], ExecutionResult],
) -> Client:
    """Send the request of one client and wait for its answer.

    Args:
        number: Number of the client, from 1.
        meeting: Name that the clients have in common, and no others.
        seconds: How long its program runs.
        execute: Runs a program.
    """
    token = f"{meeting}-{number}-{new_nonce()}"
    code = _PROGRAM.format(token=token, seconds=seconds, meeting=f"{meeting}-")
    files = (SourceFile(code.encode()),)
    request = ExecutionRequest("python", files, stdin=f"{token}\n".encode())
    sent = time.time()
    try:
        result = execute(request)
    except ExecutionError as error:
        report = Report(number, token, sent, time.time(), failure=str(error))
        return Client(request, error, report)
    received = time.time()
    words = tuple(result.run.stdout.decode("utf-8", "replace").split())
    return Client(request, result, Report(number, token, sent, received, words))


def ask_all(
    count: int,
    meeting: str,
    seconds: float,
    execute: Callable[[ExecutionRequest], ExecutionResult],
) -> list[Client]:
    """Let so many clients ask at once from this process; see :func:`ask`."""
    clients: dict[int, Client] = {}
    together = threading.Barrier(count)

    def be_client(number: int) -> None:
        together.wait()
        clients[number] = ask(number, meeting, seconds, execute)

    threads = [threading.Thread(target=be_client, args=(it,)) for it in range(1, count + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [clients[number] for number in sorted(clients)]


def next_round(reports: Sequence[Report], deadline: float) -> float | None:
    """Return how long programs should run to tell a slow start from a queue, if that is open.

    Where longer programs could take too long in a queue, the same ones tell whether it was only
    new sessions that came one after the other. All who have the same reports come to the same
    answer.

    Args:
        reports: What came of the first round.
        deadline: Seconds that one request may take, also where programs are queued.
    """
    overlap = overlap_of(reports)
    if overlap is None or overlap.peak == overlap.count:
        return None
    waves = overlap.count / overlap.peak
    return next((it for it in (LONGER_ROUND, FIRST_ROUND) if it * waves <= deadline / 2), None)


def overlap_of(reports: Iterable[Report]) -> Overlap | None:
    """Return how the programs overlapped that told when they ran; ``None`` if there are none."""
    intervals = [it.ran for it in reports if it.ran is not None]
    return measure_overlap(intervals) if intervals else None


def describe(reports: Sequence[Report]) -> str:
    """Return what is known of all clients together, in one line."""
    answered = sum(not it.failure for it in reports)
    right = sum(it.words[:2] == (it.token, it.token) for it in reports)
    sent = [it.sent for it in reports]
    told = (
        f"{len(reports)} requests sent within {max(sent) - min(sent):.3f} s: {right} right "
        f"answers, {answered - right} wrong ones, {len(reports) - answered} failures"
    )
    overlap = overlap_of(reports)
    if overlap is None:
        return told
    return (
        f"{told}; greatest overlap {overlap.peak} of {overlap.count}, starts spread over "
        f"{overlap.start_spread:.3f} s, all within {overlap.span:.2f} s, the longest "
        f"{overlap.longest:.2f} s"
    )


def picture_of(reports: Sequence[Report], *, one_clock: bool) -> str:
    """Return when each program ran, as SVG; empty if none told.

    Args:
        reports: Of all clients.
        one_clock: Whether the programs' clock is the clients' own, so that requests can be drawn
            beside programs.
    """
    rows = [
        GanttRow(
            f"client {it.number}",
            it.ran,
            it.sent if one_clock else None,
            it.received if one_clock else None,
        )
        for it in reports
        if it.ran is not None
    ]
    return gantt(rows, title=f"{len(reports)} simultaneous clients") if rows else ""


def mismatch_of_own(
    report: Report, result: ExecutionResult, reports: Sequence[Report]
) -> Mismatch | None:
    """Return what is wrong with one client's own answer, or ``None``.

    Args:
        report: The client's.
        result: Its answer.
        reports: Of all clients, to tell whose answer it is.
    """
    told = report.words[:2]
    if told != (report.token, report.token):
        owner = _owner_of(told, reports)
        detail = "the token on stdin and the one in the program are the client's own"
        if owner is not None and owner != report.number:
            detail = f"this is the answer to the question of client {owner}"
        expected = f"{report.token} {report.token}".encode()
        return Mismatch(
            "stdout",
            "begins with the request's own token, twice",
            expected,
            result.run.stdout,
            detail=detail,
        )
    if result.run.code != 0:
        return Mismatch("exit code", "equals", "0", str(result.run.code))
    if report.ran is None:
        return Mismatch(
            "stdout", "tells when the program ran", "a start and a later end", result.run.stdout
        )
    return None


def _owner_of(told: Sequence[str], reports: Iterable[Report]) -> int | None:
    return next((it.number for it in reports if it.token in told), None)


def mismatch_of_answers(reports: Sequence[Report]) -> Mismatch | None:
    """Return what is wrong where answers went astray, or one answer was given twice."""
    told = []
    for report in reports:
        owner = _owner_of(report.words[:2], reports)
        if owner is not None and owner != report.number:
            told.append(f"client {report.number} got the answer of client {owner}")
    for words, count in Counter(it.words[:_WORDS] for it in reports if it.words).items():
        if count > 1:
            told.append(f"{count} clients got one and the same answer, {json.dumps(words)}")
    if not told:
        return None
    return Mismatch(
        "assignment of answers to simultaneous requests",
        "is right",
        "a token of its own in every answer, and no answer to another's question",
        "; ".join(told),
        detail="answers were swapped, or one was given twice",
    )


def mismatch_of_files(reports: Sequence[Report]) -> Mismatch | None:
    """Return what is wrong where programs found what others had left for them to find."""
    told = []
    for report in reports:
        met = [_owner_of([word], reports) for word in report.words[_WORDS:]]
        if others := sorted({it for it in met if it is not None}):
            named = ", ".join(map(str, others))
            told.append(f"the program of client {report.number} found what {named} had left")
    if not told:
        return None
    return Mismatch(
        "isolation of simultaneous programs",
        "is complete",
        "nothing of another client in the working directory, the home folder or /tmp",
        "; ".join(told),
        detail="programs that run at the same time share a folder",
    )


def mismatch_of_overlap(reports: Sequence[Report], at_least: int) -> Mismatch | None:
    """Return what is wrong where fewer programs than that ran at one moment.

    Where some answers are missing or unreadable, which is their own clients' failure, the others
    must have run at one moment.
    """
    overlap = overlap_of(reports)
    peak, told = (0, 0) if overlap is None else (overlap.peak, overlap.count)
    if peak >= max(2, min(at_least, told)):
        return None
    many = "one after the other" if peak == 1 else f"at most {peak} at a time"
    return Mismatch(
        "overlap of simultaneous programs",
        "is at least",
        f"{at_least} programs running at one moment, by their own clocks",
        describe(reports),
        "test plan, section 4: concurrent executions",
        f"the service runs simultaneous requests {many}" if peak else "no program told its times",
    )
