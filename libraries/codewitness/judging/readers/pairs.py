"""Inputs with their outputs as pairs of files, told by their names.

- ``X.in`` with ``X.out``, ``X.ans``, ``X.a`` or ``X.expected``;
- ``01`` with ``01.a``, as Polygon has them;
- ``inputN.txt`` with ``outputN.txt``, where the number decides and not how it is padded;
- all of these beside each other in one folder, or any names in one folder of inputs and one of
  outputs, paired by their stems or else by their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codewitness.judging.comparison import TRIMMED
from codewitness.judging.problem import Case, Content
from codewitness.judging.readers.files import Files, natural_order
from codewitness.judging.readers.settings import Known, exit_code, read_settings, texts

DATA_NAMES = (
    "inputs are called X.in or inputN.txt, outputs X.out or outputN.txt, standard errors X.err,"
    " settings X.yaml or case.yaml"
)
CASE_SETTINGS: Known = {"args": texts, "exit_code": exit_code}

_NUMBERED = re.compile(r"(input|output)([0-9]+)\.txt")
_ANSWERS = ("out", "ans", "a", "expected")
# Settings and standard errors of inputs.
_BESIDE_INPUTS = (".yaml", ".err")
_NUMBER = re.compile(r"(?:[A-Za-z]+[-_. ]?)?([0-9]+)(?:\.[A-Za-z]+)?")


@dataclass(frozen=True)
class Pairs:
    """Files that were told to be inputs and outputs.

    Attributes:
        given: Names of the inputs, by what they have in common with their outputs.
        expected: Names of the outputs, by the same.
        missing: What to call an input or an output that isn't there, by the same.
    """

    given: Mapping[str, list[str]]
    expected: Mapping[str, list[str]]
    missing: Mapping[str, tuple[str, str]]


def pairs_in(files: Files) -> Pairs:
    """Return the pairs among the files of one folder."""
    given: dict[str, list[str]] = {}
    expected: dict[str, list[str]] = {}
    missing: dict[str, tuple[str, str]] = {}
    for name in files:
        told = _data_name(name, files)
        if told is not None:
            key, is_output, names = told
            (expected if is_output else given).setdefault(key, []).append(name)
            missing.setdefault(key, names)
    return Pairs(given, expected, missing)


def _data_name(name: str, files: Files) -> tuple[str, bool, tuple[str, str]] | None:
    """Return what a file has in common with its partner, which it is, and both usual names."""
    if numbered := _NUMBERED.fullmatch(name):
        usual = f"{int(numbered[2])}.txt"
        return f"input{usual}", numbered[1] == "output", (f"input{usual}", f"output{usual}")
    stem, dot, ending = name.rpartition(".")
    if dot and ending == "in":
        return stem, False, (name, f"{stem}.out")
    if dot and ending in _ANSWERS:
        bare = stem in files and ending == "a"
        return stem, True, (stem if bare else f"{stem}.in", name)
    if f"{name}.a" in files or re.fullmatch("[0-9]+", name):
        return name, False, (name, f"{name}.a")
    return None


def pairs_of(inputs: Files, outputs: Files) -> Pairs:
    """Return the pairs of a folder of inputs and a folder of outputs."""
    given_names = [name for name in inputs if not name.endswith(_BESIDE_INPUTS)]
    stems = [{Path(name).stem for name in names} for names in (given_names, outputs)]
    by_number = stems[0] != stems[1] and all(
        _NUMBER.fullmatch(name) for name in (*given_names, *outputs)
    )

    def key(name: str) -> str:
        number = _NUMBER.fullmatch(name)
        return str(int(number[1])) if by_number and number else Path(name).stem

    given: dict[str, list[str]] = {}
    expected: dict[str, list[str]] = {}
    missing: dict[str, tuple[str, str]] = {}
    for names, found in ((given_names, given), (outputs, expected)):
        for name in names:
            found.setdefault(key(name), []).append(name)
            missing.setdefault(key(name), (f"an input {key(name)}", f"an output {key(name)}"))
    return Pairs(given, expected, missing)


def take_cases(
    pairs: Pairs,
    inputs: Files,
    outputs: Files,
    settings: Mapping[str, Any],
    problems: list[str],
    shown: tuple[str, str] = ("", ""),
) -> list[Case]:
    """Move test data out of the files, and return the cases that it makes, in natural order.

    Args:
        pairs: What belongs together.
        inputs: The files among which the inputs are, and what belongs to them.
        outputs: The files among which the outputs are; may be the same.
        settings: Settings of all cases.
        problems: Where to add what is incomplete.
        shown: What stands before names in a problem: before inputs, and before outputs.
    """
    cases: dict[str, Case] = {}
    for key, names in pairs.missing.items():
        given, expected = pairs.given.get(key, []), pairs.expected.get(key, [])
        told = ([shown[0] + each for each in given], [shown[1] + each for each in expected])
        problems += _pairing_problems(names, *told)
        answers = [outputs.pop(name) for name in expected]
        for name in given:
            path = inputs.pop(name)
            stem = name.rpartition(".")[0] or name
            own_name = f"{shown[0]}{stem}.yaml"
            own = inputs.pop(f"{stem}.yaml", None)
            both = {**settings, **read_settings(own_name, own, CASE_SETTINGS, problems)}
            stderr = f"{stem}.err"
            if stem in cases:
                problems.append(
                    f"{shown[0]}{name}: a second input {stem}; rename it with its output"
                )
            cases[stem] = Case(
                name=stem,
                stdin=Content(path),
                expected=Content(answers[-1] if answers else None),
                args=both.get("args", ()),
                exit_code=both.get("exit_code", 0),
                stderr=Content(inputs.pop(stderr)) if stderr in inputs else None,
                comparison=settings.get("comparison", TRIMMED),
            )
    return [cases[stem] for stem in sorted(cases, key=natural_order)]


def _pairing_problems(
    missing: tuple[str, str], given: list[str], expected: list[str]
) -> Iterable[str]:
    if not given:
        yield f"{expected[0]}: an output without an input; add {missing[0]} or delete it"
    elif not expected:
        yield f"{given[0]}: an input without an output; add {missing[1]} or delete it"
    for names, what in ((given, "inputs"), (expected, "outputs")):
        if len(names) > 1:
            same = "number" if _NUMBERED.fullmatch(Path(names[0]).name) else "name"
            yield f"{' and '.join(names)}: {what} of the same {same}; keep one of them"
