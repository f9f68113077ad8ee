"""Life of a session pool: a state machine without I/O that never reads a clock.

Whoever drives it reports what happened, and when, and does what the returned actions ask for.
All times are seconds on one scale of the driver's choice and never go back; a driver calls
:meth:`Pool.advance` no later than :attr:`Pool.next_deadline`.

An instance is a sandbox. It is started, waits in the ready stock, is given to one identifier
for its life (from then on it is that identifier's session) and is stopped.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

RETRY_AFTER = 5.0
"""Seconds until the stock is refilled after an instance did not start."""


@dataclass(frozen=True)
class Timed:
    """A session ends when no request came for a while.

    Attributes:
        cooldown: Seconds; each request restarts them.
    """

    cooldown: float = 300.0


@dataclass(frozen=True)
class OnContainerExit:
    """A session ends with its container, or at a greatest age.

    Attributes:
        max_alive: Seconds from allocation.
    """

    max_alive: float


@dataclass(frozen=True)
class PoolRules:
    """How a pool is configured.

    Attributes:
        maximum: Instances at one time, whether ready or given to an identifier.
        ready: Instances kept ready for new identifiers, as far as the maximum allows.
        lifecycle: What ends a session.
        allocation_time: Seconds between giving an instance to an identifier and the session's
            first request being served.
        waits_for_start: Whether a new identifier waits for an instance that has yet to start;
            otherwise it is refused when none is ready.
    """

    maximum: int = 5
    ready: int = 1
    lifecycle: Timed | OnContainerExit = field(default_factory=Timed)
    allocation_time: float = 0.0
    waits_for_start: bool = True

    def __post_init__(self) -> None:
        if self.maximum < 1:
            raise ValueError(f"a pool of at most {self.maximum} instances can't serve anybody")
        if not 0 <= self.ready <= self.maximum:
            raise ValueError(f"{self.ready} of {self.maximum} instances can't be kept ready")


SessionState = Literal["allocating", "active", "cooling"]
"""``allocating`` until requests can be served, ``active`` while any is, ``cooling`` between."""

StopReason = Literal["cooldown", "maximum age", "request"]

RefusalReason = Literal["full", "warming", "start failed", "stopped"]
"""``full``: every instance is somebody's; ``warming``: none is ready yet; ``start failed``: the
instance did not start; ``stopped``: the session was stopped before it could serve."""


@dataclass(frozen=True)
class Start:
    """Start an instance; then report :meth:`Pool.started` or :meth:`Pool.gone`."""

    instance: int


@dataclass(frozen=True)
class Stop:
    """Stop an instance with everything that it runs, even while it starts.

    Attributes:
        instance: Which.
        identifier: Whose session it was.
        reason: Why.
    """

    instance: int
    identifier: str
    reason: StopReason


@dataclass(frozen=True)
class Serve:
    """Have an instance serve a request; then report :meth:`Pool.finished`.

    Attributes:
        request: Number that the driver gave the request.
        instance: Who serves it.
        new: Whether the session was allocated for this request.
    """

    request: int
    instance: int
    new: bool


@dataclass(frozen=True)
class Refuse:
    """Refuse a request.

    Attributes:
        request: Number that the driver gave the request.
        reason: Why.
    """

    request: int
    reason: RefusalReason


Action = Start | Stop | Serve | Refuse


@dataclass(frozen=True)
class SessionView:
    """What can be seen of a session.

    Attributes:
        identifier: Whose it is.
        instance: Number of its instance.
        state: What it does.
        created: When it was allocated.
        last_accessed: When its newest request came.
        expires: When it ends, unless a request comes before (:class:`Timed`).
    """

    identifier: str
    instance: int
    state: SessionState
    created: float
    last_accessed: float
    expires: float


@dataclass(frozen=True)
class Census:
    """How many instances are in which state."""

    starting: int
    ready: int
    allocating: int
    active: int
    cooling: int


@dataclass(slots=True)
class _Session:
    identifier: str
    instance: int
    started: bool
    first: int
    created: float
    usable: float
    accessed: float
    used: float
    allocated: bool = False
    waiting: list[int] = field(default_factory=list)
    serving: set[int] = field(default_factory=set)
    look: float | None = None

    @property
    def state(self) -> SessionState:
        if not self.allocated:
            return "allocating"
        return "active" if self.serving else "cooling"


class Pool:
    """A session pool.

    Args:
        rules: How it is configured.
    """

    def __init__(self, rules: PoolRules) -> None:
        self._rules = rules
        lifecycle = rules.lifecycle
        self._timed = isinstance(lifecycle, Timed)
        self._lasts = lifecycle.cooldown if isinstance(lifecycle, Timed) else lifecycle.max_alive
        self._numbers = itertools.count(1)
        self._starting: OrderedDict[int, None] = OrderedDict()
        self._ready: OrderedDict[int, None] = OrderedDict()
        self._sessions: dict[str, _Session] = {}
        self._by_instance: dict[int, _Session] = {}
        self._by_request: dict[int, _Session] = {}
        # When to look at which session; an entry that is no longer its `look` is void.
        self._looks: list[tuple[float, int, _Session]] = []
        self._entries = itertools.count()
        self._refill_at: float | None = None

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`advance` is due; ``None`` for not before something else happens."""
        self._drop_void_looks()
        if not self._looks:
            return self._refill_at
        first = self._looks[0][0]
        return first if self._refill_at is None else min(first, self._refill_at)

    @property
    def held(self) -> int:
        """How many instances are somebody's: the sessions, whatever their state."""
        return len(self._sessions)

    @property
    def census(self) -> Census:
        """How many instances are in which state."""
        states = [session.state for session in self._sessions.values()]
        return Census(
            len(self._starting),
            len(self._ready),
            *(states.count(state) for state in ("allocating", "active", "cooling")),
        )

    def sessions(self) -> list[SessionView]:
        """Return all sessions, in order of allocation."""
        return [self._view(session) for session in self._sessions.values()]

    def find(self, identifier: str) -> SessionView | None:
        """Return an identifier's session, or ``None``."""
        session = self._sessions.get(identifier)
        return None if session is None else self._view(session)

    def advance(self, now: float) -> list[Action]:
        """Do what is due. The first call fills the stock."""
        actions: list[Action] = []
        self._drop_void_looks()
        while self._looks and self._looks[0][0] <= now:
            session = heapq.heappop(self._looks)[2]
            session.look = None
            self._attend(session, now, actions)
            self._drop_void_looks()
        if self._refill_at is None or now >= self._refill_at:
            self._refill_at = None
            self._refill(actions)
        return actions

    def request(self, number: int, identifier: str, now: float) -> list[Action]:
        """Report a request.

        Whether now or later, exactly one :class:`Serve` or :class:`Refuse` answers it, unless
        it is :meth:`finished` before.

        Args:
            number: Tells it from all other requests.
            identifier: Whose session it is for.
            now: When it came.
        """
        actions = self.advance(now)
        session = self._sessions.get(identifier) or self._allocate(number, identifier, now, actions)
        if session is None:
            can_start = self._starting or len(self._sessions) < self._rules.maximum
            actions.append(Refuse(number, "warming" if can_start else "full"))
            return actions
        session.accessed = session.used = now
        session.waiting.append(number)
        self._by_request[number] = session
        self._attend(session, now, actions)
        self._refill(actions)
        return actions

    def finished(self, number: int, now: float) -> list[Action]:
        """Report that a request was answered, or given up before it was."""
        session = self._by_request.pop(number, None)
        if session is not None:
            session.used = now
            session.serving.discard(number)
            if number in session.waiting:
                session.waiting.remove(number)
            self._schedule(session)
        return self.advance(now)

    def started(self, instance: int, now: float) -> list[Action]:
        """Report that an instance can serve."""
        actions: list[Action] = []
        session = self._by_instance.get(instance)
        if session is not None:
            session.started = True
            self._attend(session, now, actions)
        elif instance in self._starting:
            del self._starting[instance]
            self._ready[instance] = None
        return actions + self.advance(now)

    def gone(self, instance: int, now: float) -> list[Action]:
        """Report that an instance did not start, or ended by itself."""
        actions: list[Action] = []
        session = self._by_instance.get(instance)
        if session is not None:
            self._forget(session, "stopped" if session.started else "start failed", actions)
        elif instance in self._starting:
            del self._starting[instance]
            self._refill_at = now + RETRY_AFTER
        else:
            self._ready.pop(instance, None)
        return actions + self.advance(now)

    def stop(self, identifier: str, now: float) -> list[Action]:
        """End an identifier's session, if there is one, on request."""
        actions = self.advance(now)
        session = self._sessions.get(identifier)
        if session is not None:
            self._end(session, "request", actions)
            self._refill(actions)
        return actions

    def _allocate(
        self, number: int, identifier: str, now: float, actions: list[Action]
    ) -> _Session | None:
        """Give an instance to an identifier, if one is to be had."""
        waits = self._rules.waits_for_start
        started = bool(self._ready)
        if started:
            instance = _take_first(self._ready)
        elif waits and self._starting:
            instance = _take_first(self._starting)
        elif waits and len(self._sessions) < self._rules.maximum:
            instance = self._start(actions)
        else:
            return None
        usable = now + self._rules.allocation_time
        session = _Session(identifier, instance, started, number, now, usable, now, now)
        self._sessions[identifier] = self._by_instance[instance] = session
        return session

    def _start(self, actions: list[Action]) -> int:
        instance = next(self._numbers)
        actions.append(Start(instance))
        return instance

    def _refill(self, actions: list[Action]) -> None:
        stock = len(self._starting) + len(self._ready)
        if stock >= self._rules.ready or self._refill_at is not None:
            return
        room = self._rules.maximum - len(self._sessions)
        for _ in range(min(self._rules.ready, room) - stock):
            self._starting[self._start(actions)] = None

    def _attend(self, session: _Session, now: float, actions: list[Action]) -> None:
        """Do what is due for one session."""
        if now >= self._expiry(session):
            self._end(session, "cooldown" if self._timed else "maximum age", actions)
            return
        if session.started and now >= session.usable:
            session.allocated = True
            for number in session.waiting:
                actions.append(Serve(number, session.instance, number == session.first))
                session.serving.add(number)
            session.waiting.clear()
        self._schedule(session)

    def _expiry(self, session: _Session) -> float:
        """Return when a session ends if nothing happens before."""
        if not self._timed:
            return session.created + self._lasts
        if session.waiting or session.serving:
            return math.inf
        return session.used + self._lasts

    def _schedule(self, session: _Session) -> None:
        moment = self._expiry(session)
        if session.started and not session.allocated:
            moment = min(moment, session.usable)
        if moment < (math.inf if session.look is None else session.look):
            session.look = moment
            heapq.heappush(self._looks, (moment, next(self._entries), session))

    def _drop_void_looks(self) -> None:
        while self._looks and self._looks[0][2].look != self._looks[0][0]:
            heapq.heappop(self._looks)

    def _end(self, session: _Session, reason: StopReason, actions: list[Action]) -> None:
        actions.append(Stop(session.instance, session.identifier, reason))
        self._forget(session, "stopped", actions)

    def _forget(self, session: _Session, reason: RefusalReason, actions: list[Action]) -> None:
        session.look = None
        del self._sessions[session.identifier]
        del self._by_instance[session.instance]
        for number in session.serving:
            del self._by_request[number]
        for number in session.waiting:
            del self._by_request[number]
            actions.append(Refuse(number, reason))

    def _view(self, session: _Session) -> SessionView:
        return SessionView(
            session.identifier,
            session.instance,
            session.state,
            session.created,
            session.accessed,
            (session.used if self._timed else session.created) + self._lasts,
        )


def _take_first(stock: OrderedDict[int, None]) -> int:
    # A plain dict would be searched from its beginning each time, past all that was taken.
    return stock.popitem(last=False)[0]
