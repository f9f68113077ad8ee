from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.execution.model import (
    ExecutionError,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    Provenance,
    RequestRefused,
    SourceFile,
    Stage,
)
from codewitness.judging.cases import CaseInput, TestCase
from codewitness.judging.comparison import EXACT, TOKENS, TRIMMED, Comparison
from codewitness.judging.problem import Case, Content, ProblemLimits
from codewitness.judging.verdict import (
    CaseVerdict,
    DefaultValidator,
    JudgingLimits,
    Mismatch,
    Validation,
    Verdict,
    judge,
    judging_limits,
    mismatches,
)

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


# Verdicts.

CASE = Case("secret/1", Content(), Content(held=b"Hello\n"))
LIMITS = JudgingLimits(time=2.0, wider_time=3.0, memory=1000, output=100)
KILLED = "SIGKILL"


class Failing:
    """A validator that can't judge, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.asked = 0

    def validate(self, output: bytes, case: Case) -> Validation:
        self.asked += 1
        return Validation(Verdict.JE, f"broke off at {output!r} of {case.name}")


def judged(
    run: Stage | ExecutionError, case: Case = CASE, limits: JudgingLimits = LIMITS
) -> CaseVerdict:
    outcome = run if isinstance(run, ExecutionError) else result_of(run)
    return judge(outcome, case, DefaultValidator(), limits)


def result_of(
    run: Stage, compilation: Stage | None = None, elapsed: float = 0.0
) -> ExecutionResult:
    provenance = Provenance("test")
    return ExecutionResult("python", "3", run, provenance, compilation, elapsed=elapsed)


def test_words_for_every_verdict() -> None:
    assert len({verdict.words for verdict in Verdict}) == len(Verdict) == 8
    assert str(Verdict.AC) == "AC"
    assert Verdict.AC in {"AC"}


@pytest.mark.parametrize(
    ("run", "verdict", "reason"),
    [
        (FINE, Verdict.AC, "matches, compared trimmed"),
        (Stage(b"Hallo\n", code=0), Verdict.WA, "line 1, column 2: expected 'e', got 'a'"),
        (Stage(b"", code=0), Verdict.WA, "expected 'H', got end of output"),
        (
            Stage(b"Hello\n", code=1, status="RE"),
            Verdict.RTE,
            "expected exit code 0, got exit code 1",
        ),
        (Stage(b"Hello\n", code=42), Verdict.RTE, "got exit code 42"),
        (Stage(b"Hello\n", signal="SIGSEGV", status="SG"), Verdict.RTE, "signal SIGSEGV"),
        (Stage(b"Hello\n"), Verdict.RTE, "no exit code"),
        (Stage(b"Hello\n", status="OL", signal=KILLED), Verdict.OLE, "status OL"),
        (Stage(b"Hello\n", status="EL", signal=KILLED), Verdict.OLE, "status EL"),
        (Stage(b"x" * 101, code=0), Verdict.OLE, "101 bytes of output, where 100 are allowed"),
        (Stage(b"Hello\n", code=0, memory=1001), Verdict.MLE, "1,001 bytes of memory"),
        (
            Stage(b"Hello\n", status="SG", memory=999, signal=KILLED),
            Verdict.MLE,
            "999 bytes of memory",
        ),
        (Stage(b"Hello\n", status="SG", memory=500, signal=KILLED), Verdict.RTE, "SIGKILL"),
        (Stage(b"Hello\n", status="TO", signal=KILLED), Verdict.TLE, "stopped at a time limit"),
        (
            Stage(b"Hello\n", code=0, cpu_time=3001),
            Verdict.TLE,
            "3 s of processor time, more than 2 s",
        ),
        (Stage(b"Hello\n", code=0, wall_time=3500), Verdict.TLE, "3.5 s of elapsed time"),
        (Stage(b"Hello\n", code=0, status="XX"), Verdict.JE, "out of order"),
        (PlatformFault(FaultKind.CAPACITY, "full"), Verdict.JE, "out of capacity: full"),
        (RequestRefused("no such language"), Verdict.JE, "no such language"),
    ],
)
def test_run_gets_its_verdict(run: Stage | ExecutionError, verdict: Verdict, reason: str) -> None:
    found = judged(run)
    assert (found.verdict, found.at_wider_limit) == (verdict, verdict)
    assert reason in found.reason
    assert not found.is_sensitive


# Each run is also guilty of all that is decided after it.
@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        (Stage(b"", status="XX", signal="SIGKILL", cpu_time=9e3, memory=2000), Verdict.JE),
        (Stage(b"x" * 200, code=1, cpu_time=9e3, memory=2000), Verdict.TLE),
        (Stage(b"x" * 200, code=1, memory=2000), Verdict.MLE),
        (Stage(b"x" * 200, code=1), Verdict.OLE),
        (Stage(b"x", code=1), Verdict.RTE),
        (Stage(b"x", code=0), Verdict.WA),
    ],
)
def test_verdicts_are_decided_in_order(run: Stage, verdict: Verdict) -> None:
    assert judged(run).verdict is verdict


def test_compiler_that_got_no_processor_says_nothing_of_the_program() -> None:
    stopped = Stage(signal="SIGKILL", status="TO", cpu_time=1700, wall_time=10_000)
    told = judge(result_of(stopped, stopped), CASE, DefaultValidator(), LIMITS)
    assert told.verdict is told.at_wider_limit is Verdict.JE
    assert told.reason == (
        "the compiler was stopped, and had computed for 1.7 s of 10 s that went by: the machine is"
        " too busy to judge by"
    )


@pytest.mark.parametrize("times", [(9_900, 10_000), (None, 10_000), (9_900, None)])
def test_compiler_that_computed_too_long_did_not_compile(
    times: tuple[float | None, float | None],
) -> None:
    stopped = Stage(signal="SIGKILL", status="TO", cpu_time=times[0], wall_time=times[1])
    told = judge(result_of(stopped, stopped), CASE, DefaultValidator(), LIMITS)
    assert told.verdict is Verdict.CE


def test_program_that_was_not_compiled_did_not_run() -> None:
    failed = Stage(b"", b"main.c:1: error", code=1, cpu_time=9e3)
    found = judge(result_of(failed, failed), CASE, DefaultValidator(), LIMITS)
    assert (found.verdict, found.at_wider_limit, found.run) == (Verdict.CE, Verdict.CE, None)
    broken = Stage(status="XX", message="no compiler")
    assert judge(result_of(broken, broken), CASE, DefaultValidator(), LIMITS).verdict is Verdict.JE


def test_exit_code_and_stderr_of_the_case_count() -> None:
    case = Case(
        "1", Content(), Content(held=b"Hello\n"), exit_code=42, stderr=Content(held=b"no\n")
    )
    assert judged(Stage(b"Hello\n", b"no", code=42, status="RE"), case).verdict is Verdict.AC
    assert judged(Stage(b"Hello\n", b"no", code=0), case).verdict is Verdict.RTE
    wrong = judged(Stage(b"Hello\n", b"yes", code=42), case)
    assert wrong.verdict is Verdict.WA
    assert wrong.reason.startswith("stderr, line 1, column 1: expected 'n', got 'y'")
    assert wrong.validation is not None
    assert wrong.validation.stream == "stderr"


def test_what_a_validator_cannot_judge_is_nobodys_wrong_answer() -> None:
    validator = Failing()
    found = judge(result_of(FINE), CASE, validator, LIMITS)
    assert found.verdict is Verdict.JE
    assert found.reason == "broke off at b'Hello\\n' of secret/1"
    # A run that did not end as it should is none of its business.
    for run in (Stage(b"", code=1), Stage(b"", code=0, cpu_time=9e3)):
        assert judge(result_of(run), CASE, validator, LIMITS).verdict is not Verdict.JE
    assert validator.asked == 1


def test_expected_output_that_is_gone_is_a_judge_error(tmp_path: Path) -> None:
    case = Case("1", Content(), Content(tmp_path / "gone.ans"))
    found = judged(FINE, case)
    assert found.verdict is Verdict.JE
    assert "can't be read" in found.reason


@pytest.mark.parametrize(
    ("output", "cpu", "verdict", "at_wider"),
    [
        (b"Hello\n", 2.0, Verdict.AC, Verdict.AC),
        (b"Hello\n", 2.001, Verdict.TLE, Verdict.AC),
        (b"Hallo\n", 2.5, Verdict.TLE, Verdict.WA),
        (b"Hello\n", 3.0, Verdict.TLE, Verdict.AC),
        (b"Hello\n", 3.001, Verdict.TLE, Verdict.TLE),
        (b"Hallo\n", 1.0, Verdict.WA, Verdict.WA),
    ],
)
def test_time_is_judged_at_two_limits(
    output: bytes, cpu: float, verdict: Verdict, at_wider: Verdict
) -> None:
    found = judged(Stage(output, code=0, cpu_time=cpu * 1000, wall_time=9999))
    assert (found.verdict, found.at_wider_limit, found.time) == (verdict, at_wider, cpu)
    assert found.is_sensitive == (verdict is not at_wider)
    assert ("sensitive to time limit" in found.remark) == found.is_sensitive


def test_crash_between_the_limits_is_sensitive_too() -> None:
    found = judged(Stage(b"", code=1, cpu_time=2500))
    assert (found.verdict, found.at_wider_limit) == (Verdict.TLE, Verdict.RTE)
    assert "RTE at 3 s" in str(found)


def test_slow_machine_and_limit_that_is_not_enforced_are_told_apart() -> None:
    busy = judged(Stage(b"", status="TO", cpu_time=500, wall_time=7000, signal=KILLED))
    assert busy.verdict is Verdict.TLE
    assert "computed for 0.5 s of 7 s" in busy.remark
    assert "too busy" in busy.remark
    unstopped = judged(Stage(b"Hello\n", code=0, cpu_time=6000, wall_time=6100))
    assert unstopped.verdict is Verdict.TLE
    assert unstopped.remark.startswith("limit not enforced: it ended by itself after 6 s")
    stopped = judged(Stage(b"", status="TO", cpu_time=3010, wall_time=3100, signal=KILLED))
    assert (stopped.verdict, stopped.remark) == (Verdict.TLE, "")


def test_service_that_allows_less_time_than_the_problem_is_to_blame() -> None:
    run = Stage(b"", status="TO", cpu_time=1000, wall_time=1010, signal=KILLED)
    found = judged(run)
    assert found.verdict is Verdict.JE
    assert "the service stopped it after 1.01 s of the 2 s that it may take" in found.reason


def test_kill_without_a_reason_is_explained_by_its_time() -> None:
    killed = Stage(b"Hello\n", signal=KILLED)
    late = judge(result_of(killed, elapsed=3.1), CASE, DefaultValidator(), LIMITS)
    early = judge(result_of(killed, elapsed=0.2), CASE, DefaultValidator(), LIMITS)
    assert (late.verdict, early.verdict) == (Verdict.TLE, Verdict.RTE)


def test_without_any_limit_only_the_service_decides_about_time() -> None:
    limits = JudgingLimits()
    slow = Stage(b"Hello\n", code=0, cpu_time=1e6, memory=1 << 40)
    assert judged(slow, limits=limits).verdict is Verdict.AC
    assert judged(Stage(b"", status="TO", signal=KILLED), limits=limits).verdict is Verdict.TLE


def test_limits_of_a_problem_are_those_to_judge_by_and_to_ask_for() -> None:
    limits = judging_limits(ProblemLimits(time=4.0, time_limit_to_tle=2.0, memory=1 << 20), 1.0)
    assert limits == JudgingLimits(4.0, 8.0, 1 << 20, None)
    asked = limits.to_ask()
    assert (asked.run_cpu_time, asked.run_timeout) == (8000, 17000)
    assert asked.run_memory_limit == 1 << 20
    assert judging_limits(ProblemLimits(), 1.0).time == 1.0
    assert judging_limits(ProblemLimits()) == JudgingLimits(2.0, 3.0)
    assert JudgingLimits().to_ask().run_timeout is None
