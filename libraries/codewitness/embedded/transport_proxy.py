"""A proxy on the loopback interface that breaks the transport to a healthy service.

It takes each request whole, sends it on, takes the answer whole, and then lets a fault put the
bytes on the wire. Whatever a fault does, the service behind it works as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from codewitness.embedded.certificates import Certificates

if TYPE_CHECKING:
    from codewitness.embedded.transport_faults import TransportFault

HOST = "127.0.0.1"
_PATIENCE = 600.0
_LONGEST_HEAD = 256 * 1024
# On, and for no time at all: closing resets.
_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_REQUEST_LINE = re.compile(r"[A-Z]+ \S+ HTTP/1\.[01]")
# Of one hop only, or made anew for the next one.
_OWN_HEADERS = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "transfer-encoding"}
)

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """An answer of the target, or what a fault makes of it.

    Attributes:
        body: The whole body, in the encoding that the headers name.
        status: Status code and reason.
        headers: Without those of one hop and Content-Length.
        version: Of HTTP.
    """

    body: bytes
    status: str = "200 OK"
    headers: Headers = (("Content-Type", "application/json"),)
    version: str = "HTTP/1.1"

    def having(self, *headers: tuple[str, str]) -> Answer:
        """Return the same answer with further headers."""
        return replace(self, headers=(*self.headers, *headers))

    def head(self, length: int | None) -> bytes:
        """Return status line and headers.

        Args:
            length: Value of Content-Length; ``None`` leaves it out.
        """
        lines = [f"{self.version} {self.status}", *(f"{it[0]}: {it[1]}" for it in self.headers)]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"

    @property
    def whole(self) -> bytes:
        """The answer as a healthy server sends it."""
        return self.head(len(self.body)) + self.body


class Connection:
    """One connection of a client, and its own connection to the target.

    Attributes:
        number: Of this connection among all of the proxy, from 1.
    """

    def __init__(
        self,
        number: int,
        target: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.number = number
        self._target = target
        self._reader = reader
        self._writer = writer
        self._session: aiohttp.ClientSession | None = None

    async def read(self) -> Request | None:
        """Return the next request, or ``None`` at the end of the connection.

        Raises:
            ValueError: It is no request of HTTP/1.1 with a Content-Length, or none.
        """
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as ended:
            if ended.partial:
                raise ValueError("no whole request") from None
            return None
        except asyncio.LimitOverrunError:
            raise ValueError("headers too long") from None
        line, *rest = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        headers = tuple((it.partition(":")[0], it.partition(":")[2].strip()) for it in rest)
        named = {name.lower(): value for name, value in headers}
        if not _REQUEST_LINE.fullmatch(line) or "transfer-encoding" in named:
            raise ValueError("not a request with a Content-Length")
        body = await self._reader.readexactly(int(named.get("content-length", 0)))
        method, path, _ = line.split()
        return Request(method, path, named.get("host", ""), _without_own(headers), body)

    async def forward(self, request: Request) -> Answer:
        """Send a request to the target and return its answer; 502 where there is none."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                timeout=aiohttp.ClientTimeout(total=_PATIENCE),
            )
        try:
            async with self._session.request(
                request.method,
                self._target + request.path,
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            said = f"the transport proxy got no answer of {self._target}: {error}"
            return Answer(said.encode(), "502 Bad Gateway", (("Content-Type", "text/plain"),))
        headers = _without_own(response.headers.items())
        return Answer(body, f"{response.status} {response.reason or ''}".strip(), headers)

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def read_some(self) -> None:
        """Take in whatever comes next."""
        await self._reader.read(65536)

    async def hold(self) -> None:
        """Say nothing until the client goes away."""
        while await self._reader.read(65536):
            pass

    async def hold_unread(self) -> None:
        """Neither read nor say anything."""
        await asyncio.sleep(_PATIENCE)

    def reset(self) -> None:
        """End the connection with a reset instead of a proper close, dropping unsent bytes."""
        stream = self._writer.get_extra_info("socket")
        if stream is not None and not self.ended:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self._writer.transport.abort()

    def close(self) -> None:
        """End the connection properly, once all is sent."""
        if self._writer.can_write_eof():
            # At once: closing alone waits for the event loop, and meanwhile a request may come.
            self._writer.write_eof()
        self._writer.close()

    @property
    def ended(self) -> bool:
        """Whether the connection was ended on this side."""
        return self._writer.is_closing()

    async def release(self) -> None:
        """Give up both connections."""
        self._writer.close()
        if self._session is not None:
            await self._session.close()


@dataclass(frozen=True)
class Request:
    """A request as it is sent on.

    Attributes:
        path: With the query, percent-encoded.
        host: As the client addressed it.
        headers: Without those of one hop, Host and Content-Length.
    """

    method: str
    path: str
    host: str
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Exchange:
    """A request with its answer, to be put on the wire.

    Attributes:
        number: Of the request among all of the proxy, from 1.
        turn: Of the request on its connection, from 1.
    """

    connection: Connection
    request: Request
    number: int
    turn: int

    async def answer(self) -> Answer:
        """Have the request executed and return the answer."""
        return await self.connection.forward(self.request)


@contextlib.asynccontextmanager
async def serving_transport_proxy(
    target: str, fault: TransportFault, *, port: int = 0
) -> AsyncIterator[str]:
    """Serve the proxy, and give its URL: what leads to it as ``target`` leads to the target.

    Args:
        target: URL of the service, http or https. The system's certificate authorities are
            trusted, and no proxy of the environment is used.
        fault: What to do to the transport.
        port: TCP port on the loopback interface; 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """
    parts = urlsplit(target)
    proxy = _Proxy(f"{parts.scheme}://{parts.netloc}", fault)
    context = None
    if fault.speaks_tls:
        with tempfile.TemporaryDirectory() as folder:
            context = Certificates(Path(folder)).context
    server = await asyncio.start_server(
        proxy.serve, HOST, port, ssl=context, limit=_LONGEST_HEAD, backlog=1024
    )
    served_port = server.sockets[0].getsockname()[1]
    try:
        yield f"{fault.scheme}://{HOST}:{served_port}{parts.path.rstrip('/')}"
    finally:
        server.close()
        await proxy.end()


class _Proxy:
    def __init__(self, target: str, fault: TransportFault) -> None:
        self._target = target
        self._fault = fault
        self._connections = 0
        self._requests = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._connections += 1
        connection = Connection(self._connections, self._target, reader, writer)
        try:
            # Whoever goes away in the middle is none of the proxy's business.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(connection)
        except asyncio.CancelledError:
            # The proxy ends. Streams would report a task that says so as an error.
            connection.reset()
        finally:
            self._serving.discard(task)
            await connection.release()

    async def _serve(self, connection: Connection) -> None:
        if self._fault.on_connection is not None:
            await self._fault.on_connection(connection)
            return
        turn = 0
        while not connection.ended:
            try:
                request = await connection.read()
            except ValueError as error:
                body = f"the transport proxy takes no such request: {error}".encode()
                await connection.send(Answer(body, "400 Bad Request").whole)
                return
            if request is None:
                return
            turn += 1
            self._requests += 1
            exchange = Exchange(connection, request, self._requests, turn)
            if self._fault.strikes(exchange):
                await self._fault.on_exchange(exchange)
            else:
                await connection.send((await exchange.answer()).whole)

    async def end(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


def _without_own(headers: Iterable[tuple[str, str]]) -> Headers:
    return tuple(it for it in headers if it[0].lower() not in _OWN_HEADERS)
