"""What past runs tell of a test: failing since when, slower since when, flaky, or gone."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal
from xml.etree import ElementTree

from codewitness.reporting.visible import cut, plain

Status = Literal["PASS", "FAIL", "SKIP"]

SLOWER_BY = 1.5
"""Times the usual duration from which on a test counts as slower."""

SLOWER_BY_SECONDS = 0.5
"""Seconds that it must take longer, too: below, a busy machine alone makes the difference."""

AGAIN = "again"
"""Folder, within that of a run, for the repetition of what failed."""

FIRST_TRY = "output-first-try.xml"
"""Name of a run's output once another has taken its place that has both tries."""

_BEFORE = 3
_SLOW_RUNS = 2
_LONGEST_MESSAGE = 200
_LISTED = re.compile(r"the service lists (.*)", re.DOTALL)
_SECOND_TRY = re.compile(r"re-executed and results merged.*Old status:.{0,80}?FAIL", re.DOTALL)


@dataclass(frozen=True)
class PastTest:
    """What one run says of one test.

    Attributes:
        status: How it ended.
        seconds: How long it took.
        message: Its message, in one line.
        retried: Whether it had failed before and was executed again.
    """

    status: Status
    seconds: float
    message: str = ""
    retried: bool = False

    @property
    def passed_on_second_try(self) -> bool:
        """Whether it failed first and passed when it was executed again."""
        return self.retried and self.status == "PASS"


@dataclass(frozen=True)
class PastRun:
    """One run.

    Attributes:
        name: What to call it: when it started.
        tests: What became of each test, by its full name.
        runtimes: Languages that the service under test listed; empty where that is not known.
        source: File that the run was read from.
    """

    name: str
    tests: Mapping[str, PastTest]
    runtimes: frozenset[str] = frozenset()
    source: Path = Path()


def read_run(path: Path) -> PastRun:
    """Read a run from Robot Framework's output.xml, also one that rebot has merged.

    Raises:
        ValueError: The file is no such file, or was never finished.
    """
    tests: dict[str, PastTest] = {}
    suites: list[str] = []
    started = listed = ""
    depth = 0
    try:
        for event, element in ElementTree.iterparse(path, ("start", "end")):
            if element.tag in ("kw", "for", "while", "if", "try", "group"):
                depth += 1 if event == "start" else -1
                if event == "end":
                    element.clear()
                continue
            if depth:
                continue
            if event == "start":
                if element.tag == "suite":
                    suites.append(element.get("name", ""))
            elif element.tag == "test":
                name = ".".join((*suites, element.get("name", "")))
                tests[name], test_started = _read_test(element)
                started = min(filter(None, (started, test_started)), default="")
                element.clear()
            elif element.tag == "suite":
                suites.pop()
                element.clear()
            elif element.tag == "meta" and element.get("name") == "Versions":
                listed = element.text or ""
    except (OSError, ElementTree.ParseError) as error:
        raise ValueError(f"{path} can't be read as the output of a run: {error}") from error
    if not tests:
        raise ValueError(f"{path} holds no test: is it the output.xml of a run?")
    found = _LISTED.search(listed)
    runtimes = {it.split()[0] for it in found[1].split(",") if it.split()} if found else set()
    name = started[:19].replace("T", " ") or path.name
    return PastRun(name, tests, frozenset(runtimes), path)


def _read_test(element: ElementTree.Element) -> tuple[PastTest, str]:
    status = element.find("status")
    if status is None:
        raise ValueError(f"the test {element.get('name')} has no status: the run was cut off")
    text = (status.text or "").strip()
    outcome = status.get("status")
    known: Status = "PASS" if outcome == "PASS" else "SKIP" if outcome == "SKIP" else "FAIL"
    test = PastTest(
        known,
        float(status.get("elapsed", "0")),
        cut(plain(" ".join(_without_markup(text).split())), _LONGEST_MESSAGE),
        bool(_SECOND_TRY.search(text)),
    )
    return test, status.get("start", "")


def _without_markup(text: str) -> str:
    if not text.startswith("*HTML*"):
        return text
    shown = re.sub(r"<[^>]*>", " ", text.removeprefix("*HTML*"))
    # Of a merged result what happened first tells most.
    return html.unescape(shown.rpartition("Old message:")[2])


@dataclass(frozen=True)
class Since:
    """A state that holds since some run.

    Attributes:
        test: Full name of the test.
        run: Name of the run in which it began.
        runs: Number of runs that it has held for.
        told: The message, or the durations.
    """

    test: str
    run: str
    runs: int
    told: str


@dataclass(frozen=True)
class Flaky:
    """A test whose result changes back and forth.

    Attributes:
        test: Full name of the test.
        changes: Times that it went from passed to failed or back.
        second_tries: Runs in which it passed at the second try only.
        results: A letter for each run, the oldest first: ``P``, ``F``, ``s`` for skipped,
            ``2`` for passed at the second try, ``-`` where it was not run.
    """

    test: str
    changes: int
    second_tries: int
    results: str


@dataclass(frozen=True)
class History:
    """Past runs, the oldest first."""

    runs: Sequence[PastRun]

    @property
    def names(self) -> Sequence[str]:
        """Full names of all tests of all runs."""
        return list(dict.fromkeys(name for run in self.runs for name in run.tests))

    @property
    def failing(self) -> Sequence[Since]:
        """What fails in the latest run, and since when without a pass in between."""
        found = []
        for name, test in self.runs[-1].tests.items() if self.runs else ():
            if test.status != "FAIL":
                continue
            streak = 0
            first = self.runs[-1]
            for run, past in self._latest_first(name):
                if past.status == "PASS":
                    break
                if past.status == "FAIL":
                    streak, first = streak + 1, run
            found.append(Since(name, first.name, streak, test.message))
        return sorted(found, key=lambda since: -since.runs)

    @property
    def slower(self) -> Sequence[Since]:
        """Tests that have become slower, by at least two runs against at least three before."""
        return [since for name in self.names if (since := self._slower(name)) is not None]

    def _slower(self, name: str) -> Since | None:
        timed = [(run, it.seconds) for run, it in self._latest_first(name) if it.status == "PASS"]
        if not self.runs or name not in self.runs[-1].tests:
            return None
        for length in range(len(timed) - _BEFORE, _SLOW_RUNS - 1, -1):
            now = [seconds for _, seconds in timed[:length]]
            usual = median(seconds for _, seconds in timed[length:])
            if min(now) > max(SLOWER_BY * usual, usual + SLOWER_BY_SECONDS):
                told = f"{median(now):.2f} s instead of {usual:.2f} s"
                return Since(name, timed[length - 1][0].name, length, told)
        return None

    @property
    def flaky(self) -> Sequence[Flaky]:
        """Tests that went to and fro, or passed at the second try; the worst first."""
        found = []
        for name in self.names:
            past = [run.tests.get(name) for run in self.runs]
            decided = [it.status for it in past if it is not None and it.status != "SKIP"]
            changes = sum(one != other for one, other in pairwise(decided))
            second_tries = sum(it is not None and it.passed_on_second_try for it in past)
            # Once to failed, or once back to passed, is a defect that came or was mended.
            if changes > 1 or second_tries:
                letters = "".join(map(_letter, past))
                found.append(Flaky(name, changes, second_tries, letters))
        return sorted(found, key=lambda it: (-it.changes - it.second_tries, it.test))

    @property
    def vanished(self) -> Sequence[str]:
        """What the run before had and the latest lacks: tests, test cases and runtimes."""
        if len(self.runs) < 2:
            return []
        before, latest = self.runs[-2:]
        gone = [f"test {name}" for name in before.tests if name not in latest.tests]
        if latest.runtimes or not before.runtimes:
            return [*gone, *(f"runtime {it}" for it in sorted(before.runtimes - latest.runtimes))]
        return [*gone, f"all {len(before.runtimes)} runtimes: the latest run lists none"]

    def _latest_first(self, name: str) -> Iterator[tuple[PastRun, PastTest]]:
        for run in reversed(self.runs):
            if name in run.tests:
                yield run, run.tests[name]


def _letter(test: PastTest | None) -> str:
    if test is None:
        return "-"
    if test.passed_on_second_try:
        return "2"
    return {"PASS": "P", "FAIL": "F", "SKIP": "s"}[test.status]


def find_outputs(places: Iterable[Path]) -> Sequence[Path]:
    """Return the outputs of runs in files and folders, however deep.

    What pabot's processes wrote, and both tries of a run that was repeated, are left out: they
    are in the merged output, too.

    Raises:
        ValueError: A place does not exist, or holds none.
    """
    found: dict[Path, None] = {}
    for place in places:
        files = [place] if place.is_file() else sorted(place.rglob("*output*.xml"))
        kept = [path for path in files if path == place or not _is_part(path)]
        if not kept:
            raise ValueError(f"{place} holds no output.xml of a run")
        found |= dict.fromkeys(kept)
    return list(found)


def _is_part(path: Path) -> bool:
    """Tell whether an output is one of those that were merged into another."""
    return path.name == FIRST_TRY or not {"pabot_results", AGAIN}.isdisjoint(path.parts)


def read_history(places: Iterable[Path], most: int) -> History:
    """Read past runs.

    Args:
        places: Files and folders that hold them.
        most: Runs to keep, the latest.

    Raises:
        ValueError: A place holds no run, or something that is none.
    """
    runs = sorted(map(read_run, find_outputs(places)), key=lambda run: run.name)
    return History(runs[-most:])


def history_as_markdown(history: History) -> str:
    """Return what the past tells, for people, the most urgent first."""
    latest = history.runs[-1]
    counted = [test.status for test in latest.tests.values()]
    second = sum(test.passed_on_second_try for test in latest.tests.values())
    lines = [
        "# History",
        "",
        f"{len(history.runs)} runs, the latest of {latest.name}: {counted.count('PASS')} passed"
        f"{f' ({second} of them at the second try)' if second else ''}, "
        f"{counted.count('FAIL')} failed, {counted.count('SKIP')} skipped.",
    ]

    def section(title: str, heads: str, rows: Sequence[Sequence[str]], none: str) -> None:
        lines.extend(["", f"## {title}", ""])
        if not rows:
            lines.append(none)
            return
        columns = heads.split(" | ")
        lines.extend([f"| {heads} |", "|" + "---|" * len(columns)])
        lines.extend(f"| {' | '.join(map(_cell, row))} |" for row in rows)

    section(
        "Vanished",
        "In the run before, and missing now",
        [[name] for name in history.vanished],
        "Nothing: whatever the run before had is still there.",
    )
    for title, sinces in (("Failing", history.failing), ("Slower", history.slower)):
        section(
            f"{title} since",
            "Test | Since | Runs | What",
            [[it.test, it.run, str(it.runs), it.told] for it in sinces],
            "Nothing.",
        )
    section(
        "Flaky",
        "Test | Changes | Second tries | Results, the oldest first",
        [[it.test, str(it.changes), str(it.second_tries), it.results] for it in history.flaky],
        "Nothing.",
    )
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)
