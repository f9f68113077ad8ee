from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.execution.model import SourceFile, Stage
from codewitness.judging.cases import CaseInput, TestCase
from codewitness.judging.comparison import EXACT, TOKENS, TRIMMED, Comparison
from codewitness.judging.verdict import Mismatch, mismatches

GIVEN = CaseInput("1", stdin=b"", expected=b"Hello\n")
FINE = Stage(stdout=b"Hello\n", code=0)


def case_of(case_input: CaseInput = GIVEN, comparison: Comparison = TRIMMED) -> TestCase:
    return TestCase(
        name="case",
        folder=Path("case"),
        description="",
        language="python",
        files=(SourceFile(b"", "main.py"),),
        inputs=(case_input,),
        comparison=comparison,
    )


def test_expected_run_matches() -> None:
    assert mismatches(case_of(), GIVEN, FINE) == []
    assert mismatches(case_of(), GIVEN, FINE, Stage(code=0)) == []


@given(output=st.binary(), code=st.integers(0, 255), stderr=st.none() | st.binary())
def test_run_that_is_all_as_expected_matches(
    output: bytes, code: int, stderr: bytes | None
) -> None:
    case_input = CaseInput("1", b"", output, exit_code=code, stderr=stderr)
    run = Stage(
        output, b"anything" if stderr is None else stderr, code=code, status="RE" if code else None
    )
    assert mismatches(case_of(case_input, EXACT), case_input, run) == []


@pytest.mark.parametrize(
    ("run", "received"),
    [
        (Stage(b"Hello\n", code=1), "exit code 1"),
        (
            Stage(b"Hello\n", code=1, status="RE", message="Exited with error status 1"),
            "exit code 1, status RE, Exited with error status 1",
        ),
        (
            Stage(b"Hello\n", signal="SIGKILL", status="TO", message="Time limit exceeded"),
            "signal SIGKILL, status TO, Time limit exceeded",
        ),
        (Stage(b"Hello\n", signal="SIGKILL"), "signal SIGKILL"),
        (Stage(b"Hello\n", code=0, signal="SIGKILL"), "exit code 0, signal SIGKILL"),
        (Stage(b"Hello\n", code=0, status="TO"), "exit code 0, status TO"),
        (Stage(b"Hello\n", code=0, status="OL"), "exit code 0, status OL"),
        (Stage(b"Hello\n", code=0, status="RE"), "exit code 0, status RE"),
        (Stage(b"Hello\n", code=0, status="XX"), "exit code 0, status XX"),
        (Stage(b"Hello\n"), "no exit code"),
    ],
)
def test_right_output_of_a_run_that_ended_otherwise_does_not_match(
    run: Stage, received: str
) -> None:
    assert mismatches(case_of(), GIVEN, run) == [
        Mismatch("exit code", "exit code 0", received, f"expected exit code 0, got {received}")
    ]


@pytest.mark.parametrize("status", ["TO", "OL", "EL", "SG", "XX"])
@pytest.mark.parametrize("code", [None, 137])
def test_kill_is_not_the_exit_code_that_was_expected(status: str, code: int | None) -> None:
    case_input = CaseInput("1", b"", b"Hello\n", exit_code=137)
    run = Stage(b"Hello\n", code=code, status=status, signal="SIGKILL")
    assert [each.subject for each in mismatches(case_of(case_input), case_input, run)] == [
        "exit code"
    ]
    run = Stage(b"Hello\n", code=code, status=status)
    assert [each.subject for each in mismatches(case_of(case_input), case_input, run)] == [
        "exit code"
    ]


@pytest.mark.parametrize("nothing", [None, ""])
def test_services_may_leave_signal_and_status_empty(nothing: str | None) -> None:
    run = Stage(b"Hello\n", code=0, signal=nothing, status=nothing, message=nothing)
    assert mismatches(case_of(), GIVEN, run) == []


def test_output_is_shown_as_it_is() -> None:
    (found,) = mismatches(case_of(), GIVEN, Stage(b"Hallo\r\n", code=0))
    assert (found.subject, found.expected, found.received) == ("stdout", b"Hello\n", b"Hallo\r\n")
    assert str(found) == ("stdout: line 1, column 2: expected 'e', got 'a', compared trimmed")


def test_comparison_of_the_case_decides() -> None:
    run = Stage(b"HELLO", code=0)
    assert mismatches(case_of(comparison=TOKENS), GIVEN, run) == []
    assert mismatches(case_of(comparison=TRIMMED), GIVEN, run)


def test_standard_error_counts_only_where_it_is_expected() -> None:
    run = Stage(b"Hello\n", b"careful\n", code=0)
    assert mismatches(case_of(), GIVEN, run) == []
    for expected in (b"", b"beware\n"):
        case_input = CaseInput("1", b"", b"Hello\n", stderr=expected)
        (found,) = mismatches(case_of(case_input), case_input, run)
        assert (found.subject, found.expected, found.received) == ("stderr", expected, b"careful\n")


def test_how_the_program_ended_comes_first() -> None:
    case_input = CaseInput("1", b"", b"Hello\n", stderr=b"")
    run = Stage(b"", b"Traceback", code=1)
    subjects = [each.subject for each in mismatches(case_of(case_input), case_input, run)]
    assert subjects == ["exit code", "stdout", "stderr"]


def test_failed_compilation_never_matches() -> None:
    case_input = CaseInput("1", b"", b"", exit_code=1)
    failed = Stage(b"", b"main.c:1: error", code=1)
    # Services answer with a copy of the compile stage as the run.
    assert mismatches(case_of(case_input), case_input, failed) == []
    assert mismatches(case_of(case_input), case_input, failed, failed) == [
        Mismatch("compilation", "success", "exit code 1", "failed: exit code 1")
    ]
