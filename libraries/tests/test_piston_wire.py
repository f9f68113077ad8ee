from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from codewitness.execution.piston import (
    RESPONSE_SCHEMA,
    RUNTIMES_SCHEMA,
    provenance_from_header,
    provenance_to_header,
    request_to_json,
    result_from_json,
    result_to_json,
)

WHO = Provenance(executor="somebody")
MINIMAL: dict[str, Any] = {
    "language": "python",
    "version": "3.11.2",
    "run": {"stdout": "é\n", "stderr": "", "code": 0},
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def read(answer: Any) -> ExecutionResult:
    return result_from_json(answer, provenance=WHO, elapsed=0.5, retries=("again",))


def test_request_carries_what_was_asked_and_nothing_else() -> None:
    request = ExecutionRequest(
        "python",
        (SourceFile(b"x = 1", "main.py"), SourceFile(b"\xff", encoding="base64")),
        stdin="é".encode(),
        args=("a b", ""),
        limits=Limits(run_timeout=500),
    )
    assert request_to_json(request) == {
        "language": "python",
        "version": "*",
        "files": [
            {"name": "main.py", "content": "x = 1"},
            {"content": base64.b64encode(b"\xff").decode(), "encoding": "base64"},
        ],
        "stdin": "é",
        "args": ["a b", ""],
        "run_timeout": 500,
    }


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (ExecutionRequest("python", (SourceFile(b"1"),), stdin=b"ab\xff"), "stdin is not UTF-8"),
        (ExecutionRequest("python", (SourceFile(b"\xff"),)), r"files\[0\].content is not UTF-8"),
    ],
)
def test_bytes_that_the_wire_cannot_carry_are_refused(
    request_: ExecutionRequest, named: str
) -> None:
    with pytest.raises(RequestRefused, match=named):
        request_to_json(request_)


def test_minimal_answer_is_enough() -> None:
    result = read(MINIMAL)
    assert result.run == Stage(stdout="é\n".encode(), stderr=b"", code=0)
    assert (result.language, result.version, result.compile) == ("python", "3.11.2", None)
    assert (result.elapsed, result.retries, result.raw) == (0.5, ("again",), MINIMAL)
    jsonschema.validate(MINIMAL, RESPONSE_SCHEMA)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda answer: answer.pop("language"), "language is missing"),
        (lambda answer: answer.pop("run"), "run is missing"),
        (lambda answer: answer.update(run=[]), "run is an array instead of an object"),
        (lambda answer: answer["run"].pop("code"), "run.code is missing"),
        (lambda answer: answer["run"].update(code="0"), "run.code is a string instead of an int"),
        (lambda answer: answer["run"].update(code=True), "run.code is a boolean"),
        (lambda answer: answer["run"].update(stdout=None), "run.stdout is null instead of a str"),
    ],
)
def test_malformed_answer_names_the_field(change: Any, named: str) -> None:
    answer = json.loads(json.dumps(MINIMAL))
    change(answer)
    with pytest.raises(PlatformFault, match=named) as caught:
        read(answer)
    assert caught.value.kind is FaultKind.BAD_ANSWER
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(answer, RESPONSE_SCHEMA)


@given(
    json_values
    | json_values.map(lambda inner: {**MINIMAL, "run": inner})
    | json_values.map(lambda inner: {**MINIMAL, "compile": inner})
)
def test_any_answer_is_read_or_is_a_bad_answer(answer: Any) -> None:
    with contextlib.suppress(PlatformFault):
        read(answer)


@given(st.binary(), st.binary(), st.integers(0, 255), st.none() | st.binary())
def test_answer_keeps_bytes_as_far_as_text_can(
    stdout: bytes, stderr: bytes, code: int, output: bytes | None
) -> None:
    stage = Stage(stdout=stdout, stderr=stderr, code=code, output=output)
    answer = result_to_json(ExecutionResult("python", "3.11.2", stage, WHO))
    jsonschema.validate(answer, RESPONSE_SCHEMA)
    assert "compile" not in answer
    received = read(json.loads(json.dumps(answer))).run
    assert received.stdout == stdout.decode("utf-8", "replace").encode()
    assert received.stderr == stderr.decode("utf-8", "replace").encode()
    assert received.code == code
    assert received.status == ("RE" if code else None)


def test_lone_surrogates_survive_both_ways() -> None:
    answer = json.loads(
        '{"language":"a","version":"1","run":{"stdout":"\\ud800","stderr":"","code":0}}'
    )
    assert read(answer).run.stdout == b"\xed\xa0\x80"
    request = ExecutionRequest("a", (SourceFile(b"\xed\xa0\x80"),))
    assert json.dumps(request_to_json(request)["files"]) == '[{"content": "\\ud800"}]'


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (Stage(signal="SIGSEGV", status="SG"), (139, None, "RE")),
        (Stage(signal="SIGKILL", status="TO", message="late"), (None, "SIGKILL", "TO")),
        (Stage(signal="SIGRTMIN+3", status="SG"), (None, "SIGRTMIN+3", "SG")),
        (Stage(code=3), (3, None, "RE")),
        (Stage(code=0), (0, None, None)),
    ],
)
def test_how_a_program_ended(stage: Stage, expected: tuple[int | None, str | None, str]) -> None:
    run = result_to_json(ExecutionResult("c", "12", stage, WHO))["run"]
    assert (run["code"], run["signal"], run["status"]) == expected
    assert set(run) == {
        "stdout", "stderr", "output", "code", "signal",
        "status", "message", "cpu_time", "wall_time", "memory",
    }  # fmt: skip


def test_compile_stage_is_shown_when_there_was_one() -> None:
    failed = Stage(stderr=b"error", code=1, cpu_time=12.6, wall_time=20.2, memory=1)
    result = ExecutionResult("c", "12", failed, WHO, compile=failed)
    answer = result_to_json(result)
    assert answer["compile"] == answer["run"]
    assert (answer["run"]["cpu_time"], answer["run"]["wall_time"]) == (13, 20)


@given(
    st.builds(
        Provenance,
        executor=st.text(min_size=1),
        sandbox=st.none() | st.text(),
        session=st.none() | st.text(),
        session_new=st.none() | st.booleans(),
        degraded=st.none() | st.text(),
        notes=st.lists(st.text()).map(tuple),
    )
)
def test_provenance_travels_in_a_header(provenance: Provenance) -> None:
    header = provenance_to_header(provenance)
    assert header.isascii()
    assert header.isprintable()
    assert provenance_from_header(header, "client") == provenance


@given(st.none() | st.text() | json_values.map(json.dumps))
def test_any_header_is_read(header: str | None) -> None:
    assert provenance_from_header(header, "client").executor


def test_runtimes_schema() -> None:
    listed = [{"language": "python", "version": "3.11.2", "aliases": ["py"]}]
    jsonschema.validate(listed, RUNTIMES_SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{"language": "python"}], RUNTIMES_SCHEMA)
