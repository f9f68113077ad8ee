"""A command line that repeats a request, without the suite and without its secrets."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from codewitness.execution.redaction import REDACTED, redact
from codewitness.reporting.visible import plain

_CREDENTIALS = re.compile(r"authorization|cookie|key|secret|token", re.IGNORECASE)
_JSON_HEADERS = {"Content-Type": "application/json"}


def curl_line(
    url: str,
    body: Mapping[str, Any] | bytes | None,
    options: Sequence[str] = (),
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    *,
    body_file: str | None = None,
) -> str:
    """Return a curl command on one line, quoted for a POSIX shell.

    Args:
        url: Full URL.
        body: A JSON document, the bytes of a body, or ``None`` for none.
        options: Options already quoted, with secrets as shell variables (``curl_options`` of
            an executor).
        method: HTTP method.
        headers: Headers to send, by default the content type of a JSON document. Without a
            content type among them none is sent.
        body_file: File that holds the body; the command names it instead of the body.
    """
    if headers is None:
        headers = _JSON_HEADERS if isinstance(body, Mapping) else {}
    words = ["curl", "-sS", "-i", *_method_options(method, body is not None)]
    if re.search(r"[][{}]", url):
        words.append("--globoff")
    if re.search(r"/\.\.?(/|$)", url):
        words.append("--path-as-is")
    words.append(shlex.quote(redact(url)))
    words += options
    # curl takes 'Name:' as an order to leave the header out.
    given = [header_line(it, value) if value else f"{it};" for it, value in headers.items()]
    words += [f"-H {shlex.quote(header)}" for header in given]
    if body is None:
        return " ".join(words)
    if "content-type" not in {name.lower() for name in headers}:
        words.append("-H 'Content-Type:'")
    if body_file is not None:
        return " ".join([*words, "--data-binary", shlex.quote(f"@{body_file}")])
    text = _body_text(body)
    if text.isprintable() and plain(text) == text:
        return " ".join([*words, "--data-raw", shlex.quote(text)])
    # Line ends, NUL and bytes that are no text don't survive on a command line.
    return " ".join([f"printf {shlex.quote(_octal(text))} |", *words, "--data-binary @-"])


def _method_options(method: str, has_body: bool) -> list[str]:
    if method == "HEAD" and not has_body:
        return ["--head"]
    implied = "POST" if has_body else "GET"
    return [] if method == implied else ["-X", shlex.quote(method)]


def header_line(name: str, value: str) -> str:
    """Return a header as it may be shown: without its value, if that is a credential."""
    return f"{name}: {REDACTED}" if _CREDENTIALS.search(name) else redact(f"{name}: {value}")


def _body_text(body: Mapping[str, Any] | bytes) -> str:
    if isinstance(body, bytes):
        return redact(body.decode("utf-8", "surrogateescape"))
    # Inside a document a secret may stand between escaped quotes.
    return redact(json.dumps(_redacted(body)))


def _redacted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _redacted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(item) for item in value]
    return redact(value) if isinstance(value, str) else value


def _octal(text: str) -> str:
    """Return a format of ``printf`` that prints a text, in printable ASCII."""
    octets = text.encode("utf-8", "surrogateescape")
    shown = "".join(_FORMAT.get(octet) or chr(octet) for octet in octets)
    # A dash in front would make it an option.
    return f"\\055{shown[1:]}" if shown.startswith("-") else shown


_FORMAT = {octet: f"\\{octet:03o}" for octet in (*range(0x20), *range(0x7F, 0x100))}
_FORMAT |= {ord("\n"): "\\n", ord("\\"): "\\\\", ord("%"): "%%"}
