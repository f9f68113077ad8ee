"""A server of the execute API that behaves under load as a test wants it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

Behaviour = Callable[[int, dict[str, Any]], Awaitable[web.StreamResponse]]
"""Answers the request with a number, in order of arrival; the second argument is its body."""


def printed(stdout: str, code: int = 0, **headers: str) -> web.Response:
    """Return the answer to a program that printed this."""
    run = {"stdout": stdout, "stderr": "", "output": stdout, "code": code, "signal": None}
    document = {"language": "python", "version": "3.10.0", "run": run}
    return web.json_response(
        document, headers={name.replace("_", "-"): it for name, it in headers.items()}
    )


async def echo(_number: int, body: dict[str, Any]) -> web.StreamResponse:
    """Answer at once with what the program would print."""
    return printed(body["stdin"])


@contextmanager
def load_server(behaviour: Behaviour) -> Iterator[str]:
    """Serve in a thread and yield the base URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    count = iter(range(1_000_000))

    async def execute(request: web.Request) -> web.StreamResponse:
        return await behaviour(next(count), await request.json())

    async def start() -> tuple[web.AppRunner, int]:
        application = web.Application()
        application.router.add_post("/api/v2/execute", execute)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1]

    runner, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(_end(runner), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(runner: web.AppRunner) -> None:
    await runner.cleanup()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
