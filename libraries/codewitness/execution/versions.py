"""Versions and the ranges of them that npm defines, which Piston takes for ``version``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Version = tuple[int, int, int]

_PART = r"(?:0|[1-9]\d*|[xX*])"
_PARTIAL = rf"[v=\s]*({_PART})(?:\.({_PART})(?:\.({_PART}))?)?(?:-[0-9A-Za-z.-]+)?(?:\+[\w.-]+)?"
_COMPARATOR = re.compile(rf"\s*(<=|>=|<|>|=|\^|~>?)?\s*{_PARTIAL}(?=\s|$)")
_HYPHEN = re.compile(rf"\s*{_PARTIAL}\s+-\s+{_PARTIAL}\s*")
_BEYOND: Version = (1 << 62, 0, 0)


def parse_version(text: str) -> Version:
    """Return the first version number in a tool's words; missing parts are 0.

    Raises:
        ValueError: There is no number.
    """
    found = re.search(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", text)
    if found is None:
        raise ValueError(f"no version in {text!r}")
    return int(found[1]), int(found[2] or 0), int(found[3] or 0)


def format_version(version: Version) -> str:
    """Return a version as text."""
    return ".".join(map(str, version))


def highest_match(wanted: str, versions: Iterable[Version]) -> Version | None:
    """Return the highest version within a range, or ``None``.

    Args:
        wanted: A range such as ``*``, ``3``, ``3.x``, ``>=3.11.0 <4``, ``^3.1``, ``~3.11``,
            ``3.8 - 3.11`` or several of them with ``||`` between. What is no range matches
            nothing.
        versions: The versions to choose from.
    """
    try:
        accepts = [_alternative(part) for part in wanted.split("||")]
    except ValueError:
        return None
    return max((it for it in versions if any(accept(it) for accept in accepts)), default=None)


def _alternative(text: str) -> Callable[[Version], bool]:
    """Return the test for one range without ``||``."""
    bounds = []
    if hyphen := _HYPHEN.fullmatch(text):
        bounds.append((_span(hyphen.groups()[:3])[0], _span(hyphen.groups()[3:])[1]))
    else:
        position = 0
        while text[position:].strip():
            comparator = _COMPARATOR.match(text, position)
            if comparator is None:
                raise ValueError(f"{text!r} is not a range of versions")
            bounds.append(_bounds(comparator[1] or "", comparator.groups()[1:]))
            position = comparator.end()
    return lambda version: all(low <= version < high for low, high in bounds)


def _bounds(operator: str, parts: tuple[str | None, ...]) -> tuple[Version, Version]:
    """Return what a comparator accepts: from the first version up to, without, the second."""
    low, high = _span(parts)
    if operator == ">=":
        return low, _BEYOND
    if operator == ">":
        return high, _BEYOND
    if operator == "<":
        return (0, 0, 0), low
    if operator == "<=":
        return (0, 0, 0), high
    if operator == "^":
        return low, _caret_end(low, len(_numbers(parts)))
    if operator.startswith("~") and len(_numbers(parts)) == 3:
        return low, (low[0], low[1] + 1, 0)
    return low, high


def _span(parts: tuple[str | None, ...]) -> tuple[Version, Version]:
    """Return the versions that a whole or partial version stands for."""
    numbers = _numbers(parts)
    if not numbers:
        return (0, 0, 0), _BEYOND
    return _filled(numbers), _filled([*numbers[:-1], numbers[-1] + 1])


def _caret_end(low: Version, given: int) -> Version:
    """Return the first version that changes the leftmost number that is not 0."""
    if not given:
        return _BEYOND
    kept = next((index for index, number in enumerate(low[:given]) if number), given - 1)
    return _filled([*low[:kept], low[kept] + 1])


def _numbers(parts: tuple[str | None, ...]) -> list[int]:
    numbers: list[int] = []
    for part in parts:
        if part is None or not part.isdigit():
            break
        numbers.append(int(part))
    return numbers


def _filled(numbers: list[int]) -> Version:
    major, minor, patch = [*numbers, 0, 0][:3]
    return major, minor, patch
