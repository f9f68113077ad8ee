"""The comparison beside the default validator of Kattis's own tools, problemtools.

That program is an oracle where both follow the specification, and they must agree on every case
drawn here. Where it does not follow it, this project does; every such point is a row of
``DEVIATIONS``, and each row is checked from both sides, so that the list can't grow stale.
"""

from __future__ import annotations

import importlib.util
import platform
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codewitness.judging.comparison import compare, default_validator

Oracle = Callable[[bytes, bytes, Sequence[str]], str]

CASES = 600

TOLERANT = ("float_tolerance", "1e-6")
FLAGS: Sequence[Sequence[str]] = (
    (),
    ("case_sensitive",),
    ("space_change_sensitive",),
    ("case_sensitive", "space_change_sensitive"),
    TOLERANT,
    ("float_absolute_tolerance", "0.25"),
    ("float_relative_tolerance", "0.25"),
    ("float_absolute_tolerance", "0.5", "float_relative_tolerance", "1e-3"),
    ("space_change_sensitive", "float_tolerance", "0.01"),
    ("case_sensitive", "float_tolerance", "0"),
)
WORDS = (
    *("a", "A", "b", "Yes", "yes", "é", "É", "Case", "#1:", "a\N{NO-BREAK SPACE}b", "\x1c"),
    *("1", "1.0", "1.", "2", "10", "1e1", "1E1", "-0", "0", "0.5", ".5", "+3", "3", "-1"),
    *("1e-7", "0.1", "0.125", "1.25", "x1", "1x", "--1", "1,5", ".", "-", "1_0", "12345678901"),
    *("inf", "INF", "nan", "NaN", "infinity", "1e400"),
)
SPACES = (" ", "\n", "\r\n", "  ", "\t", "\v", "\f", " \n")

# Answer, output, arguments, what problemtools says, and what the specification does.
DEVIATIONS: Sequence[tuple[bytes, bytes, Sequence[str], str, str]] = (
    # Numbers are read by scanf: hexadecimal ones are numbers, and an unfinished exponent is let
    # pass. The specification's grammar has neither.
    (b"1", b"0x1", TOLERANT, "AC", "WA"),
    (b"0x10", b"16", TOLERANT, "AC", "WA"),
    (b"1", b"1e", TOLERANT, "AC", "WA"),
    (b"100", b"100e+", TOLERANT, "AC", "WA"),
    # A token ends at a NUL. In the specification that is a byte like any other.
    (b"a", b"a\0b", (), "AC", "WA"),
    (b"a\0b", b"a\0c", ("case_sensitive",), "AC", "WA"),
    (b"1", b"1\0", TOLERANT, "AC", "WA"),
    # Numbers are rounded to double precision before they are compared. The specification asks
    # for no more than that; exact values don't depend on how somebody rounds.
    (b"1", b"1.0000010000000000000000001", ("float_absolute_tolerance", "1e-6"), "AC", "WA"),
    (b"123456789012345678", b"123456789012345679", ("float_tolerance", "0"), "AC", "WA"),
    (b"0", b"1e-4000", ("float_absolute_tolerance", "0"), "AC", "WA"),
    # What double precision can't hold is compared as text.
    (b"1e400", b"10e399", TOLERANT, "WA", "AC"),
    # Arguments that the specification calls an error are accepted.
    (b"1", b"1", ("float_tolerance", "1", "float_tolerance", "1"), "AC", "error"),
    (b"1", b"1", ("float_tolerance", "1", "float_absolute_tolerance", "1"), "AC", "error"),
    (b"1", b"1", ("float_tolerance", "0x1"), "AC", "error"),
    (b"1", b"1.0", ("float_tolerance", "-1"), "WA", "error"),
)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """The default validator that problemtools installs."""
    offered = sys.platform == "linux" and platform.machine() == "x86_64"
    if not offered or sys.hexversion < 0x030B0000:
        pytest.skip("problemtools is published for Linux on x86-64 and Python 3.11 on only")
    found = importlib.util.find_spec("problemtools")
    if found is None or found.origin is None:
        pytest.fail("problemtools is not installed; install requirements-dev.txt")
    program = Path(found.origin).parent / "support" / "default_validator"
    assert program.is_file()
    root = tmp_path_factory.mktemp("oracle")

    def ask(answer: bytes, output: bytes, args: Sequence[str]) -> str:
        folder = root / f"{random.getrandbits(64):x}"
        feedback = folder / "feedback"
        feedback.mkdir(parents=True)
        expected = folder / "answer"
        expected.write_bytes(answer)
        asked = subprocess.run(
            [program, expected, expected, f"{feedback}/", *args],
            input=output,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return {42: "AC", 43: "WA"}.get(asked.returncode, f"exit code {asked.returncode}")

    return ask


def ours(answer: bytes, output: bytes, args: Sequence[str]) -> str:
    try:
        return "WA" if compare(answer, output, default_validator(args)) else "AC"
    except ValueError:
        return "error"


def drawn_cases() -> list[tuple[bytes, bytes, Sequence[str]]]:
    """Return pairs of outputs that are the same but for a few changes, the same in every run."""
    draw = random.Random(20250900)
    cases = []
    for _ in range(CASES):
        words = draw.choices(WORDS, k=draw.randrange(7))
        answer = laid_out(words, draw)
        changed = list(words)
        change = draw.randrange(6)
        if change == 0 and changed:
            changed[draw.randrange(len(changed))] = draw.choice(WORDS)
        elif change == 1 and changed:
            changed.pop()
        elif change == 2:
            changed.append(draw.choice(WORDS))
        elif change == 3 and changed:
            changed = [word.swapcase() if word.isascii() else word for word in changed]
        output = answer if change == 4 else laid_out(changed, draw)
        cases.append((answer.encode(), output.encode(), draw.choice(FLAGS)))
    return cases


def laid_out(words: Sequence[str], draw: random.Random) -> str:
    between = [draw.choice(SPACES) for _ in words]
    text = "".join(space + word for space, word in zip(between, words, strict=True))
    return text.removeprefix(between[0] if between and draw.random() < 0.7 else "") + draw.choice(
        ("\n", "\n", "", " ")
    )


def test_both_agree_on_all_that_is_specified(oracle: Oracle) -> None:
    cases = drawn_cases()
    with ThreadPoolExecutor(4) as threads:
        expected = list(threads.map(lambda case: oracle(*case), cases))
    wrong = [
        (case, told, ours(*case))
        for case, told in zip(cases, expected, strict=True)
        if ours(*case) != told
    ]
    assert not wrong, wrong[:5]
    # Both verdicts are common, or the cases would show little.
    assert min(expected.count("AC"), expected.count("WA")) > CASES / 5


@pytest.mark.parametrize(("answer", "output", "args", "theirs", "specified"), DEVIATIONS)
def test_deviations_are_those_that_are_listed(
    oracle: Oracle, answer: bytes, output: bytes, args: Sequence[str], theirs: str, specified: str
) -> None:
    assert oracle(answer, output, args) == theirs
    assert ours(answer, output, args) == specified
