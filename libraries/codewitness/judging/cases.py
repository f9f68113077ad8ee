"""Test cases: folders that hold a program, its inputs and the outputs expected for them.

A case is a folder right below the root of all cases. In it lie

- one program, or several files of which ``case.yaml`` or the name ``main.*`` tells the program;
- inputs with their outputs: ``X.in`` with ``X.out``, or ``inputN.txt`` with ``outputN.txt``,
  where the number decides and not how it is padded;
- optionally ``X.err``, the expected standard error, and ``X.yaml``, settings of that one input,
  where X is the input's name without its ending;
- optionally ``case.yaml``, settings of the case.

Everything is read as bytes and nothing is normalised. Whatever isn't understood makes a broken
case that says so: nothing is skipped in silence but hidden files, editors' backups and README.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from codewitness.execution.model import ExecutionRequest, Limits, SourceFile
from codewitness.judging.comparison import TRIMMED, Comparison, Mode, compare

LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "python": (".py",),
    "javascript": (".js",),
    "bash": (".sh",),
    "c": (".c",),
    "c++": (".cpp", ".cc"),
    "java": (".java",),
    "csharp": (".cs",),
}
"""Languages a case can be written in, and the endings of their programs."""

_LANGUAGE_OF = {ending: name for name, endings in LANGUAGES.items() for ending in endings}
_README = "README.md"
_CASE_FILE = "case.yaml"

_Contents = dict[str, bytes]
"""Names and contents of the files of one folder."""

_IGNORED = re.compile(r"\..*|.*~|#.*#|.*\.(bak|orig)|__pycache__|Thumbs\.db|desktop\.ini")
_NUMBERED = re.compile(r"(input|output)([0-9]+)\.txt")
_LOOKS_LIKE_DATA = re.compile(
    r".*\.(in|input|out|output|ans|answer|expected|err|ya?ml)"
    r"|(in|out|input|output|ans|answer|expected)[-_. ]?[0-9]*(\.txt)?",
    re.IGNORECASE,
)
_DATA_NAMES = (
    "inputs are called X.in or inputN.txt, outputs X.out or outputN.txt, standard errors X.err,"
    " settings X.yaml or case.yaml"
)


class CasesError(ValueError):
    """There are no test cases to read; the message names the folder and the remedy."""


@dataclass(frozen=True)
class CaseInput:
    """One input of a case, with everything expected for it.

    Attributes:
        name: Name of the input's file without its ending.
        stdin: Bytes for standard input.
        expected: Standard output expected.
        args: Command-line arguments, in order.
        exit_code: Exit code expected.
        stderr: Standard error expected; ``None`` when any will do.
    """

    name: str
    stdin: bytes
    expected: bytes
    args: tuple[str, ...] = ()
    exit_code: int = 0
    stderr: bytes | None = None


@dataclass(frozen=True)
class TestCase:
    """A program with its inputs.

    Attributes:
        name: Name of the folder.
        folder: The folder.
        description: What the program does, in words; may be empty.
        language: Canonical name of the language.
        files: The program's files, the program first.
        inputs: Inputs in natural order of their names, at least one.
        comparison: How outputs are compared.
        run_timeout: Limit of one run in milliseconds; ``None`` leaves it to the service.
    """

    __test__ = False  # Not a test of pytest's, whatever its name says.

    name: str
    folder: Path
    description: str
    language: str
    files: tuple[SourceFile, ...]
    inputs: tuple[CaseInput, ...]
    comparison: Comparison = TRIMMED
    run_timeout: float | None = None

    def request(self, given: CaseInput) -> ExecutionRequest:
        """Return the request that runs the program on one of its inputs."""
        return ExecutionRequest(
            language=self.language,
            files=self.files,
            stdin=given.stdin,
            args=given.args,
            limits=Limits(run_timeout=self.run_timeout),
        )


@dataclass(frozen=True)
class BrokenCase:
    """A folder, or a stray file beside the folders, that can't be used as a test case.

    Attributes:
        name: Name of the folder or file.
        folder: Its path.
        problems: Everything that is wrong, each problem with its file and the remedy.
    """

    name: str
    folder: Path
    problems: tuple[str, ...]


def read_cases(root: Path) -> list[TestCase | BrokenCase]:
    """Read all cases below a folder, in natural order of their names.

    Raises:
        CasesError: The root is no folder, can't be read, or holds no case at all.
    """
    try:
        names = _names_in(root)
    except OSError as error:
        raise CasesError(
            f"the folder of test cases {root} can't be read ({error.strerror}): name the right one"
            f" in TEST_CASES, or mend its permissions"
        ) from error
    if not names:
        raise CasesError(
            f"the folder of test cases {root} holds no case: add a folder with a program, X.in and"
            f" X.out, or name the right folder in TEST_CASES"
        )
    return [_read_case(root / name) for name in names]


def _natural_order(name: str) -> tuple[tuple[int | str, ...], str]:
    """Return a key that sorts numbers in names by their value: ``2`` before ``10``."""
    parts = re.split(r"([0-9]+)", name)
    numbers = tuple(int(part) if index % 2 else part for index, part in enumerate(parts))
    # Names such as 1 and 01 still need an order.
    return numbers, name


def _names_in(folder: Path) -> list[str]:
    names = (path.name for path in folder.iterdir())
    kept = [name for name in names if name != _README and not _IGNORED.fullmatch(name)]
    return sorted(kept, key=_natural_order)


def _read_case(folder: Path) -> TestCase | BrokenCase:
    problems: list[str] = []
    case = _read_folder(folder, problems)
    if problems or case is None:
        return BrokenCase(_printable(folder.name), folder, tuple(map(_printable, problems)))
    return case


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _read_folder(folder: Path, problems: list[str]) -> TestCase | None:
    contents = _read_contents(folder, problems)
    if not contents:
        return None
    settings = _read_settings(_CASE_FILE, contents.pop(_CASE_FILE, b""), _CASE_SETTINGS, problems)
    comparison = settings.get("comparison", TRIMMED)
    inputs = _take_inputs(contents, settings, problems)
    if inputs and not problems and not any(_shows_something(given, comparison) for given in inputs):
        problems.append(
            "no input expects any output, so that a service that runs nothing would pass:"
            " let the program print something"
        )
    for name in [name for name in contents if _LOOKS_LIKE_DATA.fullmatch(name)]:
        problems.append(f"{name}: belongs to no input; {_DATA_NAMES}")
        del contents[name]
    # All that is left belongs to the program.
    program = _find_program(contents, settings.get("program"), problems)
    if program is None:
        return None
    language = settings.get("language") or _LANGUAGE_OF.get(Path(program).suffix)
    if language is None:
        problems.append(
            f"{program}: unknown language; end its name in {' '.join(_LANGUAGE_OF)}, or say"
            f" 'language: …' in {_CASE_FILE}"
        )
        return None
    if not _is_text(contents[program]):
        problems.append(f"{program}: not UTF-8 text, as a program has to be; save it as UTF-8")
    names = [program, *(name for name in contents if name != program)]
    return TestCase(
        name=folder.name,
        folder=folder,
        description=settings.get("description", ""),
        language=language,
        files=tuple(_source_file(name, contents[name]) for name in names),
        inputs=inputs,
        comparison=comparison,
        run_timeout=settings.get("run_timeout"),
    )


def _read_contents(folder: Path, problems: list[str]) -> _Contents:
    try:
        names = _names_in(folder)
    except (FileNotFoundError, NotADirectoryError):
        problems.append(f"{folder.name}: not a folder, as a test case is; move it into one")
        return {}
    except OSError as error:
        problems.append(f"{folder.name}: can't be read ({error.strerror}); mend or delete it")
        return {}
    if not names:
        problems.append(f"{folder.name}: empty; add a program, X.in and X.out, or delete it")
    problems += [
        f"{name}: a name with characters that can't be shown; rename it"
        for name in (folder.name, *names)
        if not name.isprintable()
    ]
    # A file that can't be read keeps its place, so that its partner isn't complained of as well.
    return {name: _read_file(folder / name, problems) or b"" for name in names}


def _read_file(path: Path, problems: list[str]) -> bytes | None:
    try:
        if path.is_dir():
            problems.append(f"{path.name}: a folder, but a test case is flat; move its files up")
        # Reading a pipe or a device might never end.
        elif path.exists() and not path.is_file():
            problems.append(f"{path.name}: not a regular file; replace it by one")
        else:
            return path.read_bytes()
    except OSError as error:
        problems.append(f"{path.name}: can't be read ({error.strerror}); replace or delete it")
    return None


def _take_inputs(
    contents: _Contents, settings: Mapping[str, Any], problems: list[str]
) -> tuple[CaseInput, ...]:
    """Move all test data out of the contents; what is incomplete goes to the problems, too."""
    pairs: dict[str, tuple[list[str], list[str]]] = {}
    for name in contents:
        if data := _data_name(name):
            key, is_output = data
            pairs.setdefault(key, ([], []))[is_output].append(name)
    if not pairs:
        problems.append(f"no inputs: {_DATA_NAMES}")
    inputs: list[CaseInput] = []
    for key, (given, expected) in pairs.items():
        problems += _pairing_problems(key, given, expected)
        texts = [contents.pop(name) for name in (*given, *expected)]
        for name in given:
            stem = name.rpartition(".")[0]
            stderr = contents.pop(f"{stem}.err", None)
            own = contents.pop(f"{stem}.yaml", b"")
            both = {**settings, **_read_settings(f"{stem}.yaml", own, _INPUT_SETTINGS, problems)}
            if any(stem == other.name for other in inputs):
                problems.append(f"{name}: a second input {stem}; rename it with its output")
            inputs.append(
                CaseInput(
                    name=stem,
                    stdin=texts[0],
                    expected=texts[-1],
                    args=both.get("args", ()),
                    exit_code=both.get("exit_code", 0),
                    stderr=stderr,
                )
            )
    return tuple(inputs)


def _data_name(name: str) -> tuple[str, bool] | None:
    """Return the usual name of the input that a file is or answers, and which of both it is."""
    if numbered := _NUMBERED.fullmatch(name):
        return f"input{int(numbered[2])}.txt", numbered[1] == "output"
    stem, dot, ending = name.rpartition(".")
    return (f"{stem}.in", ending == "out") if dot and ending in {"in", "out"} else None


def _pairing_problems(key: str, given: list[str], expected: list[str]) -> Iterable[str]:
    if not given:
        yield f"{expected[0]}: an output without an input; add {key} or delete it"
    elif not expected:
        output = f"out{key[2:]}" if key.endswith(".txt") else f"{key[:-2]}out"
        yield f"{given[0]}: an input without an output; add {output} or delete it"
    for names, what in ((given, "inputs"), (expected, "outputs")):
        if len(names) > 1:
            yield f"{' and '.join(names)}: {what} of the same number; keep one of them"


def _shows_something(given: CaseInput, comparison: Comparison) -> bool:
    streams = (given.expected, given.stderr or b"")
    return given.exit_code != 0 or any(compare(text, b"", comparison) for text in streams)


def _find_program(contents: _Contents, wanted: str | None, problems: list[str]) -> str | None:
    if wanted is not None:
        if wanted in contents:
            return wanted
        problems.append(f"{_CASE_FILE}: program: there is no file {wanted}; mend the name")
        return None
    candidates = [name for name in contents if Path(name).suffix in _LANGUAGE_OF] or list(contents)
    if len(candidates) > 1:
        main = [name for name in candidates if Path(name).stem.lower() == "main"]
        candidates = main if len(main) == 1 else candidates
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        problems.append(
            f"{' and '.join(candidates)}: each may be the program; say 'program: …' in"
            f" {_CASE_FILE}, or call the program main.*"
        )
    else:
        problems.append(f"no program; add one whose name ends in {' '.join(_LANGUAGE_OF)}")
    return None


def _source_file(name: str, content: bytes) -> SourceFile:
    return SourceFile(content, name, "utf8" if _is_text(content) else "base64")


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _read_settings(
    name: str, content: bytes, known: Mapping[str, Callable[[Any], Any]], problems: list[str]
) -> dict[str, Any]:
    try:
        # Every scalar stays text, so that neither yes nor 010 turns into something else.
        values = yaml.load(content, Loader=yaml.BaseLoader)
        node = yaml.compose(content, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        problems.append(f"{name}: no YAML: {_reason(error)}; mend or delete it")
        return {}
    if values in (None, ""):
        return {}
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        problems.append(f"{name}: no mapping; write lines such as 'exit_code: 1'")
        return {}
    settings: dict[str, Any] = {}
    if len(node.value) != len(values):
        problems.append(f"{name}: a key stands there twice; keep one of them")
    for key, value in values.items():
        if key not in known:
            problems.append(f"{name}: unknown key {key!r}; known are {', '.join(known)}")
            continue
        try:
            settings[key] = known[key](value)
        except ValueError as error:
            problems.append(f"{name}: {key}: {error}")
    return settings


def _reason(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{error.problem} in line {error.problem_mark.line + 1}"
    return " ".join(str(error).split())


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be text")
    return value


def _language(value: Any) -> str:
    name = _text(value)
    if name not in LANGUAGES:
        raise ValueError(f"unknown language {name!r}; known are {', '.join(LANGUAGES)}")
    return name


def _args(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("must be a list of texts, such as [--count, '3']")
    return tuple(value)


def _exit_code(value: Any) -> int:
    return _number(value, 0, 255)


def _milliseconds(value: Any) -> int:
    # 0 would take the limit away from some services.
    return _number(value, 1, 3_600_000)


def _number(value: Any, least: int, most: int) -> int:
    if not isinstance(value, str) or not re.fullmatch("[0-9]{1,9}", value):
        raise ValueError(f"must be a whole number, not {value!r}")
    if not least <= int(value) <= most:
        raise ValueError(f"must lie between {least} and {most}, but is {value}")
    return int(value)


def _comparison(value: Any) -> Comparison:
    modes = {mode.value: mode for mode in Mode}
    flags = ("case_sensitive", "space_change_sensitive")
    words = _text(value).split()
    if not words or words[0] not in modes or not set(words[1:]) <= set(flags):
        names, extras = ", ".join(modes), " and ".join(flags)
        raise ValueError(f"{value!r} is none; say one of {names}, and after tokens also {extras}")
    return Comparison(modes[words[0]], **{flag: flag in words for flag in flags})


_INPUT_SETTINGS: Mapping[str, Callable[[Any], Any]] = {"args": _args, "exit_code": _exit_code}
_CASE_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "description": _text,
    "language": _language,
    "program": _text,
    **_INPUT_SETTINGS,
    "comparison": _comparison,
    "run_timeout": _milliseconds,
}
