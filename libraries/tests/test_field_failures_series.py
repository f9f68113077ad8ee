"""What several answers tell that no single one does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from codewitness.execution.causes import fault
from codewitness.execution.model import (
    ExecutionError,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    Provenance,
    RequestRefused,
    Stage,
)
from codewitness.reporting.series import (
    Outcome,
    diagnose_full_pool,
    diagnose_load,
    diagnose_paths,
    diagnose_repeats,
)

ALLOCATOR = "Error happened when allocating pod for identifier x in pool y"
LIMITER = "<!doctype html><title>429</title><p>2 per 1 minute</p>"


def worked(elapsed: float = 0.1) -> ExecutionResult:
    run = Stage(b"hi\n", code=0)
    return ExecutionResult("python", "3.11.2", run, Provenance("backend"), elapsed=elapsed)


def failed(status: int, body: str = "") -> PlatformFault:
    kind = {
        403: FaultKind.FORBIDDEN,
        404: FaultKind.WRONG_ADDRESS,
        429: FaultKind.CAPACITY,
        503: FaultKind.CAPACITY,
    }.get(status, FaultKind.SERVER_ERROR)
    return fault(kind, f"HTTP {status} from http://pool: {body}", status=status, body=body)


def hung() -> PlatformFault:
    return fault(FaultKind.TIMEOUT, "connected and sent, but no answer began within 3.0 s")


OK = worked()


@pytest.mark.parametrize(
    ("outcomes", "row", "words"),
    [
        ([failed(403), failed(403), OK], "I4", ("2 times within 1.5 s", "wait up to 5 minutes")),
        ([failed(403), failed(403)], "I3", ("2 of 2 requests failed", "Session Executor")),
        ([failed(429, ALLOCATOR), OK], "C3", ("1 time within", "it was warming", "ready")),
        ([OK, failed(429, ALLOCATOR)], "C1", ("1 of 2 requests failed", "reuse one identifier")),
        ([failed(502), OK], "C7", ("still starting", "wait and repeat")),
        ([failed(502), failed(502)], "C7", ("not just starting", "compare the listening port")),
        ([OK, failed(500, ALLOCATOR), OK], "C10", ("1 of 3 requests", "a bounded number of times")),
        ([failed(503), OK], "C6", ("it failed 1 time", "then it worked")),
        ([OK, OK, OK, failed(429, LIMITER)], "C5", ("let 3 requests through", "2 per unit")),
        ([OK, failed(429, LIMITER)], "C5", ("1 of 2 requests failed", "share its store")),
        ([worked(1.2), OK, OK], "C8", ("1.20 s", "0.10 s", "cold and warm calls separately")),
    ],
)
def test_repeats(outcomes: Sequence[Outcome], row: str, words: tuple[str, ...]) -> None:
    found = diagnose_repeats(outcomes, 1.5)
    assert found is not None
    assert found.row == row
    for said in words:
        assert said in str(found)


@pytest.mark.parametrize(
    "times", [[], [0.1], [9.0], [0.1, 0.1], [0.3, 0.1], [0.1, 2.0], [1.0, 0.9]]
)
def test_repeats_that_tell_nothing(times: list[float]) -> None:
    assert diagnose_repeats([worked(elapsed) for elapsed in times], 1.0) is None


def test_platform_error_as_a_result_is_no_success() -> None:
    text = b"Azure Session Pool Error: 502 - "
    told = ExecutionResult("python", "3", Stage(stderr=text, code=1), Provenance("backend"))
    found = diagnose_repeats([told, OK], 1.0)
    assert found is not None
    assert "still starting" in found.cause


@pytest.mark.parametrize(
    ("outcomes", "row", "words"),
    [
        ({1: [OK], 3: [OK, OK, hung()]}, "C9", ("from 3 at a time on", "3 at once: 1 of 3 failed")),
        ({1: [OK], 2: [OK, failed(503)]}, "C6", ("from 2 at a time on", "number of replicas")),
        ({1: [failed(503)], 2: [OK, OK]}, "C6", ("no replica is ready",)),
        ({1: [OK], 2: [OK, failed(429, ALLOCATOR)]}, "C1", ("2 at once: 1 of 2 failed",)),
    ],
)
def test_load(outcomes: dict[int, Sequence[Outcome]], row: str, words: tuple[str, ...]) -> None:
    found = diagnose_load(outcomes)
    assert found is not None
    assert found.row == row
    for said in words:
        assert said in str(found)


def test_load_that_is_borne() -> None:
    assert diagnose_load({1: [OK], 2: [OK, OK]}) is None


NOT_FOUND = failed(404, '{"message": "Not Found"}')
SHAPE = RequestRefused("SessionPropertiesMissing: words", 400, "SessionPropertiesMissing")


@pytest.mark.parametrize(
    ("errors", "rows", "words"),
    [
        ({"/a": NOT_FOUND, "/b": NOT_FOUND}, ("R1", "R2"), "recreate the pool"),
        ({"/a": NOT_FOUND, "/b": None}, ("R3",), "/a is not found, while /b answers"),
        ({"/a": None, "/b": failed(403)}, ("R9",), "/b is refused with HTTP 403, while /a answers"),
        ({"/a": None, "/b": RequestRefused("no", 400)}, ("R9",), "API version"),
        ({"/a": failed(403), "/b": failed(403)}, ("I3", "I4", "R9"), "lacks the role"),
        ({"/a": None, "/b": SHAPE}, ("R7",), "executions flat"),
        ({"/a": None, "/b": failed(502)}, ("C7",), "console log"),
    ],
)
def test_paths(errors: dict[str, ExecutionError | None], rows: tuple[str, ...], words: str) -> None:
    found = diagnose_paths(errors)
    assert found is not None
    assert found.rows == rows
    assert words in str(found)


def test_paths_that_all_answer() -> None:
    assert diagnose_paths({"/a": None}) is None


@pytest.mark.parametrize(
    ("identifiers", "held", "row", "words"),
    [
        ("abcd", [1, 2, 3, 3], "C1", "each of 4 calls"),
        ("abacbd", [1, 2, 2, 3, 3, 3], "C2", "4 of them in 6 calls"),
    ],
)
def test_full_pool(identifiers: str, held: list[int], row: str, words: str) -> None:
    found = diagnose_full_pool(identifiers, held)
    assert found is not None
    assert found.row == row
    assert words in found.cause
    assert "to 3" in found.cause or "held 3" in found.cause


def test_full_pool_that_releases_sessions_is_explained_otherwise() -> None:
    assert diagnose_full_pool("abab", [1, 2, 1, 2]) is None
