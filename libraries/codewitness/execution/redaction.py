"""Keeping secrets out of everything that is shown or written."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Mapping
from typing import Any

REDACTED = "<redacted>"

SECRET_VARIABLES = (
    "BACKEND_AUTHORIZATION",
    "BACKEND_API_KEY",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "IDENTITY_HEADER",
    "MSI_SECRET",
)
"""Environment variables whose values must never be shown."""

_BACKSLASH = "\\"

# Shorter values would turn ordinary words of a report into riddles.
_SHORTEST_SECRET = 6

_SHAPES = (
    # JSON Web Token, wherever it stands. Bounds keep the time for long texts in proportion.
    (re.compile(r"\beyJ[\w-]{5,2000}\.[\w-]{5,}(?:\.[\w-]*)?"), REDACTED),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/-]{8,}=*"), rf"\1 {REDACTED}"),
    (
        re.compile(
            r"(?i)\b((?:x-)?api[-_]?key|ocp-apim-subscription-key|x-functions-key|subscription-key"
            r"|access_token|client_secret|password|sig)(\"?\s*[:=]\s*\"?)"
            # A shell variable in a command that people shall repeat is no secret.
            r"(?!\$[A-Z_]+\")[^\s\"'&,;<]{6,}"
        ),
        rf"\1\2{REDACTED}",
    ),
    # User name and password of a URL.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s/@'\"]+@"), rf"\1{REDACTED}@"),
)


def redact(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Replace every secret in a text by ``<redacted>``.

    Secrets are the values of :data:`SECRET_VARIABLES`, alone and without their scheme
    (``Bearer``), however often they are escaped for JSON, HTML or URLs, and whatever has the
    shape of a token, key, password or URL user name.

    Args:
        text: Anything that is about to be shown.
        environ: Environment that holds the secrets, by default the process's own.
    """
    for secret in _secrets(os.environ if environ is None else environ):
        text = _escaped_in_any_way(secret).sub(REDACTED, text)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def _secrets(environ: Mapping[str, str]) -> list[str]:
    found: set[str] = set()
    for name in SECRET_VARIABLES:
        value = environ.get(name, "").strip()
        for part in (value, value.partition(" ")[2].strip()):
            if len(part) >= _SHORTEST_SECRET:
                found.add(part)
    return sorted(found, key=len, reverse=True)


@functools.lru_cache(maxsize=32)
def _escaped_in_any_way(secret: str) -> re.Pattern[str]:
    """Return a pattern that finds a secret, which services may tell back in any escaping."""
    # Backslashes double with every layer of JSON or of Python's notation, and appear before
    # quotes. The bounds keep the time for a text full of them in proportion.
    backslash = f"(?:{_character(_BACKSLASH)})"
    tokens = [
        f"{backslash}{{1,16}}" if token.startswith(_BACKSLASH) else _character(token)
        for token in re.findall(r"\\+|[^\\]", secret)
    ]
    return re.compile(f"{backslash}{{0,16}}".join(tokens), re.IGNORECASE)


def _character(character: str) -> str:
    if character.isalnum():
        return character
    number = ord(character)
    names = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
    forms = [
        re.escape(character),
        rf"(?:u00|x){number:02x}",
        rf"%(?:25)*{number:02x}",
        rf"&(?:amp;)*(?:#0*{number}|#x0*{number:x}|{names.get(character, '#')});",
        *([r"\+"] if character == " " else []),
    ]
    return f"(?:{'|'.join(forms)})"


def redact_stack(body: str) -> str:
    """Take the stack trace out of an error body; only its first line, without paths, stays.

    Piston answers malformed JSON with ``{"stack": …}``, which exposes paths of the server
    (contract, section 2).
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(document, dict) or "stack" not in document:
        return body
    return json.dumps(document | {"stack": first_line_of_stack(document["stack"])})


def first_line_of_stack(stack: Any) -> str:
    """Return what went wrong, without the frames and paths of a stack trace."""
    first = str(stack).strip().partition("\n")[0]
    return re.sub(r"(?:[a-zA-Z]:)?(?:[\\/][\w.@-]+){2,}(?::\d+)*", "<path>", first)
