"""Tolerances, arguments of the default validator, and outputs of more than one chunk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.judging import comparison as module
from codewitness.judging.comparison import (
    EXACT,
    TOKENS,
    TRIMMED,
    Comparison,
    Mode,
    Position,
    compare,
    default_validator,
)

TOLERANT = default_validator(["float_tolerance", "1e-6"])
ABSOLUTE = default_validator(["float_absolute_tolerance", "1e-6"])
RELATIVE = default_validator(["float_relative_tolerance", "1e-6"])
NOTHING = default_validator(["float_tolerance", "0"])
STRICT = default_validator(["space_change_sensitive", "case_sensitive", "float_tolerance", "1e-6"])

NUMBER = re.compile(rb"[+-]?(\d*\.\d+|\d+\.|\d+)([eE][+-]?\d+)?")

signs = st.sampled_from(["", "-", "+"])
exponents = st.integers(-30, 30).map(lambda number: f"e{number}") | st.just("")
digits = st.text("0123456789", min_size=1, max_size=20)
significands = digits | st.builds("{}.{}".format, digits, digits) | digits.map("{}.".format)
numbers = st.builds("{}{}{}".format, signs, significands | digits.map(".{}".format), exponents)
texts = st.sampled_from(["inf", "nan", "1e", "0x10", "1_0", "1,0", ".", "-", "+-1", "Yes", "1\x00"])
tokens = (numbers | texts).map(str.encode)
tolerances = st.sampled_from(["0", "1e-9", "1e-6", "0.5", "1", "1e300", "1e-400"])
spaces = st.sampled_from([b" ", b"\n", b"\r\n", b"\t ", b"\v\f"])


@st.composite
def near(draw: st.DrawFn) -> tuple[bytes, bytes, Comparison]:
    """Draw two numbers that lie right at a tolerance, on either side of it or on it."""
    answer = Decimal(draw(numbers))
    tolerance = Decimal(draw(tolerances))
    exact = Decimal(draw(st.sampled_from(["0", "1e-40", "-1e-40"])))
    is_relative = draw(st.booleans())
    with localcontext(Context(prec=2000, Emax=99999, Emin=-99999)):
        apart = tolerance * (abs(answer) if is_relative else 1) + exact
        output = answer + apart if draw(st.booleans()) else answer - apart
    kind = "relative" if is_relative else "absolute"
    flags = [f"float_{kind}_tolerance", str(tolerance)]
    return str(answer).encode(), str(output).encode(), default_validator(flags)


def accepts(answer: bytes, output: bytes, rule: Comparison) -> bool:
    """Tell what the specification says of two tokens, in the plainest way there is."""
    if rule.has_tolerance and NUMBER.fullmatch(answer):
        if not NUMBER.fullmatch(output):
            return False
        wanted, got = Fraction(answer.decode()), Fraction(output.decode())
        absolute, relative = rule.float_absolute_tolerance, rule.float_relative_tolerance
        apart = abs(got - wanted)
        return (absolute is not None and apart <= Fraction(absolute)) or (
            relative is not None and apart <= Fraction(relative) * abs(wanted)
        )
    if rule.case_sensitive:
        return answer == output
    return answer.lower() == output.lower()


@given(answer=tokens, output=tokens, data=st.data())
def test_tokens_are_judged_as_specified(answer: bytes, output: bytes, data: st.DataObject) -> None:
    flags = data.draw(st.sampled_from(["float_tolerance", "float_absolute_tolerance"]))
    rule = default_validator([flags, data.draw(tolerances)])
    for wanted, got in ((answer, output), (answer, answer), (answer, output + b"0")):
        assert (compare(wanted, got, rule) is None) == accepts(wanted, got, rule)


@given(near())
def test_numbers_right_at_the_tolerance_are_judged_exactly(
    drawn: tuple[bytes, bytes, Comparison],
) -> None:
    answer, output, rule = drawn
    assert (compare(answer, output, rule) is None) == accepts(answer, output, rule)


@given(answer=numbers.map(str.encode), output=numbers.map(str.encode), tolerance=tolerances)
def test_absolute_tolerance_has_no_direction(answer: bytes, output: bytes, tolerance: str) -> None:
    rule = default_validator(["float_absolute_tolerance", tolerance])
    assert (compare(answer, output, rule) is None) == (compare(output, answer, rule) is None)


def test_relative_tolerance_is_of_the_answer() -> None:
    rule = default_validator(["float_relative_tolerance", "0.5"])
    assert compare(b"2", b"1", rule) is None
    assert compare(b"1", b"2", rule) is not None


@given(words=st.lists(tokens, max_size=8), data=st.data())
def test_tolerance_accepts_the_answer_in_any_white_space(
    words: list[bytes], data: st.DataObject
) -> None:
    answer = b" ".join(words)
    output = b"".join(data.draw(spaces) + word for word in words) + data.draw(spaces)
    for rule in (TOLERANT, RELATIVE, NOTHING):
        assert compare(answer, output, rule) is None
    assert compare(answer, answer, STRICT) is None


@pytest.mark.parametrize(
    ("answer", "output", "rules"),
    [
        # What the three well-known implementations disagree about.
        ("1", "0x1", []),
        ("0x10", "16", []),
        ("1", "1e", []),
        ("100", "100e", []),
        ("nan", "-nan", []),
        ("inf", "infinity", []),
        ("1", "1\0", []),
        ("0", "-0", [TOLERANT, ABSOLUTE, RELATIVE, NOTHING]),
        ("1", "1.000001", [TOLERANT, ABSOLUTE, RELATIVE]),
        ("123456789012345678", "123456789012345679", [TOLERANT, RELATIVE]),
        ("0", "1e-4000", [TOLERANT, ABSOLUTE]),
        ("0", "1e-99999999999999999999", [TOLERANT, ABSOLUTE]),
        # The same written otherwise, or not quite the same.
        ("1", "1.0", [TOLERANT, ABSOLUTE, RELATIVE, NOTHING]),
        ("1", "+1.", [TOLERANT, ABSOLUTE, RELATIVE, NOTHING]),
        ("1e3", "1000.00", [TOLERANT, ABSOLUTE, RELATIVE, NOTHING]),
        ("1e400", "10e399", [TOLERANT, ABSOLUTE, RELATIVE, NOTHING]),
        ("1e400", "1.0000001e400", [TOLERANT, RELATIVE]),
        ("1e99999999999999999999", "1", []),
        ("1", "1e99999999999999999999", []),
        ("-1e-99999", "1e-99999", [TOLERANT, ABSOLUTE]),
        ("1e400", "1e401", []),
        ("5", "1e400", []),
        ("5", "-1e400", []),
        ("1", "1.0000010000000000000000001", []),
        ("1000000", "1000001", [TOLERANT, RELATIVE]),
        ("1000000", "1000001.0000000000001", []),
        ("nan", "NaN", [TOLERANT, ABSOLUTE, RELATIVE, NOTHING]),
        ("nan", "1", []),
        ("1", "nan", []),
        ("1", "inf", []),
        ("1", "one", []),
        ("one", "1", []),
        ("1", "1_0", []),
        ("10", "1_0", []),
        ("1", "\N{ARABIC-INDIC DIGIT ONE}", []),
        ("1", "1,0", []),
        ("0", ".", []),
        ("0", "-", []),
        ("1 2", "1", []),
        ("1", "1 2", []),
    ],
)
def test_numbers_and_what_only_looks_like_one(
    answer: str, output: str, rules: list[Comparison]
) -> None:
    found = [
        rule
        for rule in (TOLERANT, ABSOLUTE, RELATIVE, NOTHING)
        if compare(answer.encode(), output.encode(), rule) is None
    ]
    assert found == rules


def test_without_a_tolerance_numbers_are_text() -> None:
    assert compare(b"1.0", b"1", TOKENS) is not None


@pytest.mark.parametrize(
    ("answer", "output", "rule", "told"),
    [
        (b"3.14", b"3.2", TOLERANT, "may differ by 0.000001 or by 0.000001 of the number expected"),
        (b"3.14", b"3.2", ABSOLUTE, "by 0.000001; these differ by 0.06"),
        (b"3.14", b"pi", ABSOLUTE, "where a number is expected, a number must come"),
        (b"pi", b"3.14", ABSOLUTE, "words must be equal but for the case of ASCII letters"),
        (b"a b", b"a", TOKENS, "as many words as expected"),
        (b"a", b"a b", TOKENS, "as many words as expected"),
        (b"a", b"b", default_validator(["case_sensitive"]), "equal byte for byte"),
        (b"1 2", b"1\n2", STRICT, "white space must be the same"),
        (b"1 2", b"1 2\n", STRICT, "white space must be the same"),
        (b"1 2", b"1 3", STRICT, "these differ by 1"),
        (b"a\n", b"a", EXACT, "every byte counts"),
        (b"a", b"b", TRIMMED, "all but white space at the end"),
    ],
)
def test_difference_names_the_rule_that_decided(
    answer: bytes, output: bytes, rule: Comparison, told: str
) -> None:
    difference = compare(answer, output, rule)
    assert difference is not None
    assert told in difference.rule


@pytest.mark.parametrize(
    ("answer", "output", "rule", "token"),
    [
        (b"a b c", b"a b d", TOKENS, 3),
        (b"a b", b"a", TOKENS, 2),
        (b"a b c", b"a b d", STRICT, 3),
        (b" a b c", b" a b d", STRICT, 3),
        (b" a b c", b" a b  c", STRICT, 3),
        (b"a b", b"a c", TRIMMED, None),
        (b"a b", b"a c", EXACT, None),
    ],
)
def test_difference_counts_words(
    answer: bytes, output: bytes, rule: Comparison, token: int | None
) -> None:
    difference = compare(answer, output, rule)
    assert difference is not None
    assert difference.token == token


# Chunks.


ALL = [EXACT, TRIMMED, TOKENS, TOLERANT, STRICT, default_validator(["space_change_sensitive"])]
pieces = st.lists(
    st.sampled_from([b"a", b"A", b"1", b"1.0", b" ", b"\n", b"\r\n", b"  ", "é".encode(), b"\xc3"]),
    max_size=40,
).map(b"".join)


@pytest.mark.parametrize("rule", ALL, ids=str)
@given(one=pieces, other=pieces, common=pieces)
def test_size_of_the_chunks_does_not_show(
    rule: Comparison, one: bytes, other: bytes, common: bytes
) -> None:
    outputs = ((one, other), (common + one, common + other), (common, common.replace(b" ", b"\n")))
    whole = [compare(*pair, rule) for pair in outputs]
    for size in (1, 2, 3, 7):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_CHUNK", size)
            assert [compare(*pair, rule) for pair in outputs] == whole


@pytest.mark.parametrize("rule", ALL, ids=str)
def test_difference_is_found_far_inside(rule: Comparison) -> None:
    lines = b"some words 123\n" * 20_000
    received = lines + "wörd two\n".encode() + lines
    difference = compare(lines + "wörd one\n".encode() + lines, received, rule)
    assert difference is not None
    assert difference.received_at == Position(20_001, 6)
    assert compare(lines, lines.replace(b"\n", b"\n"), rule) is None


def test_character_that_differs_in_its_last_byte_differs_as_a_whole() -> None:
    for one, other in (("é", "è"), ("€", "₭"), ("😀", "😁")):
        difference = compare(b"xy" + one.encode(), b"xy" + other.encode(), EXACT)
        assert difference is not None
        assert (difference.expected, difference.received) == (f"'{one}'", f"'{other}'")
        assert difference.received_at == Position(1, 3)


def test_byte_that_is_no_utf_8_is_one_character() -> None:
    difference = compare(b"\x80\x80\x80\x80a", b"\x80\x80\x80\x80b", EXACT)
    assert difference is not None
    assert difference.received_at == Position(1, 5)


# Arguments of the default validator.


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        ([], "tokens"),
        (["case_sensitive"], "tokens case_sensitive"),
        (["float_tolerance", "1e-9"], "tokens float_tolerance 1e-9"),
        (
            ["space_change_sensitive", "case_sensitive", "float_tolerance", "0"],
            "tokens case_sensitive space_change_sensitive float_tolerance 0",
        ),
        (
            ["float_relative_tolerance", "1e-9", "float_absolute_tolerance", "0.5"],
            "tokens float_absolute_tolerance 0.5 float_relative_tolerance 1e-9",
        ),
        (["float_absolute_tolerance", "+1.E-7"], "tokens float_absolute_tolerance 1e-7"),
    ],
)
def test_arguments_are_understood(args: Sequence[str], shown: str) -> None:
    assert str(default_validator(args)) == shown


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["float_tolerance"], "float_tolerance needs a number behind it"),
        (
            ["float_tolerance", "case_sensitive"],
            "needs a number such as 1e-6, not 'case_sensitive'",
        ),
        (["float_tolerance", "-1"], "not '-1'"),
        (["float_tolerance", "nan"], "not 'nan'"),
        (["float_tolerance", "1_0"], "not '1_0'"),
        (["float_tolerance", "\ud800"], "needs a number"),
        (["float_tolerance", "1", "float_tolerance", "1"], "float_tolerance is given twice"),
        (
            ["float_absolute_tolerance", "1", "float_absolute_tolerance", "2"],
            "float_absolute_tolerance is given twice",
        ),
        (
            ["float_absolute_tolerance", "1", "float_tolerance", "1"],
            "float_tolerance excludes float_absolute_tolerance",
        ),
        (["ignore_case"], "unknown argument 'ignore_case'"),
        (["1e-6"], "unknown argument '1e-6'"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(args: Sequence[str], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        default_validator(args)


@pytest.mark.parametrize("tolerance", ["-1", "NaN", "Infinity"])
def test_tolerance_is_a_finite_number_from_0_on(tolerance: str) -> None:
    with pytest.raises(ValueError, match="a finite number from 0 on"):
        Comparison(Mode.TOKENS, float_absolute_tolerance=Decimal(tolerance))


def test_tolerances_belong_to_tokens() -> None:
    with pytest.raises(ValueError, match="float_tolerance 1: only for the comparison 'tokens'"):
        Comparison(
            Mode.EXACT,
            float_absolute_tolerance=Decimal(1),
            float_relative_tolerance=Decimal(1),
        )
