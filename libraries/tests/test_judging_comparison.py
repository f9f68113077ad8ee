from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from codewitness.judging.comparison import (
    EXACT,
    TOKENS,
    TRIMMED,
    Comparison,
    Mode,
    Position,
    compare,
)

CASE = Comparison(Mode.TOKENS, case_sensitive=True)
SPACE = Comparison(Mode.TOKENS, space_change_sensitive=True)
BOTH = Comparison(Mode.TOKENS, case_sensitive=True, space_change_sensitive=True)
ALL = [EXACT, TRIMMED, TOKENS, CASE, SPACE, BOTH]

SPACES = b" \t\n\v\f\r"
# A small alphabet that has everything special: white space, what only str takes for white space,
# letters in both cases, parts of multi-byte characters, NUL.
ALPHABET = [
    *(bytes([space]) for space in SPACES),
    *(b"a", b"A", b"b", b"B", b"1", b"\x00", b"\x1c", b"\x85", b"\xc2", b"\xa0", b"\xff"),
    *("\N{NO-BREAK SPACE}".encode(), "é".encode(), "É".encode(), "\N{BYTE ORDER MARK}".encode()),
]
outputs = st.lists(st.sampled_from(ALPHABET), max_size=12).map(b"".join)
blanks = st.lists(st.sampled_from([b" ", b"\t", b"\v", b"\f", b"\r"]), max_size=3).map(b"".join)
words = st.lists(st.sampled_from(ALPHABET[6:]), min_size=1, max_size=5).map(b"".join)
gaps = st.lists(st.sampled_from(ALPHABET[:6]), min_size=1, max_size=3).map(b"".join)


@pytest.mark.parametrize("comparison", ALL, ids=str)
@given(output=st.binary() | outputs)
def test_equal_bytes_match(comparison: Comparison, output: bytes) -> None:
    assert compare(output, output, comparison) is None
    assert compare(output, bytes(bytearray(output)), comparison) is None


@pytest.mark.parametrize("comparison", ALL, ids=str)
@given(one=outputs, other=outputs)
def test_comparison_has_no_direction(comparison: Comparison, one: bytes, other: bytes) -> None:
    forth, back = compare(one, other, comparison), compare(other, one, comparison)
    assert (forth is None) == (back is None)
    if forth and back:
        assert (forth.expected, forth.expected_at) == (back.received, back.received_at)


@pytest.mark.parametrize("comparison", ALL, ids=str)
@given(one=st.binary() | outputs, other=st.binary() | outputs)
def test_difference_is_printable(comparison: Comparison, one: bytes, other: bytes) -> None:
    difference = compare(one, other, comparison)
    assume(difference)
    assert str(difference).isprintable()
    str(difference).encode("utf-8")


@pytest.mark.parametrize("comparison", ALL, ids=str)
@given(one=outputs, other=outputs)
def test_difference_lies_inside_of_both_outputs(
    comparison: Comparison, one: bytes, other: bytes
) -> None:
    difference = compare(one, other, comparison)
    assume(difference)
    assert difference
    for output, at in ((one, difference.expected_at), (other, difference.received_at)):
        lines = output.decode("utf-8", "surrogateescape").split("\n")
        # A line that is missing from trimmed output has its place behind the last one.
        assert at.line <= len(lines) or (comparison, at.column) == (TRIMMED, 1)
        assert 1 <= at.column <= len(lines[at.line - 1] if at.line <= len(lines) else "") + 1


@given(one=outputs, other=outputs)
def test_exact_means_equal(one: bytes, other: bytes) -> None:
    assert (compare(one, other, EXACT) is None) == (one == other)


@given(one=outputs, other=outputs)
def test_trimmed_ignores_what_it_says_and_nothing_else(one: bytes, other: bytes) -> None:
    def trim(output: bytes) -> list[bytes]:
        lines = [line.rstrip(SPACES) for line in output.split(b"\n")]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    assert (compare(one, other, TRIMMED) is None) == (trim(one) == trim(other))


@given(
    lines=st.lists(st.tuples(words, blanks, blanks), max_size=5), ends=st.lists(gaps, max_size=2)
)
def test_trimmed_ignores_line_ends_and_the_end(
    lines: list[tuple[bytes, bytes, bytes]], ends: list[bytes]
) -> None:
    one = b"".join(line + end + b"\n" for line, end, _ in lines)
    other = b"\r\n".join(line + end for line, _, end in lines) + b"".join(ends)
    assert compare(one, other, TRIMMED) is None


@given(one=outputs, other=outputs)
def test_tokens_are_split_as_bytes_are(one: bytes, other: bytes) -> None:
    assert (compare(one, other, CASE) is None) == (one.split() == other.split())
    assert (compare(one, other, TOKENS) is None) == (one.lower().split() == other.lower().split())


@given(tokens=st.lists(words, max_size=5), data=st.data())
def test_tokens_ignore_white_space_and_ascii_case(tokens: list[bytes], data: st.DataObject) -> None:
    one = b"".join(token + data.draw(gaps) for token in tokens)
    other = b"".join(data.draw(gaps) + token for token in tokens)
    assert compare(one, other, CASE) is None
    assert compare(one, other.upper(), TOKENS) is None


@given(one=outputs, other=outputs)
def test_flags_only_make_tokens_stricter(one: bytes, other: bytes) -> None:
    matching = [compare(one, other, comparison) is None for comparison in (BOTH, SPACE, TOKENS)]
    assert matching == sorted(matching)
    assert (compare(one, other, BOTH) is None) == (one == other)
    assert (compare(one, other, SPACE) is None) == (one.lower() == other.lower())


@pytest.mark.parametrize(
    ("expected", "received", "matching"),
    [
        ("a\n", "a", [TRIMMED, TOKENS, CASE]),
        ("a\n", "a\r\n", [TRIMMED, TOKENS, CASE]),
        ("a  \nb", "a\nb\n\n \n", [TRIMMED, TOKENS, CASE]),
        ("a b", "a  b", [TOKENS, CASE]),
        ("a b", "a\nb", [TOKENS, CASE]),
        (" a", "a", [TOKENS, CASE]),
        ("\na", "a", [TOKENS, CASE]),
        ("a\n\nb", "a\nb", [TOKENS, CASE]),
        ("YES", "yes", [TOKENS, SPACE]),
        ("", " \n", [TRIMMED, TOKENS, CASE]),
        ("a\rb", "a\nb", [TOKENS, CASE]),
        ("É", "é", []),
        ("1.0", "1", []),
        ("a b", "ab", []),
        ("a", "a a", []),
        ("a", "", []),
        ("a\N{NO-BREAK SPACE}", "a", []),
        ("a\x85b", "a b", []),
        ("a\x1cb", "a b", []),
        ("\N{BYTE ORDER MARK}a", "a", []),
        ("a\x00", "a", []),
        ("e\N{COMBINING ACUTE ACCENT}", "é", []),
    ],
)
def test_each_rule_matches_what_it_should(
    expected: str, received: str, matching: list[Comparison]
) -> None:
    found = [each for each in ALL if not compare(expected.encode(), received.encode(), each)]
    assert found == matching


@pytest.mark.parametrize(
    ("comparison", "expected", "received", "text"),
    [
        (EXACT, b"one\ntwo\n", b"one\ntwo", "line 2, column 4: expected '\\n', got end of output"),
        (EXACT, b"a\n", b"a\r\n", "line 1, column 2: expected '\\n', got '\\r'"),
        (EXACT, "Zoë".encode(), "Zoé".encode(), "line 1, column 3: expected 'ë', got 'é'"),
        (EXACT, b"\xff", b"\xfe", "line 1, column 1: expected '\\xff', got '\\xfe'"),
        (TRIMMED, b"a \nb\n", b"a\nc\n", "line 2, column 1: expected 'b', got 'c'"),
        (TRIMMED, b"a\nb\n", b"a\n", "line 2, column 1: expected 'b', got end of output"),
        (TRIMMED, b"a\n", b"a\n\nb\n", "line 2, column 1: expected end of output, got end of line"),
        (TRIMMED, b"ab\nc", b"a\nc", "line 1, column 2: expected 'b', got end of line"),
        (TRIMMED, b"a", b"", "line 1, column 1: expected 'a', got end of output"),
        (TOKENS, b"a b", b"a\n\n c", "line 3, column 2 (line 1, column 3 of the expected output):"),
        (TOKENS, b"a b", b"a", "line 1, column 2 (line 1, column 3 of the expected output):"),
        (TOKENS, b"a", b"a b", "expected end of output, got 'b'"),
        (TOKENS, b"Word", b"Ward", "line 1, column 1: expected 'Word', got 'Ward'"),
        (SPACE, b"a b", b"a\tb", "line 1, column 2: expected ' ', got '\\t'"),
        (SPACE, b"a b", b" a b", "line 1, column 1: expected 'a', got ' '"),
    ],
)
def test_difference_says_where_and_what(
    comparison: Comparison, expected: bytes, received: bytes, text: str
) -> None:
    difference = compare(expected, received, comparison)
    assert text in str(difference)
    assert str(difference).endswith(f", compared {comparison}")


def test_long_tokens_are_shown_around_their_difference() -> None:
    digits = b"1234567890" * 30
    difference = compare(digits + b"5", digits + b"6", TOKENS)
    assert difference
    assert difference.expected == "…'12345678905'"
    assert difference.received == "…'12345678906'"
    difference = compare(b"x" + digits, b"y" + digits, TOKENS)
    assert difference
    assert difference.expected == "'x123456789012345678901234567890123456789'…"


def test_trimmed_difference_is_found_behind_one_that_does_not_count() -> None:
    difference = compare(b"a  \nb\n", b"a\r\nB\n", TRIMMED)
    assert difference
    assert difference.received_at == Position(2, 1)


@pytest.mark.parametrize("mode", [Mode.EXACT, Mode.TRIMMED])
@pytest.mark.parametrize("flag", ["case_sensitive", "space_change_sensitive"])
def test_flags_belong_to_tokens(mode: Mode, flag: str) -> None:
    with pytest.raises(ValueError, match=f"{flag}: only for the comparison 'tokens', not for"):
        Comparison(mode, **{flag: True})  # type: ignore[arg-type]
