"""What is done to an embedded session pool from outside: time moves, containers exit.

None of this is part of Azure's contract, so it has a port of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from codewitness.embedded.clock import Clock
from codewitness.embedded.containers import Container
from codewitness.embedded.identity import IdentityService
from codewitness.embedded.running_pool import RunningPool
from codewitness.session_pool.contract import timestamp
from codewitness.session_pool.lifecycle import SessionView

_HELP = {
    "GET /state": "time, sessions and instances",
    "POST /wait": (
        'wait for {"ready": number of instances} or {"active": identifier}, "within" so many '
        "seconds of real time; answers with the state"
    ),
    "POST /clock": 'move time ahead: {"move": seconds}; done when what ends by it is gone',
    "POST /exit": 'have a container exit: {"identifier": "..."}',
    "GET /identity": "requests for tokens, in order",
    "POST /identity": "change what the identity service does",
}


def create_control_app(
    pool: RunningPool[Any], clock: Clock, identity: IdentityService | None = None
) -> web.Application:
    """Return the control application of a pool.

    Args:
        pool: Runs in the same event loop.
        clock: The pool's clock.
        identity: Gives out the tokens for the pool.
    """
    control = _Control(pool, clock, identity)
    app = web.Application(middlewares=[_answer_mistakes])
    app.router.add_get("/", control.help)
    app.router.add_get("/state", control.state)
    app.router.add_post("/wait", control.wait)
    app.router.add_post("/clock", control.move)
    app.router.add_post("/exit", control.exit)
    if identity is not None:
        app.router.add_get("/identity", control.token_requests)
        app.router.add_post("/identity", control.configure)
    return app


class _Control:
    def __init__(
        self, pool: RunningPool[Any], clock: Clock, identity: IdentityService | None
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._identity = identity

    async def help(self, _request: web.Request) -> web.Response:
        return web.json_response(_HELP)

    async def state(self, _request: web.Request) -> web.Response:
        return web.json_response(self._state())

    async def wait(self, request: web.Request) -> web.Response:
        order = await _object(request)
        within = _seconds(order, "within")
        if "ready" in order:
            await self._pool.wait_until(lambda: self._pool.census.ready == order["ready"], within)
        elif "active" in order:
            await self._pool.wait_until(lambda: self._is_active(str(order["active"])), within)
        else:
            raise ValueError('give {"ready": number} or {"active": identifier}')
        return web.json_response(self._state())

    def _is_active(self, identifier: str) -> bool:
        session = self._pool.find(identifier)
        return session is not None and session.state == "active"

    async def move(self, request: web.Request) -> web.Response:
        self._clock.move(_seconds(await _object(request), "move"))
        await self._pool.settle()
        return web.json_response(self._state())

    async def exit(self, request: web.Request) -> web.Response:
        identifier = (await _object(request)).get("identifier")
        if not self._pool.lose(str(identifier)):
            raise ValueError(f"there is no session {identifier!r}")
        await self._pool.settle()
        return web.json_response(self._state())

    async def token_requests(self, _request: web.Request) -> web.Response:
        requests = [] if self._identity is None else self._identity.requests
        return web.json_response([asdict(request) for request in requests])

    async def configure(self, request: web.Request) -> web.Response:
        if self._identity is not None:
            self._identity.configure(await _object(request))
        return web.json_response({})

    def _state(self) -> dict[str, Any]:
        sessions = self._pool.sessions()
        rules = self._pool.rules
        return {
            "now": timestamp(self._clock.now()),
            "maximum": rules.maximum,
            "ready": rules.ready,
            "instances": asdict(self._pool.census),
            "sessions": [
                {
                    "identifier": session.identifier,
                    "instance": session.instance,
                    "state": session.state,
                    "createdAt": timestamp(session.created),
                    "lastAccessedAt": timestamp(session.last_accessed),
                    "expiresAt": timestamp(session.expires),
                    **self._container(session),
                }
                for session in sessions
            ],
        }

    def _container(self, session: SessionView) -> dict[str, Any]:
        """Return where a session's container is, and the names of the headers that it was sent."""
        instance = self._pool.instance_of(session)
        if not isinstance(instance, Container):
            return {"container": None, "received": []}
        return {"container": instance.url, "received": sorted(instance.received)}


async def _object(request: web.Request) -> dict[str, Any]:
    document = json.loads(await request.read())
    if not isinstance(document, dict):
        raise ValueError("give a JSON object")
    return document


def _seconds(order: Mapping[str, Any], name: str) -> float:
    seconds = order.get(name)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ValueError(f'give "{name}": seconds')
    return seconds


@web.middleware
async def _answer_mistakes(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValueError as error:
        return web.json_response({"message": str(error)}, status=400)
