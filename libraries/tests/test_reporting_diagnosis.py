"""Every diagnosis that a result allows, on an example of the fault that it names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    Limits,
    PlatformFault,
    Provenance,
    RequestRefused,
    SourceFile,
    Stage,
)
from codewitness.reporting.diagnosis import (
    control_request,
    diagnose_mismatch,
    explain,
    new_nonce,
    platform_error_in,
)

NONCE = "nonce-0123456789abcdef"
OTHER_NONCE = b"nonce-fedcba9876543210\n"
CONTROL = Stage(f"{NONCE}\n".encode(), f"{NONCE} on stderr\n".encode(), code=3)
SILENT = Stage(code=0)
KILLED = Stage(b"a\n", code=None, signal="SIGKILL")


def python(source: str, **options: Any) -> ExecutionRequest:
    return replace(ExecutionRequest("python", (SourceFile(source.encode()),)), **options)


def other(language: str) -> ExecutionRequest:
    return ExecutionRequest(language, (SourceFile(b"program"),))


def result_of(run: Stage, elapsed: float = 0.1, **options: Any) -> ExecutionResult:
    answer = ExecutionResult("python", "3.11.2", run, Provenance("backend"), elapsed=elapsed)
    return replace(answer, **options)


def failed(stderr: str, code: int = 1) -> Stage:
    return Stage(stderr=stderr.encode(), code=code)


PRINT = python("print('hi')")
HI = b"hi\n"


def row(
    request: ExecutionRequest,
    run: Stage,
    control: Stage | ExecutionError | None = None,
    expected: bytes | None = None,
    elapsed: float = 0.1,
    **options: Any,
) -> str:
    diagnosis = diagnose_mismatch(
        request,
        result_of(run, elapsed, **options),
        result_of(control) if isinstance(control, Stage) else control,
        expected_stdout=expected,
    )
    assert diagnosis.cause
    assert diagnosis.cure
    assert not diagnosis.cause.endswith(".")
    assert not diagnosis.cure.endswith(".")
    return diagnosis.row


# Platform errors that arrive as a program's result (X1, X5, X14 and the fault inside).


@pytest.mark.parametrize(
    ("text", "code", "expected_row"),
    [
        ("ERROR: POOL_MANAGEMENT_ENDPOINT not configured in environment", 1, "X1"),
        ("ERROR: Azure authentication failed: no credential", 1, "I7"),
        ("Azure Session Pool Error: 429 - Error happened when allocating pod", 1, "C1"),
        ('Azure Session Pool Error: 429 - {"code": "SessionsCountExceedsLimit"}', 1, "C4"),
        ("Azure Session Pool Error: 401 - ", 1, "I1"),
        ("Azure Session Pool Error: 403 - Unauthenticated", 1, "I3"),
        ('Azure Session Pool Error: 404 - {"message":"Not Found"}', 1, "R1"),
        ("Azure Session Pool Error: 502 - Bad Gateway", 1, "C7"),
        ("Azure Session Pool Error: 503 - ", 1, "C6"),
        ("Azure Session Pool Error: 504 - upstream request timeout", 1, "C9"),
        ("Azure Session Pool Error: 400 - required parameter identifier", 1, "R5"),
        ("Azure Session Pool Error: 400 - SessionPropertiesMissing", 1, "R7"),
        ("Azure Session Pool Error: 400 - DynamicApisNotAllowed", 1, "R8"),
        (
            "Azure Session Pool Error: 400 - SessionRequestValidationFailed: the api-version is "
            "not supported",
            1,
            "R9",
        ),
        (
            "Azure Session Pool Error: 400 - SessionRequestValidationFailed: The required "
            "parameter 'identifier' is missing",
            1,
            "R5",
        ),
        ("Azure Session Pool Error: Request timed out waiting for code execution", 1, "C11"),
        ("Piston API error: 500 - python-3.10.0 runtime is unknown", 1, "X9"),
        ("Piston API error: 400 - No test cases provided", 1, "X14"),
        ("Piston API error: Cannot connect to host", 1, "X1"),
        ("\nAzure Session Pool Error: timed out", 1, "X1"),
        ("Mock execution for python", 0, "X5"),
        ("Mock execution for python", 1, "X5"),
    ],
)
def test_platform_error_as_result(text: str, code: int, expected_row: str) -> None:
    result = result_of(failed(text, code))
    error = platform_error_in(result, PRINT)
    assert error is not None
    assert error.kind is FaultKind.PLATFORM_ERROR_AS_RESULT
    assert error.status == 200
    assert text.strip() in error.detail
    assert explain(error).row == expected_row
    assert row(PRINT, result.run) == expected_row


def test_route_is_absent_where_the_control_program_has_one() -> None:
    text = 'Piston API error: 404 - {"message": "Not Found"}'
    assert row(other("c++"), failed(text), CONTROL) == "R3"
    assert row(other("c++"), failed(text), failed(text)) == "R1"
    assert row(other("c++"), failed("Piston API error: 502 - "), CONTROL) == "C7"


def test_virtual_machine_that_complains_on_stdout_is_not_blamed_on_the_adapter() -> None:
    said = b"Error occurred during initialization of VM\nCould not reserve enough space\n"
    assert row(other("java"), Stage(said, code=1), CONTROL, HI) == "X12"


def test_candidates_are_all_named() -> None:
    error = platform_error_in(result_of(failed("Azure Session Pool Error: 404 - ")), PRINT)
    assert error is not None
    assert explain(error).rows == ("R1", "R2")


def test_status_xx_is_the_platforms() -> None:
    run = Stage(status="XX", message="isolate: cannot set up the box")
    error = platform_error_in(result_of(run))
    assert error is not None
    assert "isolate: cannot set up the box" in error.detail
    assert explain(error).row == "X1"
    assert platform_error_in(result_of(SILENT, compile=run)) is not None


def test_placeholder_on_stdout() -> None:
    assert platform_error_in(result_of(Stage(b"Mock execution for python\n", code=0))) is not None


@pytest.mark.parametrize(
    "run",
    [
        Stage(HI, code=0),
        failed("ZeroDivisionError: division by zero"),
        failed("it said Azure Session Pool Error: 429"),
        failed("Azure Session Pool Error: 429\nTraceback (most recent call last):"),
        failed("Azure Session Pool Error: 429", code=2),
        Stage(b"out\n", b"Azure Session Pool Error: 429", code=1),
        Stage(b"Azure Session Pool Error: 429", code=1),
        Stage(b"a line, then\nMock execution for python\n", code=0),
    ],
)
def test_programs_own_failure_is_no_platform_error(run: Stage) -> None:
    assert platform_error_in(result_of(run), PRINT) is None


def test_program_that_prints_such_a_text_is_told_apart() -> None:
    source = "import sys\nsys.exit(f'Azure Session Pool Error: {400 + 29}')"
    result = result_of(failed("Azure Session Pool Error: 429\n"))
    assert platform_error_in(result, python(source)) is None
    assert platform_error_in(result, PRINT) is not None


def test_platforms_text_shows_no_secret_and_no_stack() -> None:
    text = (
        "Azure Session Pool Error: 500 - KeyError\n    at handle (/srv/app/index.js:10:5)\n"
        "Authorization: Bearer abcdef123456\x1b[0m"
    )
    error = platform_error_in(result_of(failed(text)), PRINT)
    assert error is not None
    assert "KeyError" in error.detail
    assert "/srv" not in error.detail
    assert "abcdef123456" not in error.detail
    assert "\x1b" not in error.detail


def test_control_program_that_failed_alike_shows_the_platform() -> None:
    run = failed("no session for you: HTTP 403", 1)
    assert row(PRINT, run, run) == "I3"
    assert row(PRINT, failed("upstream is gone"), failed("upstream is gone")) == "X1"
    assert row(PRINT, failed("ValueError"), CONTROL) == ""


@pytest.mark.parametrize("wrapped", [True, False])
def test_control_program_that_met_a_platform_error(wrapped: bool) -> None:
    if wrapped:
        control: Stage | ExecutionError = failed("Azure Session Pool Error: 429 - ")
    else:
        control = PlatformFault(FaultKind.CAPACITY, "HTTP 429", status=429)
    assert row(PRINT, SILENT, control) == "C2"


# Wrong results, row by row.


@pytest.mark.parametrize(
    ("request_", "run", "control", "expected_row"),
    [
        pytest.param(PRINT, SILENT, None, "X2", id="all-success"),
        pytest.param(PRINT, SILENT, SILENT, "X2", id="all-success-control-too"),
        pytest.param(PRINT, SILENT, CONTROL, "X21", id="lost-once"),
        pytest.param(PRINT, Stage(HI, code=1), None, "X3", id="zero-as-one"),
        pytest.param(PRINT, Stage(HI, code=1), CONTROL, "X3", id="zero-as-one-control"),
        pytest.param(PRINT, Stage(b"x\n", code=0), Stage(b"x\n", code=0), "X5", id="fixed-text"),
        pytest.param(PRINT, Stage(OTHER_NONCE, code=0), None, "X16", id="somebody-else's"),
        pytest.param(
            python("print(open('left.txt').read())"),
            Stage(OTHER_NONCE, code=0),
            None,
            "X7",
            id="left-behind",
        ),
        pytest.param(
            PRINT, Stage(HI, code=0), replace(CONTROL, code=0), "X17", id="exit-code-lost"
        ),
        pytest.param(
            PRINT,
            Stage(b"", HI, code=0),
            Stage(CONTROL.stderr, CONTROL.stdout, code=3),
            "X18",
            id="streams-swapped",
        ),
        pytest.param(
            PRINT,
            Stage(b"hi\nwarning\n", code=0),
            Stage(CONTROL.stdout + CONTROL.stderr, code=3),
            "X18",
            id="streams-merged",
        ),
        pytest.param(
            PRINT, Stage(HI, code=0), replace(CONTROL, stderr=b""), "X18", id="stderr-lost"
        ),
        pytest.param(
            other("java"),
            failed('  File "/tmp/x", line 1\n    class A {\nSyntaxError: invalid syntax'),
            None,
            "X8",
            id="java-as-python",
        ),
        pytest.param(
            other("java"),
            failed("error: class A is public, should be declared in a file named A.java"),
            None,
            "X13",
            id="class-name",
        ),
        pytest.param(
            other("java"),
            failed("Error: Could not find or load main class Main"),
            None,
            "X13",
            id="main-class",
        ),
        pytest.param(
            other("java"),
            failed("Could not reserve enough space for code cache"),
            None,
            "X12",
            id="jvm-memory",
        ),
        pytest.param(other("java"), failed(""), CONTROL, "X12", id="jvm-says-nothing"),
        pytest.param(
            other("javascript"), failed("# Fatal process OOM in x", 133), None, "X12", id="node"
        ),
        pytest.param(
            PRINT,
            failed("Request timed out waiting for code execution to complete"),
            None,
            "C11",
            id="interpreter-limit",
        ),
        pytest.param(PRINT, failed("Unsupported language: csharp"), None, "X6", id="old-image"),
        pytest.param(PRINT, failed("python-3.10.0 runtime is unknown"), None, "X9", id="pinned"),
        pytest.param(
            python("if __name__ == '__main__':\n    print('hi')"),
            SILENT,
            CONTROL,
            "X22",
            id="not-main",
        ),
        pytest.param(PRINT, Stage(b"", code=137), None, "X19", id="killed-from-outside"),
        pytest.param(
            python("name = input()", stdin=b"Alice"),
            failed("EOFError: EOF when reading a line"),
            None,
            "X20",
            id="stdin-lost",
        ),
        pytest.param(
            python("name = input()"),
            failed("EOFError: EOF when reading a line"),
            None,
            "X20",
            id="no-newline-on-stdin",
        ),
        pytest.param(
            python("import sys; print(sys.argv[1])", args=("a",)),
            failed("IndexError: list index out of range"),
            None,
            "X10",
            id="args-dropped",
        ),
        pytest.param(
            PRINT,
            failed("UnicodeEncodeError: 'ascii' codec can't encode character"),
            None,
            "E1",
            id="ascii-locale",
        ),
        pytest.param(
            python("import socket; s = socket.create_connection(('127.0.0.1', 80)); print(1)"),
            Stage(b"1\n", code=0),
            CONTROL,
            "X15",
            id="host-network",
        ),
    ],
)
def test_wrong_result(
    request_: ExecutionRequest, run: Stage, control: Stage | None, expected_row: str
) -> None:
    assert row(request_, run, control) == expected_row


@pytest.mark.parametrize(
    "text",
    [
        "ModuleNotFoundError: No module named 'helper'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'data/helper.txt'",
        "Error: Cannot find module './helper'",
        "cat: helper.txt: No such file or directory",
    ],
)
def test_further_files_dropped(text: str) -> None:
    files = (SourceFile(b"program", "main.py"), SourceFile(b"x", "data/helper.txt"))
    assert row(python("", files=files), failed(text)) == "X10"
    assert row(PRINT, failed(text)) == ""


@pytest.mark.parametrize(
    ("run", "timeout", "elapsed", "expected_row"),
    [
        (KILLED, None, 3.1, "L2"),
        (KILLED, 1000, 1.1, "L2"),
        (KILLED, None, 0.1, "X11"),
        (replace(KILLED, status="TO"), None, 0.5, "L2"),
        (replace(KILLED, status="OL"), None, 3.1, "X11"),
        (replace(KILLED, status="EL"), None, 0.1, "X11"),
        (replace(KILLED, wall_time=3050.0), None, 9.0, "L2"),
        (failed("Execution timed out.", 124), None, 5.0, "L2"),
        (failed("Execution timed out.", 124), 500, 5.0, "X10"),
        (Stage(HI, code=0), 500, 5.0, "X10"),
    ],
)
def test_limits(run: Stage, timeout: float | None, elapsed: float, expected_row: str) -> None:
    request = python("print('hi')", limits=Limits(run_timeout=timeout))
    assert row(request, run, elapsed=elapsed) == expected_row


def test_waiting_between_attempts_is_no_ignored_limit() -> None:
    request = python("print('hi')", limits=Limits(run_timeout=500))
    assert row(request, Stage(HI, code=0), elapsed=5.0, retries=("HTTP 503",)) == ""


@pytest.mark.parametrize(
    ("expected", "stdout", "expected_row"),
    [
        ("é\n", "Ã©\n".encode(), "E2"),
        ("“\n", "â€œ\n".encode(), "E2"),
        ("é\n", b"?\n", "E1"),
        ("é\n", b"??\n", "E1"),
        ("é\n", "\ufffd\ufffd\n".encode(), "E3"),
        ("a\nb\n", b"a\r\nb\r\n", "W1"),
        ("a\r\nb\r\n", b"a\nb\n", "W1"),
        (" a \n", b"a", "W2"),
        ("a\n", b"a", "W2"),
        ("a \nb\n", b"a\nb\n", "W2"),
        ("a", b"a\n", "W3"),
        ("a\tb  c\n", b"a b c\n", "W4"),
        ("a\n\nb\n", b"a\nb\n", "W4"),
        ("<a> & 'b'\n", b"&lt;a&gt; &amp; 'b'\n", "E4"),
        ("a\tb\n", b"a\\tb\\n", "E4"),
        ("abcdef\n", b"abc", "X11"),
        ("hi\n", b"hi\noops\n", "X18"),
        ("hi\n", b"ho\n", ""),
    ],
)
def test_damaged_output(expected: str, stdout: bytes, expected_row: str) -> None:
    assert row(PRINT, Stage(stdout, code=0), CONTROL, expected.encode()) == expected_row


def test_args_without_effect() -> None:
    request = python("import sys; print(*sys.argv[1:])", args=("one", "two"))
    assert row(request, Stage(b"\n", code=0), CONTROL, b"one two\n") == "X10"


def test_program_that_failed_half_way_is_not_called_cut_off() -> None:
    assert row(PRINT, Stage(b"a\n", b"ValueError", code=1), CONTROL, b"a\nb\n") == ""


def test_program_that_exits_1_itself_is_not_blamed_on_the_adapter() -> None:
    assert row(python("print('hi'); exit(1)"), Stage(b"ho\n", code=1), CONTROL) == ""


def test_fallback_is_named_when_nothing_else_explains_it() -> None:
    provenance = Provenance("local", degraded="the pool did not answer")
    assert row(PRINT, Stage(b"ho\n", code=0), CONTROL, provenance=provenance) == "X4"


def test_control_program_narrows_it_down() -> None:
    run = Stage(b"ho\n", code=0)
    result, control = result_of(run), result_of(CONTROL)
    assert "ran a control program right" in diagnose_mismatch(PRINT, result, control).cause
    assert "control program" not in diagnose_mismatch(PRINT, result).cause


def test_control_program_holds_its_nonce() -> None:
    nonce = new_nonce()
    assert nonce != new_nonce()
    assert nonce.encode() in control_request(nonce).files[0].content


# Errors that were raised.


@pytest.mark.parametrize(
    ("refusal", "expected_row"),
    [
        (RequestRefused("body.files: field required", 422), "R10"),
        (RequestRefused("python-9 runtime is unknown"), "X6"),
        (RequestRefused("Unsupported language: csharp"), "X6"),
        (RequestRefused("run_timeout cannot exceed the configured limit of 3000"), "L1"),
        (RequestRefused("No test cases provided"), "X14"),
        (RequestRefused("missing required identifier"), "R5"),
        (RequestRefused("files is required as an array"), ""),
        (RequestRefused("", 413), ""),
    ],
)
def test_refusal(refusal: RequestRefused, expected_row: str) -> None:
    diagnosis = explain(refusal)
    assert diagnosis.row == expected_row
    assert "program" not in diagnosis.cause


def test_fault_keeps_what_its_raiser_knows() -> None:
    fault = PlatformFault(FaultKind.SANDBOX, "bwrap: no", cause="no namespaces. To do: allow them.")
    diagnosis = explain(fault)
    assert (diagnosis.cause, diagnosis.cure) == ("no namespaces", "allow them")
    assert explain(PlatformFault(FaultKind.SANDBOX, "sandbox", cause="only a cause")).cure == ""


def test_fault_without_a_cause_gets_one() -> None:
    assert explain(PlatformFault(FaultKind.CAPACITY, "HTTP 502", status=502)).row == "C7"
    assert explain(ExecutionError("whatever")).cause
