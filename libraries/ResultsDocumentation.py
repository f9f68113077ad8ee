"""Documents the results of a run: what went well, what is wrong, why, and what to do.

A plain ``robot`` run does this by itself, through :mod:`TargetLibrary`. Results that were merged by
pabot or rebot are documented by ``--prerebotmodifier libraries/ResultsDocumentation.py``, which is
what ``variables/results.args`` does.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from re import DOTALL, search
from typing import Any

from robot.api import SuiteVisitor, logger
from robot.errors import DataError
from robot.reporting.xunitwriter import XUnitFileWriter  # type: ignore[import-untyped]
from robot.utils import XmlWriter, cmdline2list
from robot.utils.argumentparser import ArgFileParser

from codewitness.execution.redaction import redact
from codewitness.reporting.results import Results, TestOutcome, read_metrics
from codewitness.reporting.results_pages import (
    LONGEST_COMMENT,
    STYLE_SHEET,
    as_console_lines,
    as_json,
    as_log_text,
    as_markdown,
    as_page,
    style_sheet,
)

PAGE = "summary.html"
"""Name of the page, in the output folder; the other files are named alike."""

_LAST_LINE = "[summary.html|summary]"
_last_words = ""


class ResultsDocumentation(SuiteVisitor):  # type: ignore[misc]
    """Writes the documentation of results into the output folder, and puts it on top of the log.

    Args:
        folder: The output folder; by default the one that the command line names.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder

    def start_suite(self, suite: Any) -> bool:
        """Document the whole run, which the uppermost suite is."""
        options = CommandLine(sys.argv[1:], os.environ)
        folder = Path(self._folder or options.value("-d", "--outputdir", default="."))
        document(
            suite,
            folder,
            log=options.value("-l", "--log", default="log.html"),
            report=options.value("-r", "--report", default="report.html"),
            measured=[folder, *options.folders, *sorted(folder.glob("pabot_results/*"))],
        )
        return False


def document(
    suite: Any, folder: Path, *, log: str, report: str, measured: Sequence[Path] = ()
) -> None:
    """Write a run's documentation, and put it on top of its log and report.

    The last lines of the console follow when the process ends: Robot Framework's own come later
    than any hook.

    Args:
        suite: The uppermost suite of the result.
        folder: The output folder.
        log: Name of the log in it, or ``NONE``.
        report: Name of the report, likewise.
        measured: Folders that may hold metrics; by default the output folder.
    """
    results = results_of(suite, measured or [folder])
    suite.doc = f"{as_log_text(results)}\n\n{_own_doc(suite.doc)}".rstrip()
    folder.mkdir(parents=True, exist_ok=True)
    links = [
        "" if name.upper() == "NONE" else os.path.relpath(folder / name, folder)
        for name in (log, report)
    ]
    files = {
        PAGE: as_page(results, *links),
        STYLE_SHEET: style_sheet(),
        "summary.md": as_markdown(results),
        "summary-short.md": as_markdown(results, LONGEST_COMMENT),
        "summary.json": as_json(results),
    }
    for name, text in files.items():
        # A lone surrogate, of a name or message, is no reason to document nothing.
        (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")
    where = folder / (links[1] or PAGE)
    _say_last(as_console_lines(results, f"{where}; summary: {folder / PAGE}"))


def write_xunit(suite: Any, file: Path) -> None:
    """Write the results for CI services, as ``--xunit`` would."""
    writer = XmlWriter(str(file), usage="xunit")
    suite.visit(XUnitFileWriter(writer))
    writer.close()


def results_of(suite: Any, measured: Sequence[Path]) -> Results:
    """Return what a result of Robot Framework says, without secrets."""
    return Results(
        [_outcome(test) for test in suite.all_tests],
        {str(name): redact(value) for name, value in suite.metadata.items()},
        read_metrics(measured),
        suite.elapsed_time.total_seconds(),
        suite.start_time.isoformat() if suite.start_time else "",
    )


def _outcome(test: Any) -> TestOutcome:
    message, retried = _message(test.message)
    return TestOutcome(
        test.name,
        _section(test),
        test.status,
        redact(message) if message else "",
        frozenset(map(str, test.tags)),
        test.id,
        retried,
    )


def _section(test: Any) -> str:
    suite = test.parent
    while suite.parent is not None and suite.parent.parent is not None:
        suite = suite.parent
    return str(suite.name)


def _message(message: str) -> tuple[str, bool]:
    """Return a test's own message, and whether rebot merged it with that of an earlier failure."""
    if not message.startswith("*HTML*"):
        return message, False
    found = search(r"New message:</span> (.*?)<br><hr>", message, DOTALL)
    own = unescape(found[1]) if found else ""
    if "re-executed" not in message:
        own = unescape(message.removeprefix("*HTML*").strip())
    return own, '<span class="fail">FAIL</span>' in message.partition("Old status:")[2]


def _own_doc(doc: str) -> str:
    """Return a suite's own documentation, where an earlier one of its results stands before it."""
    _, found, own = doc.partition(f"{_LAST_LINE}\n\n")
    return own if found else ("" if doc.endswith(_LAST_LINE) else doc)


def _say_last(text: str) -> None:
    """Let the console end with a text; a later one takes the place of an earlier one."""
    global _last_words
    if not _last_words:
        # Not printed: it writes what the console has characters for.
        atexit.register(lambda: logger.console(f"\n{_last_words}"))
    _last_words = redact(text)


class CommandLine:
    """What the command line of robot, rebot or pabot says about where results are.

    Args:
        arguments: Words after the program's name.
        environ: Environment, which may hold further options.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        given = [
            *cmdline2list(environ.get("ROBOT_OPTIONS", "")),
            *cmdline2list(environ.get("REBOT_OPTIONS", "")),
            *arguments,
        ]
        try:
            self._words = ArgFileParser(["-A", "--argumentfile"]).process(given)
        except DataError:
            self._words = given

    def value(self, short: str, long: str, *, default: str) -> str:
        """Return an option's value; the last one counts."""
        found = default
        for word, following in zip(self._words, [*self._words[1:], ""], strict=True):
            if word == short or word.lower() == long:
                found = following
            elif word.lower().startswith(f"{long}="):
                found = word.partition("=")[2]
        return found

    @property
    def folders(self) -> Sequence[Path]:
        """Folders of the results that are read."""
        files = [Path(word) for word in self._words if word.endswith((".xml", ".json"))]
        return [file.parent for file in files if file.is_file()]
