r"""Comparison of a program's output with the expected one, on bytes.

Three modes, from strict to lenient:

- ``exact``: every byte counts.
- ``trimmed``: white space at the end of each line and of the whole output doesn't count, so that
  neither CRLF nor a missing final newline matters.
- ``tokens``: the default validator of the problem package format 2025-09 (section "Default
  Output Validator Specification"): equal words in equal order, ASCII case ignored; its flags
  ``case_sensitive`` and ``space_change_sensitive`` make it stricter.

White space is what that specification says: space, ``\t``, ``\n``, ``\v``, ``\f`` and ``\r``.
No-break space, U+0085, a byte-order mark and NUL are ordinary bytes. These are the semantics of
:meth:`bytes.split`, and not those of :meth:`str.split`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest

_TOKEN = re.compile(rb"\S+")
_TOKEN_OR_SPACE = re.compile(rb"\S+|\s+")
_SHOWN = 40
_BEFORE = 10


class Mode(Enum):
    """How strictly two outputs are compared; the values are what ``case.yaml`` says."""

    EXACT = "exact"
    TRIMMED = "trimmed"
    TOKENS = "tokens"


@dataclass(frozen=True)
class Comparison:
    """A mode with its flags, named as in the format 2025-09.

    Attributes:
        mode: Which of the three rules holds.
        case_sensitive: Tokens must be equal byte for byte (``tokens`` only).
        space_change_sensitive: Every run of white space must be the same, leading and trailing
            ones too (``tokens`` only).

    Raises:
        ValueError: A flag of ``tokens`` with another mode, where it would mean nothing.
    """

    mode: Mode = Mode.TRIMMED
    case_sensitive: bool = False
    space_change_sensitive: bool = False

    def __post_init__(self) -> None:
        if self.mode is not Mode.TOKENS and self.flags:
            raise ValueError(
                f"{' and '.join(self.flags)}: only for the comparison 'tokens',"
                f" not for {self.mode.value!r}"
            )

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the flags that are set."""
        flags = ("case_sensitive", "space_change_sensitive")
        return tuple(flag for flag in flags if getattr(self, flag))

    def __str__(self) -> str:
        return " ".join((self.mode.value, *self.flags))


EXACT = Comparison(Mode.EXACT)
TRIMMED = Comparison(Mode.TRIMMED)
TOKENS = Comparison(Mode.TOKENS)


@dataclass(frozen=True)
class Position:
    r"""A place in an output.

    Attributes:
        line: Line, counted from 1; only ``\n`` ends a line.
        column: Character in that line, counted from 1; a byte that isn't UTF-8 is one character.
    """

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True)
class Difference:
    """The first difference that counts.

    Attributes:
        comparison: The rule that decided.
        expected_at: Where it is in the expected output.
        received_at: Where it is in the received output.
        expected: What is expected there, printable whatever the bytes are.
        received: What was received there, printable whatever the bytes are.
    """

    comparison: Comparison
    expected_at: Position
    received_at: Position
    expected: str
    received: str

    def __str__(self) -> str:
        place = str(self.received_at)
        if self.expected_at != self.received_at:
            place += f" ({self.expected_at} of the expected output)"
        return f"{place}: expected {self.expected}, got {self.received}, compared {self.comparison}"


def compare(
    expected: bytes, received: bytes, comparison: Comparison = TRIMMED
) -> Difference | None:
    """Return the first difference that counts, or ``None`` when the outputs match."""
    # Equal bytes match under every rule, and nearly all outputs are equal.
    if expected == received:
        return None
    if comparison.mode is Mode.EXACT:
        return _compare_exact(expected, received)
    if comparison.mode is Mode.TRIMMED:
        return _compare_trimmed(expected, received)
    return _compare_tokens(expected, received, comparison)


def _compare_exact(expected: bytes, received: bytes) -> Difference:
    wanted, got = _text(expected), _text(received)
    at = _first_apart(wanted, got)
    position = _end_of(wanted[:at])
    return Difference(
        EXACT,
        position,
        position,
        _character(wanted, at, "end of output"),
        _character(got, at, "end of output"),
    )


def _compare_trimmed(expected: bytes, received: bytes) -> Difference | None:
    lines = zip_longest(_trimmed_lines(expected), _trimmed_lines(received))
    for number, (wanted, got) in enumerate(lines, 1):
        if wanted != got:
            at = _first_apart(wanted or "", got or "")
            position = Position(number, at + 1)
            return Difference(
                TRIMMED,
                position,
                position,
                "end of output" if wanted is None else _character(wanted, at, "end of line"),
                "end of output" if got is None else _character(got, at, "end of line"),
            )
    return None


def _trimmed_lines(output: bytes) -> list[str]:
    trimmed = output.rstrip()
    return [_text(line.rstrip()) for line in trimmed.split(b"\n")] if trimmed else []


def _compare_tokens(expected: bytes, received: bytes, comparison: Comparison) -> Difference | None:
    pattern = _TOKEN_OR_SPACE if comparison.space_change_sensitive else _TOKEN
    for wanted, got in zip_longest(pattern.finditer(expected), pattern.finditer(received)):
        wanted_token, got_token = wanted[0] if wanted else b"", got[0] if got else b""
        if not comparison.case_sensitive:
            # Of bytes, lower() changes ASCII letters only.
            wanted_token, got_token = wanted_token.lower(), got_token.lower()
        if wanted_token != got_token:
            at = _first_apart(_text(wanted_token), _text(got_token))
            return Difference(
                comparison,
                _start_of(wanted, expected),
                _start_of(got, received),
                _token(wanted, at),
                _token(got, at),
            )
    return None


def _start_of(token: re.Match[bytes] | None, output: bytes) -> Position:
    return _end_of(_text(output[: token.start()] if token else output))


def _end_of(text: str) -> Position:
    return Position(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _first_apart(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _character(text: str, at: int, at_end: str) -> str:
    return _quoted(text[at]) if at < len(text) else at_end


def _token(token: re.Match[bytes] | None, at: int) -> str:
    if token is None:
        return "end of output"
    text = _text(token[0])
    # A long token is shown around the difference, not from its start.
    start = max(0, at - _BEFORE) if len(text) > _SHOWN else 0
    end = start + _SHOWN
    return ("…" if start else "") + _quoted(text[start:end]) + ("…" if end < len(text) else "")


def _quoted(text: str) -> str:
    return "'" + "".join(map(_printable, text)) + "'"


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(character)[1:-1]


def _text(output: bytes) -> str:
    """Decode any bytes, each that is not UTF-8 to a character of its own."""
    return output.decode("utf-8", "surrogateescape")
