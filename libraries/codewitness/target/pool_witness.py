"""A session pool as the witness of where code ran.

What a backend says of itself is no proof: one that executes on its own host while its pool is
out of order answers just as well. The pool is asked instead. Its list of sessions shows which
of them were used, and a program run directly in it shows what its sessions look like.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace

from codewitness.execution.causes import Diagnosis
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    PlatformFault,
    Provenance,
)
from codewitness.reporting.diagnosis import explain, new_nonce
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import EXECUTOR_ROLE
from codewitness.session_pool.management import PoolSession
from codewitness.target.whereabouts import (
    Whereabouts,
    alike,
    differences,
    fingerprint_request,
    read_whereabouts,
)

# A list may lag behind the requests that it tells of.
_MOVES_WITHIN = 2.0
# Below what services let a program take by default.
_LASTING = 1.5
_LOOK_AGAIN_AFTER = 0.25
_IDLE = (0.3, 2.0)
_MOST_NAMED = 3

NO_WITNESS = Diagnosis(
    "only the backend was asked, and where it executes is for others to say",
    "give the pool's URL as POOL_MANAGEMENT_ENDPOINT beside ENDPOINT and, in the environment, "
    f"an identity with the role {EXECUTOR_ROLE} on that pool",
    "X4",
)
"""What is to be done where nobody can testify."""

FELL_BACK = Diagnosis(
    "the session pool was out of order for whoever executes in it, and a fallback took its place",
    "look at the reason in the answer and mend the pool, or its caller's way to it; where no pool "
    "is required, unset REQUIRE_POOL and POOL_MANAGEMENT_ENDPOINT",
    "X4",
)
"""What is to be done where an answer is marked as degraded."""

_ELSEWHERE = Diagnosis(
    "the backend executed on its own host or in another pool, and did not say so",
    "look at the address of the pool in the backend's settings, at its log for a refusal of the "
    "pool, and at its fallback",
    "X4",
)
_NO_ANSWER = Diagnosis(
    "a Python program's output does not come back as it was printed",
    "run the suite's first section, which shows what does come back, without requiring the pool",
)
_BUSY = Diagnosis(
    "other callers use this pool at the same time",
    "repeat the run while nobody else uses the pool, or give the environment a pool of its own",
    "X4",
)


@dataclass(frozen=True)
class Testimony:
    """What is known of whether a program ran in a session of the pool.

    Attributes:
        in_pool: Whether it did; ``None`` when that is not proven.
        evidence: How that is known, in words.
        diagnosis: Likely cause and cure, unless it did.
        request: The program, if one was sent.
        result: The answer to it, if there was one.
        whereabouts: What the program saw.
    """

    in_pool: bool | None
    evidence: str
    diagnosis: Diagnosis | None = None
    request: ExecutionRequest | None = None
    result: ExecutionResult | None = None
    whereabouts: Whereabouts | None = None

    @property
    def verdict(self) -> str:
        """The claim and its evidence, in one line."""
        claim = {True: "proven", False: "NOT in the session pool", None: "not proven"}
        return f"{claim[self.in_pool]}: {self.evidence}"


class PoolWitness:
    """Asks a pool about executions that somebody else says to have made in it.

    Args:
        pool: Caller of the pool, for this purpose alone, or the target where that is the pool.
    """

    def __init__(self, pool: SessionPoolExecutor) -> None:
        self._pool = pool

    def watch(self, execute: Callable[[ExecutionRequest], ExecutionResult]) -> Testimony:
        """Execute a program and tell which sessions were used for it, by the pool's own list.

        A session was used if it is new in the list, or if its last access is another one than
        before. Sessions that are used all the time by others prove nothing, unless the answer
        names one of them.

        Raises:
            ExecutionError: The program gave no result.
        """
        try:
            before = self._sessions()
        except PlatformFault as fault:
            return _unreadable(fault)
        nonce = new_nonce()
        request = fingerprint_request(nonce)
        result = execute(request)
        seen = read_whereabouts(result, nonce)
        known = Testimony(None, "", None, request, result, seen)
        told = result.provenance
        if told.degraded:
            evidence = f"the answer is marked as degraded: {told.degraded}"
            return replace(known, in_pool=False, evidence=evidence, diagnosis=FELL_BACK)
        if not seen.facts:
            evidence = "the program that tells where it is did not print what it had to"
            return replace(known, evidence=evidence, diagnosis=_NO_ANSWER)
        try:
            moved = self._moved(before, told.session)
            if not (moved if told.session is None else told.session in moved):
                # The backend may stop its sessions as soon as they are not in use.
                moved, told = self._moved_meanwhile(execute, told)
            if told.session is not None or not moved:
                return _judge(known, moved, told.session)
            return _judge_unnamed(known, moved, self._restless(result.elapsed))
        except PlatformFault as fault:
            return replace(_unreadable(fault), request=request, result=result, whereabouts=seen)

    def compare(self, seen: Testimony) -> Testimony:
        """Run the same program directly in the pool and tell whether it finds itself alike.

        The session that is opened for it is stopped again, so that the target finds the pool
        as large as it was.

        Args:
            seen: Testimony about a program that was executed through the target.
        """
        nonce = new_nonce()
        try:
            result = self._pool.execute(fingerprint_request(nonce))
        except ExecutionError as error:
            evidence = f"the same program could not be run directly in the pool: {error}"
            return replace(seen, in_pool=None, evidence=evidence, diagnosis=explain(error))
        finally:
            self._stop()
        direct = read_whereabouts(result, nonce)
        if not direct.facts or seen.whereabouts is None:
            evidence = "the same program, run directly in the pool, did not print what it had to"
            return replace(seen, in_pool=None, evidence=evidence, diagnosis=_NO_ANSWER)
        differing = [
            f"{fact} was {through}, and {directly} directly in the pool"
            for fact, (through, directly) in differences(seen.whereabouts, direct).items()
        ]
        if differing:
            return replace(
                seen,
                in_pool=False,
                evidence=f"fingerprints differ: {'; '.join(differing)}",
                diagnosis=_ELSEWHERE,
            )
        shared = f"the same program run directly in the pool saw {alike(seen.whereabouts, direct)}"
        return replace(seen, evidence=f"{seen.evidence}; {shared}")

    def _moved_meanwhile(
        self, execute: Callable[[ExecutionRequest], ExecutionResult], told: Provenance
    ) -> tuple[set[str], Provenance]:
        """Look at the list while a further program runs, which takes its time."""
        before, moved = self._sessions(), set[str]()
        request = fingerprint_request(new_nonce(), lasting=_LASTING)
        with ThreadPoolExecutor(1, "watched") as thread:
            running = thread.submit(execute, request)
            while not running.done():
                moved |= _moved(before, self._sessions())
                wait([running], _LOOK_AGAIN_AFTER)
        if running.exception() is None:
            told = running.result().provenance
        return moved, told

    def _restless(self, seconds: float) -> set[str]:
        """Return the sessions that are used while nothing is executed, for as long as it took."""
        before = self._sessions()
        time.sleep(min(max(seconds, _IDLE[0]), _IDLE[1]))
        return _moved(before, self._sessions())

    def _moved(self, before: Mapping[str, PoolSession], named: str | None) -> set[str]:
        deadline = time.monotonic() + _MOVES_WITHIN
        while True:
            moved = _moved(before, self._sessions())
            found = named in moved if named is not None else bool(moved)
            if found or time.monotonic() >= deadline:
                return moved
            time.sleep(_LOOK_AGAIN_AFTER)

    def _sessions(self) -> dict[str, PoolSession]:
        return {session.identifier: session for session in self._pool.list_sessions()}

    def _stop(self) -> None:
        for identifier in self._pool.identifiers:
            with suppress(PlatformFault):
                self._pool.stop_session(identifier)

    def close(self) -> None:
        """Stop what was opened and close all connections."""
        self._pool.close()


def _unreadable(fault: PlatformFault) -> Testimony:
    return Testimony(None, f"the pool's list of sessions can't be read: {fault}", explain(fault))


def _judge(known: Testimony, moved: set[str], named: str | None) -> Testimony:
    """Judge an answer that names its session, or an execution for which no session was used."""
    if named is not None and named in moved:
        evidence = f"the pool's list shows that session {named} was used"
        return replace(known, in_pool=True, evidence=evidence)
    evidence = f"sessions of the pool that moved: {_in_words(moved)}"
    if named is not None:
        evidence = f"the answer names session {named}; {evidence}"
    return replace(known, in_pool=False, evidence=evidence, diagnosis=_ELSEWHERE)


def _judge_unnamed(known: Testimony, moved: set[str], restless: set[str]) -> Testimony:
    quiet = moved - restless
    if quiet:
        evidence = f"the pool's list shows use of {_in_words(quiet)}"
        return replace(known, in_pool=True, evidence=evidence)
    evidence = f"sessions that moved do so without this run, too: {_in_words(moved)}"
    return replace(known, evidence=evidence, diagnosis=_BUSY)


def _moved(before: Mapping[str, PoolSession], after: Mapping[str, PoolSession]) -> set[str]:
    return {
        name
        for name, session in after.items()
        if name not in before
        or session.created_at != before[name].created_at
        or session.last_accessed_at != before[name].last_accessed_at
    }


def _in_words(sessions: set[str]) -> str:
    shown = sorted(sessions)[:_MOST_NAMED]
    more = len(sessions) - len(shown)
    return (", ".join(shown) + (f" and {more} more" if more else "")) or "none"
