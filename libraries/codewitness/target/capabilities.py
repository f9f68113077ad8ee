"""What a service can do, found out by asking it.

A request field that is answered with 200 counts as claimed. So a capability is honoured,
ignored (claimed but without effect), refused (the service says openly that it lacks it) or
a deviation that the environment's variable file lists.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Limits,
    RequestRefused,
    SourceFile,
    Stage,
)

Execute = Callable[[ExecutionRequest], ExecutionResult]


class State(Enum):
    """Whether a service has a capability."""

    HONOURED = "honoured"
    IGNORED = "ignored"
    REFUSED = "refused"
    DEVIATION = "listed as a deviation"


@dataclass(frozen=True)
class Finding:
    """What is known of one capability.

    Attributes:
        name: The capability, as ``DEVIATIONS`` names it.
        state: Whether the service has it.
        evidence: What was sent and what came back, in one line.
        request: The request that showed it, if one did.
        result: The answer to that request, if there was one.
    """

    name: str
    state: State
    evidence: str
    request: ExecutionRequest | None = None
    result: ExecutionResult | None = None


@dataclass(frozen=True)
class _Probe:
    meaning: str
    ask: Callable[[str], ExecutionRequest]
    honoured: Callable[[Stage, str], bool]


def _prints_nonce(stage: Stage, nonce: str) -> bool:
    return nonce.encode() in stage.stdout


def _python(code: str, *more: SourceFile, name: str | None = None) -> tuple[SourceFile, ...]:
    return (SourceFile(code.encode(), name), *more)


def _with_args(nonce: str) -> ExecutionRequest:
    return ExecutionRequest("python", _python("import sys; print(sys.argv[1:])"), args=(nonce,))


def _with_two_files(nonce: str) -> ExecutionRequest:
    helper = SourceFile(f"NONCE = '{nonce}'\n".encode(), "probe_helper.py")
    code = "import probe_helper; print(probe_helper.NONCE)"
    return ExecutionRequest("python", _python(code, helper, name="main.py"))


def _with_file_name(nonce: str) -> ExecutionRequest:
    name = f"{nonce.replace('-', '_')}.py"
    code = "import os; print(os.path.basename(__file__)[:-3].replace('_', '-'))"
    return ExecutionRequest("python", _python(code, name=name))


def _with_encoded_file(encoding: str) -> Callable[[str], ExecutionRequest]:
    def ask(nonce: str) -> ExecutionRequest:
        data = SourceFile(nonce.encode(), "data.bin", "hex" if encoding == "hex" else "base64")
        code = "print(open('data.bin').read())"
        return ExecutionRequest("python", _python(code, data, name="main.py"))

    return ask


TIMEOUT_ASKED = 1000
"""Milliseconds of ``run_timeout`` that the probe asks for."""

_SLEEPS_LONGER = "import time; print('%s', flush=True); time.sleep(2.2); print('woke up')"
_MEMORY_ASKED = 128 * 1024 * 1024
_TAKES_MORE = """\
print('%s began', flush=True)
block = bytearray(384 * 1024 * 1024)
print('had it all', block[::4096].count(0) > 0)
"""


def _with_run_timeout(nonce: str) -> ExecutionRequest:
    return ExecutionRequest(
        "python", _python(_SLEEPS_LONGER % nonce), limits=Limits(run_timeout=TIMEOUT_ASKED)
    )


def _with_memory_limit(nonce: str) -> ExecutionRequest:
    return ExecutionRequest(
        "python", _python(_TAKES_MORE % nonce), limits=Limits(run_memory_limit=_MEMORY_ASKED)
    )


def _with_range(_nonce: str) -> ExecutionRequest:
    # A number that no Python will have: whoever answers 200 has not looked at it.
    return ExecutionRequest("python", _python("print('version ignored')"), version="97.x")


_PROBES: Mapping[str, _Probe] = {
    "args": _Probe("command-line arguments reach the program", _with_args, _prints_nonce),
    "files": _Probe("further files lie beside the program", _with_two_files, _prints_nonce),
    "file-names": _Probe("files keep their names", _with_file_name, _prints_nonce),
    "base64": _Probe("base64 content is decoded", _with_encoded_file("base64"), _prints_nonce),
    "hex": _Probe("hex content is decoded", _with_encoded_file("hex"), _prints_nonce),
    "run_timeout": _Probe(
        "run_timeout stops a program",
        _with_run_timeout,
        lambda stage, _nonce: b"woke up" not in stage.stdout,
    ),
    "run_memory_limit": _Probe(
        "run_memory_limit bounds a program's memory",
        _with_memory_limit,
        # A program that did not even begin was not stopped by its limit.
        lambda stage, nonce: nonce.encode() in stage.stdout and b"had it all" not in stage.stdout,
    ),
    "version": _Probe("an unknown version is refused", _with_range, lambda _stage, _nonce: False),
}

CAPABILITIES: Mapping[str, str] = {name: probe.meaning for name, probe in _PROBES.items()}
"""Every capability that tests may depend on, with its meaning."""


class Capabilities:
    """Finds out what a service can do, once each and only when a test asks.

    Args:
        execute: Executes a request on the service.
        deviations: Capabilities that the service is known not to have.

    Raises:
        ValueError: A deviation names no capability.
    """

    def __init__(self, execute: Execute, deviations: tuple[str, ...] = ()) -> None:
        unknown = [name for name in deviations if name not in _PROBES]
        if unknown:
            raise ValueError(
                f"DEVIATIONS names {', '.join(unknown)}, which is no capability; "
                f"there are {', '.join(_PROBES)}."
            )
        self._execute = execute
        self._deviations = frozenset(deviations)
        self._found: dict[str, Finding] = {}

    @property
    def found(self) -> Mapping[str, Finding]:
        """All capabilities that were asked for, by name."""
        return dict(self._found)

    def find(self, name: str) -> Finding:
        """Return what is known of a capability; ask the service if nothing is.

        Raises:
            ValueError: There is no such capability.
            PlatformFault: The service is out of order.
        """
        if name not in _PROBES:
            raise ValueError(f"'{name}' is no capability; there are {', '.join(_PROBES)}.")
        if name not in self._found:
            self._found[name] = self._ask(name)
        return self._found[name]

    def _ask(self, name: str) -> Finding:
        if name in self._deviations:
            return Finding(name, State.DEVIATION, "listed in DEVIATIONS of this environment")
        probe, nonce = _PROBES[name], f"nonce-{secrets.token_hex(8)}"
        request = probe.ask(nonce)
        try:
            result = self._asked(name, request)
        except RequestRefused as refusal:
            if name == "version":
                return Finding(name, State.HONOURED, f"refused: {refusal}", request)
            return Finding(name, State.REFUSED, f"the service refuses it: {refusal}", request)
        if probe.honoured(result.run, nonce):
            return Finding(name, State.HONOURED, probe.meaning, request, result)
        return Finding(
            name,
            State.IGNORED,
            f"{name} was accepted with HTTP 200 and had no effect ({probe.meaning}: no)",
            request,
            result,
        )

    def _asked(self, name: str, request: ExecutionRequest) -> ExecutionResult:
        try:
            return self._execute(request)
        except RequestRefused as refusal:
            ceiling = ceiling_in(refusal.message)
            if name == "run_timeout" and ceiling and ceiling < TIMEOUT_ASKED:
                lowered = ExecutionRequest(
                    request.language, request.files, limits=Limits(run_timeout=ceiling)
                )
                return self._execute(lowered)
            raise


def ceiling_in(message: str) -> int | None:
    """Return the configured limit that a refusal names, if it names one."""
    found = re.search(r"configured limit of (\d+)", message)
    return int(found[1]) if found else None
