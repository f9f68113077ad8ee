"""Keeping a server's stack traces out of what is shown; they name its paths and its code."""

from __future__ import annotations

import json
import re
from typing import Any

from codewitness.execution.redaction import first_line_of_stack

LEFT_OUT = "(stack trace left out)"

# Frames as Python, JavaScript, Java and .NET write them.
_FRAME = re.compile(
    r"(?:[ \t]|\\t)+(?:File \"|at [^\n]*(?:[:(]\d+|\([^()\n]*\)|:line \d+)"
    r"|\.\.\. \d+ (?:more|common frames)).*"
)


def without_traces(body: str) -> str:
    """Return an error body without the frames of the stack traces in it.

    What went wrong stays. A JSON body keeps its shape; a ``stack`` member keeps its first line,
    as Piston has it (contract, section 2).
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _without_frames(body)
    cleaned = _clean(document)
    return body if cleaned == document else json.dumps(cleaned, ensure_ascii=False)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: first_line_of_stack(item) if key == "stack" else _clean(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return _without_frames(value) if isinstance(value, str) else value


def _without_frames(text: str) -> str:
    kept: list[str] = []
    in_python_frame = False
    # An error message may quote a body, line ends escaped.
    end = "\n" if "\n" in text else "\\n"
    for line in text.split(end):
        if _FRAME.fullmatch(line):
            if kept[-1:] != [LEFT_OUT]:
                kept.append(LEFT_OUT)
            in_python_frame = line.lstrip().startswith("File ")
        elif in_python_frame and line.startswith("    "):
            # The line of source, and the marks below it, that Python shows with a frame.
            continue
        else:
            in_python_frame = False
            kept.append(line)
    return end.join(kept)
