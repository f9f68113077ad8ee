"""Output made visible: white space, control characters and the place of a difference."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_SYMBOLS = {
    " ": ("·", "space"),
    "\t": ("→", "tab"),
    "\n": ("⏎", "line feed"),
    "\r": ("␍", "carriage return"),
    "\x1b": ("␛", "escape"),
    "\x00": ("␀", "NUL"),
}
_OWN = frozenset(symbol for symbol, _ in _SYMBOLS.values())
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
# A backslash of the output itself, where it could be taken for the start of an escape.
_AMBIGUOUS = re.compile(r"\\+(?=[xuU]|[^ -~\n\t\r])")
# Printable by their category, yet without a shape: joiners, fillers, variation selectors.
_SHAPELESS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)

# What the comparison of outputs by words takes for one.
_WORD = re.compile(r"[^ \t\n\v\f\r]+")
_LONGEST_WORD = 40
_LEAD_OF_WORD = 10

# Columns shown on either side of a difference.
_AROUND = 48


def visible(output: bytes | str) -> str:
    r"""Show output on one line so that every character of it can be told.

    Bytes that are not UTF-8 and control characters show as ``\xNN``, characters without a
    shape (joiners, no-break spaces, the byte order mark) and those that serve as symbols here
    as ``\uNNNN``. A backslash that could be taken for one of these is doubled. The result has
    only characters that XML 1.0 can hold.
    """
    text = _AMBIGUOUS.sub(lambda found: found[0] * 2, as_text(output))
    return "".join(map(_symbol, text))


def plain(text: str) -> str:
    r"""Return text as it is, but for characters that no report can hold or show.

    White space stays; control characters and the like show as ``\xNN`` or ``\uNNNN``.
    """
    return "".join(it if it in " \t\n" or it in _OWN else _symbol(it) for it in text)


def as_text(output: bytes | str) -> str:
    """Decode output; each byte that is not UTF-8 becomes a lone surrogate of its own."""
    return output if isinstance(output, str) else output.decode("utf-8", "surrogateescape")


def legend(shown: str) -> str:
    """Say what the symbols in a visible text stand for; empty when it has none."""
    told = [f"{symbol} {name}" for symbol, name in _SYMBOLS.values() if symbol in shown]
    if _ESCAPE.search(shown):
        told.append(r"\xNN or \uNNNN another byte or character by its number")
    return ", ".join(told)


def visible_lines(output: bytes | str, limit: int, width: int = 140, around: int = 1) -> list[str]:
    """Show output line by line, cut to a number of lines and columns, with what was left out.

    Args:
        output: Output of a program.
        limit: Most lines of the output to return; one more tells what was left out.
        width: Most characters of a line to show.
        around: Number of a line, from 1, that must be among those shown.
    """
    text = as_text(output)
    if not text:
        return ["(empty)"]
    lines = text.split("\n")
    ended = [line + "\n" for line in lines[:-1]] + lines[-1:] * bool(lines[-1])
    first = 0
    if around > limit:
        # A third of the room for what comes before.
        first = max(0, min(around - 1 - limit // 3, len(ended) - limit))
    shown = [fitting(line, width) for line in ended[first : first + limit]]
    if len(ended) > limit:
        shown.append(
            f"… lines {first + 1} to {first + len(shown)} of {len(ended)}, {size_of(output)} in all"
        )
    return shown


def cut(line: str, width: int) -> str:
    """Shorten a line, saying by how many characters."""
    if len(line) <= width:
        return line
    return f"{line[:width]}… {len(line) - width:,} more characters"


def fitting(line: str, width: int) -> str:
    """Make as much of a line visible as fits into a width, saying what was left out."""
    kept = min(len(line), width)
    while len(shown := visible(line[:kept])) > width:
        # No character takes more than ten.
        kept -= (len(shown) - width + 9) // 10
    return shown if kept == len(line) else f"{shown}… {len(line) - kept:,} more characters"


def size_of(output: bytes | str) -> str:
    """Return the size of output in words."""
    size = len(output if isinstance(output, bytes) else output.encode("utf-8", "surrogatepass"))
    return "1 byte" if size == 1 else f"{size:,} bytes"


@dataclass(frozen=True)
class Difference:
    """The first place where two outputs differ.

    Attributes:
        line: Number of the line of the received output, from 1.
        column: Number of the character in that line, from 1. A byte that is not UTF-8 counts
            as one character.
        expected: The character expected there, in words where it has no shape, or ``end of
            output``. Where both outputs have the same character there, the word expected.
        received: The same for what was received.
        expected_line: The line around the place, as expected, made visible.
        received_line: The same as received.
        expected_caret: How many columns of a terminal come before the place in the line expected.
        received_caret: The same for the line received.
    """

    line: int
    column: int
    expected: str
    received: str
    expected_line: str
    received_line: str
    expected_caret: int
    received_caret: int

    def __str__(self) -> str:
        return (
            f"line {self.line}, column {self.column}: expected {self.expected}, got {self.received}"
        )


def first_difference(expected: bytes | str, received: bytes | str) -> Difference | None:
    """Find the first difference of two outputs, or ``None`` when they are equal."""
    wanted, got = as_text(expected), as_text(received)
    if wanted == got:
        return None
    same = _common_length(wanted, got)
    return _difference(wanted, got, same, same)


def difference_at(
    expected: bytes | str,
    received: bytes | str,
    expected_place: tuple[int, int],
    received_place: tuple[int, int],
) -> Difference:
    """Describe a difference that somebody else has found, by rules of his own.

    Args:
        expected: The output expected.
        received: The output received.
        expected_place: Line and column in the output expected, counted as in
            :class:`Difference`.
        received_place: The same in the output received.
    """
    wanted, got = as_text(expected), as_text(received)
    return _difference(wanted, got, _offset(wanted, *expected_place), _offset(got, *received_place))


def _difference(wanted: str, got: str, wanted_at: int, got_at: int) -> Difference:
    expected_line, expected_caret = _line_around(wanted, wanted_at)
    received_line, received_caret = _line_around(got, got_at)
    expected = _name(wanted[wanted_at : wanted_at + 1])
    received = _name(got[got_at : got_at + 1])
    if expected == received and _WORD.match(wanted, wanted_at):
        expected, received = _words_at(wanted, wanted_at, got, got_at)
    return Difference(
        line=got.count("\n", 0, got_at) + 1,
        column=got_at - got.rfind("\n", 0, got_at),
        expected=expected,
        received=received,
        expected_line=expected_line,
        received_line=received_line,
        expected_caret=expected_caret,
        received_caret=received_caret,
    )


def _words_at(wanted: str, wanted_at: int, got: str, got_at: int) -> tuple[str, str]:
    """Return two words that differ somewhere inside, cut to the place where they do."""
    one, other = word_at(wanted, wanted_at), word_at(got, got_at)
    start = max(0, _common_length(one, other) - _LEAD_OF_WORD)
    return _word(one, start), _word(other, start)


def word_at(text: str, place: int) -> str:
    """Return what stands at a place up to the next white space."""
    found = _WORD.match(text, place)
    return found[0] if found else ""


def _word(word: str, start: int) -> str:
    end = start + _LONGEST_WORD
    shown = visible(word[start:end])
    return ("…" if start else "") + f"'{shown}'" + ("…" if end < len(word) else "")


def _common_length(one: str, other: str) -> int:
    """Return how many characters two texts begin alike with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _offset(text: str, line: int, column: int) -> int:
    """Return how many characters come before a place, at most all."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
        if not start:
            return len(text)
    return min(start + column - 1, len(text))


def _line_around(text: str, place: int) -> tuple[str, int]:
    """Return the line around a place, and how many columns come before the place in it."""
    line_start = text.rfind("\n", 0, place) + 1
    start = max(line_start, place - _AROUND)
    while _columns(before := visible(text[start:place])) > _AROUND:
        start += 1
    if start > line_start:
        before = f"…{before}"
    end = text.find("\n", place)
    end = len(text) if end < 0 else end + 1
    after = fitting(text[place:end], _AROUND)
    return before + after or "(nothing)", _columns(before)


def _name(character: str) -> str:
    if not character:
        return "end of output"
    if character in _SYMBOLS:
        return _SYMBOLS[character][1]
    shown = _symbol(character)
    if shown.isascii():
        return f"'{shown}'"
    number = f"U+{ord(character):04X}"
    # Alone in quotes, a combining character would sit on the quote.
    return number if _is_combining(character) else f"'{shown}' ({number})"


def _symbol(character: str) -> str:
    if character in _SYMBOLS:
        return _SYMBOLS[character][0]
    if character.isprintable() and character not in _OWN and not _SHAPELESS.match(character):
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _is_combining(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me")


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    width = 0
    for character in text:
        if not _is_combining(character):
            width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width
