"""The failure card: everything about one failure that the person who gets it needs.

Plain text, the same in log.html, on the console and in xunit files. The first line says it all
in words; labelled lines follow. A card holds no secret, no stack trace of a server and only
characters that XML 1.0 can carry, and it is short enough to be read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from codewitness.execution.causes import Diagnosis
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    Limits,
    PlatformFault,
    RequestRefused,
    SourceFile,
)
from codewitness.execution.redaction import REDACTED, redact
from codewitness.reporting.curl import header_line
from codewitness.reporting.diagnosis import explain, platform_error_in
from codewitness.reporting.traces import without_traces
from codewitness.reporting.visible import (
    Difference,
    as_text,
    cut,
    difference_at,
    first_difference,
    legend,
    plain,
    size_of,
    visible_lines,
)

LONGEST_CARD = 6000
"""Characters that no card exceeds."""

_LABEL_WIDTH = 14
_LONGEST_HEADLINE = 400
_LONGEST_PHRASE = 120
# Robot Framework cuts a message that takes more lines of this length out of its middle.
_MOST_ROWS = 40
_ROW_LENGTH = 78
_LONGEST_REPEAT = 450
_VISIBLE = frozenset({"Expected", "Received", "Difference", "Stdin"})

_FAILED = {
    "equals": "differs from what was expected",
    "contains": "does not contain what was expected",
    "does not contain": "contains what it must not",
    "starts with": "does not start as expected",
    "ends with": "does not end as expected",
    "matches": "does not match what was expected",
    "meets its bar": "does not meet its bar",
}


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not as it was expected.

    Attributes:
        subject: What was looked at: ``stdout``, ``exit code``, ``Content-Type``.
        relation: How it should stand to ``expected``: ``equals``, ``contains``, ``is at most``.
        expected: What was expected; bytes are an output, shown visibly, words are shown as
            they are.
        received: What came instead, likewise.
        clause: The clause of the plan or contract that this breaks.
        detail: A remark for those who read the two bodies, such as why it matters.
        places: Line and column, each from 1, of the first difference that counts, in the output
            expected and in the one received; for relations that let some differences pass.
        rule: The rule that decided there, in words; empty where every byte counts.
    """

    subject: str
    relation: str
    expected: bytes | str
    received: bytes | str
    clause: str = ""
    detail: str = ""
    places: tuple[tuple[int, int], tuple[int, int]] | None = None
    rule: str = ""


@dataclass(frozen=True)
class _Room:
    """How much of each body a card shows.

    Attributes:
        program: Lines of the program.
        output: Lines of an output or body.
        other: Lines of anything else that may be long.
        width: Characters of a line.
    """

    program: int
    output: int
    other: int
    width: int


# The first that keeps a card within its length, and whole in Robot's reports, is taken.
_ROOMS = (
    _Room(program=12, output=12, other=8, width=120),
    _Room(program=12, output=6, other=4, width=100),
    _Room(program=6, output=4, other=3, width=80),
    _Room(program=4, output=3, other=2, width=62),
    _Room(program=1, output=0, other=0, width=56),
)

# A labelled part of a card; parts without lines are left out.
_Part = tuple[str, Sequence[str]]


def mismatch_card(
    mismatch: Mismatch,
    request: ExecutionRequest | None,
    result: ExecutionResult | None,
    *,
    diagnosis: Diagnosis | None,
    where: str,
    repeat: str = "",
    saved: Mapping[str, str] | None = None,
) -> str:
    """Return the card for a result that is not the expected one.

    A platform's error in the clothes of a result is shown as what it is (:func:`fault_card`),
    whatever the mismatch says.

    Args:
        mismatch: What is not as expected.
        request: What was sent, where one request is to blame.
        result: What came back for it.
        diagnosis: The likely cause, if one is known; for a platform's error it is looked up.
        where: Who answered and where the code ran, as far as that is known.
        repeat: Command line that repeats the request.
        saved: File names, relative to the log, of bodies that are saved whole, by their names.
    """
    error = None if result is None else platform_error_in(result, request)
    if error is not None:
        return fault_card(
            error,
            request,
            expected=_wish(mismatch),
            diagnosis=diagnosis or explain(error),
            where=where,
            clause=mismatch.clause,
            repeat=repeat,
        )
    mismatch = _redacted(mismatch)
    difference = _difference(mismatch)

    def parts(room: _Room) -> Iterator[_Part]:
        yield from _compared(mismatch, difference, room)
        yield "Saved", _saved_lines(saved)
        if request is not None:
            yield from _request_parts(request, room)
        if result is not None:
            yield from _result_parts(result, mismatch, room)
        yield "Where", _where_lines(where, result)
        if result is not None:
            yield "Time", _time_lines(result, room)
        yield from _conclusion(mismatch.clause, diagnosis, repeat, room)

    return _card(_mismatch_headline(mismatch, difference, result), parts)


def fault_card(
    error: ExecutionError,
    request: ExecutionRequest | None,
    *,
    expected: str,
    diagnosis: Diagnosis,
    where: str,
    clause: str = "",
    repeat: str = "",
) -> str:
    """Return the card for a request that gave no result of a program.

    Args:
        error: What was raised.
        request: What was sent, where it was a program.
        expected: What should have come, in words.
        diagnosis: The likely cause.
        where: Who was asked.
        clause: The clause of the plan or contract that this breaks.
        repeat: Command line that repeats the request.
    """

    def parts(room: _Room) -> Iterator[_Part]:
        yield "Expected", [_words(expected, 3 * room.width)]
        yield "Received", _error_lines(error, room)
        if request is not None:
            yield from _request_parts(request, room)
        yield "Where", _where_lines(where, None)
        if isinstance(error, PlatformFault):
            elapsed = [f"{error.elapsed:.3f} s"] if error.elapsed else []
            yield "Time", [*elapsed, *_retry_lines(error.retries, room)]
        yield from _conclusion(clause, diagnosis, repeat, room)

    return _card(_error_headline(error), parts)


def answer_card(
    mismatch: Mismatch,
    answer: HttpAnswer,
    *,
    diagnosis: Diagnosis | None = None,
    where: str,
    repeat: str = "",
    saved: Mapping[str, str] | None = None,
) -> str:
    """Return the card for an HTTP answer that is not as it should be.

    Args:
        mismatch: What is not as expected.
        answer: The answer, with what was sent for it.
        diagnosis: The likely cause, if one is known.
        where: Who answered.
        repeat: Command line that repeats the request.
        saved: File names, relative to the log, of bodies that are saved whole, by their names.
    """
    body_is_shown = as_text(mismatch.received) in (as_text(answer.body), answer.text)
    mismatch = _redacted(mismatch, without_traces)
    difference = _difference(mismatch)
    call = answer.call

    def parts(room: _Room) -> Iterator[_Part]:
        yield from _compared(mismatch, difference, room)
        yield "Saved", _saved_lines(saved)
        yield (
            "Sent",
            [
                f"{call.method} {cut(_line(call.url), 3 * room.width)}",
                *_header_lines(call.headers, room),
                *([] if call.body is None else _body_lines(call.body, room)),
            ],
        )
        yield (
            "Answer",
            [
                _line(f"HTTP {answer.status} {answer.reason}"),
                *_header_lines(answer.headers, room),
                *([] if body_is_shown else _body_lines(answer.body, room, without_traces)),
            ],
        )
        yield "Where", _where_lines(where, None)
        yield "Time", [f"{answer.elapsed:.3f} s", *_retry_lines(answer.retries, room)]
        yield from _conclusion(mismatch.clause, diagnosis, repeat, room)

    return _card(_mismatch_headline(mismatch, difference, None), parts)


# Putting a card together.


def _card(headline: str, parts: Callable[[_Room], Iterator[_Part]]) -> str:
    text = ""
    for room in _ROOMS:
        text = _rendered(headline, [part for part in parts(room) if part[1]])
        if len(text) <= LONGEST_CARD and _rows_taken(text) <= _MOST_ROWS:
            return text
    return f"{text[: LONGEST_CARD - 1]}…"


def _rows_taken(text: str) -> int:
    return sum(max(1, math.ceil(len(line) / _ROW_LENGTH)) for line in text.split("\n"))


def _rendered(headline: str, parts: Sequence[_Part]) -> str:
    rows = [cut(_line(headline), _LONGEST_HEADLINE), ""]
    symbols = legend("".join(line for label, lines in parts if label in _VISIBLE for line in lines))
    for label, lines in parts:
        if label == "Where" and symbols:
            rows += _rows("Symbols", [symbols])
        rows += _rows(label, lines)
    return redact(plain("\n".join(rows)))


def _rows(label: str, lines: Sequence[str]) -> list[str]:
    indented = [f"{'':{_LABEL_WIDTH}}{line}" for line in lines]
    return [label.ljust(_LABEL_WIDTH) + lines[0], *indented[1:]]


def _line(text: str) -> str:
    """Put words into one line."""
    return " ".join(text.split())


def _words(text: str, longest: int) -> str:
    return cut(_line(redact(text)), longest)


# What was expected, and what came.


def _redacted(mismatch: Mismatch, clean: Callable[[str], str] = str) -> Mismatch:
    """Take secrets out while they can be recognised: before white space becomes visible."""

    def cleaned(body: bytes | str) -> bytes | str:
        text = redact(clean(as_text(body)))
        return text.encode("utf-8", "surrogateescape") if isinstance(body, bytes) else text

    return replace(
        mismatch,
        expected=cleaned(mismatch.expected),
        received=cleaned(mismatch.received),
        detail=redact(clean(mismatch.detail)),
        rule=redact(clean(mismatch.rule)),
    )


def _difference(mismatch: Mismatch) -> Difference | None:
    expected, received = mismatch.expected, mismatch.received
    if not (isinstance(expected, bytes) and isinstance(received, bytes)):
        return None
    if mismatch.places is not None:
        return difference_at(expected, received, *mismatch.places)
    return first_difference(expected, received) if mismatch.relation == "equals" else None


def _mismatch_headline(
    mismatch: Mismatch, difference: Difference | None, result: ExecutionResult | None
) -> str:
    failed = _FAILED.get(mismatch.relation)
    told = str(difference or "")
    if not told and mismatch.expected == mismatch.received and mismatch.relation == "equals":
        told = "the two differ within what is redacted here"
    elif not told:
        told = f"expected {_brief(mismatch.expected)}, got {_brief(mismatch.received)}"
    headline = (
        f"{mismatch.subject} {failed or f'is not what was expected ({mismatch.relation})'}: {told}"
    )
    if mismatch.detail:
        headline += f" ({_brief(mismatch.detail)})"
    fate = "" if result is None else _fate(result, mismatch.subject)
    return f"{headline}; {fate}" if fate else headline


def _wish(mismatch: Mismatch) -> str:
    return f"{mismatch.subject}, {mismatch.relation}: {_brief(mismatch.expected)}"


def _brief(body: bytes | str) -> str:
    if not body:
        return "nothing"
    if isinstance(body, str):
        return cut(_line(body), _LONGEST_PHRASE)
    return f"'{visible_lines(body, 1, 60)[0]}'"


def _fate(result: ExecutionResult, subject: str) -> str:
    """Say how the program ended where that explains what came, and was not asked for."""
    compiled, run = result.compile, result.run
    if compiled is not None and compiled.code != 0:
        return f"compilation failed{_reason(compiled.stderr or compiled.stdout)}"
    if subject in ("exit code", "code", "signal", "status", "message"):
        return ""
    if run.status == "TO":
        return "the program was stopped at its time limit"
    if run.status in ("OL", "EL"):
        return "the program was stopped at its output limit"
    if run.code is None:
        return f"the program was killed by {run.signal or 'an unknown signal'}"
    if run.code == 0:
        return ""
    return f"the program ended with exit code {run.code}" + (
        "" if subject == "stderr" else _reason(run.stderr)
    )


def _reason(said: bytes) -> str:
    """Return the line in which a program or compiler is most likely to name its error."""
    lines = [line for line in map(_line, as_text(said).splitlines()) if line]
    if not lines:
        return ""
    named = next((line for line in lines if re.search(r"\berror\b", line)), lines[-1])
    return f": {_words(named, 120)}"


def _compared(mismatch: Mismatch, difference: Difference | None, room: _Room) -> Iterator[_Part]:
    relation = "" if mismatch.relation == "equals" else f"{mismatch.relation}: "
    expected_line, received_line = mismatch.places or ((1, 1), (1, 1))
    if difference is not None and mismatch.places is None:
        expected_line = received_line = (difference.line, 1)
    if len(mismatch.detail) > _LONGEST_PHRASE:
        yield "Detail", [cut(_line(mismatch.detail), 3 * room.width)]
    yield "Expected", _body_shown(mismatch.expected, relation, room, expected_line[0])
    yield "Received", _body_shown(mismatch.received, "", room, received_line[0])
    if difference is not None:
        yield "Difference", _difference_lines(difference)
        yield "Rule", [_words(mismatch.rule, 3 * room.width)] if mismatch.rule else []


def _body_shown(body: bytes | str, relation: str, room: _Room, around: int) -> list[str]:
    if isinstance(body, str):
        return [cut(_line(f"{relation}{body}") or "nothing", 3 * room.width)]
    if not room.output and body:
        return [relation + size_of(body)]
    lines = visible_lines(body, room.output, room.width, around)
    if len(lines) == 1:
        return [relation + lines[0]]
    return [relation + size_of(body), *lines]


def _difference_lines(difference: Difference) -> list[str]:
    expected_caret = " " * (len("expected  ") + difference.expected_caret) + "^"
    received_caret = " " * (len("received  ") + difference.received_caret) + "^"
    return [
        f"line {difference.line}, column {difference.column}",
        f"expected  {difference.expected_line}",
        *([] if expected_caret == received_caret else [expected_caret]),
        f"received  {difference.received_line}",
        received_caret,
    ]


def _saved_lines(saved: Mapping[str, str] | None) -> list[str]:
    return [cut(_line(f"{label}: {name}"), 160) for label, name in (saved or {}).items()]


# What was sent.


def _request_parts(request: ExecutionRequest, room: _Room) -> Iterator[_Part]:
    program = next((file for file in request.files if file.encoding == "utf8"), None)
    lines = [_words(f"{request.language}, version {request.version}", room.width)]
    if program is not None:
        lines += [f"program {_file(program, room)}:", *_numbered(program.content, room)]
    others = [f"file {_file(file, room)}" for file in request.files if file is not program]
    lines += _first(others, room.other)
    if request.args:
        shown = ", ".join(json.dumps(redact(it), ensure_ascii=False) for it in request.args)
        lines.append(cut(f"{len(request.args)} args: {shown}", 2 * room.width))
    limits = [
        f"{limit.name} {value:,.12g} {'bytes' if 'memory' in limit.name else 'ms'}"
        for limit in fields(Limits)
        if (value := getattr(request.limits, limit.name)) is not None
    ]
    if limits:
        lines.append(", ".join(limits))
    yield "Sent", lines
    if request.stdin:
        yield (
            "Stdin",
            _body_shown(
                redact(as_text(request.stdin)).encode("utf-8", "surrogateescape"), "", room, 1
            ),
        )


def _file(file: SourceFile, room: _Room) -> str:
    name = "without a name" if file.name is None else _words(file.name, room.width)
    encoding = "" if file.encoding == "utf8" else f", sent as {file.encoding}"
    return f"{name}, {size_of(file.content)}{encoding}"


def _numbered(source: bytes, room: _Room) -> list[str]:
    lines = redact(as_text(source)).removesuffix("\n").split("\n")
    numbered = [f"{number:3}  {cut(line, room.width)}" for number, line in enumerate(lines, 1)]
    return _first(numbered, room.program)


def _first(lines: Sequence[str], limit: int) -> list[str]:
    left_out = len(lines) - limit
    return [*lines[:limit], *([f"… {left_out:,} more"] if left_out > 0 else [])]


def _header_lines(headers: Mapping[str, str], room: _Room) -> list[str]:
    lines = [cut(_line(header_line(name, value)), room.width) for name, value in headers.items()]
    return _first(lines, room.other)


def _body_lines(body: bytes | str, room: _Room, clean: Callable[[str], str] = str) -> list[str]:
    """Show a body for reading: white space as it is."""
    if not body.strip():
        return ["empty body" if not body else "a body of white space only"]
    lines = redact(clean(as_text(body))).strip().split("\n")
    return [
        f"body of {size_of(body)}:",
        *_first([cut(it, room.width) for it in lines], room.output),
    ]


# What came back.


def _result_parts(result: ExecutionResult, mismatch: Mismatch, room: _Room) -> Iterator[_Part]:
    run, compiled = result.run, result.compile
    ran = _words(f"{result.language} {result.version}", room.width)
    yield "Answer", [f"{_words(run.ending, 300)}, from {ran}"]
    failed = compiled is not None and compiled.code != 0
    if compiled is not None and failed:
        said = compiled.stderr or compiled.stdout
        yield "Compiler", [_words(compiled.ending, 300), *_said(said, room.output, room)]
    for label, output in (("Stdout", run.stdout), ("Stderr", run.stderr)):
        # When compilation fails, run is a copy of compile.
        if output and not failed and mismatch.subject != label.lower():
            yield label, _said(output, room.output if label == "Stderr" else room.other, room)


def _said(output: bytes, limit: int, room: _Room) -> list[str]:
    """Show the end of what a program said, where it names its error."""
    lines = [cut(line, room.width) for line in redact(as_text(output)).rstrip("\n").split("\n")]
    limit = max(limit, 1)
    left_out = len(lines) - limit
    return [f"… {left_out:,} lines before", *lines[-limit:]] if left_out > 0 else lines


def _error_headline(error: ExecutionError) -> str:
    said = without_traces(_message(error))
    if isinstance(error, RequestRefused):
        return f"The service refused the request: {_words(said, 500)}"
    return f"PLATFORM FAULT, not the program's: {_words(said, 500)}"


def _error_lines(error: ExecutionError, room: _Room) -> list[str]:
    lines = [_words(without_traces(_message(error)), 3 * room.width)]
    if isinstance(error, PlatformFault) and error.status is not None:
        lines.append(f"HTTP {error.status}")
    if isinstance(error, (PlatformFault, RequestRefused)) and error.body:
        lines += _body_lines(error.body, room, without_traces)
    return lines


def _message(error: ExecutionError) -> str:
    if isinstance(error, RequestRefused):
        return f"HTTP {error.status}: {error.message or 'without saying why'}"
    return str(error)


# Where and when it ran, and what to do.


def _where_lines(where: str, result: ExecutionResult | None) -> list[str]:
    lines = [_words(where, 400)] if where else []
    if result is None:
        return lines or ["not known"]
    told = result.provenance
    if not lines:
        sandbox = told.sandbox or "sandbox not proven"
        lines.append(_words(f"{told.executor}, {sandbox}", 400))
    if told.degraded and told.degraded not in where:
        lines.append(f"DEGRADED: {_words(told.degraded, 300)}")
    return lines + [_words(note, 200) for note in told.notes[:3]]


def _time_lines(result: ExecutionResult, room: _Room) -> list[str]:
    told = [f"{result.elapsed:.3f} s in all"]
    stages = (("compile", result.compile), ("run", result.run))
    for name, stage in stages:
        if stage is None:
            continue
        measured = (("wall", stage.wall_time), ("cpu", stage.cpu_time))
        times = [f"{kind} {value:.0f} ms" for kind, value in measured if value is not None]
        if times:
            told.append(f"{name} {', '.join(times)}")
    return ["; ".join(told), *_retry_lines(result.retries, room)]


def _retry_lines(retries: Sequence[str], room: _Room) -> list[str]:
    return _first([f"before that: {_words(retry, room.width)}" for retry in retries], room.other)


def _conclusion(
    clause: str, diagnosis: Diagnosis | None, repeat: str, room: _Room
) -> Iterator[_Part]:
    told = {"Clause": clause}
    if diagnosis is not None:
        # In brackets for whoever groups failures by cause.
        rows = f"[{', '.join(diagnosis.rows)}] " if diagnosis.rows else ""
        told |= {"Likely cause": rows + diagnosis.cause, "To do": diagnosis.cure}
    for label, text in told.items():
        yield label, [_words(text, 3 * room.width)] if text else []
    if len(repeat) > _LONGEST_REPEAT:
        repeat = f"the command would have {len(repeat):,} characters; what to send is told above"
    yield "Repeat", [repeat] if repeat else []
    if REDACTED in repeat:
        yield "", [f"(put in what {REDACTED} stands for)"]
