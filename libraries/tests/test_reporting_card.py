"""Failure cards: what they say, what they never say, and how long they get."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robot.utils.text import cut_long_message

from codewitness.execution.causes import Diagnosis
from codewitness.execution.http_client import HttpAnswer, HttpCall
from codewitness.execution.model import (
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
from codewitness.reporting.card import (
    LONGEST_CARD,
    Mismatch,
    answer_card,
    fault_card,
    mismatch_card,
)
from codewitness.reporting.diagnosis import explain
from tests.test_reporting_visible import XML_1_0

SECRET = "s3cr3t-value"
REQUEST = ExecutionRequest(
    "python",
    (SourceFile(b"a = input()\nprint(a)\n", "main.py"), SourceFile(b"12345", "data/more.txt")),
    stdin=b"5 \n",
    args=("one two", "x\n"),
    limits=Limits(run_timeout=500, run_memory_limit=100_000_000),
)
RESULT = ExecutionResult(
    "python",
    "3.11.2",
    Stage(b"a\n", b"a warning\n", code=0, wall_time=12.4, cpu_time=10.0),
    Provenance("local", "bubblewrap 0.8.0"),
    elapsed=0.0412,
    retries=("connection refused; tried again after 0.2 s",),
)
DIAGNOSIS = Diagnosis("lines get lost", "look at the adapter", "X99")
CARD = """\
stdout differs from what was expected: line 2, column 1: expected 'b', got end of output

Expected      4 bytes
              a⏎
              b⏎
Received      a⏎
Difference    line 2, column 1
              expected  b⏎
              received  (nothing)
                        ^
Saved         received: bodies/001-stdout.bin
Sent          python, version *
              program main.py, 21 bytes:
                1  a = input()
                2  print(a)
              file data/more.txt, 5 bytes
              2 args: "one two", "x\\n"
              run_timeout 500 ms, run_memory_limit 100,000,000 bytes
Stdin         5·⏎
Answer        exit code 0, from python 3.11.2
Stderr        a warning
Symbols       · space, ⏎ line feed
Where         backend at http://localhost:2000/
Time          0.041 s in all; run wall 12 ms, cpu 10 ms
              before that: connection refused; tried again after 0.2 s
Clause        test plan, T2.2
Likely cause  [X99] lines get lost
To do         look at the adapter
Repeat        curl -sS http://localhost:2000/"""


def card_of(
    mismatch: Mismatch,
    request: ExecutionRequest | None = REQUEST,
    result: ExecutionResult | None = RESULT,
    where: str = "somewhere",
) -> str:
    return mismatch_card(mismatch, request, result, diagnosis=DIAGNOSIS, where=where)


def stdout_of(run: Stage, expected: bytes = b"b\n", compiled: Stage | None = None) -> str:
    result = replace(RESULT, run=run, compile=compiled)
    return card_of(Mismatch("stdout", "equals", expected, run.stdout), result=result)


def first_line(card: str) -> str:
    return card.partition("\n")[0]


def test_whole_card() -> None:
    card = mismatch_card(
        Mismatch("stdout", "equals", b"a\nb\n", b"a\n", "test plan, T2.2"),
        REQUEST,
        RESULT,
        diagnosis=DIAGNOSIS,
        where="backend at http://localhost:2000/",
        repeat="curl -sS http://localhost:2000/",
        saved={"received": "bodies/001-stdout.bin"},
    )
    assert card == CARD


def test_card_without_a_request() -> None:
    card = mismatch_card(
        Mismatch("runtimes", "lists", "python", "an empty list"),
        None,
        None,
        diagnosis=None,
        where="",
    )
    assert card == (
        "runtimes is not what was expected (lists): expected python, got an empty list\n\n"
        "Expected      lists: python\nReceived      an empty list\nWhere         not known"
    )


@pytest.mark.parametrize(
    ("mismatch", "told"),
    [
        (
            Mismatch("exit code", "equals", "0", "1"),
            "exit code differs from what was expected: expected 0, got 1",
        ),
        (
            Mismatch("stderr", "contains", b"ZeroDivisionError", b""),
            "stderr does not contain what was expected: expected 'ZeroDivisionError', got nothing",
        ),
        (
            Mismatch("stdout", "contains", b"a b", b"a\tb\nc\n"),
            "stdout does not contain what was expected: expected 'a·b', got 'a→b⏎'",
        ),
        (
            Mismatch("latency", "is below", "5 s", "7 s", detail="a cold start"),
            "latency is not what was expected (is below): expected 5 s, got 7 s (a cold start)",
        ),
        (
            Mismatch("stdout", "equals, trimmed", b"a \nb\n", b"a\nc\n", places=((2, 1), (2, 1))),
            "stdout is not what was expected (equals, trimmed): line 2, column 1: expected 'b', "
            "got 'c'",
        ),
    ],
)
def test_first_line_says_it_all(mismatch: Mismatch, told: str) -> None:
    assert first_line(card_of(mismatch)) == told


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (
            Stage(b"", b"Traceback\n  File\nValueError: bad\n\n", code=1),
            "; the program ended with exit code 1: ValueError: bad",
        ),
        (Stage(b"", code=3), "; the program ended with exit code 3"),
        (Stage(b"", code=None, signal="SIGKILL"), "; the program was killed by SIGKILL"),
        (
            Stage(b"", code=None, signal="SIGKILL", status="TO"),
            "; the program was stopped at its time limit",
        ),
        (
            Stage(b"", code=None, signal="SIGKILL", status="OL"),
            "; the program was stopped at its output limit",
        ),
    ],
)
def test_first_line_says_how_the_program_ended(run: Stage, told: str) -> None:
    assert first_line(stdout_of(run)).endswith(told)


def test_failed_compilation_is_shown_once() -> None:
    stage = Stage(stderr=b"main.c: In function main:\nmain.c:1:1: error: no\n^\n", code=1)
    card = stdout_of(stage, compiled=stage)
    assert first_line(card).endswith("; compilation failed: main.c:1:1: error: no")
    assert "Compiler      exit code 1\n" in card
    assert card.count("main.c: In function main:") == 1


def test_other_streams_are_shown_for_reading() -> None:
    run = Stage(b"out put\n", b"".join(b"line %d\n" % n for n in range(40)), code=1)
    card = card_of(Mismatch("exit code", "equals", "0", "1"), result=replace(RESULT, run=run))
    assert "Stdout        out put\n" in card
    assert "Stderr        … 28 lines before\n" in card
    assert "line 39\n" in card


def test_difference_is_shown_wherever_it_is() -> None:
    lines = [b"line %d\n" % number for number in range(200)]
    received = [*lines[:150], b"line CL\n", *lines[151:]]
    card = card_of(Mismatch("stdout", "equals", b"".join(lines), b"".join(received)))
    assert "line·150⏎" in card
    assert "line·CL⏎" in card
    rows = card.split("\n")
    caret = rows.index(next(row for row in rows if row.strip() == "^"))
    assert rows[caret - 1][rows[caret].index("^")] == "C"


def test_each_line_has_its_own_caret_where_places_differ() -> None:
    mismatch = Mismatch("stdout", "equals, tokens", b"a  b\n", b"a c\n", places=((1, 4), (1, 3)))
    rows = card_of(mismatch).split("\n")
    carets = [row.index("^") for row in rows if row.strip() == "^"]
    assert carets[0] - carets[1] == 1


def test_symbols_are_explained_only_where_they_occur() -> None:
    mismatch = Mismatch("exit code", "equals", "0", "1")
    assert "Symbols" not in card_of(mismatch, replace(REQUEST, stdin=b""))


def test_fallback_cannot_be_overlooked() -> None:
    provenance = Provenance("local", degraded="the pool is out of order", notes=("a note",))
    card = card_of(
        Mismatch("exit code", "equals", "0", "1"), None, replace(RESULT, provenance=provenance)
    )
    assert "DEGRADED: the pool is out of order" in card
    assert "a note" in card


def test_place_is_not_proven_unless_told() -> None:
    mismatch = Mismatch("exit code", "equals", "0", "1")
    result = replace(RESULT, provenance=Provenance("backend http://x/"))
    assert "Where         backend http://x/, sandbox not proven\n" in card_of(
        mismatch, None, result, where=""
    )


def test_program_and_body_are_cut_to_a_readable_size() -> None:
    source = "".join(f"print({number})\n" for number in range(500))
    request = ExecutionRequest("python", (SourceFile(source.encode()),))
    card = card_of(Mismatch("stdout", "equals", b"x\n" * 900, b"y\n" * 900), request)
    assert "  1  print(0)" in card
    assert re.search(r"… 49\d more", card)
    assert "of 900, 1,800 bytes in all" in card
    assert len(card) <= LONGEST_CARD


def test_ordinary_card_stays_whole_in_a_report() -> None:
    source = "".join(f"print({number})  # {'x' * 90}\n" for number in range(30))
    request = ExecutionRequest("python", (SourceFile(source.encode()),), stdin=b"line\n" * 40)
    expected, received = (b"".join(b"%d %s\n" % (n, it) for n in range(90)) for it in (b"a", b"b"))
    result = ExecutionResult(
        "python", "3.11.2", Stage(received, b"said\n" * 50, code=1), Provenance("local")
    )
    card = mismatch_card(
        Mismatch("stdout", "equals", expected, received, "clause " * 20, "detail " * 20),
        request,
        result,
        diagnosis=Diagnosis("cause " * 30, "cure " * 30),
        where="backend at http://127.0.0.1:2000/api/v2/; answered by local, in bubblewrap 0.8.0",
        repeat=f"curl {'x' * 400}",
    )
    # This is what Robot Framework does to every message.
    assert cut_long_message(card) == card


# Faults of the platform, and refusals.


def fault_card_of(error: PlatformFault | RequestRefused) -> str:
    return fault_card(
        error, REQUEST, expected="an answer", diagnosis=explain(error), where="backend at http://x/"
    )


def test_platform_fault_is_never_the_programs() -> None:
    error = PlatformFault(
        FaultKind.CAPACITY,
        "HTTP 503 Service Unavailable from http://x/",
        status=503,
        body='{"message": "no replica"}',
        elapsed=1.25,
        retries=("HTTP 503 with Retry-After: 1; tried again after 1 s",),
    )
    card = fault_card_of(error)
    assert first_line(card) == (
        "PLATFORM FAULT, not the program's: out of capacity: HTTP 503 Service Unavailable from "
        "http://x/"
    )
    assert "Expected      an answer\n" in card
    assert '{"message": "no replica"}' in card
    assert "Time          1.250 s\n              before that: HTTP 503 with Retry-After" in card
    assert "no replica is ready" in card
    assert "To do         wait and repeat" in card
    assert "program main.py" in card


def test_platform_error_in_a_result_is_shown_as_one() -> None:
    run = Stage(stderr=b"Azure Session Pool Error: 403 - Unauthenticated", code=1)
    mismatch = Mismatch("stdout", "equals", b"b\n", b"")
    result = replace(RESULT, run=run)
    card = mismatch_card(mismatch, REQUEST, result, diagnosis=None, where="backend")
    assert first_line(card).startswith("PLATFORM FAULT, not the program's: platform error")
    assert "Expected      stdout, equals: 'b⏎'\n" in card
    assert "the identity is known but lacks the role" in card
    assert "ended with exit code" not in card
    # Whoever compared it with other answers knows more.
    assert "Likely cause  [X99] lines get lost" in stdout_of(run)


def test_refusal_is_called_one() -> None:
    card = fault_card_of(RequestRefused("files is required as an array", 400, '{"message": "…"}'))
    assert first_line(card) == (
        "The service refused the request: HTTP 400: files is required as an array"
    )
    assert "PLATFORM FAULT" not in card
    assert "Time" not in card
    assert "HTTP 500: without saying why" in first_line(fault_card_of(RequestRefused("", 500)))


# Raw answers.


def answer_of(body: bytes, **headers: str) -> HttpAnswer:
    call = HttpCall(
        "POST",
        "http://x/api/v2/execute",
        b'{"language": 1}',
        {"Content-Type": "application/json", "Authorization": f"Bearer {SECRET}"},
    )
    return HttpAnswer(500, "Oops", {"Server": "x", **headers}, body, 0.5, call, ("HTTP 429",))


def test_raw_exchange() -> None:
    answer = answer_of(b'{"message": "no"}', **{"Set-Cookie": f"a={SECRET}"})
    card = answer_card(
        Mismatch("status", "is one of", "400", "500", "contract, section 2"),
        answer,
        where="backend at http://x/",
        repeat="curl -sS http://x/",
    )
    assert first_line(card) == (
        "status is not what was expected (is one of): expected 400, got 500"
    )
    assert "Sent          POST http://x/api/v2/execute\n" in card
    assert "Content-Type: application/json" in card
    assert "Authorization: <redacted>" in card
    assert '{"language": 1}' in card
    assert "Answer        HTTP 500 Oops\n" in card
    assert "Set-Cookie: <redacted>" in card
    assert '{"message": "no"}' in card
    assert "before that: HTTP 429" in card
    assert "Clause        contract, section 2" in card
    assert SECRET not in card


def test_body_under_judgement_is_shown_once() -> None:
    answer = answer_of(b'{"message": "no"}')
    card = answer_card(
        Mismatch("body", "equals", b'{"message": "yes"}', answer.body), answer, where=""
    )
    assert card.count('{"message":·"no"}⏎') + card.count('{"message":·"no"}') == 2
    assert "body of 17 bytes" not in card
    assert "expected 'y', got 'n'" in first_line(card)


# What no card holds.

TRACES = [
    '{"stack": "SyntaxError: bad\\n    at parse (/srv/app/node_modules/x.js:10:5)"}',
    '{"detail": "boom\\nTraceback:\\n  File \\"/srv/app/main.py\\", line 3\\n    x\\nE: z"}',
    'Traceback (most recent call last):\n  File "/srv/app/main.py", line 3, in f\n    x\nE: z',
    "Error: bad\n    at handle (/srv/app/index.js:1:2)\n    at /srv/app/index.js:3:4",
    "Exception in thread\n\tat srv.app.Main.main(Main.java:5)\n\tat srv.app.B(Native Method)\nE",
    "System.Exception: E\n   at Srv.App.Run() in /srv/app/Run.cs:line 12",
]


@pytest.mark.parametrize("body", TRACES)
def test_stack_traces_of_servers_are_left_out(body: str) -> None:
    fault = PlatformFault(FaultKind.SERVER_ERROR, f"HTTP 500: {body}", status=500, body=body)
    refusal = RequestRefused(body if not body.startswith("{") else "no", body=body)
    answer = answer_of(body.encode())
    quoted = PlatformFault(FaultKind.SERVER_ERROR, f"HTTP 500: {body!r}", status=500)
    cards = [
        *([] if body.startswith("{") else [fault_card_of(fault), fault_card_of(quoted)]),
        fault_card_of(refusal),
        answer_card(Mismatch("status", "equals", "400", "500"), answer, where=""),
        answer_card(Mismatch("body", "equals", b"{}", answer.body), answer, where=""),
        answer_card(Mismatch("body", "equals", "{}", answer.text), answer, where=""),
    ]
    for card in cards:
        assert "srv" not in card.lower()
        assert "E" in card


@pytest.mark.parametrize("secret", [SECRET, f"Bearer {SECRET}", "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln"])
def test_no_secret_is_shown(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_API_KEY", SECRET)
    noisy = f"before {secret} after\n"
    output = noisy.encode()
    request = ExecutionRequest(
        "python",
        (SourceFile(f"print('{secret}')".encode(), f"{secret}.py"),),
        stdin=output,
        args=(secret,),
    )
    run = Stage(output, output, code=1, message=noisy)
    provenance = Provenance("x", degraded=noisy, notes=(noisy,))
    result = ExecutionResult("x", "1", run, provenance, retries=(noisy,))
    fault = PlatformFault(FaultKind.SERVER_ERROR, noisy, body=noisy, retries=(noisy,))
    call = HttpCall("POST", f"http://x/?a={secret}", output, {"X-A": secret})
    answer = HttpAnswer(200, secret, {"X-B": secret}, output, 1.0, call, (noisy,))
    cards = [
        mismatch_card(
            Mismatch(subject, "equals", b"b" + output, output, noisy, noisy),
            request,
            result,
            diagnosis=Diagnosis(noisy, noisy),
            where=noisy,
            repeat=noisy,
            saved={noisy: noisy},
        )
        for subject in ("stdout", "exit code")
    ]
    cards.append(
        fault_card(fault, request, expected=noisy, diagnosis=Diagnosis(noisy, noisy), where=noisy)
    )
    cards.append(fault_card_of(RequestRefused(noisy, body=noisy)))
    cards.append(answer_card(Mismatch("body", "equals", b"b", output), answer, where=noisy))
    for card in cards:
        assert secret.removeprefix("Bearer ") not in card
        assert "<redacted>" in card


def test_outputs_that_differ_within_a_secret_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_API_KEY", SECRET)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "another-secret")
    card = card_of(Mismatch("stdout", "equals", SECRET.encode(), b"another-secret"))
    assert "the two differ within what is redacted here" in first_line(card)


BYTES = st.binary(max_size=300) | st.builds(
    lambda part, times: part * times, st.binary(max_size=20), st.integers(1, 400)
)
TEXTS = st.text(max_size=300) | st.builds(
    lambda part, times: part * times, st.text(max_size=20), st.integers(1, 400)
)
STAGES = st.builds(
    Stage,
    stdout=BYTES,
    stderr=BYTES,
    code=st.none() | st.integers(0, 255),
    signal=st.none() | TEXTS,
    status=st.none() | TEXTS,
    message=st.none() | TEXTS,
)
REQUESTS = st.builds(
    ExecutionRequest,
    TEXTS,
    st.lists(st.builds(SourceFile, BYTES, st.none() | TEXTS), max_size=20).map(tuple),
    TEXTS,
    BYTES,
    st.lists(TEXTS, max_size=20).map(tuple),
)
RESULTS = st.builds(
    ExecutionResult,
    TEXTS,
    TEXTS,
    STAGES,
    st.builds(Provenance, TEXTS, degraded=st.none() | TEXTS, notes=st.lists(TEXTS).map(tuple)),
    compile=st.none() | STAGES,
    retries=st.lists(TEXTS, max_size=20).map(tuple),
)
MISMATCHES = st.builds(
    Mismatch, TEXTS, st.just("equals") | TEXTS, BYTES | TEXTS, BYTES | TEXTS, TEXTS, TEXTS
)


def assert_fit_for_a_report(card: str) -> None:
    assert XML_1_0.fullmatch(card)
    assert len(card) <= LONGEST_CARD
    assert "\r" not in card
    headline, empty, *_ = card.split("\n")
    assert headline.strip()
    assert not empty


@given(MISMATCHES, REQUESTS, RESULTS, TEXTS)
def test_any_mismatch_fits(
    mismatch: Mismatch, request_: ExecutionRequest, result: ExecutionResult, text: str
) -> None:
    card = mismatch_card(
        mismatch,
        request_,
        result,
        diagnosis=Diagnosis(text, text),
        where=text,
        repeat=" ".join(text.split()),
        saved={text: text},
    )
    assert_fit_for_a_report(card)


@given(st.sampled_from(FaultKind), TEXTS, TEXTS, st.lists(TEXTS, max_size=20), st.booleans())
def test_any_fault_fits(
    kind: FaultKind, detail: str, body: str, retries: list[str], refused: bool
) -> None:
    error = (
        RequestRefused(detail, 400, body)
        if refused
        else PlatformFault(kind, detail, status=500, body=body, retries=tuple(retries))
    )
    card = fault_card(
        error, REQUEST, expected=detail, diagnosis=Diagnosis(body, body), where=detail
    )
    assert_fit_for_a_report(card)


@given(MISMATCHES, BYTES, BYTES, st.dictionaries(TEXTS, TEXTS, max_size=20))
def test_any_answer_fits(
    mismatch: Mismatch, sent: bytes, body: bytes, headers: dict[str, str]
) -> None:
    call = HttpCall("POST", "http://x/", sent, headers)
    answer = HttpAnswer(200, "OK", headers, body, 0.1, call)
    assert_fit_for_a_report(answer_card(mismatch, answer, where="x"))


def test_repeat_line_is_whole_or_left_out() -> None:
    def repeated(line: str) -> str:
        return mismatch_card(
            Mismatch("exit code", "equals", "0", "1"),
            REQUEST,
            RESULT,
            diagnosis=None,
            where="x",
            repeat=line,
        )

    line = f"curl {'x' * 400}"
    assert repeated(line).endswith(f"\nRepeat        {line}")
    assert "the command would have 5,005 characters" in repeated(f"curl {'x' * 5000}")
    redacted = repeated("curl -H 'X-API-Key: <redacted>'")
    assert redacted.endswith("(put in what <redacted> stands for)")


def test_labels_are_aligned() -> None:
    rows = CARD.split("\n")[2:]
    assert all(re.match(r"(?:[A-Z][\w ]{0,12} +| {14})\S|.{14}", row) for row in rows)
    assert {row[13] for row in rows} == {" "}


def test_rule_that_decided_is_told() -> None:
    mismatch = Mismatch(
        "stdout",
        "equals, compared tokens",
        b"1.5 2.5\n",
        b"1.5\n2.6\n",
        places=((1, 5), (2, 1)),
        rule="numbers may differ by 0.01; these differ by 0.1",
    )
    card = mismatch_card(mismatch, None, None, diagnosis=None, where="here")
    assert "line 2, column 1: expected '2.5', got '2.6'" in card.partition("\n")[0]
    assert "\nRule          numbers may differ by 0.01; these differ by 0.1\n" in card
