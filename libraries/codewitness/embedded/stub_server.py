"""A server that answers at once what no program printed, to measure clients by.

It speaks just enough HTTP for one client on kept connections. Run as a script it prints its
port, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class StubProtocol(asyncio.Protocol):
    """Answers ``POST execute`` with a result whose stdout is the request's stdin."""

    def __init__(self) -> None:
        self._pending = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._pending += data
        while (request := self._next_body()) is not None:
            assert self._transport is not None
            self._transport.write(_answer(request))

    def _next_body(self) -> bytes | None:
        head, end, rest = self._pending.partition(b"\r\n\r\n")
        if not end:
            return None
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if len(rest) < size:
            return None
        self._pending = rest[size:]
        return rest[:size]


def _answer(body: bytes) -> bytes:
    stdin = json.loads(body)["stdin"] if body else ""
    run = {"stdout": stdin, "stderr": "", "output": stdin, "code": 0, "signal": None}
    answer = json.dumps({"language": "python", "version": "3.10.0", "run": run}).encode()
    return _HEAD % (len(answer), answer)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(StubProtocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()

    def watch() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
