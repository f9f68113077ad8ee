"""What several answers tell that no single one does.

One refusal may have several causes. Whether it goes away, from how many requests on it comes,
and on which paths tell them apart (rows as in :mod:`codewitness.execution.causes`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from codewitness.execution.causes import Diagnosis
from codewitness.execution.model import (
    ExecutionError,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
)
from codewitness.reporting.diagnosis import explain, platform_error_in

Outcome = ExecutionResult | ExecutionError
"""What one request gave."""

_MUCH_SLOWER = 1.5
_NOTICEABLE = 0.3
_NOT_FOUND = 404
_FORBIDDEN = 403


def diagnose_repeats(outcomes: Sequence[Outcome], seconds: float) -> Diagnosis | None:
    """Say what one request tells that was sent again and again, one after the other.

    Args:
        outcomes: What each gave, in order.
        seconds: Time between the first and the last answer.

    Returns:
        ``None`` where nothing failed and nothing was slow at first.
    """
    errors = [_error_of(outcome) for outcome in outcomes]
    failures = [error for error in errors if error is not None]
    if not failures:
        return _cold_start([it.elapsed for it in outcomes if isinstance(it, ExecutionResult)])
    counted = f"{len(failures)} of {len(outcomes)} requests failed within {seconds:.1f} s"
    if len(failures) == len(outcomes):
        return _persistent(explain(failures[-1]), counted)
    if all(error is not None for error in errors[: len(failures)]):
        return _cleared(explain(failures[0]), len(failures), seconds)
    return _intermittent(failures[0], counted, len(outcomes) - len(failures))


def _error_of(outcome: Outcome) -> ExecutionError | None:
    if isinstance(outcome, ExecutionResult):
        return platform_error_in(outcome)
    return outcome


def _cold_start(times: Sequence[float]) -> Diagnosis | None:
    if len(times) < 2:
        return None
    first, usual = times[0], median(times[1:])
    if first < max(_MUCH_SLOWER * usual, usual + _NOTICEABLE):
        return None
    return Diagnosis(
        f"the first call took {first:.2f} s and the following {usual:.2f} s at the median: a "
        "session was allocated for it (cold start)",
        "keep ready sessions above 0 if that is too slow; report cold and warm calls separately",
        "C8",
    )


def _persistent(found: Diagnosis, counted: str) -> Diagnosis:
    if found.row == "C7":
        return Diagnosis(
            f"{counted}, so the container is not just starting: it listens on another port than "
            "the target port, or the adapter or executor in it has crashed",
            "compare the listening port with the target port, and read the container's console "
            "log; if it needs longer to start, wait and repeat",
            "C7",
        )
    return replace(found, cause=f"{found.cause} ({counted})")


def _cleared(found: Diagnosis, failed: int, seconds: float) -> Diagnosis:
    times = f"{failed} time{'s' if failed > 1 else ''} within {seconds:.1f} s"
    if "I4" in found.rows:
        return Diagnosis(
            f"the caller was refused {times} and then let in: its role had been given lately and "
            "was still propagating",
            "after giving a role wait up to 5 minutes and repeat before changing anything",
            "I4",
        )
    if "C3" in found.rows:
        return Diagnosis(
            f"the pool refused a new session {times} and then gave one, although none was "
            "stopped: it was warming",
            "wait for ready instances after creating or updating the pool, then run; keep more "
            "sessions ready for bursts",
            "C3",
        )
    if found.row == "C7":
        return Diagnosis(
            f"the gateway got no answer from the container {times} and then did: the container "
            "was still starting",
            "wait and repeat after deploying; have the container listen sooner, or give the pool "
            "a startup probe",
            "C7",
        )
    return replace(found, cause=f"{found.cause} (it failed {times}, then it worked)")


def _intermittent(error: ExecutionError, counted: str, let_through: int) -> Diagnosis:
    found = explain(error)
    if found.row == "C5":
        told = re.search(r"\b(\d+) per\b", error.body if isinstance(error, PlatformFault) else "")
        if told and let_through > int(told[1]):
            return replace(
                found,
                cause=f"a rate limiter let {let_through} requests through, although it says "
                f"{told[0]} unit of time: its store is the memory of each worker process",
            )
    if found.row == "C10":
        return Diagnosis(
            f"{counted}, the others worked: the service, or the pool's allocator, fails now and "
            "then",
            "repeat such a request a bounded number of times, count these in the report, and "
            "show the times to the platform's support",
            "C10",
        )
    return replace(found, cause=f"{found.cause} ({counted})")


def diagnose_load(outcomes: Mapping[int, Sequence[Outcome]]) -> Diagnosis | None:
    """Say what requests tell that were sent several at a time.

    Args:
        outcomes: What they gave, by how many were under way at once.

    Returns:
        ``None`` where nothing failed.
    """
    failures = {
        at_once: [error for error in map(_error_of, outcomes[at_once]) if error is not None]
        for at_once in sorted(outcomes)
    }
    least = next((at_once for at_once, errors in failures.items() if errors), None)
    if least is None:
        return None
    error = failures[least][0]
    found = explain(error)
    if least == 1:
        return found
    counts = "; ".join(
        f"{at_once} at once: {len(errors)} of {len(outcomes[at_once])} failed"
        for at_once, errors in failures.items()
    )
    if isinstance(error, PlatformFault) and error.kind is FaultKind.TIMEOUT:
        return Diagnosis(
            f"requests hang from {least} at a time on, and are answered alone: a single-process "
            f"development server, or no time limit on the backend's outgoing call ({counts})",
            "run a production server with several workers (4 processes of 2 threads serve 8 at a "
            "time), and set time limits on the backend's outgoing calls",
            "C9",
        )
    if found.row == "C6":
        return Diagnosis(
            f"the service fails only under load, from {least} at a time on: its replicas do not "
            f"scale with it ({counts})",
            "raise the number of replicas, or what one takes at a time",
            "C6",
        )
    return replace(found, cause=f"{found.cause} ({counts})")


def diagnose_paths(errors: Mapping[str, ExecutionError | None]) -> Diagnosis | None:
    """Say what requests to several paths of one host tell.

    Args:
        errors: What each path gave; ``None`` for an answer that was right.

    Returns:
        ``None`` where every path answered.
    """
    failed = {path: error for path, error in errors.items() if error is not None}
    if not failed:
        return None
    path, error = next(iter(failed.items()))
    found = explain(error)
    statuses = {_status(each) for each in failed.values()}
    if len(failed) == len(errors):
        return found
    working = next(path for path in errors if path not in failed)
    if statuses == {_NOT_FOUND} and "R3" not in found.rows:
        return Diagnosis(
            f"{path} is not found, while {working} answers: the container has no such route",
            "use a path, and a name of the language, that the adapter routes (cpp for c++)",
            "R3",
        )
    if statuses <= {_FORBIDDEN, 400} and found.rows[:1] != ("R7",):
        return Diagnosis(
            f"{path} is refused with HTTP {_status(error)}, while {working} answers, so token and "
            "role are right: the path is mistyped, or of another API version",
            "check the path against the table of the API version in use",
            "R9",
        )
    return found


def _status(error: ExecutionError) -> int | None:
    return error.status if isinstance(error, PlatformFault | RequestRefused) else None


def diagnose_full_pool(identifiers: Sequence[str], held: Sequence[int]) -> Diagnosis | None:
    """Say why a pool ran out of sessions.

    Args:
        identifiers: Identifier of each call, in order.
        held: How many sessions the pool held after each call.

    Returns:
        ``None`` where sessions were released in between, so that neither explains it.
    """
    if any(later < earlier for earlier, later in itertools.pairwise(held)):
        return None
    distinct, most = len(set(identifiers)), max(held, default=0)
    if distinct == len(identifiers):
        return Diagnosis(
            f"each of {len(identifiers)} calls used an identifier of its own, and each of those "
            f"holds a session for the whole cooldown; the pool held {most}",
            "reuse one identifier per user or worker",
            "C1",
        )
    return Diagnosis(
        f"identifiers are reused, {distinct} of them in {len(identifiers)} calls, but sessions "
        f"are never released: their number only rose, to {most}",
        "stop sessions at the end (stopSession, or DELETE /session on a built-in pool), shorten "
        "the cooldown, or raise the maximum",
        "C2",
    )
