"""Failures that are known and being worked on, from ``variables/known_issues.yaml``."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class KnownIssue:
    """One test that is known to fail.

    Attributes:
        test: The test's name, or its full name with those of its suites before it.
        reference: Where the issue is tracked.
        reason: What is wrong, and since when.
    """

    test: str
    reference: str
    reason: str


_KEYS = tuple(field.name for field in fields(KnownIssue))
_FORMAT = "an entry has the keys 'test', 'reference' and 'reason', each with a text"


def read_known_issues(path: Path) -> Mapping[str, KnownIssue]:
    """Read the file of known issues.

    Args:
        path: A YAML file with a list of entries; an empty list and an empty file mean none.

    Returns:
        The entries in the order of the file, by what they say in ``test``, as
            :func:`comparable` gives it.

    Raises:
        ValueError: The file can't be read or an entry is wrong; the message names the file, the
            entry and the remedy.
    """
    issues: dict[str, KnownIssue] = {}
    for number, entry in enumerate(_entries(path), 1):
        issue = _issue(entry, f"{path}: entry {number}")
        if comparable(issue.test) in issues:
            raise ValueError(
                f"{path}: entry {number} repeats the test '{issue.test}'; keep one entry for it"
            )
        issues[comparable(issue.test)] = issue
    return issues


def find_known_issue(
    issues: Mapping[str, KnownIssue], name: str, full_name: str
) -> KnownIssue | None:
    """Return the known issue of a test; an entry for its full name goes first."""
    return issues.get(comparable(full_name)) or issues.get(comparable(name))


def unmatched(issues: Mapping[str, KnownIssue], names: Iterable[str]) -> list[KnownIssue]:
    """Return the known issues that are about no test of a run.

    Args:
        issues: The entries as read.
        names: The names of all tests, and their full names.

    Returns:
        The entries left over, in the order of the file.
    """
    known = {comparable(name) for name in names}
    return [issue for name, issue in issues.items() if name not in known]


def comparable(name: str) -> str:
    """Return a test's name as Robot Framework compares names.

    Case, white space and underscores make no difference.
    """
    return "".join(name.split()).casefold().replace("_", "")


def _entries(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(
            f"{path}: the file of known issues can't be read ({reason}); correct KNOWN_ISSUES, or "
            "give a UTF-8 file that holds [] when nothing is known"
        ) from error
    try:
        # A subclass of the safe loader, which builds nothing but plain values.
        document = yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        raise ValueError(
            f"{path}: no valid YAML ({told}); put texts with a colon or a number sign in quotes"
        ) from error
    if document is None:
        return []
    if not isinstance(document, list):
        raise ValueError(
            f"{path}: expected a list of entries, each with a dash before its first key; {_FORMAT}"
        )
    return document


def _issue(entry: Any, where: str) -> KnownIssue:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is {entry!r}; {_FORMAT}")
    if unknown := [str(key) for key in entry if key not in _KEYS]:
        raise ValueError(f"{where} has the unknown key '{unknown[0]}'; {_FORMAT}")
    for key in _KEYS:
        value = entry.get(key)
        if key not in entry or value is None or value == "":
            raise ValueError(f"{where} has no '{key}'; {_FORMAT}")
        if not isinstance(value, str):
            raise ValueError(
                f"{where}: '{key}' is {value!r}, which is no text to YAML; put it in quotes"
            )
    return KnownIssue(**{key: entry[key].strip() for key in _KEYS})


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice in one entry, as when a dash was forgotten."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice in one entry", node.start_mark
                )
        return super().construct_mapping(node, deep)
