"""What the answer to a hostile program shows: that it was contained, and how it ended.

A hostile program tells about itself on stdout, in lines that begin with its token: ``began``, then
``harm:`` with what it achieved and must not, and ``done`` at its own end. There are many right
answers to such a program; what they have in common is judged here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from codewitness.execution.model import Stage

# Exit codes by which shells and services tell of a limit or a signal.
_STOPPED = range(124, 193)


@dataclass(frozen=True)
class Breach:
    """What is wrong with an answer.

    Attributes:
        subject: What was looked at.
        relation: How it should stand to ``expected``.
        expected: What was expected, in words or as bytes of an output.
        received: What came instead.
        detail: Why that matters.
    """

    subject: str
    relation: str
    expected: bytes | str
    received: bytes | str
    detail: str = ""


def find_breach(stage: Stage, nonce: str) -> Breach | None:
    """Return what an answer shows to be wrong, or ``None``.

    Args:
        stage: The stage that the program ended in; a program that was not compiled never began.
        nonce: Token of the program.
    """
    harms = harms_in(stage, nonce)
    if harms:
        return Breach("hostile program", "does no harm", "no harm done", "; ".join(harms))
    if f"{nonce} began\n".encode() not in stage.stdout and not was_stopped(stage):
        return Breach(
            "stdout of the hostile program",
            "starts with",
            f"{nonce} began\n".encode(),
            stage.stdout[:1000],
            "neither did the program begin, nor does the answer say what stopped it",
        )
    if stage.exited(0) and not _is_done(stage, nonce):
        return Breach(
            "ending of the hostile program",
            "is told",
            "exit code 0 for a program that came to its end; else what ended it",
            f"{stage.ending}, {len(stage.stdout)} bytes on stdout, and its last line is missing",
            "a program that was stopped, or whose output was cut, must not look like a success",
        )
    return None


def harms_in(stage: Stage, nonce: str) -> list[str]:
    """Return what a program says that it achieved and must not, each once."""
    found = re.findall(rb"^%s harm: (.*)" % re.escape(nonce.encode()), stage.stdout, re.MULTILINE)
    return list(dict.fromkeys(harm.decode("utf-8", "replace") for harm in found))


def was_stopped(stage: Stage) -> bool:
    """Tell whether an answer says that something else than the program ended it."""
    if stage.signal or stage.status in ("TO", "OL", "EL", "SG"):
        return True
    return stage.code is None or stage.code in _STOPPED or stage.code < 0


def ran_at_once(stages: list[Stage], nonce: str) -> bool | None:
    """Tell whether programs ran at the same time, by their own clocks.

    Returns:
        ``None`` where one of them does not tell when it ran.
    """
    pattern = rb"^%s from ([\d.]+) to ([\d.]+)$" % re.escape(nonce.encode())
    told = [re.search(pattern, stage.stdout, re.MULTILINE) for stage in stages]
    times = [(float(it[1]), float(it[2])) for it in told if it is not None]
    if len(times) < len(stages):
        return None
    return max(start for start, _ in times) < min(end for _, end in times)


def _is_done(stage: Stage, nonce: str) -> bool:
    return bool(re.search(rb"^%s done" % re.escape(nonce.encode()), stage.stdout, re.MULTILINE))
