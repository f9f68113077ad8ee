"""Tells a service's callers apart: by the user that a request names, else by its connection."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from codewitness.session_pool.callers import Caller, Connection, User, calling

USER_HEADER = "X-User-Id"
"""Request header that names the user. It is believed: who faces strangers has to set it."""

_LOOK_EVERY = 0.1


def tell_callers_apart(app: web.Application, leave: Callable[[Caller], None]) -> None:
    """Let an application do everything for a request in the name of its caller.

    Args:
        app: Is not running yet.
        leave: Called in the event loop, so that it must not block, when a connection is closed
            and everything that it asked for is done.
    """
    callers = _Callers(leave)
    app.middlewares.append(callers.name_caller())
    app.cleanup_ctx.append(callers.watch)


@dataclass
class _Peer:
    caller: Connection
    requests: int = 0


class _Callers:
    def __init__(self, leave: Callable[[Caller], None]) -> None:
        self._leave = leave
        self._numbers = itertools.count(1)
        self._peers: dict[asyncio.Transport, _Peer] = {}

    def name_caller(self) -> Middleware:
        @web.middleware
        async def name(request: web.Request, handler: Handler) -> web.StreamResponse:
            named = request.headers.getall(USER_HEADER, [])
            if len(named) > 1:
                # Which of them came from the client, and which from somebody to be believed?
                message = f"the header {USER_HEADER} may come once"
                return web.json_response({"message": message}, status=400)
            transport = request.transport
            if transport is None:
                # Closed before it was served: nobody waits for an answer.
                return web.Response(status=400)
            peer = self._peers.setdefault(transport, _Peer(Connection(next(self._numbers))))
            peer.requests += 1
            try:
                with calling(User(named[0]) if any(named) else peer.caller):
                    return await handler(request)
            finally:
                peer.requests -= 1

        return name

    async def watch(self, _app: web.Application) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._look_for_closed())
        yield
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    async def _look_for_closed(self) -> None:
        # A transport tells its protocol alone that it was closed, and that is the server's.
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            for transport, peer in list(self._peers.items()):
                if transport.is_closing() and not peer.requests:
                    del self._peers[transport]
                    self._leave(peer.caller)
