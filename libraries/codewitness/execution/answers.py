"""What an HTTP answer of a backend means: a result, a refusal or a platform fault."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

from codewitness.execution.causes import fault
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.model import (
    ExecutionError,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
    Runtime,
)
from codewitness.execution.piston import (
    PROVENANCE_HEADER,
    provenance_from_header,
    result_from_json,
)
from codewitness.execution.redaction import first_line_of_stack, redact, redact_stack

REFUSAL_STATUSES = frozenset({400, 406, 409, 411, 413, 414, 415, 422, 431})
"""Statuses by which a service refuses *this* request. Every other 4xx says that the caller
did not get through to the API: identity, address, capacity or time."""

_KINDS = {
    401: FaultKind.UNAUTHENTICATED,
    403: FaultKind.FORBIDDEN,
    404: FaultKind.WRONG_ADDRESS,
    405: FaultKind.WRONG_ADDRESS,
    407: FaultKind.UNAUTHENTICATED,
    408: FaultKind.TIMEOUT,
    410: FaultKind.WRONG_ADDRESS,
    421: FaultKind.WRONG_ADDRESS,
    429: FaultKind.CAPACITY,
    503: FaultKind.CAPACITY,
    504: FaultKind.TIMEOUT,
}
_BODY_SHOWN = 2000


def read_result(answer: HttpAnswer, *, executor: str, credentials: str) -> ExecutionResult:
    """Read the answer to ``execute``.

    Args:
        answer: The answer.
        executor: Who answered, as far as the client knows.
        credentials: Which credentials were sent, without their values.

    Raises:
        RequestRefused: The service refused the request.
        PlatformFault: The answer is none of the execute API's.
    """
    document = _document(answer, credentials)
    if isinstance(document, Mapping) and "run" not in document:
        _refuse_other_shapes(document, answer)
    provenance = provenance_from_header(answer.headers.get(PROVENANCE_HEADER), executor)
    try:
        return result_from_json(
            document, provenance=provenance, elapsed=answer.elapsed, retries=answer.retries
        )
    except PlatformFault as malformed:
        raise _fault(malformed.kind, malformed.detail, answer) from malformed


def read_runtimes(answer: HttpAnswer, *, credentials: str) -> list[Runtime]:
    """Read the answer to ``runtimes``.

    Raises:
        PlatformFault: The answer is none of the API's. Refusals count as such, since there is
            nothing to refuse in asking what is installed.
    """
    try:
        document = _document(answer, credentials)
    except RequestRefused as refused:
        detail = f"HTTP {refused.status} to a request for runtimes: {refused}"
        raise _fault(FaultKind.BAD_ANSWER, detail, answer) from refused
    if not isinstance(document, list):
        detail = f"runtimes: expected an array, got {_kind(document)}"
        raise _fault(FaultKind.BAD_ANSWER, detail, answer)
    return [_runtime(entry, f"runtimes[{index}]", answer) for index, entry in enumerate(document)]


def _runtime(entry: Any, path: str, answer: HttpAnswer) -> Runtime:
    def wrong(where: str, expected: str, got: Any) -> NoReturn:
        detail = f"{where}: expected {expected}, got {_kind(got)}"
        raise _fault(FaultKind.BAD_ANSWER, detail, answer)

    if not isinstance(entry, Mapping):
        wrong(path, "an object", entry)
    for key in ("language", "version"):
        if not isinstance(entry.get(key), str):
            wrong(f"{path}.{key}", "a string", entry.get(key))
    aliases = entry.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(it, str) for it in aliases):
        wrong(f"{path}.aliases", "an array of strings", aliases)
    runtime = entry.get("runtime")
    return Runtime(
        language=entry["language"],
        version=entry["version"],
        aliases=tuple(aliases),
        runtime=runtime if isinstance(runtime, str) else None,
    )


def error_in(answer: HttpAnswer, credentials: str = "none") -> ExecutionError | None:
    """Return the error that an answer stands for by its status, or ``None`` for a 200."""
    status = answer.status
    if status == 200:
        return None
    where = f"HTTP {status} {answer.reason}".strip() + f" from {answer.url}"
    message = _message(answer)
    said = f": {message}" if message else ", empty body" if not answer.body else ""
    if 300 <= status < 400:
        return _fault(FaultKind.REDIRECTED, f"{where} to {_describe_redirect(answer)}", answer)
    if status == 400 and re.search(r"HTTP request (was sent )?to (an )?HTTPS", answer.text):
        detail = f"{where}: the service speaks TLS, but the endpoint's URL says http"
        return _fault(FaultKind.TLS, detail, answer)
    if status in REFUSAL_STATUSES and not _is_html(answer):
        return RequestRefused(message, status, redact(redact_stack(answer.text)))
    if status >= 500:
        kind = _KINDS.get(status, FaultKind.SERVER_ERROR)
        return _fault(kind, where + said, answer)
    if status in (401, 403):
        said += f" (credentials sent: {credentials})"
    if 200 < status < 300:
        said = f": 200 is what the execute API answers{said}"
    return _fault(_KINDS.get(status, FaultKind.NOT_THE_API), where + said, answer)


def _document(answer: HttpAnswer, credentials: str) -> Any:
    """Return the parsed JSON of an answer 200."""
    error = error_in(answer, credentials)
    if error is not None:
        raise error
    where = f"HTTP 200 from {answer.url}"
    if not answer.body.strip():
        raise _fault(FaultKind.BAD_ANSWER, f"{where} with an empty body instead of JSON", answer)
    if _is_html(answer):
        detail = f"{where} with an HTML page{_title(answer)} instead of JSON"
        raise _fault(FaultKind.NOT_THE_API, detail, answer)
    try:
        text = answer.body.decode("utf-8")
    except UnicodeDecodeError as broken:
        detail = (
            f"{where}: the body is not JSON, as it is not UTF-8: byte {broken.start} is "
            f"0x{answer.body[broken.start]:02x}"
        )
        raise _fault(FaultKind.BAD_ANSWER, detail, answer) from broken
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as broken:
        raise _not_json(where, text, broken, answer) from broken
    except (ValueError, RecursionError) as broken:
        detail = f"{where}: the body is not JSON ({broken})"
        raise _fault(FaultKind.BAD_ANSWER, detail, answer) from broken


def _not_json(
    where: str, text: str, error: json.JSONDecodeError, answer: HttpAnswer
) -> PlatformFault:
    if text.startswith("\ufeff"):
        detail = f"{where}: the body is not JSON: it begins with a byte order mark (BOM)"
        return _fault(FaultKind.BAD_ANSWER, detail, answer)
    if text.lstrip()[:1] not in ("{", "["):
        kind = answer.content_type or "no content type"
        detail = f"{where}: the body is not JSON ({kind}): {_quote(text)}"
        return _fault(FaultKind.NOT_THE_API, detail, answer)
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        promised = answer.headers.get("Content-Length")
        by = ", which is where Content-Length ends it" if promised == str(len(answer.body)) else ""
        detail = f"{where}: the JSON breaks off after {len(answer.body)} bytes{by}"
    else:
        detail = (
            f"{where}: the body is not JSON: {error.msg} at line {error.lineno}, column "
            f"{error.colno}, near {_quote(text[max(0, error.pos - 20) : error.pos + 20])}"
        )
    return _fault(FaultKind.BAD_ANSWER, detail, answer)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _refuse_other_shapes(document: Mapping[str, Any], answer: HttpAnswer) -> None:
    properties = document.get("properties")
    if isinstance(properties, Mapping):
        found = ", ".join(f"properties.{key}" for key in list(properties)[:8])
        detail = f"run: expected an object, got nothing; the answer has {found} instead"
        raise _fault(FaultKind.BAD_ANSWER, detail, answer)
    message = _message(answer)
    found = ", ".join(map(str, list(document)[:8])) or "no field at all"
    said = f"; it says: {message}" if message else ""
    detail = f"run: expected an object, got nothing; the answer has {found}{said}"
    raise _fault(FaultKind.BAD_ANSWER, detail, answer)


def _fault(kind: FaultKind, detail: str, answer: HttpAnswer) -> PlatformFault:
    return fault(
        kind,
        redact(detail),
        status=answer.status,
        body=redact(redact_stack(answer.text))[:_BODY_SHOWN],
        elapsed=answer.elapsed,
        retries=answer.retries,
    )


def _message(answer: HttpAnswer) -> str:
    """Return what an error body says, in whichever of the usual shapes it says it."""
    if _is_html(answer):
        return f"HTML page{_title(answer)}"
    text = answer.text.strip()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _quote(text) if text else ""
    return redact(_message_of(document))[:1000]


def _message_of(document: Any) -> str:
    if not isinstance(document, Mapping):
        return "" if document is None else str(document)
    if "message" in document:
        return str(document["message"])
    if "stack" in document:
        return first_line_of_stack(document["stack"])
    if "detail" in document:
        return _validation_message(document["detail"])
    error = document.get("error", document.get("title", ""))
    if isinstance(error, Mapping):
        code, message = error.get("code"), error.get("message")
        return ": ".join(str(part) for part in (code, message) if part)
    return str(error)


def _validation_message(detail: Any) -> str:
    """Put the errors of a typed web framework, ``[{loc, msg, …}]``, into one line."""
    if not isinstance(detail, list):
        return str(detail)
    told = []
    for entry in detail:
        if isinstance(entry, Mapping) and isinstance(entry.get("loc"), list):
            told.append(f"{'.'.join(map(str, entry['loc']))}: {entry.get('msg', '')}")
        else:
            told.append(str(entry))
    return "; ".join(told)


def _describe_redirect(answer: HttpAnswer) -> str:
    location = answer.headers.get("Location", "")
    if not location:
        return "no address at all"
    target = urlsplit(urljoin(answer.url, location))
    asked = urlsplit(answer.url)
    # The query of a login address may hold a state or a code.
    shown = f"{target.scheme}://{target.hostname or ''}"
    if target.netloc.rpartition(":")[2].isdigit():
        shown += f":{target.netloc.rpartition(':')[2]}"
    shown += target.path
    if target.geturl() == asked.geturl():
        shown += ", which is the address that was asked"
    elif (target.path, target.hostname) == (asked.path, asked.hostname):
        if (asked.scheme, target.scheme) == ("http", "https"):
            shown += ", which differs in the scheme only"
    elif target.path.rstrip("/") == asked.path.rstrip("/") and target.hostname == asked.hostname:
        shown += ", which differs in the final slash only"
    return shown


def _is_html(answer: HttpAnswer) -> bool:
    start = answer.body[:512].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or (
        answer.content_type in ("text/html", "application/xhtml+xml") and start.startswith(b"<")
    )


def _title(answer: HttpAnswer) -> str:
    found = re.search(r"<(title|h1)[^>]*>(.*?)</\1>", answer.text, re.IGNORECASE | re.DOTALL)
    title = " ".join(html.unescape(re.sub(r"<[^>]+>", "", found[2])).split()) if found else ""
    return f" titled '{redact(title)[:100]}'" if title else ""


def _quote(text: str) -> str:
    # Redacted first: the first half of a secret would not be recognised.
    shown = redact(text)
    return repr(shown if len(shown) <= 200 else f"{shown[:200]}…")


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    name = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return name.get(type(value), "an array" if isinstance(value, list) else "an object")
