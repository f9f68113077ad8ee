"""Inputs with their outputs in one JSON or YAML file.

The file holds a list of cases, or a mapping with such a list under ``cases``, ``test_cases``,
``tests`` or ``testcases``, or the lists ``inputs`` and ``outputs``. A case has

- its input: ``input`` or ``stdin`` as text or as a list of lines, or ``input_file``, a file's name;
- its output: ``expected_output``, ``output``, ``expected`` or ``stdout``, or
  ``expected_output_file`` or ``output_file``;
- optionally ``id`` or ``name``, ``args``, ``exit_code`` and ``stderr``.
"""

from __future__ import annotations

import json
import posixpath
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from codewitness.judging.comparison import TRIMMED
from codewitness.judging.problem import Case, Content
from codewitness.judging.readers.files import usable_file
from codewitness.judging.readers.settings import why_no_yaml

try:
    from yaml import CBaseLoader as YamlLoader
except ImportError:
    from yaml import BaseLoader as YamlLoader  # type: ignore[assignment]

MOST_BYTES_OF_LIST = 64 << 20
"""Size up to which a list is read; all of it is held while its cases are judged."""

_LONGEST_NAME = 200
_LIST_NAME = re.compile(r"((test[-_]?)?cases|tests)\.(json|ya?ml)", re.IGNORECASE)
_ENDINGS = (".json", ".yaml", ".yml")

_LISTS = ("cases", "test_cases", "testcases", "tests")
_INPUTS = ("input", "stdin")
_OUTPUTS = ("expected_output", "output", "expected", "stdout")
_INPUT_FILES = ("input_file",)
_OUTPUT_FILES = ("expected_output_file", "output_file")
_NAMES = ("id", "name")
_FOR_PEOPLE = ("description", "comment", "explanation", "title")
_KNOWN = (
    *_NAMES,
    *_INPUTS,
    *_INPUT_FILES,
    *_OUTPUTS,
    *_OUTPUT_FILES,
    *("args", "exit_code", "stderr"),
    *_FOR_PEOPLE,
)


def is_list_name(name: str) -> bool:
    """Tell whether a file's name says that it is a list of cases."""
    return bool(_LIST_NAME.fullmatch(name))


def may_be_list(name: str) -> bool:
    """Tell whether a file may be a list of cases."""
    return name.endswith(_ENDINGS)


class _BadItem(ValueError):
    """An item can't be used; the message says why, and what to do."""


def read_list(
    folder: Path, name: str, settings: Mapping[str, Any], problems: list[str]
) -> tuple[list[Case], set[str]]:
    """Return the cases in a list, in its order, and the names of the files that it uses.

    Args:
        folder: Where the list lies.
        name: Its name.
        settings: Settings of all cases.
        problems: Where to add what is wrong.
    """
    path = usable_file(folder / name, name, problems)
    if path is None:
        return [], set()
    if path.stat().st_size > MOST_BYTES_OF_LIST:
        most = MOST_BYTES_OF_LIST >> 20
        problems.append(f"{name}: more than {most} MiB; put inputs into files of their own")
        return [], set()
    try:
        items = _items(_parsed(path))
    except _BadItem as error:
        problems.append(f"{name}: {error}")
        return [], set()
    if not items:
        problems.append(f"{name}: holds no case; add one, or delete the file")
    cases: dict[str, Case] = {}
    used: set[str] = set()
    digits = len(str(len(items)))
    for number, item in enumerate(items, 1):
        where = f"{name}: case {number}"
        try:
            case, files = _read_item(folder, item, f"{number:0{digits}}", where, problems)
        except _BadItem as error:
            problems.append(f"{where}: {error}")
            continue
        if case.name in cases:
            problems.append(f"{where}: a second case {case.name!r}; give it an id of its own")
        shared = {key: value for key, value in settings.items() if key in ("args", "exit_code")}
        own = item.keys() if isinstance(item, dict) else ()
        shared = {key: value for key, value in shared.items() if key not in own}
        comparison = settings.get("comparison", TRIMMED)
        cases[case.name] = replace(case, comparison=comparison, **shared)
        used |= files
    return list(cases.values()), used


def _parsed(path: Path) -> Any:
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_mapping)
        return yaml.load(content, Loader=YamlLoader)
    except (yaml.YAMLError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise _BadItem(f"no {kind}: {why_no_yaml(error)}; mend it") from error
    except UnicodeDecodeError as error:
        raise _BadItem("not UTF-8 text; save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise _BadItem(f"no JSON: {error.msg} in line {error.lineno}; mend it") from error
    except ValueError as error:
        raise _BadItem(f"no JSON that is understood: {error}") from error


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one place; keep one of them")
    return values


def _items(top: Any) -> list[Any]:
    if isinstance(top, dict):
        if "fn_name" in top:
            raise _BadItem(
                "its cases call the function 'fn_name', but programs are judged by what they read"
                " and print"
            )
        if top.keys() & {"inputs", "outputs"}:
            return _zipped(top.get("inputs"), top.get("outputs"))
        found = [top[key] for key in _LISTS if key in top]
        if len(found) != 1:
            raise _BadItem(f"no list; write a list of cases, or one below {_LISTS[0]!r}")
        top = found[0]
    if not isinstance(top, list):
        raise _BadItem("no list; write a list of cases with input and expected_output")
    return top


def _zipped(inputs: Any, outputs: Any) -> list[Any]:
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise _BadItem("inputs and outputs must both be lists")
    if len(inputs) != len(outputs):
        raise _BadItem(
            f"{len(inputs)} inputs and {len(outputs)} outputs; each input needs its output"
        )
    pairs = zip(inputs, outputs, strict=True)
    return [{"input": given, "expected_output": expected} for given, expected in pairs]


def _read_item(
    folder: Path, item: Any, number: str, where: str, problems: list[str]
) -> tuple[Case, set[str]]:
    if not isinstance(item, dict):
        raise _BadItem("no mapping; write keys such as input and expected_output")
    unknown = [key for key in item if key not in _KNOWN]
    if unknown:
        keys = ", ".join(_KNOWN)
        raise _BadItem(f"unknown key {reprlib.repr(unknown[0])}; known are {keys}")
    used: set[str] = set()
    stdin = _content(folder, item, _INPUTS, _INPUT_FILES, where, problems, used)
    expected = _content(folder, item, _OUTPUTS, _OUTPUT_FILES, where, problems, used)
    name = _only(item, _NAMES)
    stderr = item.get("stderr")
    return (
        Case(
            name=number if name is None else _name(name),
            stdin=stdin,
            expected=expected,
            args=_args(item.get("args", [])),
            exit_code=_exit_code(item.get("exit_code", 0)),
            stderr=None if stderr is None else Content(held=_bytes("stderr", stderr)),
        ),
        used,
    )


def _only(item: Mapping[str, Any], keys: Sequence[str]) -> Any:
    found = [key for key in keys if item.get(key) is not None]
    if len(found) > 1:
        raise _BadItem(f"{' and '.join(found)} say the same; keep one of them")
    return item[found[0]] if found else None


def _content(
    folder: Path,
    item: Mapping[str, Any],
    keys: Sequence[str],
    file_keys: Sequence[str],
    where: str,
    problems: list[str],
    used: set[str],
) -> Content:
    value = _only(item, (*keys, *file_keys))
    if value is None:
        raise _BadItem(f"has no {keys[0]}; add it, or {file_keys[0]} with the name of a file")
    if not any(item.get(key) is not None for key in file_keys):
        if isinstance(value, dict) and len(value) == 1 and value.keys() <= {"stdin", "stdout"}:
            (value,) = value.values()
        return Content(held=_bytes(keys[0], value))
    name = posixpath.normpath(value) if isinstance(value, str) and value else ""
    if not name or name.startswith(("/", "../")) or name in (".", "..") or "\0" in name:
        raise _BadItem(f"{file_keys[0]} must be the name of a file beside the list or below it")
    used.add(name)
    return Content(usable_file(folder / name, f"{where}: {name}", problems))


def _bytes(key: str, value: Any) -> bytes:
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise _BadItem(f"{key} must be text or a list of lines; put quotes around a number")
    text = value if isinstance(value, str) else "".join(f"{line}\n" for line in lines)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _BadItem(f"{key} holds half of a surrogate pair, which is no character") from error


def _name(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise _BadItem("id must be text or a whole number")
    name = str(value)
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        raise _BadItem(f"id must be at most {_LONGEST_NAME} characters, all of which can be shown")
    return name


def _args(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _BadItem("args must be a list of texts")
    return tuple(value)


def _exit_code(value: Any) -> int:
    # YAML's scalars all come as text.
    digits = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch("[0-9]{1,3}", digits) or int(digits) > 255:
        raise _BadItem("exit_code must be a whole number from 0 to 255")
    return int(digits)
