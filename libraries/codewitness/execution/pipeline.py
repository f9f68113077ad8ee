"""Doing work ahead of those who ask for its results, with bounded concurrency and memory.

A run that reports ten thousand executions in order needs not wait for one before it begins the
next. The pipeline works through a list of keys, in order, some at a time, and keeps each result
until it is claimed. How many at a time is found from what the service shows: more, as long as
that is faster, and fewer once it refuses.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from codewitness.execution.model import FaultKind, PlatformFault

Key = TypeVar("Key", bound=Hashable)
Outcome = TypeVar("Outcome")

MOST_AT_ONCE = 32
"""How many executions run at once where nobody says otherwise and more was always faster."""

BYTES_KEPT = 64 * 1024 * 1024
"""Size of all unclaimed results from which on nothing new is begun."""

MOST_KEPT = 1000
"""Number of unclaimed results from which on nothing new is begun."""

_FIRST = 4
_REFUSALS_BORNE = 6
_LONGEST_PAUSE = 5.0
_FASTER = 1.1


class Concurrency:
    """How many executions may run at once.

    Begins with a few. Every time that twice as many have ended as may run at once, the rate is
    compared with the best before: if it has grown by a tenth, half as many again may run, and
    if it has not, the number that was best stays. A refusal halves the number for good.

    Args:
        fixed: The number, if it is not to be found.
        most: Upper limit of what may be found.
    """

    def __init__(self, fixed: int | None = None, most: int = MOST_AT_ONCE) -> None:
        if fixed is not None and fixed < 1:
            raise ValueError(f"a concurrency of {fixed} executes nothing; allow at least 1")
        self.limit = fixed or min(_FIRST, most)
        self.most = fixed or most
        self._settled = fixed is not None
        self._best_rate = 0.0
        self._best_limit = self.limit
        self._since: float | None = None
        self._ended = 0

    def ended(self, now: float) -> None:
        """Note that one execution has ended, at a time in seconds."""
        if self._settled:
            return
        if self._since is None:
            self._since = now
            return
        self._ended += 1
        if self._ended >= 2 * self.limit:
            self._judge(self._ended / max(now - self._since, 1e-9))
            self._since, self._ended = now, 0

    def _judge(self, rate: float) -> None:
        if rate < self._best_rate * _FASTER:
            self.limit, self._settled = self._best_limit, True
            return
        self._best_rate, self._best_limit = rate, self.limit
        self.limit = min(math.ceil(self.limit * 1.5), self.most)
        self._settled = self.limit == self._best_limit

    def refused(self) -> None:
        """Note that the service had no room for an execution."""
        self.limit = max(1, self.limit // 2)
        self._settled = True


class Pipeline(Generic[Key, Outcome]):
    """Works ahead through a list of keys.

    Safe to use from several threads. An exception of the work is an outcome too: it is raised
    where the result is claimed.

    Args:
        keys: What to work on, in the order in which results will probably be claimed.
        work: Gives the outcome for one key; called from several threads. Where it raises a
            :class:`PlatformFault` for want of capacity, it is called again after a pause, with
            fewer at once.
        concurrency: How many at once.
        size: Tells how many bytes an outcome holds.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        work: Callable[[Key], Outcome],
        *,
        concurrency: Concurrency | None = None,
        size: Callable[[Outcome], int] = lambda _outcome: 0,
    ) -> None:
        self.concurrency = concurrency or Concurrency()
        self.refusals = 0
        self.done = 0
        self.total = len(keys)
        self._work = work
        self._size = size
        self._places = {key: place for place, key in enumerate(keys)}
        self._keys = tuple(self._places)
        self._next = 0
        self._active = 0
        self._futures: dict[Key, Future[Outcome]] = {}
        self._bytes: dict[Key, int] = {}
        self._kept = 0
        self._taken: set[Key] = set()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(self.concurrency.most + 1, "ahead")

    def claim(self, key: Key, timeout: float | None = None) -> Outcome:
        """Return the outcome for a key and forget it; wait for it if need be.

        Results of keys before it that nobody claimed are forgotten too: whoever claims in order
        has passed them by. A key that was not begun yet is worked on at once.

        Args:
            key: One of the keys given.
            timeout: Seconds to wait.

        Raises:
            KeyError: The key was not given.
            TimeoutError: There was no outcome in time.
            Exception: What the work raised.
        """
        place = self._places[key]
        with self._lock:
            self._forget_before(place)
            future = self._futures.pop(key, None)
            if future is None:
                future = self._begin_out_of_turn(key)
            self._taken.add(key)
        self._pump()
        try:
            done, _ = wait([future], timeout)
            if not done:
                raise TimeoutError(f"no outcome of {key} within {timeout:g} s")
            return future.result()
        finally:
            with self._lock:
                self._forget_size(key)
            self._pump()

    def close(self) -> None:
        """Begin nothing more; what is being worked on ends by itself."""
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin_out_of_turn(self, key: Key) -> Future[Outcome]:
        if self._closed.is_set():
            raise RuntimeError(f"the pipeline was closed before {key} was begun")
        self._taken.add(key)
        return self._submit(key)

    def _forget_before(self, place: int) -> None:
        # They lie in the order of their places.
        passed = []
        for key in self._futures:
            if self._places[key] >= place:
                break
            passed.append(key)
        for key in passed:
            del self._futures[key]
            self._forget_size(key)
        self._next = max(self._next, place)

    def _forget_size(self, key: Key) -> None:
        self._kept -= self._bytes.pop(key, 0)

    def _pump(self) -> None:
        with self._lock:
            while not self._closed.is_set() and self._may_begin():
                key = self._keys[self._next]
                self._next += 1
                if key not in self._taken:
                    self._futures[key] = self._submit(key)

    def _may_begin(self) -> bool:
        return (
            self._next < len(self._keys)
            and self._active < self.concurrency.limit
            and len(self._futures) < MOST_KEPT
            and self._kept < BYTES_KEPT
        )

    def _submit(self, key: Key) -> Future[Outcome]:
        self._active += 1
        return self._threads.submit(self._run, key)

    def _run(self, key: Key) -> Outcome:
        try:
            outcome = self._work_until_taken(key)
            with self._lock:
                if key in self._futures:
                    self._bytes[key] = self._size(outcome)
                    self._kept += self._bytes[key]
            return outcome
        finally:
            with self._lock:
                self._active -= 1
                self.done += 1
                self.concurrency.ended(time.monotonic())
            self._pump()

    def _work_until_taken(self, key: Key) -> Outcome:
        for attempt in range(_REFUSALS_BORNE):
            outcome = self._outcome_or_refusal(key)
            if not isinstance(outcome, _Refused):
                return outcome
            with self._lock:
                self.refusals += 1
                self.concurrency.refused()
            if self._closed.wait(min(0.2 * 2**attempt, _LONGEST_PAUSE)):
                raise outcome.fault
        return self._work(key)

    def _outcome_or_refusal(self, key: Key) -> Outcome | _Refused:
        try:
            return self._work(key)
        except PlatformFault as fault:
            if fault.kind is FaultKind.CAPACITY:
                return _Refused(fault)
            raise


@dataclass(frozen=True)
class _Refused:
    fault: PlatformFault
