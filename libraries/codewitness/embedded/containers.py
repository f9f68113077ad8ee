"""Containers of a custom session pool: an executor each, behind HTTP as in a real container."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from codewitness.embedded.backend import BackendConfig, create_app
from codewitness.execution.model import Executor
from codewitness.session_pool.hosts import SessionHost

_HOST = "127.0.0.1"
# Starting and stopping are mostly waiting, but a machine has only so many processors.
_AT_ONCE = 8


@dataclass(frozen=True)
class Container:
    """A Piston server with its own executor.

    Attributes:
        url: Base URL, without a trailing slash.
        received: Names, in lower case, of all headers that requests had when they came here.
    """

    url: str
    _runner: web.AppRunner = field(repr=False)
    _executor: Executor = field(repr=False)
    received: Set[str] = field(default_factory=frozenset, repr=False)


class Containers:
    """Starts containers for a pool.

    Args:
        host: Starts the executors; closed together with this.
        config: How the Piston server in each container is configured.
    """

    def __init__(self, host: SessionHost[Executor], config: BackendConfig | None = None) -> None:
        self._host = host
        self._config = config
        self._workers = ThreadPoolExecutor(_AT_ONCE, "container")

    async def start(self) -> Container:
        """Start a container and wait until it listens."""
        loop = asyncio.get_running_loop()
        executor = await loop.run_in_executor(self._workers, self._host.open)
        received: set[str] = set()
        app = create_app(executor, self._config)
        app.middlewares.insert(0, _note_headers(received))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, _HOST, 0, backlog=1024).start()
        url = f"http://{_HOST}:{runner.addresses[0][1]}"
        return Container(url, runner, executor, received)

    async def stop(self, container: Container) -> None:
        """End a container at once, whatever it is doing."""
        if container._runner.server is not None:
            # Callers meet a cut connection, as when a container is killed, and no last words.
            for connection in container._runner.server.connections:
                connection.force_close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._workers, container._executor.close)
        await container._runner.cleanup()

    async def close(self) -> None:
        """Release what is held for all containers."""
        await asyncio.to_thread(self._host.close)
        self._workers.shutdown(wait=False)


def _note_headers(received: set[str]) -> Middleware:
    """Return what adds the names of the headers of every request to a set."""

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        received.update(map(str.lower, request.headers))
        return await handler(request)

    return note
