"""A session pool at work: drives the lifecycle with a clock and with instances that are real."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from codewitness.embedded.clock import Clock
from codewitness.execution.model import PlatformFault
from codewitness.session_pool.lifecycle import (
    Action,
    Census,
    Pool,
    PoolRules,
    RefusalReason,
    Refuse,
    Serve,
    SessionView,
    Start,
    Stop,
)

_log = logging.getLogger(__name__)

InstanceT = TypeVar("InstanceT")


class Instances(Protocol[InstanceT]):
    """Starts and stops instances for a pool, within its event loop."""

    async def start(self) -> InstanceT:
        """Return an instance that can serve.

        Raises:
            PlatformFault: It can't be started.
        """

    async def stop(self, instance: InstanceT) -> None:
        """End an instance with everything that it runs."""

    async def close(self) -> None:
        """Release what is held for all instances; they are stopped before."""


@dataclass(frozen=True)
class Lease(Generic[InstanceT]):
    """Leave to use a session for one request.

    Attributes:
        session: Who serves it.
        new: Whether the session was allocated for this request.
        allocation_time: Seconds between the request and this.
    """

    session: InstanceT
    new: bool
    allocation_time: float


class NoSession(Exception):
    """A request that gets no session.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason = reason


class RunningPool(Generic[InstanceT]):
    """Belongs to one event loop, in which all its methods are called.

    Args:
        rules: How the pool is configured.
        instances: Starts what serves.
        clock: Says how late it is.
        start_time: Seconds added to the start of every instance.
        lifecycle: Makes the state machine that decides.
    """

    def __init__(
        self,
        rules: PoolRules,
        instances: Instances[InstanceT],
        clock: Clock,
        *,
        start_time: float = 0.0,
        lifecycle: Callable[[PoolRules], Pool] = Pool,
    ) -> None:
        self.rules = rules
        self._pool = lifecycle(rules)
        self._instances = instances
        self._clock = clock
        self._start_time = start_time
        self._numbers = itertools.count(1)
        self._running: dict[int, InstanceT] = {}
        self._unwanted: set[int] = set()
        self._starts: set[asyncio.Task[None]] = set()
        self._waits: set[asyncio.Task[None]] = set()
        self._stops: set[asyncio.Task[None]] = set()
        self._asked: dict[int, tuple[float, asyncio.Future[Lease[InstanceT]]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._changed = asyncio.Event()
        clock.on_move(self._keep_time)

    @property
    def census(self) -> Census:
        """How many instances are in which state."""
        return self._pool.census

    def open(self) -> None:
        """Start to fill the stock."""
        self._keep_time()

    async def close(self) -> None:
        """Stop every instance, those that are starting included."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for _, lease in self._asked.values():
            if not lease.done():
                lease.set_exception(NoSession("stopped"))
        for wait in self._waits:
            wait.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)
        for number in list(self._running):
            self._stop(number)
        await self.settle()
        await self._instances.close()

    async def settle(self) -> None:
        """Wait until everything that was stopped is gone."""
        while self._stops:
            await asyncio.gather(*self._stops, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def lease(self, identifier: str) -> AsyncIterator[Lease[InstanceT]]:
        """Get leave to use the session of an identifier, for as long as the context lasts.

        Raises:
            NoSession: There is none to be had.
        """
        number = next(self._numbers)
        now = self._clock.now()
        lease: asyncio.Future[Lease[InstanceT]] = asyncio.get_running_loop().create_future()
        self._asked[number] = now, lease
        try:
            if self._closed:
                raise NoSession("stopped")
            self._do(self._pool.request(number, identifier, now))
            yield await lease
        finally:
            del self._asked[number]
            self._do(self._pool.finished(number, self._clock.now()))

    def sessions(self) -> Sequence[SessionView]:
        """Return all sessions, in order of allocation."""
        self._keep_time()
        return self._pool.sessions()

    async def wait_until(self, holds: Callable[[], bool], within: float) -> None:
        """Wait until something holds for the pool, but no longer than some seconds of real time."""

        async def watch() -> None:
            while not holds():
                await self._changed.wait()

        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(watch(), within)

    def instance_of(self, session: SessionView) -> InstanceT | None:
        """Return who serves a session; ``None`` while it starts."""
        return self._running.get(session.instance)

    def find(self, identifier: str) -> SessionView | None:
        """Return an identifier's session, or ``None``."""
        self._keep_time()
        return self._pool.find(identifier)

    def stop(self, identifier: str) -> bool:
        """Stop an identifier's session and tell whether there was one."""
        found = self.find(identifier) is not None
        self._do(self._pool.stop(identifier, self._clock.now()))
        return found

    def lose(self, identifier: str) -> bool:
        """Have an identifier's container exit and tell whether there was one."""
        session = self.find(identifier)
        if session is None:
            return False
        self._stop(session.instance)
        self._do(self._pool.gone(session.instance, self._clock.now()))
        return True

    def _keep_time(self) -> None:
        self._do(self._pool.advance(self._clock.now()))

    def _do(self, actions: Sequence[Action]) -> None:
        if self._closed:
            return
        for action in actions:
            match action:
                case Start(instance):
                    self._keep(self._starts, self._start(instance))
                case Stop(instance):
                    self._stop(instance)
                case Serve(request, instance, new):
                    since, lease = self._asked[request]
                    if not lease.done():
                        waited = self._clock.now() - since
                        lease.set_result(Lease(self._running[instance], new, waited))
                case Refuse(request, reason):
                    lease = self._asked[request][1]
                    if not lease.done():
                        lease.set_exception(NoSession(reason))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._pool.next_deadline
        if deadline is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(deadline - self._clock.now(), self._keep_time)
        if actions:
            self._tell_change()

    async def _start(self, number: int) -> None:
        usable = self._clock.now() + self._start_time
        try:
            instance = await self._instances.start()
        except PlatformFault as fault:
            _log.warning("an instance did not start: %s", fault)
            self._unwanted.discard(number)
            self._do(self._pool.gone(number, self._clock.now()))
            return
        self._running[number] = instance
        if number in self._unwanted:
            self._unwanted.discard(number)
            self._stop(number)
        elif self._start_time:
            self._keep(self._waits, self._report_later(number, usable))
        else:
            self._report(number)

    async def _report_later(self, number: int, usable: float) -> None:
        await self._clock.wait_until(usable)
        self._report(number)

    def _report(self, number: int) -> None:
        self._do(self._pool.started(number, self._clock.now()))
        self._tell_change()

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _stop(self, number: int) -> None:
        instance = self._running.pop(number, None)
        if instance is None:
            self._unwanted.add(number)
        else:
            self._keep(self._stops, self._instances.stop(instance))

    def _keep(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
