"""The Piston v2 wire: requests and results as JSON, in both directions.

Text on the wire is UTF-8. JSON can carry lone surrogates, which UTF-8 can't; they keep
their bytes (``surrogatepass``) on the way in, so that no text of a client is an error here.
"""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

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

PROVENANCE_HEADER = "X-Execution-Provenance"
"""Response header in which the embedded backend says who answered."""


def _schema(name: str) -> Mapping[str, Any]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    schema: Mapping[str, Any] = json.loads(text)
    return schema


RESPONSE_SCHEMA = _schema("piston-response.schema.json")
"""JSON Schema of an answer 200 to ``execute``: fields of the plan required, others typed."""

RUNTIMES_SCHEMA = _schema("piston-runtimes.schema.json")
"""JSON Schema of an answer 200 to ``runtimes``."""


def text_to_bytes(text: str) -> bytes:
    """Return the UTF-8 bytes of any text that JSON can carry."""
    return text.encode("utf-8", "surrogatepass")


def request_to_json(request: ExecutionRequest) -> dict[str, Any]:
    """Return the body of ``POST execute`` for a request.

    Fields that the request leaves open are left out, so that the service's defaults hold.

    Raises:
        RequestRefused: stdin or a ``utf8`` file is not UTF-8, which this wire can't carry.
    """
    body: dict[str, Any] = {
        "language": request.language,
        "version": request.version,
        "files": [_file_to_json(file, index) for index, file in enumerate(request.files)],
        "stdin": _bytes_to_text(request.stdin, "stdin"),
        "args": list(request.args),
    }
    for limit in fields(Limits):
        value = getattr(request.limits, limit.name)
        if value is not None:
            body[limit.name] = value
    return body


def _file_to_json(file: SourceFile, index: int) -> dict[str, str]:
    entry = {} if file.name is None else {"name": file.name}
    if file.encoding == "base64":
        content = base64.b64encode(file.content).decode("ascii")
    elif file.encoding == "hex":
        content = file.content.hex()
    else:
        return entry | {"content": _bytes_to_text(file.content, f"files[{index}].content")}
    return entry | {"content": content, "encoding": file.encoding}


def _bytes_to_text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise RequestRefused(
            f"{name} is not UTF-8 ({error.reason} at byte {error.start}) "
            "and the Piston v2 API carries it as text only"
        ) from error


def result_from_json(
    answer: Any,
    *,
    provenance: Provenance,
    elapsed: float,
    retries: tuple[str, ...] = (),
) -> ExecutionResult:
    """Read the parsed answer 200 of ``execute``.

    Only the plan's fields (language, version, run.stdout, run.stderr, run.code) must be there
    and well typed. An optional field of a wrong type reads as unknown: it is the schema check's
    business (:data:`RESPONSE_SCHEMA` on ``raw``), not a reason to lose the result.

    Raises:
        PlatformFault: A required field is missing or of the wrong type (``BAD_ANSWER``).
    """
    try:
        if not isinstance(answer, Mapping):
            raise _Malformed(f"the answer is {_kind(answer)} instead of an object")
        language = _required_text(answer, "language", "language")
        version = _required_text(answer, "version", "version")
        run = _stage_from_json(answer.get("run"), "run")
        compiled = answer.get("compile")
        compile_stage = None if compiled is None else _stage_from_json(compiled, "compile")
    except _Malformed as malformed:
        raise PlatformFault(
            FaultKind.BAD_ANSWER,
            str(malformed),
            cause="the service's answer does not have the shape of the Piston v2 API",
            status=200,
            body=json.dumps(answer)[:2000],
            elapsed=elapsed,
            retries=retries,
        ) from malformed
    return ExecutionResult(
        language=language,
        version=version,
        run=run,
        provenance=provenance,
        compile=compile_stage,
        elapsed=elapsed,
        raw=answer,
        retries=retries,
    )


class _Malformed(ValueError):
    """A required field is missing or of the wrong type."""


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "an array"


def _required(source: Mapping[str, Any], key: str, path: str) -> Any:
    if key not in source:
        raise _Malformed(f"{path} is missing")
    return source[key]


def _required_text(source: Mapping[str, Any], key: str, path: str) -> str:
    value = _required(source, key, path)
    if not isinstance(value, str):
        raise _Malformed(f"{path} is {_kind(value)} instead of a string")
    return value


def _stage_from_json(stage: Any, path: str) -> Stage:
    if stage is None:
        raise _Malformed(f"{path} is missing")
    if not isinstance(stage, Mapping):
        raise _Malformed(f"{path} is {_kind(stage)} instead of an object")
    code = _required(stage, "code", f"{path}.code")
    if code is not None and not _is_integer(code):
        raise _Malformed(f"{path}.code is {_kind(code)} instead of an integer or null")
    output = _optional_text(stage, "output")
    memory = stage.get("memory")
    return Stage(
        stdout=text_to_bytes(_required_text(stage, "stdout", f"{path}.stdout")),
        stderr=text_to_bytes(_required_text(stage, "stderr", f"{path}.stderr")),
        output=None if output is None else text_to_bytes(output),
        code=None if code is None else int(code),
        signal=_optional_text(stage, "signal"),
        status=_optional_text(stage, "status"),
        message=_optional_text(stage, "message"),
        cpu_time=_optional_number(stage, "cpu_time"),
        wall_time=_optional_number(stage, "wall_time"),
        memory=int(memory) if memory is not None and _is_integer(memory) else None,
    )


def _is_integer(value: Any) -> bool:
    # JSON has one number type: 1.0 is the integer 1, but true is none.
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _optional_text(stage: Mapping[str, Any], key: str) -> str | None:
    value = stage.get(key)
    return value if isinstance(value, str) else None


def _optional_number(stage: Mapping[str, Any], key: str) -> float | None:
    value = stage.get(key)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def result_to_json(result: ExecutionResult) -> dict[str, Any]:
    """Return the answer of a generation B server for a result.

    Death by a signal becomes code 128+n, signal null and status RE, as observed of servers
    that start programs through a shell. ``compile`` is left out unless a compile stage ran.
    """
    answer: dict[str, Any] = {"language": result.language, "version": result.version}
    if result.compile is not None:
        answer["compile"] = _stage_to_json(result.compile)
    return answer | {"run": _stage_to_json(result.run)}


def _stage_to_json(stage: Stage) -> dict[str, Any]:
    stage = _as_exit_of_a_shell(stage)
    output = stage.stdout + stage.stderr if stage.output is None else stage.output
    return {
        "stdout": stage.stdout.decode("utf-8", "replace"),
        "stderr": stage.stderr.decode("utf-8", "replace"),
        "output": output.decode("utf-8", "replace"),
        "code": stage.code,
        "signal": stage.signal,
        "status": stage.status,
        "message": stage.message,
        "cpu_time": None if stage.cpu_time is None else round(stage.cpu_time),
        "wall_time": None if stage.wall_time is None else round(stage.wall_time),
        "memory": stage.memory,
    }


def _as_exit_of_a_shell(stage: Stage) -> Stage:
    killer = signal.Signals.__members__.get(stage.signal or "")
    if stage.status == "SG" and killer is not None:
        code = 128 + killer
        stage = replace(stage, code=code, signal=None, status=None, message=None)
    if stage.code and stage.status is None:
        message = stage.message or f"Exited with error status {stage.code}"
        stage = replace(stage, status="RE", message=message)
    return stage


def provenance_to_header(provenance: Provenance) -> str:
    """Return provenance as compact ASCII JSON, fit for :data:`PROVENANCE_HEADER`."""
    present = {
        entry.name: getattr(provenance, entry.name)
        for entry in fields(Provenance)
        if getattr(provenance, entry.name) not in (None, ())
    }
    return json.dumps(present, separators=(",", ":"))


def provenance_from_header(text: str | None, default_executor: str) -> Provenance:
    """Read a provenance header; what is absent or unreadable stays unknown.

    Args:
        text: The header's value, or ``None`` when there was no header.
        default_executor: Who answered as far as the client itself knows.
    """
    try:
        told = json.loads(text or "{}")
    except ValueError:
        told = {}
    if not isinstance(told, dict):
        told = {}
    new = told.get("session_new")
    notes = told.get("notes")
    return Provenance(
        executor=_optional_text(told, "executor") or default_executor,
        sandbox=_optional_text(told, "sandbox"),
        session=_optional_text(told, "session"),
        session_new=new if isinstance(new, bool) else None,
        degraded=_optional_text(told, "degraded"),
        notes=tuple(map(str, notes)) if isinstance(notes, list) else (),
    )
