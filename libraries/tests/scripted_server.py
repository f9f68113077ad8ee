"""A server that says exactly what a test wants, byte by byte."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any

GOOD = {
    "language": "python",
    "version": "3.11.2",
    "run": {"stdout": "hi\n", "stderr": "", "code": 0},
}


def answer(
    status: str = "200 OK",
    body: bytes | str = b"",
    *headers: str,
    content_type: str | None = "application/json",
) -> bytes:
    """Return a whole HTTP answer with a right Content-Length."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def good(**changes: Any) -> bytes:
    """Return the answer to a program that printed 'hi'."""
    return answer(body=json.dumps(GOOD | changes))


class Connection:
    """One accepted connection."""

    def __init__(self, server: ScriptedServer, stream: socket.socket) -> None:
        self._server = server
        self._stream = stream
        self._pending = b""

    def read(self) -> bytes | None:
        """Return the next request whole, or ``None`` at the end of the connection."""
        while b"\r\n\r\n" not in self._pending:
            if not self.read_some():
                return None
        head = self._pending.partition(b"\r\n\r\n")[0]
        size = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        while len(self._pending) < len(head) + 4 + size:
            if not self.read_some():
                return None
        request, self._pending = (
            self._pending[: len(head) + 4 + size],
            self._pending[len(head) + 4 + size :],
        )
        self._server.requests.append(request)
        return request

    def read_some(self) -> bool:
        """Take in whatever comes next; tell whether anything came."""
        chunk = self._stream.recv(65536)
        self._pending += chunk
        return bool(chunk)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._stream.sendall(data)

    def reset(self) -> None:
        """End the connection with a reset instead of a proper close."""
        if self._stream.fileno() < 0:
            return
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.close()

    def hold(self) -> None:
        """Keep the connection open until the server stops."""
        self._server.stopping.wait(30)


Script = Callable[[Connection], None]


class ScriptedServer:
    """Runs a script for every connection, each in a thread of its own.

    Args:
        script: What to do with a connection. May be replaced while no connection is open.
        tls: Context to speak TLS with, or ``None`` for plain sockets.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self.script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        # Waiting in accept must end when the server does, on every system.
        self._listener.settimeout(0.02)
        self.port: int = self._listener.getsockname()[1]
        self._streams: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Base URL of the server."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                stream, _ = self._listener.accept()
            except TimeoutError:
                continue
            stream.settimeout(30)
            self.connections += 1
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        try:
            if self._tls:
                stream = self._tls.wrap_socket(stream, server_side=True)
            self._streams.append(stream)
            self.script(Connection(self, stream))
            stream.close()
        except OSError:
            stream.close()

    def stop(self) -> None:
        """Close everything."""
        self.stopping.set()
        self._thread.join(5)
        self._listener.close()
        for stream in self._streams:
            stream.close()


def always(data: bytes) -> Script:
    """Answer every request alike, on connections that stay open."""

    def script(connection: Connection) -> None:
        while connection.read() is not None:
            connection.send(data)

    return script


def in_turn(*answers: bytes) -> Script:
    """Give one answer after the other, over all connections, and repeat the last."""
    left = list(answers)
    lock = threading.Lock()

    def script(connection: Connection) -> None:
        while connection.read() is not None:
            with lock:
                data = left.pop(0) if len(left) > 1 else left[0]
            connection.send(data)

    return script
