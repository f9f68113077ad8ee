"""Embedded session pools for tests: in a thread of this process, over real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
    suppress,
)
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

import psutil
from aiohttp import web

from codewitness.embedded.session_pool_service import PoolSettings, serving_pool
from codewitness.session_pool.credentials import AUDIENCE

API_VERSION = "2025-02-02-preview"

T = TypeVar("T")


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json["error"]["code"]
        return code


@contextmanager
def in_a_loop(service: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Hold an asynchronous context in an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(service.__aenter__(), loop).result(60)
    finally:
        ended = service.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(ended, loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    """Serve an application; yields its URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def sandboxes() -> set[psutil.Process]:
    """Return the processes of bubblewrap that this process has below it."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.name() == "bwrap":
                found.add(process)
    return found


def still_alive(processes: Iterable[psutil.Process], seconds: float = 20) -> list[psutil.Process]:
    """Return which processes do not end within some time; a zombie has ended."""
    _, left = psutil.wait_procs(list(processes), seconds)
    alive = []
    for process in left:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive


def send(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request; a body that is not bytes goes as JSON."""
    address = urlsplit(url)
    assert address.hostname is not None
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    with closing(
        http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    ) as connection:
        connection.request(method, target, body, sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


class PoolClient:
    """Talks to a pool and to its control port.

    Args:
        told: What the service says when it is ready.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.url: str = told["url"]
        self.control: str = told["control_url"]
        self.environment: Mapping[str, str] = told["environment"]
        self.headers: dict[str, str] = {}

    def token(self, audience: str = AUDIENCE) -> str:
        query = urlencode({"resource": audience, "api-version": "2019-08-01"})
        answer = send(
            "GET",
            f"{self.environment['IDENTITY_ENDPOINT']}?{query}",
            headers={"X-IDENTITY-HEADER": self.environment["IDENTITY_HEADER"]},
        )
        token: str = answer.json["access_token"]
        return token

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        target = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        return send(method, target, body, {**self.headers, **(headers or {})})

    def run(self, code: str, identifier: str, **fields: Any) -> Answer:
        """Execute a Python program through Piston's API."""
        document = {"language": "python", "version": "*", "files": [{"content": code}], **fields}
        return self.ask("POST", "/api/v2/execute", document, identifier=identifier)

    def stdout(self, code: str, identifier: str) -> str:
        answer = self.run(code, identifier)
        assert answer.status == 200, answer
        stdout: str = answer.json["run"]["stdout"]
        return stdout

    def manage(self, operation: str, **query: Any) -> Answer:
        query = {"api-version": API_VERSION, **query}
        return self.ask("POST", f"/.management/{operation}", **query)

    def order(self, what: str, body: Any) -> Answer:
        return send("POST", f"{self.control}/{what}", body)

    def exit(self, identifier: str) -> Answer:
        return self.order("exit", {"identifier": identifier})

    def move(self, seconds: float) -> Any:
        answer = self.order("clock", {"move": seconds})
        assert answer.status == 200, answer
        return answer.json

    def state(self) -> Any:
        return send("GET", f"{self.control}/state").json

    def instance_of(self, identifier: str) -> int:
        (session,) = (it for it in self.state()["sessions"] if it["identifier"] == identifier)
        instance: int = session["instance"]
        return instance


@contextmanager
def pool_of(settings: PoolSettings) -> Iterator[PoolClient]:
    """Serve a pool."""
    with (
        tempfile.TemporaryDirectory() as folder,
        in_a_loop(serving_pool(settings, Path(folder))) as told,
    ):
        yield PoolClient(told)
