"""Where a service runs its programs, as far as a program itself can show."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Provenance,
    SourceFile,
)

# Every fact on its own, because a sandbox may forbid any of them.
_FINGERPRINT = """\
import json, os, platform, sys, time

def told(ask):
    try:
        return ask()
    except Exception:
        return None

def first_line(path):
    return told(lambda: open(path).readline().strip())

print(json.dumps({
    "nonce": "%s",
    "boot": first_line("/proc/sys/kernel/random/boot_id"),
    "host": told(platform.node),
    "kernel": told(platform.release),
    "python": told(platform.python_version),
    "uid": told(lambda: os.getuid()),
    "pid": told(os.getpid),
    "first": first_line("/proc/1/comm"),
    "interpreter": told(lambda: sys.executable),
    "system": first_line("/etc/os-release"),
}), flush=True)
time.sleep(%s)
"""
_SAME_IN_ONE_POOL = ("kernel", "system", "python", "interpreter", "uid", "first")
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Whereabouts:
    """Where code ran.

    Attributes:
        evidence: What is known and how, in words for the top of the report.
        on_this_machine: Whether the program ran under this machine's kernel; ``None`` when
            that could not be told.
        facts: What the fingerprint program found, by name.
        provenance: What the answer itself told about who executed.
    """

    evidence: str
    on_this_machine: bool | None
    facts: dict[str, Any]
    provenance: Provenance | None = None


def fingerprint_request(nonce: str, *, lasting: float = 0) -> ExecutionRequest:
    """Return the program that looks where it is; its output stays below 1,000 characters.

    Args:
        nonce: What it prints besides.
        lasting: Seconds that it goes on, to be seen meanwhile.
    """
    return ExecutionRequest("python", (SourceFile((_FINGERPRINT % (nonce, lasting)).encode()),))


def read_whereabouts(result: ExecutionResult, nonce: str) -> Whereabouts:
    """Interpret the fingerprint program's result.

    A kernel's boot id is random and shared by all containers on it, so an equal one proves
    that a program ran on this machine, and a different one that it did not.
    """
    facts = _facts(result.run.stdout, nonce)
    told = _told(result.provenance)
    if not facts:
        evidence = f"not proven: the fingerprint program did not answer{told}"
        return Whereabouts(evidence, None, {}, result.provenance)
    own, found = _own_boot_id(), facts.get("boot")
    here = found == own if own and found else None
    seen = ", ".join(
        f"{name} {facts[name]}" for name in ("host", "kernel", "python", "uid") if facts.get(name)
    )
    if here:
        evidence = f"on this machine (proven by the kernel's boot id){told}; program saw {seen}"
    elif here is False:
        evidence = f"on another machine (proven by the kernel's boot id){told}; program saw {seen}"
    else:
        evidence = f"not proven (no boot id to compare){told}; program saw {seen}"
    return Whereabouts(evidence, here, facts, result.provenance)


def differences(one: Whereabouts, other: Whereabouts) -> dict[str, tuple[Any, Any]]:
    """Return the facts that differ although both programs ran in sessions of one pool.

    All sessions of a pool have its image and its kind of host. What a session has of its own,
    such as its host name, and which machine carries it, may differ.
    """
    return {
        fact: (one.facts.get(fact), other.facts.get(fact))
        for fact in _SAME_IN_ONE_POOL
        if one.facts.get(fact) != other.facts.get(fact)
    }


def alike(one: Whereabouts, other: Whereabouts) -> str:
    """Say what two programs both saw, of what is the same in all sessions of a pool."""
    shared = [f"{fact} {one.facts[fact]}" for fact in _SAME_IN_ONE_POOL if one.facts.get(fact)]
    boots = one.facts.get("boot"), other.facts.get("boot")
    if boots[0] and boots[0] == boots[1]:
        shared.append("the same boot of the kernel")
    return ", ".join(shared)


def _told(provenance: Provenance) -> str:
    parts = [provenance.executor]
    if provenance.sandbox:
        parts.append(f"in {provenance.sandbox}")
    if provenance.session:
        parts.append(f"session {provenance.session}")
    return f"; answered by {' '.join(parts)}"


def _facts(stdout: bytes, nonce: str) -> dict[str, Any]:
    try:
        facts = json.loads(stdout)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) and facts.get("nonce") == nonce else {}


def _own_boot_id() -> str | None:
    try:
        text = Path(_BOOT_ID).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return text if re.fullmatch(r"[0-9a-f-]{36}", text) else None
