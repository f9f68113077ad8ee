"""The table of two outputs: what it shows, that it is sound HTML, and that it stays small."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.judging.comparison import TOKENS, TRIMMED, Comparison, compare, default_validator
from codewitness.reporting.card import Mismatch
from codewitness.reporting.difference import difference_table
from tests.test_reporting_visible import XML_1_0

MOST = 30_000
SECRET = "s3cr3t-value"


def mismatch_of(
    expected: bytes, received: bytes, comparison: Comparison = TRIMMED, subject: str = "stdout"
) -> Mismatch:
    """Return what a comparison that fails makes known."""
    found = compare(expected, received, comparison)
    assert found is not None
    at, there = found.expected_at, found.received_at
    places = ((at.line, at.column), (there.line, there.column))
    relation = f"equals, compared {comparison}"
    return Mismatch(subject, relation, expected, received, places=places, rule=found.rule)


def rows_of(table: str) -> list[list[str]]:
    """Return the texts of the cells of the first table."""
    body = table.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall("<tr>(.*?)</tr>", body, re.DOTALL)
    return [[text(cell) for cell in re.findall("<td[^>]*>(.*?)</td>", row)] for row in rows]


def text(markup: str) -> str:
    return html.unescape(re.sub("<[^>]*>", "", markup))


def test_caption_says_it_all_in_words() -> None:
    table = difference_table(mismatch_of(b"a b\nc d\n", b"a b\nc\nx\n", TOKENS))
    caption = text(table.partition("<caption")[2].partition(">")[2].partition("</caption>")[0])
    assert caption == (
        "stdout, first difference: line 3, column 1 (line 2, column 3 of the output expected):"
        " expected 'd', got 'x'.Rule: words must be equal but for the case of ASCII letters"
    )


def test_lines_stand_side_by_side_with_white_space_made_visible() -> None:
    expected = b"".join(b"line %d \n" % number for number in range(1, 31))
    received = expected.replace(b" \n", b"\t\r\n").replace(b"17", b"71")
    rows = rows_of(difference_table(mismatch_of(expected, received)))
    assert [row[0] for row in rows] == [str(number) for number in range(12, 26)]
    assert rows[0] == ["12", "line·12·⏎", "≈", "12", "line·12→␍⏎"]
    assert rows[5] == ["17", "line·17·⏎", "≠", "17", "line·71→␍⏎"]
    # What comes after the first difference was not compared.
    assert rows[6][2] == ""


def test_equal_lines_are_told_from_accepted_ones() -> None:
    rows = rows_of(difference_table(mismatch_of(b"a\nb\nc", b"a\nb \nd")))
    assert [row[2] for row in rows] == ["=", "≈", "≠"]


def test_lines_that_are_missing_leave_their_cells_empty() -> None:
    rows = rows_of(difference_table(mismatch_of(b"a\nb\nc\n", b"a\n")))
    assert rows == [
        ["1", "a⏎", "=", "1", "a⏎"],
        ["2", "b⏎", "≠", "2", "(nothing)"],
        ["3", "c⏎", "", "", ""],
    ]


def test_place_is_framed_and_a_word_as_a_whole() -> None:
    framed = r"<b style=\"border[^>]*>(.*?)</b>"
    table = difference_table(mismatch_of(b"one", b"ode"))
    assert re.findall(framed, table) == ["n", "d"]
    table = difference_table(mismatch_of(b"x 3.14 y", b"x 3.15 y", TOKENS))
    assert re.findall(framed, table) == ["3.14", "3.15"]


def test_what_the_program_read_is_shown_and_cut() -> None:
    mismatch = mismatch_of(b"a", b"b")
    stdin = b"".join(b"%d\n" % number for number in range(100))
    shown = text(difference_table(mismatch, stdin).partition("stdin")[2])
    assert "(290 bytes)" in shown
    assert "11⏎… 88 more lines" in shown
    assert "stdin" not in difference_table(mismatch)


def test_whole_bodies_are_linked() -> None:
    links = {"expected": "bodies/1.bin", "stdin": 'bodies/"2".bin'}
    table = difference_table(mismatch_of(b"a", b"b"), b"x", links)
    assert '<a href="bodies/1.bin">1 byte, whole</a>' in table
    assert '<a href="bodies/&quot;2&quot;.bin">1 byte, whole</a>' in table
    assert table.count("<a ") == 2


def test_signs_and_symbols_are_explained() -> None:
    table = difference_table(mismatch_of(b"a\tb", b"a\tc", TRIMMED))
    assert "≠ first difference" in table
    assert "→ tab" in table


@pytest.mark.parametrize(
    "mismatch",
    [
        Mismatch("stdout", "equals", b"same", b"same"),
        Mismatch("exit code", "equals", "exit code 0", "exit code 1"),
        Mismatch("stdout", "contains", b"a", b"b"),
        Mismatch("stdout", "is accepted by the validator", b"a", b"b"),
    ],
)
def test_what_are_no_two_outputs_has_no_table(mismatch: Mismatch) -> None:
    assert difference_table(mismatch) == ""


def test_table_works_without_script_and_without_colour() -> None:
    table = difference_table(mismatch_of(b"<script>alert(1)</script>", b"<img src=x>"), b"<a>")
    assert not re.search(r"<script|<img|javascript|color:|background", table)
    assert "<script>alert(1)</script>" in text(table)


outputs = st.lists(
    st.sampled_from(
        [b"a", b"<b>", b"&", b"\n", b"\r\n", b"\x00", b"\xff", "é😀".encode(), b"1.5 "]
    ),
    max_size=30,
).map(b"".join)


@given(one=outputs | st.binary(), other=outputs | st.binary(), stdin=outputs)
def test_table_is_sound_whatever_the_outputs_are(one: bytes, other: bytes, stdin: bytes) -> None:
    for comparison in (TRIMMED, TOKENS, default_validator(["float_tolerance", "1"])):
        if compare(one, other, comparison) is None:
            continue
        table = difference_table(mismatch_of(one, other, comparison), stdin)
        assert XML_1_0.fullmatch(table)
        ET.fromstring(f"<div>{table}</div>")


@pytest.mark.parametrize("unit", [b"x", b"\xff", b"&", b"x\n", "😀\n".encode(), b"<\t"])
def test_table_stays_small(unit: bytes) -> None:
    body = unit * 200_000
    table = difference_table(mismatch_of(body + b"a" + body, body + b"b" + body), body)
    assert 0 < len(table) < MOST


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_API_KEY", SECRET)
    output = f"key {SECRET}\n".encode()
    table = difference_table(mismatch_of(output + b"a", output + b"b"), output)
    assert SECRET not in text(table)
