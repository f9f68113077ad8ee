"""Ways to spoil a session pool: its lifecycle, its instances, its tokens, its gateway.

The catalogue in :mod:`codewitness.embedded.pool_faults` gives them names.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from codewitness.embedded.running_pool import Instances
from codewitness.embedded.spoiling import Spoiler
from codewitness.session_pool.lifecycle import (
    Action,
    Pool,
    PoolRules,
    Refuse,
    SessionView,
    StopReason,
    _Session,
)
from codewitness.session_pool.tokens import TokenRules

MakePool = Callable[[PoolRules], Pool]
MakeMiddleware = Callable[[], Middleware]
ChangeView = Callable[[SessionView], SessionView]
Told = dict[str, Any]

_SWAP_WITHIN = 0.2
"""Seconds that a request waits for another one to change places with."""


@dataclass(frozen=True)
class PoolSpoiling:
    """What is broken about a pool; everything is healthy by default.

    Attributes:
        lifecycle: Makes the state machine.
        instances: Wraps who starts and stops instances.
        tokens: Changes what is demanded of callers' tokens.
        middleware: Makes what stands in front of the gateway and of its check of tokens.
        executor: Breaks the executor in each container.
        keeps_authorization: Whether containers see the caller's token.
    """

    lifecycle: MakePool = Pool
    instances: Callable[[Instances[Any]], Instances[Any]] | None = None
    tokens: Callable[[TokenRules], TokenRules] | None = None
    middleware: MakeMiddleware | None = None
    executor: Spoiler | None = None
    keeps_authorization: bool = False


# Lifecycle


def other_rules(change: Callable[[PoolRules], PoolRules]) -> MakePool:
    """Live by other rules than those that were given."""
    return lambda rules: Pool(change(rules))


def other_view(change: ChangeView) -> MakePool:
    """Tell something else of every session."""

    class Other(Pool):
        def _view(self, session: _Session) -> SessionView:
            return change(super()._view(session))

    return Other


def recycling(*reasons: StopReason) -> MakePool:
    """Give the instance of a session that ended to the next identifier."""

    class Recycling(Pool):
        def _end(self, session: _Session, reason: StopReason, actions: list[Action]) -> None:
            if reason not in reasons:
                super()._end(session, reason, actions)
                return
            self._forget(session, "stopped", actions)
            self._ready[session.instance] = None
            self._ready.move_to_end(session.instance, last=False)

    return Recycling


class NeverEnding(Pool):
    """Ends no session by itself."""

    def _expiry(self, _session: _Session) -> float:
        return math.inf


class NotRestarted(Pool):
    """Counts the cooldown from a session's allocation, whatever it is called for afterwards."""

    def _expiry(self, session: _Session) -> float:
        if session.waiting or session.serving:
            return math.inf
        return session.created + self._lasts


class EndsOldSessions(Pool):
    """Ends sessions three cooldowns after their allocation, however much they are used."""

    def _expiry(self, session: _Session) -> float:
        return min(super()._expiry(session), session.created + 3 * self._lasts)


class EndsBusySessions(Pool):
    """Lets sessions cool down while they work."""

    def _expiry(self, session: _Session) -> float:
        return session.used + self._lasts


class KeptByLooks(Pool):
    """Restarts a session's cooldown when somebody asks about it."""

    def advance(self, now: float) -> list[Action]:
        """Do what is due, and remember when."""
        self._now = now
        return super().advance(now)

    def find(self, identifier: str) -> SessionView | None:
        """Return an identifier's session, which counts as used by this."""
        session = self._sessions.get(identifier)
        if session is not None:
            session.used = self._now
        return super().find(identifier)


class DeafToStop(Pool):
    """Says that it stops sessions, and does not."""

    def stop(self, _identifier: str, now: float) -> list[Action]:
        """End nothing."""
        return self.advance(now)


class StopsAll(Pool):
    """Ends every session when one is to be stopped."""

    def stop(self, identifier: str, now: float) -> list[Action]:
        """End all sessions."""
        others = [it for it in self._sessions if it != identifier]
        actions = super().stop(identifier, now)
        for other in others:
            actions += super().stop(other, now)
        return actions


class LosesRoom(Pool):
    """Counts a stopped session for ever."""

    def stop(self, identifier: str, now: float) -> list[Action]:
        """End a session, but not what it is counted for."""
        if identifier in self._sessions:
            maximum = max(1, self._rules.maximum - 1)
            self._rules = replace(
                self._rules, maximum=maximum, ready=min(maximum, self._rules.ready)
            )
        return super().stop(identifier, now)


class Evicting(Pool):
    """Ends the oldest session when it is full and another identifier comes."""

    def request(self, number: int, identifier: str, now: float) -> list[Action]:
        """Serve everybody."""
        actions: list[Action] = []
        if identifier not in self._sessions and len(self._sessions) >= self._rules.maximum:
            actions = self.stop(next(iter(self._sessions)), now)
        return actions + super().request(number, identifier, now)


class RefusesAllWhenFull(Pool):
    """Refuses those who have a session, too, while it is full."""

    def request(self, number: int, identifier: str, now: float) -> list[Action]:
        """Serve nobody while every instance is somebody's."""
        actions = self.advance(now)
        if identifier in self._sessions and len(self._sessions) >= self._rules.maximum:
            return [*actions, Refuse(number, "full")]
        return actions + super().request(number, identifier, now)


class StockUnused(Pool):
    """Starts an instance for every identifier, although others are ready."""

    def _allocate(
        self, number: int, identifier: str, now: float, actions: list[Action]
    ) -> _Session | None:
        kept = self._ready, self._starting
        self._ready, self._starting = OrderedDict(), OrderedDict()
        try:
            return super()._allocate(number, identifier, now, actions)
        finally:
            self._ready, self._starting = kept


# Instances


class EveryOtherIsTheOneBefore:
    """Gives the same instance out twice."""

    def __init__(self, inner: Instances[Any]) -> None:
        self._inner = inner
        self._again: Any = None
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> Any:
        """Return an instance, every other time the one before."""
        async with self._one_at_a_time:
            if self._again is not None:
                again, self._again = self._again, None
                return again
            self._again = await self._inner.start()
            return self._again

    async def stop(self, instance: Any) -> None:
        """End an instance, whoever else has it."""
        if instance is self._again:
            self._again = None
        await self._inner.stop(instance)

    async def close(self) -> None:
        """Release what is held for all instances."""
        await self._inner.close()


class Surviving:
    """Lets instances go on when they should stop; only the end of the pool ends them."""

    def __init__(self, inner: Instances[Any]) -> None:
        self._inner = inner
        self._left: list[Any] = []

    async def start(self) -> Any:
        """Return a new instance."""
        return await self._inner.start()

    async def stop(self, instance: Any) -> None:
        """End nothing now."""
        self._left.append(instance)

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(*map(self._inner.stop, self._left))
        await self._inner.close()


# Gateway


def renamed(change: Callable[[str], str]) -> MakeMiddleware:
    """Take one identifier for another."""
    return lambda: _rerouting(change)


def rerouted(choose: Callable[[int, str, Sequence[str]], str], within: str = "") -> MakeMiddleware:
    """Send some requests to another session.

    Args:
        choose: Gets a request's number among those for sessions, from 0, its identifier, and all
            identifiers so far in order; returns the identifier to be used.
        within: Only requests whose path has this are sent elsewhere.
    """

    def make() -> Middleware:
        numbers = itertools.count()
        known: dict[str, None] = {}

        def change(identifier: str) -> str:
            known.setdefault(identifier)
            return choose(next(numbers), identifier, list(known))

        return _rerouting(change, lambda request: within in request.path and not is_about(request))

    return make


def _rerouting(
    change: Callable[[str], str], when: Callable[[web.Request], bool] = lambda _: True
) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        identifier = request.query.get("identifier")
        if identifier and when(request):
            request = _with_identifier(request, change(identifier))
        return await handler(request)

    return middleware


def _with_identifier(request: web.Request, identifier: str) -> web.Request:
    return request.clone(rel_url=request.rel_url.update_query(identifier=identifier))


def is_about(request: web.Request) -> bool:
    """Tell whether a request is about sessions and not for one."""
    return operation_of(request).lower() in _ABOUT


def operation_of(request: web.Request) -> str:
    """Return the last part of a request's path."""
    return request.path.rstrip("/").rpartition("/")[2]


_ABOUT = frozenset({"getsession", "listsessions", "stopsession", "session"})


def swapping() -> Middleware:
    """Exchange the sessions of two requests that come at the same time."""
    waiting: list[tuple[str, asyncio.Future[str]]] = []

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        identifier = request.query.get("identifier")
        if identifier is None or is_about(request):
            return await handler(request)
        partner = next((it for it in waiting if it[0] != identifier and not it[1].done()), None)
        if partner is not None:
            partner[1].set_result(identifier)
            return await handler(_with_identifier(request, partner[0]))
        mine = identifier, asyncio.get_running_loop().create_future()
        waiting.append(mine)
        with contextlib.suppress(asyncio.TimeoutError):
            request = _with_identifier(request, await asyncio.wait_for(mine[1], _SWAP_WITHIN))
        waiting.remove(mine)
        return await handler(request)

    return middleware


def letting_in(when: Callable[[web.Request], bool]) -> MakeMiddleware:
    """Let some requests without a token pass with the one that somebody else sent."""

    def make() -> Middleware:
        seen: list[str] = []

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            sent = request.headers.get(hdrs.AUTHORIZATION)
            if sent is None and seen and when(request):
                headers = {**request.headers, hdrs.AUTHORIZATION: seen[-1]}
                request = request.clone(headers=headers)
            response = await handler(request)
            if sent is not None and response.status == 200:
                seen.append(sent)
            return response

        return middleware

    return make


def other_status(statuses: Mapping[int, int]) -> MakeMiddleware:
    """Answer with other statuses than those that the contract names."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if response.status in statuses and not response.prepared:
            response.set_status(statuses[response.status])
        return response

    return lambda: middleware


def answering_instead(
    status: int, text: str, when: Callable[[web.Request], bool]
) -> MakeMiddleware:
    """Answer some requests without doing what they ask for."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        return web.Response(status=status, text=text) if when(request) else await handler(request)

    return lambda: middleware


def other_sessions(change: Callable[[Told], Told]) -> MakeMiddleware:
    """Change every session in descriptions and lists."""
    return other_document(
        lambda told: (
            {**told, **{it: list(map(change, told[it])) for it in _LISTS if it in told}}
            if _LISTS & set(told)
            else change(told)
        ),
        lambda request: is_about(request),
    )


def other_list(
    change: Callable[[list[Told]], list[Told]],
) -> MakeMiddleware:
    """Change which sessions are listed."""
    return other_document(
        lambda told: {**told, **{it: change(told[it]) for it in _LISTS if it in told}},
        lambda request: operation_of(request) == "listSessions",
    )


_LISTS = {"value", "sessions"}


def other_document(
    change: Callable[[Told], Any], when: Callable[[web.Request], bool]
) -> MakeMiddleware:
    """Change the JSON objects in successful answers to some requests."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        is_json = response.content_type == "application/json" and response.status == 200
        if not (is_json and when(request)):
            return response
        assert isinstance(response, web.Response)
        assert response.text is not None
        response.text = json.dumps(change(json.loads(response.text)))
        return response

    return lambda: middleware
