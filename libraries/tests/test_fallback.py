from __future__ import annotations

from collections.abc import Sequence

import pytest

from codewitness.execution.fallback import FallbackExecutor
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
    Runtime,
    SourceFile,
)

REQUEST = ExecutionRequest("python", (SourceFile(b"print('ran')"),))


class OutOfOrder:
    """An executor whose platform is broken in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.closed = False

    def execute(self, _request: ExecutionRequest) -> ExecutionResult:
        raise self._error

    def runtimes(self) -> Sequence[Runtime]:
        raise self._error

    def close(self) -> None:
        self.closed = True


def test_result_of_the_executor_meant_is_not_degraded() -> None:
    executor = FallbackExecutor(LocalExecutor(), OutOfOrder(PlatformFault(FaultKind.TLS, "x")))
    try:
        result = executor.execute(REQUEST)
    finally:
        executor.close()
    assert result.run.stdout == b"ran\n"
    assert result.provenance.degraded is None


def test_fallback_answers_and_says_so() -> None:
    broken = OutOfOrder(PlatformFault(FaultKind.NOTHING_LISTENING, "refused"))
    executor = FallbackExecutor(broken, LocalExecutor())
    try:
        result = executor.execute(REQUEST)
        listed = executor.runtimes()
    finally:
        executor.close()
    assert result.run.stdout == b"ran\n"
    assert "nothing listening: refused" in (result.provenance.degraded or "")
    assert any(runtime.language == "python" for runtime in listed)
    assert broken.closed


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT, FaultKind.CONNECTION_CUT])
def test_program_that_may_have_run_is_not_run_again(kind: FaultKind) -> None:
    executor = FallbackExecutor(OutOfOrder(PlatformFault(kind, "late")), LocalExecutor())
    try:
        with pytest.raises(PlatformFault, match="late"):
            executor.execute(REQUEST)
    finally:
        executor.close()


def test_refusal_stays_a_refusal() -> None:
    executor = FallbackExecutor(OutOfOrder(RequestRefused("no")), LocalExecutor())
    try:
        with pytest.raises(RequestRefused, match="no"):
            executor.execute(REQUEST)
    finally:
        executor.close()
