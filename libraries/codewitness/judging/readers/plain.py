"""Folders that hold a program, its inputs and the outputs expected for them, without ceremony.

In such a folder lie

- one program, or several files of which ``case.yaml`` or the name ``main.*`` tells the program;
  or ``submissions`` with folders of programs named after what is expected of them;
- inputs with their outputs: pairs of files (see :mod:`codewitness.judging.readers.pairs`) beside
  the program, in the folder ``tests`` or ``test``, or in one folder of inputs and one of outputs;
  or one list (see :mod:`codewitness.judging.readers.lists`);
- optionally ``X.err``, the expected standard error, and ``X.yaml``, settings of that one input,
  where X is the input's name without its ending;
- optionally ``case.yaml``, settings of the case.

Everything is read as bytes and nothing is normalised. Whatever isn't understood makes a broken
problem that says so: nothing is skipped in silence but hidden files, editors' backups and
README.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codewitness.judging.comparison import TRIMMED, Comparison, Mode, compare, default_validator
from codewitness.judging.problem import (
    BrokenProblem,
    BrokenSubmission,
    Case,
    Problem,
    ProblemLimits,
    Submission,
)
from codewitness.judging.readers.files import (
    README,
    Files,
    names_in,
    printable,
    reason,
    unprintable_names,
    usable_file,
)
from codewitness.judging.readers.lists import is_list_name, may_be_list, read_list
from codewitness.judging.readers.pairs import (
    CASE_SETTINGS,
    DATA_NAMES,
    pairs_in,
    pairs_of,
    take_cases,
)
from codewitness.judging.readers.programs import Hints, UnusableProgram, files_of, make_program
from codewitness.judging.readers.settings import (
    Known,
    language,
    milliseconds,
    read_settings,
    text,
)
from codewitness.judging.readers.submissions import Filing, read_submissions

SETTINGS = "case.yaml"

_SUBMISSIONS = "submissions"
_TESTS = ("tests", "test")
_INPUTS = ("input", "inputs", "in")
_OUTPUTS = ("output", "outputs", "out", "answers", "ans", "expected")
_FOLDERS = {_SUBMISSIONS, *_TESTS, *_INPUTS, *_OUTPUTS}

_LOOKS_LIKE_DATA = re.compile(
    r".*\.(in|input|out|output|ans|a|answer|expected|err|ya?ml)"
    r"|(in|out|input|output|ans|answer|expected)[-_. ]?[0-9]*(\.txt)?",
    re.IGNORECASE,
)
# Enough of an output to see that it isn't just white space.
_START = 1 << 16


@dataclass
class _Folder:
    """What lies in a folder; taken out as it is understood."""

    path: Path
    shown: str = ""
    files: Files = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class _Found:
    """Test data of one layout.

    Attributes:
        layout: The layout in words.
        example: A file or folder of it.
        cases: The cases.
    """

    layout: str
    example: str
    cases: list[Case]


def holds_data(folder: Path) -> bool:
    """Tell whether a folder has test data of its own, and not only folders of it.

    Raises:
        OSError: The folder isn't there, or can't be read.
    """
    names = names_in(folder)
    files: Files = {name: None for name in names if not (folder / name).is_dir()}
    folders = set(names) - files.keys()
    return (
        SETTINGS in files
        or bool(pairs_in(files).missing)
        or any(is_list_name(name) for name in files)
        or bool(folders & set(_INPUTS) and folders & set(_OUTPUTS))
        or any(_pairs_below(folder / name) for name in _TESTS if name in folders)
    )


def _pairs_below(folder: Path) -> bool:
    return bool(pairs_in(dict.fromkeys(names_in(folder))).missing)


def read_plain(folder: Path, name: str | None = None) -> Problem | BrokenProblem:
    """Read a folder with a program and test data.

    Args:
        folder: The folder.
        name: What to call the problem; the folder's name by default.
    """
    name = folder.name if name is None else name
    problems: list[str] = []
    try:
        problem = _read(folder, name, problems)
    except OSError as error:
        problems.append(f"{error.filename or name}: can't be read ({reason(error)}); mend it")
        problem = None
    if problems or problem is None:
        return BrokenProblem(printable(name), folder, tuple(map(printable, problems)))
    return problem


def _read(path: Path, name: str, problems: list[str]) -> Problem | None:
    folder = _look_into(path, "", problems)
    if folder is None:
        return None
    settings = read_settings(SETTINGS, folder.files.pop(SETTINGS, None), _SETTINGS, problems)
    comparison = settings.get("comparison", TRIMMED)
    found = _find_cases(folder, settings, problems)
    problems += [
        f"{each}: a folder, but a test case is flat; move its files up"
        for each in folder.folders
        if each != _SUBMISSIONS
    ]
    cases = found.cases if found else []
    if cases and not problems and not any(_shows_something(case, comparison) for case in cases):
        problems.append(
            "no input expects any output, so that a service that runs nothing would pass:"
            " let the program print something"
        )
    _refuse_stray_data(folder, problems)
    notes: list[str] = []
    # All that is left belongs to the program.
    submissions, broken = _read_programs(folder, settings, problems, notes)
    if not submissions:
        return None
    statement = path / README
    return Problem(
        name=name,
        folder=path,
        layout=found.layout if found else "",
        submissions=submissions,
        cases=tuple(cases),
        broken_submissions=broken,
        limits=ProblemLimits(run_timeout=settings.get("run_timeout")),
        description=settings.get("description", ""),
        statement=statement if statement.is_file() else None,
        notes=tuple(map(printable, notes)),
    )


def _look_into(path: Path, shown: str, problems: list[str]) -> _Folder | None:
    called = shown.rstrip("/") or path.name
    try:
        names = names_in(path)
    except (FileNotFoundError, NotADirectoryError):
        problems.append(f"{called}: not a folder, as a test case is; move it into one")
        return None
    except OSError as error:
        problems.append(f"{called}: can't be read ({reason(error)}); mend or delete it")
        return None
    if not names:
        problems.append(f"{called}: empty; add a program, X.in and X.out, or delete it")
        return None
    own = (path.name,) if not shown else ()
    problems += unprintable_names((*own, *(shown + name for name in names)))
    folder = _Folder(path, shown)
    for name in names:
        inside = path / name
        if not inside.is_dir():
            folder.files[name] = usable_file(inside, shown + name, problems)
            continue
        if shown:
            problems.append(f"{shown}{name}: a folder, but a test case is flat; move its files up")
        else:
            folder.folders[name] = inside
        # What can't be read keeps its place, so that its partner isn't complained of as well.
        if name not in _FOLDERS:
            folder.files[name] = None
    return folder


def _find_cases(folder: _Folder, settings: Mapping[str, Any], problems: list[str]) -> _Found | None:
    # A list goes first, because it may name files in folders that would be pairs by themselves.
    found = _find_list(
        folder, [name for name in folder.files if is_list_name(name)], settings, problems
    )
    pairs = _find_pairs(folder, settings, problems)
    found += [pairs] if pairs else []
    found += _find_in_folders(folder, settings, problems)
    if not found:
        names = [name for name in folder.files if may_be_list(name)]
        found = _find_list(folder, names, settings, problems)
    if len(found) > 1:
        examples = " and ".join(each.example for each in found)
        problems.append(f"{examples}: inputs in several layouts; keep one of them")
    if not found:
        problems.append(f"no inputs: {DATA_NAMES}")
        return None
    return found[0]


def _find_pairs(folder: _Folder, settings: Mapping[str, Any], problems: list[str]) -> _Found | None:
    pairs = pairs_in(folder.files)
    example = next(iter((*pairs.given.values(), *pairs.expected.values())), None)
    if example is None:
        return None
    shown = (folder.shown, folder.shown)
    cases = take_cases(pairs, folder.files, folder.files, settings, problems, shown)
    return _Found("pairs of files", folder.shown + example[0], cases)


def _find_in_folders(
    folder: _Folder, settings: Mapping[str, Any], problems: list[str]
) -> list[_Found]:
    found: list[_Found] = []
    for name in [name for name in folder.folders if name in _TESTS]:
        inside = _look_into(folder.folders.pop(name), f"{name}/", problems)
        if inside is None:
            continue
        pairs = _find_pairs(inside, settings, problems)
        if pairs is None:
            problems.append(f"{name}: no inputs: {DATA_NAMES}")
            continue
        _refuse_all(inside, problems)
        found.append(pairs)
    inputs = [name for name in folder.folders if name in _INPUTS]
    outputs = [name for name in folder.folders if name in _OUTPUTS]
    paths = {name: folder.folders.pop(name) for name in (*inputs, *outputs)}
    if len(inputs) == len(outputs) == 1:
        both = [_look_into(paths[each], f"{each}/", problems) for each in (*inputs, *outputs)]
        given, expected = both
        if given is not None and expected is not None:
            pairs_found = pairs_of(given.files, expected.files)
            shown = (given.shown, expected.shown)
            cases = take_cases(pairs_found, given.files, expected.files, settings, problems, shown)
            _refuse_all(given, problems)
            found.append(_Found("folders of inputs and outputs", f"{inputs[0]}/", cases))
    elif paths:
        problems.append(
            f"{' and '.join(paths)}: not one folder of inputs and one of outputs, such as input"
            f" and output; add or rename what is missing"
        )
    return found


def _find_list(
    folder: _Folder, names: list[str], settings: Mapping[str, Any], problems: list[str]
) -> list[_Found]:
    if len(names) > 1:
        problems.append(f"{' and '.join(names)}: each may be the list of cases; keep one of them")
    for name in names:
        del folder.files[name]
    found = []
    for name in names[:1]:
        cases, used = read_list(folder.path, name, settings, problems)
        for each in used:
            folder.files.pop(each, None)
        for each in {each.partition("/")[0] for each in used if "/" in each}:
            _claim(folder, each, name, used, problems)
        found.append(_Found(f"list of cases in {name}", name, cases))
    return found


def _claim(
    folder: _Folder, name: str, claimed_by: str, used: set[str], problems: list[str]
) -> None:
    """Take out a folder whose files a list names; files that it doesn't name go to the problems."""
    path = folder.folders.pop(name, None)
    folder.files.pop(name, None)
    if path is None:
        return
    files = files_of(path, name, problems, (folder.path.resolve(),))
    problems += [
        f"{name}/{each}: not named in {claimed_by}; add it there or delete it"
        for each in files
        if f"{name}/{each}" not in used
    ]


def _refuse_stray_data(folder: _Folder, problems: list[str]) -> None:
    for name in [name for name in folder.files if _LOOKS_LIKE_DATA.fullmatch(name)]:
        problems.append(f"{name}: belongs to no input; {DATA_NAMES}")
        del folder.files[name]


def _refuse_all(folder: _Folder, problems: list[str]) -> None:
    problems += [
        f"{folder.shown}{name}: belongs to no input; {DATA_NAMES}" for name in folder.files
    ]


def _shows_something(case: Case, comparison: Comparison) -> bool:
    streams = [case.expected, *([case.stderr] if case.stderr else [])]
    return case.exit_code != 0 or any(
        compare(stream.read(_START), b"", comparison) for stream in streams
    )


def _read_programs(
    folder: _Folder, settings: Mapping[str, Any], problems: list[str], notes: list[str]
) -> tuple[tuple[Submission, ...], tuple[BrokenSubmission, ...]]:
    submissions = folder.folders.get(_SUBMISSIONS)
    if submissions is not None:
        found = read_submissions(submissions, Filing(), problems, notes)
        problems += [
            f"{name}: beside {_SUBMISSIONS}, where programs are; move it there or delete it"
            for name in folder.files
        ]
        if not any(each.solves for each in found.usable):
            told = [each.reason for each in found.broken if each.filed == "accepted"]
            problems += told or [f"{_SUBMISSIONS}: none is filed as accepted; add one"]
        return tuple(found.usable), tuple(found.broken)
    hints = Hints(settings.get("language"), settings.get("program"), SETTINGS, "program")
    try:
        if hints.entry is not None and hints.entry not in folder.files:
            raise UnusableProgram(
                f"{SETTINGS}: program: there is no file {hints.entry}; mend the name"
            )
        files = {name: path for name, path in folder.files.items() if path}
        program = make_program(folder.path.name, files, hints)
    except UnusableProgram as error:
        # What can't be read is complained of elsewhere, and may be the program.
        if None not in folder.files.values():
            problems.append(str(error))
        return (), ()
    return (Submission(program.files[0].name, program),), ()


def _comparison(value: Any) -> Comparison:
    modes = {mode.value: mode for mode in Mode}
    words = text(value).split()
    if not words or words[0] not in modes:
        raise ValueError(
            f"{value!r} is none; say one of {', '.join(modes)}, and after tokens also"
            f" case_sensitive, space_change_sensitive and float_tolerance ε"
        )
    if modes[words[0]] is Mode.TOKENS:
        return default_validator(words[1:])
    if words[1:]:
        raise ValueError(
            f"{' and '.join(words[1:])}: only for the comparison 'tokens', not for {words[0]!r}"
        )
    return Comparison(modes[words[0]])


_SETTINGS: Known = {
    "description": text,
    "language": language,
    "program": text,
    **CASE_SETTINGS,
    "comparison": _comparison,
    "run_timeout": milliseconds,
}
