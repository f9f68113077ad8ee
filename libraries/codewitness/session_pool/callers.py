"""Which caller gets which session: decisions without I/O, for a service in front of a pool.

Every caller has an identifier of its own, which no other caller ever gets. Its executions share
the identifier's session one after the other. When no more identifiers may be held, the caller
that was served longest ago, and is not being served now, loses its session; it gets a new one
when it comes back. Requests are served in order of arrival as far as their sessions allow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from codewitness.session_pool.identifiers import check_most


@dataclass(frozen=True)
class User:
    """A caller who is named, over however many connections."""

    name: str


@dataclass(frozen=True)
class Connection:
    """A caller of whom no more is known than the connection."""

    number: int


Caller = User | Connection

_caller: ContextVar[Caller] = ContextVar("caller")
# Where nobody is named, the process asks for itself.
_ITSELF = Connection(0)


@contextlib.contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Let what is done in this context be done for a caller."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def current_caller() -> Caller:
    """Return for whom the current context works."""
    return _caller.get(_ITSELF)


@dataclass(frozen=True)
class Grant:
    """Let a request use a session; then report :meth:`CallerSessions.finished`.

    Attributes:
        ticket: Number of the request.
        identifier: Identifier of its caller's session.
    """

    ticket: int
    identifier: str


@dataclass(frozen=True)
class StopSession:
    """Stop a session that is not in use; then report :meth:`CallerSessions.stopped`."""

    identifier: str


Action = Grant | StopSession

Ending = Literal["kept", "spoilt", "unopened"]
"""``kept``: the session can serve on; ``spoilt``: it may still be busy; ``unopened``: the
identifier has never led to one."""


@dataclass
class _Held:
    identifier: str
    serving: int | None = None


class CallerSessions:
    """Gives every caller a session of its own.

    Args:
        most: Identifiers held at one time, those whose sessions are being stopped included.
        new_identifier: Returns one that was never used before.

    Raises:
        ValueError: None may be held.
    """

    def __init__(self, most: int, new_identifier: Callable[[], str]) -> None:
        check_most(most)
        self._most = most
        self._new_identifier = new_identifier
        # The caller that was served longest ago comes first.
        self._held: dict[Caller, _Held] = {}
        self._callers: dict[int, Caller] = {}
        self._waiting: dict[int, Caller] = {}
        self._stopping: set[str] = set()
        self._left: set[Caller] = set()

    @property
    def held(self) -> int:
        """How many identifiers are held now."""
        return len(self._held) + len(self._stopping)

    def waiting_of(self, caller: Caller) -> int:
        """Return how many requests of a caller wait for their turn."""
        return sum(waiting == caller for waiting in self._waiting.values())

    def holds_session_of(self, caller: Caller) -> bool:
        """Tell whether a caller has an identifier now."""
        return caller in self._held

    def ask(self, ticket: int, caller: Caller) -> list[Action]:
        """Report a request. A :class:`Grant` answers it, unless it is withdrawn before.

        Args:
            ticket: Tells it from all other requests; higher than those before.
            caller: Who sent it.
        """
        self._left.discard(caller)
        self._waiting[ticket] = caller
        return self._decide()

    def withdraw(self, ticket: int) -> list[Action]:
        """Report that a request is not to be served any more; nothing if it was."""
        self._waiting.pop(ticket, None)
        return self._decide()

    def finished(self, ticket: int, ending: Ending) -> list[Action]:
        """Report that a request was served."""
        caller = self._callers.pop(ticket)
        held = self._held.pop(caller)
        held.serving = None
        if ending == "kept":
            self._held[caller] = held
            return self._decide()
        if ending == "unopened":
            return self._decide()
        return [self._stop(held), *self._decide()]

    def leave(self, caller: Caller) -> list[Action]:
        """Report that a caller will not come again; what it has asked for is still served."""
        self._left.add(caller)
        return self._decide()

    def stopped(self, identifier: str) -> list[Action]:
        """Report that a session was stopped, or could not be."""
        self._stopping.discard(identifier)
        return self._decide()

    def make_room(self) -> list[Action]:
        """Report that the pool is full all the same, because others hold sessions, too.

        Returns:
            A :class:`StopSession`, or nothing where every session is in use.
        """
        for caller, held in self._held.items():
            if held.serving is None:
                del self._held[caller]
                return [self._stop(held)]
        return []

    def _decide(self) -> list[Action]:
        actions = self._stop_left()
        wanting: set[Caller] = set()
        for ticket, caller in list(self._waiting.items()):
            held = self._held.get(caller)
            if held is None and caller not in wanting:
                if self.held < self._most:
                    held = self._held[caller] = _Held(self._new_identifier())
                else:
                    wanting.add(caller)
                    if len(wanting) > len(self._stopping):
                        actions += self.make_room()
            if held is not None and held.serving is None:
                held.serving = ticket
                self._callers[ticket] = caller
                del self._waiting[ticket]
                actions.append(Grant(ticket, held.identifier))
        return actions

    def _stop_left(self) -> list[Action]:
        actions: list[Action] = []
        for caller in self._left - set(self._waiting.values()):
            held = self._held.get(caller)
            if held is None or held.serving is None:
                self._left.discard(caller)
                if held is not None:
                    del self._held[caller]
                    actions.append(self._stop(held))
        return actions

    def _stop(self, held: _Held) -> StopSession:
        self._stopping.add(held.identifier)
        return StopSession(held.identifier)
