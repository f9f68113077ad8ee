"""Tests that are made from the folders of test cases, in the suite that stands for them.

They are made when the suite starts, which is after Robot Framework has selected what to run. So
selections by tag are applied here once more; selections by name need the tests to be there
earlier, which ``variables/cases.args`` sees to (:mod:`SelectableCases`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from robot.api import ExecutionResult
from robot.errors import DataError, Information
from robot.model import TagPatterns
from robot.run import RobotFramework

from codewitness.judging.case_tests import (
    CaseTest,
    Submissions,
    case_tests,
)
from codewitness.judging.problem import Submission
from codewitness.judging.readers.collection import AnyProblem, CasesError, read_problems
from codewitness.target.settings import Settings, resolve

PROJECT = Path(__file__).resolve().parent.parent
"""Folder of the project, wherever Robot was started."""

PLACEHOLDER = "T5.2 Test Case Validation"
"""The test after which those of the cases are put."""

TAGS_OF_PLACEHOLDER = ("T5.2", "phase-1", "must")
"""Its tags, which all tests of cases have, too."""

SOLVES = "Program Should Solve Case"
FAILS_AS_FILED = "Program Should Fail As Filed"
UNUSABLE = "Problem Should Be Usable"
_KEYWORDS = (SOLVES, FAILS_AS_FILED, UNUSABLE)

ADVICE = "Run from the project's folder and add `-A variables/cases.args`"

_SUITE_FILE = PROJECT / "suites" / "5__integration" / "4__test_cases.robot"

Place = tuple[str, ...]


class Collection:
    """All test cases of a run, as the settings choose them.

    Args:
        settings: Effective settings.
    """

    def __init__(self, settings: Settings) -> None:
        configured = settings["TEST_CASES"]
        self.folder = Path(configured) if configured else PROJECT / "test_cases"
        self.patterns: Sequence[str] = settings["CASES"]
        self.problems: list[AnyProblem] = []
        self.unreadable: str | None = None
        try:
            self.problems = read_problems(self.folder)
        except CasesError as error:
            self.unreadable = str(error)
        self.tests = case_tests(self.problems, Submissions(settings["SUBMISSIONS"]), self.patterns)
        self._by_place = {place_of(test): test for test in self.tests}

    def test_at(self, place: Place) -> CaseTest:
        """Return the test with the arguments that its keyword has."""
        return self._by_place[place]


def place_of(test: CaseTest) -> Place:
    """Return the arguments that the keyword of a test has."""
    parts = (test.problem, test.submission, test.case)
    return tuple(part.name for part in parts if part is not None)


def add_tests(
    suite: Any, tests: Iterable[CaseTest], takes: Callable[[Sequence[str]], bool]
) -> None:
    """Add tests to the suite that has the placeholder, unless they are there; else do nothing.

    Args:
        suite: Suite of the running model.
        tests: What to add.
        takes: Tells whether a test with these tags is to be run.
    """
    placeholder = next((test for test in suite.tests if test.name == PLACEHOLDER), None)
    if placeholder is None or any(map(place_in, suite.tests)):
        return
    for test in tests:
        tags = [*placeholder.tags, *test.tags]
        if takes(tags):
            added = suite.tests.create(
                name=test.name,
                doc=getattr(test.problem, "description", ""),
                tags=tags,
                lineno=placeholder.lineno,
            )
            added.body.create_keyword(name=_keyword_of(test), args=list(place_of(test)))


def _keyword_of(test: CaseTest) -> str:
    if not isinstance(test.submission, Submission):
        return UNUSABLE
    return SOLVES if test.case is not None else FAILS_AS_FILED


def place_in(test: Any) -> Place | None:
    """Return the place of a test of the running model that was made here, else ``None``."""
    if len(test.body) != 1:
        return None
    call = test.body[0]
    return tuple(call.args) if getattr(call, "name", None) in _KEYWORDS else None


def selected_by_tags(options: Mapping[str, Any]) -> Callable[[Sequence[str]], bool]:
    """Return what ``--include`` and ``--exclude`` say of a test's tags."""
    include, exclude = (TagPatterns(options.get(name) or []) for name in ("include", "exclude"))

    def takes(tags: Sequence[str]) -> bool:
        return bool((not include or include.match(tags)) and not exclude.match(tags))

    return takes


class CommandLine:
    """What the command line of this process says, as far as it is one of ``robot``.

    Args:
        arguments: Words after the program's name.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._options: Mapping[str, Any] = {}
        self._sources: Sequence[str] = ()
        try:
            self._options, self._sources = RobotFramework().parse_arguments(list(arguments))
        except (DataError, Information):
            # Another program runs Robot Framework, such as pabot, which passes settings on.
            self._options = _settings_in(arguments)

    @property
    def names_tests(self) -> bool:
        """Whether tests or suites are selected by their names."""
        names = ("suite", "test", "rerunfailed", "rerunfailedsuites")
        return any(self._options.get(name) for name in names)

    def settings(self) -> Settings:
        """Return the effective settings as far as the command line and the environment tell them.

        Raises:
            SettingsError: A value is unusable.
        """
        values: dict[str, Any] = {}
        for file in self._options.get("variablefile", ()):
            values |= _variables_in(file)
        for given in self._options.get("variable", ()):
            name, _, value = given.partition(":")
            values[name] = value
        return resolve(values.get, os.environ)

    def lost(self, tests: Sequence[Any], collection: Callable[[], Collection]) -> str | None:
        """Say which tests of cases a selection lost, with the remedy; ``None`` when it lost none.

        Args:
            tests: All tests that are going to be run, of the running model.
            collection: Reads the test cases, where that is needed.
        """
        if any(test.name == PLACEHOLDER for test in tests):
            return None
        return self._lost_by_tags(tests, collection) or self._lost_of_rerun(tests, collection)

    def _lost_by_tags(
        self, tests: Sequence[Any], collection: Callable[[], Collection]
    ) -> str | None:
        options = self._options
        if not (options.get("include") or options.get("exclude")) or not self._reach_suite():
            return None
        if options.get("suite") or options.get("test") or any(map(place_in, tests)):
            return None
        takes = selected_by_tags(options)
        made = collection().tests
        lost = [test for test in made if takes([*TAGS_OF_PLACEHOLDER, *test.tags])]
        if not lost:
            return None
        return (
            f"The tags selected lose {len(lost)} tests of test cases, such as '{lost[0].name}', "
            f"because Robot Framework selects before they are made. {ADVICE}, or select cases by "
            "`-v CASES:<pattern>`."
        )

    def _lost_of_rerun(
        self, tests: Sequence[Any], collection: Callable[[], Collection]
    ) -> str | None:
        files = [self._options.get(name) for name in ("rerunfailed", "rerunfailedsuites")]
        failed = {
            name for file in files if file and file.upper() != "NONE" for name in _failed_in(file)
        }
        lost = failed - {test.name for test in tests}
        if not lost or not (lost := lost & {test.name for test in collection().tests}):
            return None
        return (
            f"{len(lost)} tests of test cases failed in the earlier run and are lost in this one, "
            f"such as '{min(lost)}', because Robot Framework selects before they are made. "
            f"{ADVICE}."
        )

    def _reach_suite(self) -> bool:
        given = [Path(source).resolve() for source in self._sources]
        return any(path == _SUITE_FILE or path in _SUITE_FILE.parents for path in given)


def _settings_in(arguments: Sequence[str]) -> dict[str, list[str]]:
    """Return the variables and variable files that a command line gives, whoever's it is."""
    names = {
        "-v": "variable",
        "--variable": "variable",
        "-V": "variablefile",
        "--variablefile": "variablefile",
    }
    found: dict[str, list[str]] = {"variable": [], "variablefile": []}
    for option, value in pairwise(arguments):
        if option in names:
            found[names[option]].append(value)
    return found


def of_this_process() -> CommandLine:
    """Return the command line of this process."""
    return CommandLine(sys.argv[1:])


def _variables_in(file: str) -> dict[str, Any]:
    if Path(file).suffix not in (".yaml", ".yml", ".json"):
        return {}
    try:
        loaded = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        # Robot Framework itself says what is wrong with it.
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _failed_in(file: str) -> list[str]:
    try:
        return [test.name for test in ExecutionResult(file).suite.all_tests if test.failed]
    except DataError:
        return []
