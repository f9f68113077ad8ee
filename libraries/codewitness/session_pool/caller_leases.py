"""Lends every caller an identifier of its own, from however many threads it is asked for."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence

from codewitness.session_pool.callers import (
    Action,
    Caller,
    CallerSessions,
    Grant,
    StopSession,
    current_caller,
)
from codewitness.session_pool.identifiers import CallerBusy, Lease, NoneFree, new_identifier

MOST_WAITING = 16
"""Requests of one caller that may wait; those of other callers need threads to wait in, too."""

# Sessions that could not be stopped; the pool ends them by itself sooner than so many are there.
_MOST_REMEMBERED = 1000


class CallerLeases:
    """Drives :class:`CallerSessions`: the caller of the current context gets its identifier.

    Sessions are stopped by a thread of their own, so that nobody's answer waits for it. One that
    can't be stopped is no longer counted: the pool, which ends it after its cooldown, is the
    judge of what it has room for.

    Args:
        run_id: Name of the run, which every identifier begins with.
        most: Identifiers held at one time.
        stop: Stops the sessions of identifiers and returns those that are still there.

    Raises:
        ValueError: None may be held.
    """

    def __init__(
        self, run_id: str, most: int, stop: Callable[[Sequence[str]], Sequence[str]]
    ) -> None:
        self._sessions = CallerSessions(most, lambda: new_identifier(run_id))
        self._most = most
        self._stop = stop
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._leases: dict[str, Lease] = {}
        self._granted: dict[int, str] = {}
        self._served: dict[str, int] = {}
        self._to_be_stopped: list[str] = []
        self._stopper: threading.Thread | None = None
        self._left_open: deque[str] = deque(maxlen=_MOST_REMEMBERED)

    @property
    def opened(self) -> list[str]:
        """Identifiers that lead to a session now, or may."""
        with self._changed:
            held = [lease.identifier for lease in self._leases.values() if lease.opened]
            return [*self._left_open, *held]

    def take(self, within: float) -> Lease:
        """Lend the caller its identifier; see :meth:`Lender.take`."""
        caller = current_caller()
        with self._changed:
            waiting = self._sessions.waiting_of(caller)
            if waiting >= MOST_WAITING:
                raise CallerBusy(f"{waiting} requests of this caller wait for its session already")
            ticket = next(self._numbers)
            self._do(self._sessions.ask(ticket, caller))
            try:
                self._changed.wait_for(lambda: ticket in self._granted, within)
            finally:
                identifier = self._granted.pop(ticket, None)
                if identifier is None:
                    self._do(self._sessions.withdraw(ticket))
            if identifier is None:
                raise self._none_free(caller, within)
            self._served[identifier] = ticket
            return self._leases[identifier]

    def _none_free(self, caller: Caller, within: float) -> NoneFree:
        if self._sessions.holds_session_of(caller):
            return CallerBusy(
                f"the session of this caller was busy for {within:g} s with its other requests"
            )
        return NoneFree(
            f"none of the {self._most} sessions that this run may use was free within {within:g} s"
        )

    def give_back(self, lease: Lease, *, usable: bool) -> None:
        """End a loan; see :meth:`Lender.give_back`."""
        with self._changed:
            ticket = self._served.pop(lease.identifier)
            if not lease.opened:
                del self._leases[lease.identifier]
                self._do(self._sessions.finished(ticket, "unopened"))
            else:
                self._do(self._sessions.finished(ticket, "kept" if usable else "spoilt"))

    def make_room(self, within: float) -> bool:
        """Stop the session that was used longest ago; tell whether there was one to be stopped.

        Args:
            within: Seconds to wait for its end.
        """
        with self._changed:
            actions = self._sessions.make_room()
            self._do(actions)
            stopped = [it.identifier for it in actions if isinstance(it, StopSession)]
            self._changed.wait_for(lambda: not self._leases.keys() & stopped, within)
            return bool(stopped)

    def leave(self, caller: Caller) -> None:
        """Give up the session of a caller that will not come again."""
        with self._changed:
            self._do(self._sessions.leave(caller))

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Grant(ticket, identifier):
                    self._leases.setdefault(identifier, Lease(identifier))
                    self._granted[ticket] = identifier
                    self._changed.notify_all()
                case StopSession(identifier):
                    self._to_be_stopped.append(identifier)
        if self._to_be_stopped and self._stopper is None:
            self._stopper = threading.Thread(
                target=self._stop_all, name="session-stopper", daemon=True
            )
            self._stopper.start()

    def _stop_all(self) -> None:
        while True:
            with self._changed:
                identifiers, self._to_be_stopped = self._to_be_stopped, []
                if not identifiers:
                    self._stopper = None
                    return
            try:
                left = self._stop(identifiers)
            except RuntimeError:
                # The client was closed meanwhile, and has stopped them itself.
                left = identifiers
            with self._changed:
                for identifier in identifiers:
                    del self._leases[identifier]
                    self._do(self._sessions.stopped(identifier))
                self._left_open.extend(left)
                self._changed.notify_all()
