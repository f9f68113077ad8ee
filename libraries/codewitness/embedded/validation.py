"""From the JSON body of ``POST execute`` to a request, or to the refusal Piston gives.

The order of the checks and the words of the refusals are those of Piston's server. It differs
from Piston on purpose in four places: a malformed body is answered with a message instead of a
stack; a file name that leaves the job folder, is absolute or can't be a file name is refused
with 400 instead of an empty 500; so are ``args`` that are no arguments; and a limit of 0 means
the default also in generation B, where Piston takes it as "no limit at all".
"""

from __future__ import annotations

import base64
import json
import math
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any, NoReturn

from codewitness.execution.model import ExecutionRequest, Limits, RequestRefused, SourceFile
from codewitness.execution.piston import text_to_bytes

RuntimeLookup = Callable[[str, str], bool]
"""Says whether a language is there in a version that satisfies a range."""


@dataclass(frozen=True)
class LimitCeilings:
    """The limits that a service is configured with; a request may only lower them.

    Times are milliseconds, memory is bytes; 0 or less configures no limit. The defaults are
    Piston's.
    """

    run_timeout: int = 3000
    compile_timeout: int = 10000
    run_cpu_time: int = 3000
    compile_cpu_time: int = 10000
    run_memory_limit: int = -1
    compile_memory_limit: int = -1


def parse_body(body: bytes) -> Any:
    """Parse a request body as Piston's JSON parser does: an object, an array, or nothing.

    Raises:
        RequestRefused: The body is not JSON text in UTF-8, or a bare value.
    """
    if not body:
        return {}
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestRefused("request body is nested too deeply") from None
    except ValueError as error:
        raise RequestRefused(f"request body is not valid JSON: {error}") from None
    if not isinstance(document, (dict, list)):
        raise RequestRefused("request body must be a JSON object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def read_request(
    document: Any,
    ceilings: LimitCeilings,
    *,
    cpu_time_limits: bool = True,
    knows: RuntimeLookup = lambda _language, _version: True,
) -> ExecutionRequest:
    """Check a parsed body and return the request it makes, with its limits resolved.

    Args:
        document: Any JSON value.
        ceilings: The configured limits.
        cpu_time_limits: Whether the server knows CPU time limits; generation A has none.
        knows: Asked only when a check fails that comes after Piston's look-up of the runtime,
            to report the first failure. Otherwise the executor refuses unknown runtimes.

    Raises:
        RequestRefused: With Piston's status and message.
    """
    body = document if isinstance(document, Mapping) else {}
    language = _required_text(body.get("language"), "language")
    version = _required_text(body.get("version"), "version")
    entries = body.get("files")
    if not isinstance(entries, list):
        raise RequestRefused("files is required as an array")
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("content"), str):
            raise RequestRefused(f"files[{index}].content is required as a string")
    try:
        if not any(_is_utf8(entry) for entry in entries):
            raise RequestRefused("files must include at least one utf8 encoded file")
        limits = _read_limits(body, ceilings, cpu_time_limits)
        return ExecutionRequest(
            language=language,
            version=version,
            files=_read_files(entries),
            stdin=_read_stdin(body.get("stdin")),
            args=_read_args(body.get("args")),
            limits=limits,
        )
    except RequestRefused:
        if knows(language, version):
            raise
        raise unknown_runtime(language, version) from None


def unknown_runtime(language: str, version: str) -> RequestRefused:
    """Return Piston's refusal of a language or version that is not installed."""
    return RequestRefused(f"{language}-{version} runtime is unknown")


def _required_text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise RequestRefused(f"{name} is required as a string")
    return value


def _is_utf8(entry: Mapping[str, Any]) -> bool:
    return not entry.get("encoding") or entry["encoding"] == "utf8"


def _read_limits(body: Mapping[str, Any], ceilings: LimitCeilings, cpu_time: bool) -> Limits:
    limits: dict[str, Any] = {}
    for constraint in ("memory_limit", "timeout", "cpu_time"):
        for stage in ("compile", "run"):
            name = f"{stage}_{constraint}"
            if constraint == "cpu_time" and not cpu_time:
                limits[name] = math.inf
            else:
                limits[name] = _read_limit(name, body.get(name), getattr(ceilings, name))
    for name in ("compile_memory_limit", "run_memory_limit"):
        if limits[name] is not None:
            limits[name] = math.ceil(limits[name])
    return Limits(**limits)


def _read_limit(name: str, asked: Any, ceiling: int) -> float | None:
    """Return the limit in force, or ``None`` for none.

    Piston skips every falsy value, whatever its type, and only then looks at types.
    """
    configured = ceiling if ceiling > 0 else None
    if asked is None or asked is False or asked in ("", 0):
        return configured
    if isinstance(asked, bool) or not isinstance(asked, (int, float)):
        raise RequestRefused(f"If specified, {name} must be a number")
    if configured is None:
        return asked if 0 < asked < math.inf else None
    if asked > configured:
        raise RequestRefused(f"{name} cannot exceed the configured limit of {configured}")
    if asked < 0:
        raise RequestRefused(f"{name} must be non-negative")
    return asked


def _read_stdin(value: Any) -> bytes:
    if value is None:
        value = ""
    if not isinstance(value, str):
        # Piston answers {} here: the error it met has nothing that JSON shows.
        raise RequestRefused("")
    return text_to_bytes(value if value.endswith("\n") else value + "\n")


def _read_args(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, str)):
        raise RequestRefused("args must be an array of strings")
    return tuple(_read_arg(element, index) for index, element in enumerate(value))


def _read_arg(value: Any, index: int) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = _number_as_text(value)
    if not isinstance(value, str) or "\0" in value:
        raise RequestRefused(f"args[{index}] must be a string without NUL characters")
    return _without_lone_surrogates(value)


def _number_as_text(value: int | float) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def _without_lone_surrogates(text: str) -> str:
    """Return what JavaScript hands to the operating system for a text."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read_files(entries: list[Mapping[str, Any]]) -> tuple[SourceFile, ...]:
    files = []
    names: set[str] = set()
    for index, entry in enumerate(entries):
        name = _read_name(entry.get("name"), index)
        if name is not None:
            _refuse_file_as_folder(name, names, index)
            names.add(name)
        files.append(_read_file(entry, name))
    return tuple(files)


def _read_file(entry: Mapping[str, Any], name: str | None) -> SourceFile:
    content = entry["content"]
    if _is_utf8(entry):
        return SourceFile(text_to_bytes(content), name)
    if entry["encoding"] == "hex":
        return SourceFile(_from_hex(content), name, "hex")
    if entry["encoding"] == "base64":
        return SourceFile(_from_base64(content), name, "base64")
    # An unknown encoding is written as text, yet such a file is never the program; what is
    # never the program travels on as base64.
    return SourceFile(text_to_bytes(content), name, "base64")


def _from_base64(text: str) -> bytes:
    """Decode as leniently as Node does: both alphabets, padding or none, noise skipped."""
    letters = re.sub(r"[^A-Za-z0-9+/]", "", text.partition("=")[0].translate(_URL_SAFE))
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return base64.b64decode(letters + "=" * (-len(letters) % 4))


_URL_SAFE = str.maketrans("-_", "+/")


def _from_hex(text: str) -> bytes:
    """Decode as Node does: up to the first pair that is no hexadecimal number."""
    pairs = re.match(r"(?:[0-9a-fA-F]{2})*", text)
    return bytes.fromhex(pairs[0] if pairs else "")


LONGEST_NAME = 255
"""Bytes that one part of a path may have on common file systems."""

LONGEST_PATH = 1024
"""Bytes of a whole relative path; leaves room for the job folder before it."""


def _read_name(value: Any, index: int) -> str | None:
    if not value:
        return None
    if not isinstance(value, str):
        raise RequestRefused(f"files[{index}].name must be a string")
    name = _without_lone_surrogates(value)
    if "\0" in name:
        raise RequestRefused(f"files[{index}].name must not contain NUL characters")
    windows = PureWindowsPath(name)
    if name.startswith("/") or windows.drive or windows.root:
        raise RequestRefused(f"files[{index}].name must be relative to the job folder")
    # Either separator counts, whatever this machine uses: another one may run the program.
    if posixpath.normpath(name.replace("\\", "/")).split("/")[0] == "..":
        raise RequestRefused(f"files[{index}].name tries to escape the job folder")
    normal = posixpath.normpath(name)
    if normal == "." or name.endswith(("/", "/.", "/..")):
        raise RequestRefused(f"files[{index}].name must name a file")
    parts = normal.encode().split(b"/")
    if max(map(len, parts)) > LONGEST_NAME or len(normal.encode()) > LONGEST_PATH:
        raise RequestRefused(f"files[{index}].name is too long")
    return normal


def _refuse_file_as_folder(name: str, others: set[str], index: int) -> None:
    parts = name.split("/")
    parents = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
    if parents & others or any(other.startswith(f"{name}/") for other in others):
        raise RequestRefused(f"files[{index}].name is a file here and a folder elsewhere")
