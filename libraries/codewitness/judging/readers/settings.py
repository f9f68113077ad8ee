"""Settings files: YAML mappings in which everything unknown is a problem."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from codewitness.judging.languages import ENDINGS, named
from codewitness.judging.readers.files import MOST_BYTES_OF_SETTINGS

Known = Mapping[str, Callable[[Any], Any]]
"""Keys with what makes a value of them, or raises ValueError with what the value must be."""


def read_settings(
    name: str, path: Path | None, known: Known, problems: list[str], *, strict: bool = True
) -> dict[str, Any]:
    """Return the settings of a file; what is wrong with it goes to the problems.

    Args:
        name: What to call the file in a problem.
        path: The file; ``None`` for none.
        known: Keys that may stand in it.
        problems: Where to add what is wrong.
        strict: Whether any other key is a problem; else it is left out.
    """
    values = read_mapping(name, path, problems)
    settings: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            if strict:
                problems.append(f"{name}: unknown key {_shown(key)}; known are {', '.join(known)}")
            continue
        try:
            settings[key] = known[key](value)
        except ValueError as error:
            problems.append(f"{name}: {key}: {error}")
    return settings


def read_mapping(
    name: str, path: Path | None, problems: list[str], constants: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the top of a YAML file, every scalar as text; what is wrong goes to the problems."""
    if path is None:
        return {}
    if path.stat().st_size > MOST_BYTES_OF_SETTINGS:
        problems.append(f"{name}: more than {MOST_BYTES_OF_SETTINGS >> 20} MiB of settings; cut it")
        return {}
    content = path.read_bytes()
    for constant, value in (constants or {}).items():
        content = content.replace(b"{{%s}}" % constant.encode(), value.encode())
    try:
        # Every scalar stays text, so that neither yes nor 010 turns into something else.
        values = yaml.load(content, Loader=yaml.BaseLoader)
        node = yaml.compose(content, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        problems.append(f"{name}: no YAML: {why_no_yaml(error)}; mend or delete it")
        return {}
    if values in (None, ""):
        return {}
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        problems.append(f"{name}: no mapping; write lines such as 'exit_code: 1'")
        return {}
    if len(node.value) != len(values):
        problems.append(f"{name}: a key stands there twice; keep one of them")
    return values


def why_no_yaml(error: Exception) -> str:
    """Return what a YAML parser found wrong, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{error.problem} in line {error.problem_mark.line + 1}"
    return " ".join(str(error).split())


def _shown(value: Any) -> str:
    # Aliases make a value that would fill the memory, written out.
    return reprlib.repr(value)


def text(value: Any) -> str:
    """Return a text that isn't empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be text")
    return value


def any_text(value: Any) -> str:
    """Return a text, which may be empty."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def language(value: Any) -> str:
    """Return the canonical name of a language."""
    name = named(text(value))
    if name is None:
        raise ValueError(f"unknown language {_shown(value)}; known are {', '.join(ENDINGS)}")
    return name


def texts(value: Any) -> tuple[str, ...]:
    """Return a list of texts."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("must be a list of texts, such as [--count, '3']")
    return tuple(value)


def exit_code(value: Any) -> int:
    """Return an exit code."""
    return whole_number(value, 0, 255)


def milliseconds(value: Any) -> int:
    """Return a limit in milliseconds."""
    # 0 would take the limit away from some services.
    return whole_number(value, 1, 3_600_000)


def whole_number(value: Any, least: int, most: int) -> int:
    """Return a whole number within bounds."""
    if not isinstance(value, str) or not re.fullmatch("[0-9]{1,9}", value):
        raise ValueError(f"must be a whole number, not {_shown(value)}")
    if not least <= int(value) <= most:
        raise ValueError(f"must lie between {least} and {most}, but is {value}")
    return int(value)


def positive(value: Any) -> float:
    """Return a number above 0."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,9}(\.\d*)?|\.\d+", value, re.ASCII):
        raise ValueError(f"must be a number above 0, not {_shown(value)}")
    if not float(value):
        raise ValueError("must be above 0")
    return float(value)


def truth(value: Any) -> bool:
    """Return a truth value."""
    if not isinstance(value, str) or value.lower() not in {"true", "yes", "false", "no"}:
        raise ValueError("must be true or false")
    return value.lower() in {"true", "yes"}


def words(value: Any) -> tuple[str, ...]:
    """Return a list of texts, or the words of one."""
    found = tuple(value.split()) if isinstance(value, str) else texts(value)
    if not found:
        raise ValueError("must not be empty")
    return found


def anything(value: Any) -> Any:
    """Return a value that doesn't matter here."""
    return value
