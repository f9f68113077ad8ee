r"""Comparison of a program's output with the expected one, on bytes.

Three modes, from strict to lenient:

- ``exact``: every byte counts.
- ``trimmed``: white space at the end of each line and of the whole output doesn't count, so that
  neither CRLF nor a missing final newline matters.
- ``tokens``: the default validator of the problem package format 2025-09 (section "Default
  Output Validator Specification"): equal words in equal order, ASCII case ignored. Its flags
  ``case_sensitive`` and ``space_change_sensitive`` make it stricter; its tolerances
  ``float_absolute_tolerance``, ``float_relative_tolerance`` and ``float_tolerance`` (both at
  once) let numbers differ.

White space is what that specification says: space, ``\t``, ``\n``, ``\v``, ``\f`` and ``\r``.
No-break space, U+0085, a byte-order mark and NUL are ordinary bytes. These are the semantics of
:meth:`bytes.split`, and not those of :meth:`str.split`.

With a tolerance, a word expected that is a number by the specification's grammar must be met by
a number; whether that is near enough is decided exactly, not in binary floating point. Where the
grammar knows no number (``inf``, ``nan``, ``0x10``, ``1e``, ``1_0``), words are compared as text.

Outputs may be large: they are taken apart in chunks, and equal ones not at all.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from enum import Enum
from itertools import islice

_TOKEN = re.compile(rb"\S+")
_TOKEN_OR_SPACE = re.compile(rb"\S+|\s+")
_SPACE = re.compile(rb"\s")
_END_OF_SPACE = re.compile(rb"\s(?=\S)")
_BYTES_OF_FLOATS = b"0123456789+-.eE"
_FLOAT = re.compile(rb"[+-]?(?:[0-9]*\.[0-9]+|[0-9]+\.|[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Small enough for the processor's caches, and to make no difference to the memory needed.
_CHUNK = 1 << 14
_SHOWN = 40
_BEFORE = 10
# No character has more bytes.
_LONGEST_CHARACTER = 4

# The relative error of a parsed number and of one operation is below 2**-52.
_BINARY_ERROR = 2.0**-49
_SMALLEST = 1e-300
_LARGEST = 1e300
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
# Exponents of ten up to here are told apart, and digits this far below the last one of the larger
# number are not worked out one by one.
_LARGEST_EXPONENT = 10**15
_FURTHEST_DIGIT = 10_000


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
        float_absolute_tolerance: How far a number may be from the expected one (``tokens``
            only); ``None`` for no such tolerance.
        float_relative_tolerance: The same, as a part of the expected number. Where both
            tolerances are given, either is enough.

    Raises:
        ValueError: A flag of ``tokens`` with another mode, where it would mean nothing, or a
            tolerance that is no finite number from 0 on.
    """

    mode: Mode = Mode.TRIMMED
    case_sensitive: bool = False
    space_change_sensitive: bool = False
    float_absolute_tolerance: Decimal | None = None
    float_relative_tolerance: Decimal | None = None

    def __post_init__(self) -> None:
        if self.mode is not Mode.TOKENS and self.flags:
            raise ValueError(
                f"{' and '.join(self.flags)}: only for the comparison 'tokens',"
                f" not for {self.mode.value!r}"
            )
        for tolerance in (self.float_absolute_tolerance, self.float_relative_tolerance):
            if tolerance is not None and not (tolerance.is_finite() and tolerance >= 0):
                raise ValueError(f"a tolerance is a finite number from 0 on, not {tolerance}")

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags that are set, as the format 2025-09 writes them."""
        flags = ("case_sensitive", "space_change_sensitive")
        return (*(flag for flag in flags if getattr(self, flag)), *self._tolerances())

    @property
    def has_tolerance(self) -> bool:
        """Whether numbers may differ."""
        return bool(self._tolerances())

    def _tolerances(self) -> tuple[str, ...]:
        absolute, relative = self.float_absolute_tolerance, self.float_relative_tolerance
        if absolute is not None and absolute == relative:
            return (f"float_tolerance {absolute:g}",)
        told = (("float_absolute_tolerance", absolute), ("float_relative_tolerance", relative))
        return tuple(f"{name} {value:g}" for name, value in told if value is not None)

    def __str__(self) -> str:
        return " ".join((self.mode.value, *self.flags))


EXACT = Comparison(Mode.EXACT)
TRIMMED = Comparison(Mode.TRIMMED)
TOKENS = Comparison(Mode.TOKENS)


def default_validator(args: Sequence[str]) -> Comparison:
    """Return what the default validator of the format 2025-09 does with these arguments.

    Args:
        args: The words of ``output_validator_args``, ``validator_flags`` and the like.

    Raises:
        ValueError: The specification does not allow these; the message names the argument.
    """
    switches = {"case_sensitive": False, "space_change_sensitive": False}
    tolerances: dict[str, Decimal] = {}
    words = iter(args)
    for word in words:
        if word in switches:
            switches[word] = True
        elif word in ("float_absolute_tolerance", "float_relative_tolerance", "float_tolerance"):
            if word in tolerances:
                raise ValueError(f"{word} is given twice; keep one of them")
            tolerances[word] = _tolerance(word, next(words, None))
        else:
            known = "case_sensitive, space_change_sensitive, float_absolute_tolerance ε,"
            known += " float_relative_tolerance ε, float_tolerance ε"
            raise ValueError(f"unknown argument {word!r}; the default validator knows {known}")
    both = tolerances.pop("float_tolerance", None)
    if both is not None and tolerances:
        raise ValueError(f"float_tolerance excludes {' and '.join(tolerances)}; keep one kind")
    return Comparison(
        Mode.TOKENS,
        switches["case_sensitive"],
        switches["space_change_sensitive"],
        tolerances.get("float_absolute_tolerance", both),
        tolerances.get("float_relative_tolerance", both),
    )


def _tolerance(flag: str, value: str | None) -> Decimal:
    if value is None:
        raise ValueError(f"{flag} needs a number behind it, such as 1e-6")
    if not _FLOAT.fullmatch(value.encode("utf-8", "surrogatepass")) or value.startswith("-"):
        raise ValueError(f"{flag} needs a number such as 1e-6, not {value!r}")
    return _number(value.encode())


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
        comparison: How the outputs were compared.
        rule: The rule of it that decided, in words.
        expected_at: Where it is in the expected output.
        received_at: Where it is in the received output.
        expected: What is expected there, printable whatever the bytes are.
        received: What was received there, printable whatever the bytes are.
        token: Number of the word there, from 1; ``None`` where no words are compared.
    """

    comparison: Comparison
    rule: str
    expected_at: Position
    received_at: Position
    expected: str
    received: str
    token: int | None = None

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
    place = _place_apart(expected, received)
    position = _position(expected, place)
    return Difference(
        EXACT,
        "every byte counts",
        position,
        position,
        _character(expected, place, "end of output"),
        _character(received, place, "end of output"),
    )


def _compare_trimmed(expected: bytes, received: bytes) -> Difference | None:
    wanted = _Items(expected.rstrip(), _trimmed_lines, _after_newline)
    got = _Items(received.rstrip(), _trimmed_lines, _after_newline)
    if not _go_to_difference(wanted, got, _count_equal):
        return None
    line, other = wanted.current, got.current
    place = _place_apart(line or b"", other or b"")
    column = _count_characters(line or other or b"", 0, place) + 1
    position = Position(wanted.index + 1, column)
    return Difference(
        TRIMMED,
        "all but white space at the end of a line or of the output counts",
        position,
        position,
        "end of output" if line is None else _character(line, place, "end of line"),
        "end of output" if other is None else _character(other, place, "end of line"),
    )


def _trimmed_lines(chunk: bytes) -> list[bytes]:
    return [*map(bytes.rstrip, chunk.removesuffix(b"\n").split(b"\n"))]


def _after_newline(output: bytes, place: int) -> int:
    return output.find(b"\n", place) + 1


def _compare_tokens(expected: bytes, received: bytes, comparison: Comparison) -> Difference | None:
    exact_space = comparison.space_change_sensitive
    pattern, cut = (_TOKEN_OR_SPACE, _before_token) if exact_space else (_TOKEN, _after_space)

    def split(chunk: bytes) -> list[bytes]:
        # Of bytes, lower() changes ASCII letters only.
        text = chunk if comparison.case_sensitive else chunk.lower()
        # split() is twice as fast as the pattern that finds the same.
        return _TOKEN_OR_SPACE.findall(text) if exact_space else text.split()

    wanted, got = _Items(expected, split, cut), _Items(received, split, cut)
    count_matching = _within(comparison) if comparison.has_tolerance else _count_equal
    if not _go_to_difference(wanted, got, count_matching):
        return None
    token, other = wanted.found(pattern), got.found(pattern)
    tokens_before = wanted.index
    if comparison.space_change_sensitive:
        # Words and white space take turns.
        tokens_before = (wanted.index + (not (expected or received)[:1].isspace())) // 2
    at = _place_apart(wanted.current or b"", got.current or b"")
    return Difference(
        comparison,
        _rule(wanted.current, got.current, comparison),
        _position(expected, token.start() if token else len(expected)),
        _position(received, other.start() if other else len(received)),
        _shown(token, at),
        _shown(other, at),
        tokens_before + 1,
    )


def _after_space(output: bytes, place: int) -> int:
    found = _SPACE.search(output, place)
    return found.end() if found else 0


def _before_token(output: bytes, place: int) -> int:
    found = _END_OF_SPACE.search(output, place)
    return found.end() if found else 0


class _Items:
    """The words or lines of an output, a chunk at a time.

    Args:
        output: The output.
        split: Takes a chunk apart.
        cut: Returns the first place from another one on where a chunk may end, 0 for none.
    """

    def __init__(
        self,
        output: bytes,
        split: Callable[[bytes], list[bytes]],
        cut: Callable[[bytes, int], int],
    ) -> None:
        self.items: list[bytes] = []
        self.taken = 0
        self._output = output
        self._split = split
        self._cut = cut
        self._before = 0
        self._start = 0
        self._end = 0

    @property
    def index(self) -> int:
        """How many items come before the current one."""
        return self._before + self.taken

    @property
    def current(self) -> bytes | None:
        """The item whose turn it is, as it is compared; ``None`` at the end."""
        return self.items[self.taken] if self.taken < len(self.items) else None

    def found(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Return the current item where it stands in the output, found by its pattern."""
        matches = pattern.finditer(self._output, self._start, self._end)
        return next(islice(matches, self.taken, None), None)

    def refill(self) -> bool:
        """Go on to the next chunk when this one is used up; tell whether there are items."""
        while self.taken == len(self.items) and self._end < len(self._output):
            self._before += len(self.items)
            self._start = self._end
            self._end = self._cut(self._output, self._start + _CHUNK) or len(self._output)
            self.items = self._split(self._output[self._start : self._end])
            self.taken = 0
        return self.taken < len(self.items)


_Count = Callable[[list[bytes], list[bytes]], int]
"""Tells how many pairs of two lists of the same length match before one that does not."""


def _go_to_difference(wanted: _Items, got: _Items, count_matching: _Count) -> bool:
    """Take items that match, and tell whether a pair that does not is left, or one item alone."""
    while True:
        more_wanted, more_got = wanted.refill(), got.refill()
        if not (more_wanted and more_got):
            return more_wanted or more_got
        count = min(len(wanted.items) - wanted.taken, len(got.items) - got.taken)
        one = wanted.items[wanted.taken : wanted.taken + count]
        other = got.items[got.taken : got.taken + count]
        matching = count if one == other else count_matching(one, other)
        wanted.taken += matching
        got.taken += matching
        if matching < count:
            return True


def _count_equal(one: list[bytes], other: list[bytes]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), len(one))


# Numbers.


def _within(comparison: Comparison) -> _Count:
    """Return what counts words that are equal or, being numbers, near enough."""
    absolute = float(comparison.float_absolute_tolerance or 0) * (1 - _BINARY_ERROR) - _SMALLEST
    relative = float(comparison.float_relative_tolerance or 0) * (1 - _BINARY_ERROR)
    relative -= 2 * _BINARY_ERROR

    def plainly_near(answer: float, given: float) -> bool:
        # Whatever the errors of binary numbers are. Infinite ones never get through.
        apart, size = abs(given - answer), abs(answer)
        return apart <= size * relative - _SMALLEST < _LARGEST or (
            apart + (size + apart) * _BINARY_ERROR <= absolute
        )

    def count(one: list[bytes], other: list[bytes]) -> int:
        differing = [at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        answers, given = [one[at] for at in differing], [other[at] for at in differing]
        with contextlib.suppress(ValueError):
            # Of these bytes alone, float() takes exactly what the grammar allows.
            if not b"".join((*answers, *given)).translate(None, _BYTES_OF_FLOATS):
                values = zip(differing, map(float, answers), map(float, given), strict=True)
                differing = [at for at, answer, value in values if not plainly_near(answer, value)]
        for at in differing:
            if not (_FLOAT.fullmatch(one[at]) and _FLOAT.fullmatch(other[at])):
                return at
            if not _is_near_enough(_number(one[at]), _number(other[at]), comparison):
                return at
        return len(one)

    return count


def _is_near_enough(answer: Decimal, given: Decimal, comparison: Comparison) -> bool:
    apart = _distance(answer, given)
    absolute, relative = comparison.float_absolute_tolerance, comparison.float_relative_tolerance
    return (absolute is not None and apart <= absolute) or (
        relative is not None and apart <= _EXACT.multiply(relative, answer.copy_abs())
    )


def _number(token: bytes) -> Decimal:
    """Return the exact value of a word that the grammar calls a number."""
    text = token.decode("ascii").lower()
    significand, _, exponent = text.partition("e")
    if len(exponent) < len(str(_LARGEST_EXPONENT)):
        return Decimal(text) or Decimal(0)
    value = Decimal(significand)
    if not value:
        return Decimal(0)
    shift = int(exponent[:1] + exponent[1:].lstrip("0")[: len(str(_LARGEST_EXPONENT))])
    return value.scaleb(max(-_LARGEST_EXPONENT, min(shift, _LARGEST_EXPONENT)), _EXACT)


def _distance(one: Decimal, other: Decimal) -> Decimal:
    if abs(one.adjusted() - other.adjusted()) > _FURTHEST_DIGIT and one and other:
        # Exactly 1e99999 and 1 would have a hundred thousand digits between them.
        larger, smaller = sorted((one, other), key=Decimal.copy_abs, reverse=True)
        below = int(larger.as_tuple().exponent) - _FURTHEST_DIGIT
        if smaller.adjusted() < below:
            one, other = larger, Decimal(1).scaleb(below, _EXACT).copy_sign(smaller)
    return _EXACT.subtract(one, other).copy_abs()


# Words for a difference.


def _rule(wanted: bytes | None, got: bytes | None, comparison: Comparison) -> str:
    """Return which rule refused a word for another, both as they are compared."""
    if comparison.space_change_sensitive and any(
        it is None or it.isspace() for it in (wanted, got)
    ):
        return "white space must be the same in kind and amount, at the start and end too"
    if wanted is None or got is None:
        return "there must be as many words as expected"
    if comparison.has_tolerance and _FLOAT.fullmatch(wanted):
        if not _FLOAT.fullmatch(got):
            return "where a number is expected, a number must come"
        answer, given = _number(wanted), _number(got)
        allowed = [
            f"{tolerance:g}{of}"
            for tolerance, of in (
                (comparison.float_absolute_tolerance, ""),
                (comparison.float_relative_tolerance, " of the number expected"),
            )
            if tolerance is not None
        ]
        apart = _distance(answer, given)
        return f"numbers may differ by {' or by '.join(allowed)}; these differ by {apart:.3g}"
    if comparison.case_sensitive:
        return "words must be equal byte for byte"
    return "words must be equal but for the case of ASCII letters"


def _position(output: bytes, place: int) -> Position:
    start = output.rfind(b"\n", 0, place) + 1
    return Position(output.count(b"\n", 0, start) + 1, _count_characters(output, start, place) + 1)


def _count_characters(output: bytes, start: int, end: int) -> int:
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    chunks = (output[at : min(at + _CHUNK, end)] for at in range(start, end, _CHUNK))
    return sum(len(decode(chunk)) for chunk in chunks) + len(decode(b"", final=True))


def _place_apart(one: bytes, other: bytes) -> int:
    """Return the start of the first character that is not the same in both, or has no partner."""
    place = _common_length(one, other)
    # A character of which only the first bytes are the same is another character. One that goes
    # on here has begun with the last byte before that does not continue another.
    for start in range(place - 1, max(place - _LONGEST_CHARACTER, -1), -1):
        if not 0x80 <= one[start] < 0xC0:
            if one[start] >= 0xC0:
                place = start
            break
    texts = (_text(it[place : place + 2 * _LONGEST_CHARACTER]) for it in (one, other))
    for ours, theirs in zip(*texts, strict=False):
        if ours != theirs:
            break
        place += len(_bytes(ours))
    return place


def _common_length(one: bytes, other: bytes) -> int:
    """Return how many bytes are the same at the start of both."""
    start, shorter = 0, min(len(one), len(other))
    while start < shorter and one[start : start + _CHUNK] == other[start : start + _CHUNK]:
        start += _CHUNK
    pairs = zip(one[start : start + _CHUNK], other[start : start + _CHUNK], strict=False)
    return next((start + at for at, (a, b) in enumerate(pairs) if a != b), shorter)


def _character(output: bytes, place: int, at_end: str) -> str:
    text = _text(output[place : place + _LONGEST_CHARACTER])
    return _quoted(text[0]) if text else at_end


def _shown(token: re.Match[bytes] | None, place: int) -> str:
    if token is None:
        return "end of output"
    whole = token[0]
    # A long token is shown around the difference, not from its start.
    longest = _SHOWN * _LONGEST_CHARACTER
    lead = ""
    if len(whole) > longest or len(_text(whole)) > _SHOWN:
        lead = _text(whole[max(0, place - longest) : place])[-_BEFORE:]
    start = place - len(_bytes(lead)) if lead else 0
    text = _text(whole[start : start + longest])[:_SHOWN]
    end = start + len(_bytes(text))
    return ("…" if start else "") + _quoted(text) + ("…" if end < len(whole) else "")


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


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
