"""Submissions in folders named after the verdict that their authors expect of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codewitness.judging.problem import (
    ALL_VERDICTS,
    BrokenSubmission,
    Expectation,
    Program,
    Submission,
    matches,
)
from codewitness.judging.readers.files import (
    names_in,
    path_order,
    printable,
    reason,
    unprintable_names,
    usable_file,
)
from codewitness.judging.readers.programs import (
    Hints,
    UnusableProgram,
    is_by_product,
    read_program,
)
from codewitness.judging.readers.settings import language, read_mapping, text, texts

SETTINGS = "submissions.yaml"

_AC = frozenset({"AC"})
_ACCEPTED = Expectation(_AC)

_DEFAULTS: Mapping[str, Expectation] = {
    "accepted": _ACCEPTED,
    "rejected": Expectation(required=ALL_VERDICTS - _AC),
    "wrong_answer": Expectation(frozenset({"AC", "WA"}), frozenset({"WA"})),
    "time_limit_exceeded": Expectation(frozenset({"AC", "TLE"}), frozenset({"TLE"})),
    "run_time_error": Expectation(frozenset({"AC", "RTE"}), frozenset({"RTE"})),
    "brute_force": Expectation(
        frozenset({"AC", "RTE", "TLE"}), frozenset({"RTE", "TLE"}), time_limit="none"
    ),
}
"""Section "Default directories" of the format 2025-09."""

_LEGACY: Mapping[str, Expectation] = {
    "accepted": _ACCEPTED,
    "rejected": Expectation(required=ALL_VERDICTS - _AC),
    # Judges of the legacy format stop at the first rejected case, so that what came after it was
    # never tried by anybody. What is too slow or crashes may be wrong before.
    "wrong_answer": Expectation(overall=frozenset({"WA"})),
    "time_limit_exceeded": Expectation(required=frozenset({"TLE"})),
    "run_time_error": Expectation(required=frozenset({"RTE"})),
    # Of DOMjudge.
    "no_output": Expectation(overall=frozenset({"WA"})),
    "output_limit": Expectation(overall=frozenset({"OLE"})),
    "memory_limit": Expectation(overall=frozenset({"MLE", "RTE"})),
    "compiler_error": Expectation(overall=frozenset({"CE"})),
}

_SCORING: Mapping[str, Expectation] = {
    **_LEGACY,
    # Judges go on after a rejected case where every group gives points.
    "wrong_answer": Expectation(required=frozenset({"WA"})),
    "partially_accepted": Expectation(),
}

_SET_ASIDE = (".disabled", ".template")
"""Endings by which authors take a submission out without deleting it."""

_OFFICIAL = frozenset({"accepted", "wrong_answer", "time_limit_exceeded", "run_time_error"})
_DOMJUDGE_TAG = re.compile(rb"@EXPECTED_RESULTS@:([^\r\n]*)")
_DOMJUDGE_VERDICTS = {
    "CORRECT": "AC",
    "ACCEPTED": "AC",
    "WRONG-ANSWER": "WA",
    "WRONG_ANSWER": "WA",
    "NO-OUTPUT": "WA",
    "TIMELIMIT": "TLE",
    "TIME_LIMIT_EXCEEDED": "TLE",
    "RUN-ERROR": "RTE",
    "RUN_TIME_ERROR": "RTE",
    "OUTPUT-LIMIT": "OLE",
    "OUTPUT_LIMIT": "OLE",
    "MEMORY-LIMIT": "MLE",
    "COMPILER-ERROR": "CE",
    "CHECK-MANUALLY": "",
}


@dataclass(frozen=True)
class Filing:
    """What holds for all submissions of a problem.

    Attributes:
        legacy: Whether the package is of a format before 2025-09.
        scoring: Whether submissions get points.
        included: Files that go with every program, by language.
        constants: Names and values of the problem's constants.
    """

    legacy: bool = False
    scoring: bool = False
    included: Mapping[str, Mapping[str, Path]] | None = None
    constants: Sequence[tuple[str, str]] = ()

    @property
    def defaults(self) -> Mapping[str, Expectation]:
        """What a submission is expected to come to, by the folder that it is filed in."""
        if not self.legacy:
            return _DEFAULTS
        return _SCORING if self.scoring else _LEGACY


@dataclass(frozen=True)
class _Rule:
    """One entry of submissions.yaml."""

    pattern: str
    hints: Hints
    expectations: tuple[Expectation, ...]


@dataclass
class Submissions:
    """What was found in a folder of submissions."""

    usable: list[Submission]
    broken: list[BrokenSubmission]


def read_submissions(
    folder: Path, filing: Filing, problems: list[str], notes: list[str]
) -> Submissions:
    """Read all submissions below a folder, those that solve the problem first.

    Args:
        folder: The folder.
        filing: What holds for all of them.
        problems: Where to add what is wrong with the folder and its settings.
        notes: Where to add what is passed over.
    """
    found = Submissions([], [])
    shown = folder.name
    above = (folder.resolve(),)
    try:
        names = names_in(folder)
        problems += unprintable_names(each for each in names if (folder / each).is_dir())
    except OSError as error:
        told = f"can't be read ({reason(error)}); add a program to {shown}/accepted"
        problems.append(f"{shown}: {told}")
        return found
    rules: list[_Rule] = []
    if SETTINGS in names:
        defaults = filing.defaults
        rules = _read_rules(folder / SETTINGS, f"{shown}/{SETTINGS}", defaults, problems)
    unmatched = {rule.pattern for rule in rules} - filing.defaults.keys()
    for filed in names:
        if not (folder / filed).is_dir():
            if filed not in (SETTINGS, "submissions.json") and not is_by_product(filed):
                told = f"{shown}/{filed}: in no folder that says what to expect; move it into one"
                found.broken.append(BrokenSubmission(printable(filed), "", printable(told)))
            continue
        try:
            entries = names_in(folder / filed)
        except OSError as error:
            problems.append(f"{shown}/{filed}: can't be read ({reason(error)}); mend it")
            continue
        for name in entries:
            if is_by_product(name):
                continue
            path = f"{filed}/{name}"
            if name.endswith(_SET_ASIDE):
                notes.append(f"{shown}/{path}: set aside by its name, and not judged")
                continue
            its = [rule for rule in rules if matches(rule.pattern, path)]
            unmatched -= {rule.pattern for rule in its}
            try:
                program = read_program(
                    folder / path,
                    f"{shown}/{path}",
                    _hints(its),
                    above=(*above, (folder / filed).resolve()),
                    included=filing.included,
                    constants=filing.constants,
                )
            except UnusableProgram as error:
                told = printable(str(error))
                found.broken.append(BrokenSubmission(printable(path), filed, told))
                continue
            expectations = _expectations(filed, program, its, filing.defaults)
            if not expectations:
                notes.append(f"{shown}/{path}: nothing is promised of it, not even by its folder")
            found.usable.append(Submission(path, program, filed, expectations))
    notes += [
        f"{shown}/{SETTINGS}: {pattern} matches no submission" for pattern in sorted(unmatched)
    ]
    found.usable.sort(key=lambda each: (not each.solves, path_order(each.name)))
    return found


def _hints(rules: Sequence[_Rule]) -> Hints:
    hints = Hints()
    for rule in rules:
        hints = replace(
            hints,
            language=rule.hints.language or hints.language,
            entry=rule.hints.entry or hints.entry,
        )
    return hints


def _expectations(
    filed: str, program: Program, rules: Sequence[_Rule], defaults: Mapping[str, Expectation]
) -> tuple[Expectation, ...]:
    # DOMjudge reads no tags in the folders that all judges know.
    if filed not in _OFFICIAL and (tagged := _tagged(program)):
        return (*tagged, *(each for rule in rules for each in rule.expectations))
    # A rule named like the folder was read with the default in mind.
    replaced = any(rule.pattern == filed for rule in rules)
    default = () if replaced or filed not in defaults else (defaults[filed],)
    return (*default, *(each for rule in rules for each in rule.expectations))


def _tagged(program: Program) -> tuple[Expectation, ...]:
    tag = _DOMJUDGE_TAG.search(program.files[0].path.read_bytes())
    if tag is None:
        return ()
    words = [word.strip().upper() for word in tag[1].decode("ascii", "replace").split(",")]
    verdicts = frozenset(_DOMJUDGE_VERDICTS.get(word, "") for word in words)
    if verdicts == {"AC"}:
        return (_ACCEPTED,)
    return (Expectation() if "" in verdicts else Expectation(overall=verdicts),)


def _read_rules(
    path: Path, shown: str, defaults: Mapping[str, Expectation], problems: list[str]
) -> list[_Rule]:
    values = read_mapping(shown, usable_file(path, shown, problems), problems)
    rules = [
        _read_rule(shown, pattern, value, defaults.get(pattern, Expectation()), problems)
        for pattern, value in values.items()
    ]
    return [rule for rule in rules if rule]


def _read_rule(
    shown: str, pattern: str, values: Any, default: Expectation, problems: list[str]
) -> _Rule | None:
    try:
        return _rule(pattern, values, default)
    except ValueError as error:
        problems.append(f"{shown}: {pattern}: {error}")
        return None


def _rule(pattern: str, values: Any, default: Expectation) -> _Rule:
    # A pattern that can't be one is found out here.
    matches(pattern, "")
    values = values or {}
    if not isinstance(values, dict):
        raise ValueError("must be lines such as 'permitted: [AC, WA]'")
    hints = Hints()
    own: dict[str, Any] = {}
    expectations = []
    for key, value in values.items():
        if key == "language":
            hints = replace(hints, language=language(value))
        elif key == "entrypoint":
            hints = replace(hints, entry=text(value))
        elif key in _DEMANDS:
            own[key] = value
        elif key in ("authors", "model_solution", "score"):
            # For people, and for points.
            continue
        elif isinstance(value, dict):
            matches(key, "")
            expectations.append(_read_demands(value, Expectation(cases=(key,))))
        else:
            raise ValueError(
                f"unknown key {key!r}; known are language, entrypoint, {', '.join(_DEMANDS)},"
                f" authors, model_solution, score and names of cases and groups"
            )
    if own or default != Expectation():
        expectations.insert(0, _read_demands(own, default))
    return _Rule(pattern, hints, tuple(expectations))


_DEMANDS = ("permitted", "required", "message", "use_for_time_limit")


def _read_demands(values: Mapping[str, Any], default: Expectation) -> Expectation:
    expectation = default
    if values.keys() & {"permitted", "required"}:
        expectation = replace(expectation, overall=frozenset())
    for key, value in values.items():
        if key == "permitted":
            expectation = replace(expectation, permitted=_verdicts(key, value))
        elif key == "required":
            required = _verdicts(key, value)
            # One of all is what every case gets.
            required = frozenset() if required == ALL_VERDICTS else required
            expectation = replace(expectation, required=required)
        elif key == "message":
            expectation = replace(expectation, message=text(value))
        elif key == "use_for_time_limit":
            known = {"true": "", "false": "none", "lower": "lower", "upper": "upper"}
            if value not in known:
                raise ValueError(f"{key}: must be one of {', '.join(known)}")
            expectation = replace(expectation, time_limit=known[value])
        elif key != "score":
            raise ValueError(f"unknown key {key!r}; known are {', '.join(_DEMANDS)} and score")
    return expectation


def _verdicts(key: str, value: Any) -> frozenset[str]:
    given = (value,) if isinstance(value, str) else texts(value)
    if not given or not set(given) <= ALL_VERDICTS:
        raise ValueError(f"{key}: must be a list of {', '.join(sorted(ALL_VERDICTS))}")
    return frozenset(given)
