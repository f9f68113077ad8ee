"""Output made visible: nothing hidden, nothing that XML can't carry, differences in place."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.reporting.visible import (
    as_text,
    difference_at,
    first_difference,
    legend,
    plain,
    visible,
    visible_lines,
)

XML_1_0 = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
ALPHABET = st.sampled_from("ab \\x\n\t\r\0\x1bé\u0301\u4e2d\u200b\ufeff·→x")
OUTPUTS = (
    st.binary()
    | st.text(ALPHABET).map(str.encode)
    | st.text().map(lambda text: text.encode("utf-8", "replace"))
)


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"a b\n", "a·b⏎"),
        (b"\t\r\n", "→␍⏎"),
        (b"\x1b[1m\0\x07", "␛[1m␀\\x07"),
        (b"\xff\xc3", "\\xff\\xc3"),
        ("\u200b\ufeff\xa0\u2028\u3164".encode(), "\\u200b\\ufeff\\u00a0\\u2028\\u3164"),
        ("❤\ufe0f".encode(), "❤\\ufe0f"),
        ("·⏎".encode(), "\\u00b7\\u23ce"),
        ("\U000e0100".encode(), "\\U000e0100"),
        ("grün 中 🙂".encode(), "grün·中·🙂"),
        (rb"C:\dir \n", "C:\\dir·\\n"),
        (rb"\xff", "\\\\xff"),
        (b"\\\xff", "\\\\\\xff"),
        (b"", ""),
    ],
)
def test_every_character_can_be_told(output: bytes, shown: str) -> None:
    assert visible(output) == shown


def test_different_outputs_look_different() -> None:
    parts = (b"\\", b"x", b"u", b"f", b"\xff", b"\x01", b"\n", b" ")
    outputs = [b"".join(it) for n in range(5) for it in itertools.product(parts, repeat=n)]
    assert len({visible(output) for output in outputs}) == len(set(outputs))


@given(OUTPUTS)
def test_visible_output_fits_into_xml_and_on_a_line(output: bytes) -> None:
    shown = visible(output)
    assert XML_1_0.fullmatch(shown)
    assert not set(shown) & set("\n\r\t ")
    assert shown.isprintable()


@given(st.text())
def test_plain_text_fits_into_xml(text: str) -> None:
    shown = plain(text)
    assert XML_1_0.fullmatch(shown)
    assert shown == text or any(plain(it) != it for it in text)
    assert plain(shown) == shown


@given(OUTPUTS, st.integers(1, 9), st.integers(1, 40), st.integers(1, 50))
def test_lines_are_bounded(output: bytes, limit: int, width: int, around: int) -> None:
    lines = visible_lines(output, limit, width, around)
    assert 1 <= len(lines) <= limit + 1
    assert all(len(line) <= width + len("… 1,000,000 more characters") for line in lines[:limit])
    if len(lines) <= limit:
        assert len(lines) == max(1, len(as_text(output).split("\n")) - output.endswith(b"\n"))


def test_lines_are_shown_around_the_one_that_matters() -> None:
    output = "".join(f"line {number}\n" for number in range(1, 101))
    lines = visible_lines(output, 6, around=50)
    assert "line·50⏎" in lines
    assert lines[-1] == "… lines 48 to 53 of 100, 792 bytes in all"
    assert visible_lines(output, 6, around=100)[-2] == "line·100⏎"
    assert visible_lines(output, 6, around=101)[0] == "line·95⏎"


def test_long_line_says_what_was_left_out() -> None:
    assert visible_lines("x" * 2000, 3, 10) == ["xxxxxxxxxx… 1,990 more characters"]
    assert visible_lines("\x01" * 20, 3, 10) == ["\\x01\\x01… 18 more characters"]


def test_missing_final_newline_can_be_seen() -> None:
    assert visible_lines(b"a\n", 3) == ["a⏎"]
    assert visible_lines(b"a", 3) == ["a"]
    assert visible_lines(b"\n", 3) == ["⏎"]
    assert visible_lines(b"", 3) == ["(empty)"]


def test_legend_names_only_what_occurs() -> None:
    assert legend("a·b⏎") == "· space, ⏎ line feed"
    assert legend(visible(b"\xff")) == r"\xNN or \uNNNN another byte or character by its number"
    assert legend("abc") == ""


@pytest.mark.parametrize(
    ("expected", "received", "told"),
    [
        (b"a\nb\n", b"a\n", "line 2, column 1: expected 'b', got end of output"),
        (b"a", b"a\n", "line 1, column 2: expected end of output, got line feed"),
        (b"a b", b"a\tb", "line 1, column 2: expected space, got tab"),
        (b"a\n", b"a\r\n", "line 1, column 2: expected line feed, got carriage return"),
        ("é".encode(), "e\u0301".encode(), "line 1, column 1: expected 'é' (U+00E9), got 'e'"),
        (b"ab", "a\u0301b".encode(), "line 1, column 2: expected 'b', got U+0301"),
        (b"a", "\u0430".encode(), "line 1, column 1: expected 'a', got '\u0430' (U+0430)"),
        ("中x".encode(), "中y".encode(), "line 1, column 2: expected 'x', got 'y'"),
        (b"\xff\xfe", b"\xff\xfd", r"line 1, column 2: expected '\xfe', got '\xfd'"),
    ],
)
def test_difference_in_words(expected: bytes, received: bytes, told: str) -> None:
    assert str(first_difference(expected, received)) == told


def test_equal_outputs_have_no_difference() -> None:
    assert first_difference(b"\xff\n", b"\xff\n") is None


@given(OUTPUTS, OUTPUTS, OUTPUTS)
def test_difference_is_at_the_right_place(same: bytes, one: bytes, other: bytes) -> None:
    expected, received = same + one, same + other
    difference = first_difference(expected, received)
    if difference is None:
        assert expected == received
        return
    places = []
    for output in (as_text(expected), as_text(received)):
        before = output.split("\n")[: difference.line]
        place = sum(len(line) + 1 for line in before[:-1]) + difference.column - 1
        places.append((output[:place], output[place : place + 1]))
    assert places[0][0] == places[1][0]
    assert places[0][1] != places[1][1]
    assert difference.expected_caret == difference.received_caret
    for line in (difference.expected_line, difference.received_line):
        assert XML_1_0.fullmatch(line)
        assert len(line) < 200


def test_caret_counts_columns_of_a_terminal() -> None:
    difference = first_difference("中e\u0301\x01x".encode(), "中e\u0301\x01y".encode())
    assert difference is not None
    # Two for the wide character, one for the letter with its accent, four for the escape.
    assert difference.received_caret == 7


def test_only_the_neighbourhood_of_a_difference_is_shown() -> None:
    difference = first_difference(b"x" * 500 + b"a" * 500, b"x" * 500 + b"b" * 500)
    assert difference is not None
    assert difference.expected_line.startswith("…x")
    assert difference.expected_line[difference.expected_caret] == "a"
    assert difference.received_line[difference.received_caret] == "b"
    assert len(difference.expected_line) < 140


def test_difference_that_others_have_found() -> None:
    difference = difference_at(b"a  \nb\n", b"a\n\n c\n", (2, 1), (3, 2))
    assert str(difference) == "line 3, column 2: expected 'b', got 'c'"
    assert (difference.expected_caret, difference.received_caret) == (0, 1)
    beyond = difference_at(b"a\n", b"", (9, 9), (9, 9))
    assert (beyond.expected, beyond.received) == ("end of output", "end of output")


def test_words_with_the_same_start_are_told_whole() -> None:
    difference = difference_at(b"x 3.14 y", b"x\n3.15 y", (1, 3), (2, 1))
    assert str(difference) == "line 2, column 1: expected '3.14', got '3.15'"
    long = difference_at(b"a" * 100 + b"b", b"a" * 100 + b"c", (1, 1), (1, 1))
    assert (long.expected, long.received) == ("…'aaaaaaaaaab'", "…'aaaaaaaaaac'")
    shorter = difference_at(b"ab", b"a b", (1, 1), (1, 1))
    assert (shorter.expected, shorter.received) == ("'ab'", "'a'")
