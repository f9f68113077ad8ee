"""Degrading in the open: execute elsewhere when the executor meant is out of order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    FaultKind,
    PlatformFault,
    Runtime,
)

# After these the program may have run, or may still be running: no second run of it.
_MAY_HAVE_RUN = frozenset({FaultKind.TIMEOUT, FaultKind.CONNECTION_CUT})


class FallbackExecutor:
    """Executes in one executor and, when that is out of order, in another.

    Every result of the second says so: its provenance has ``degraded`` with the reason. What
    the first refuses stays refused, and a program that may have run there is not run again.

    Args:
        meant: The executor that is meant.
        fallback: The one that takes its place.
    """

    def __init__(self, meant: Executor, fallback: Executor) -> None:
        self._meant = meant
        self._fallback = fallback

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Run one program, elsewhere if need be."""
        try:
            return self._meant.execute(request)
        except PlatformFault as fault:
            if fault.kind in _MAY_HAVE_RUN:
                raise
            result = self._fallback.execute(request)
            degraded = f"the executor that is meant is out of order: {fault}"
            return replace(result, provenance=replace(result.provenance, degraded=degraded))

    def runtimes(self) -> Sequence[Runtime]:
        """Return what the executor meant accepts, else what its fallback does."""
        try:
            return self._meant.runtimes()
        except PlatformFault:
            return self._fallback.runtimes()

    def close(self) -> None:
        """Close both."""
        self._meant.close()
        self._fallback.close()
