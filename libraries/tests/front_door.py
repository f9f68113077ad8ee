"""A reverse proxy in front of a backend, which may be told to spoil some of the exchanges."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit


class Call(NamedTuple):
    """One request as it came in.

    Attributes:
        number: How many requests came in before it.
        headers: Headers, by lower-case name.
    """

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """An answer, with the ``Location`` of a redirect if it is one."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    location: str = ""


Decide = Callable[[Call], "Reply | None"]


class FrontDoor:
    """Hands requests on to a backend; use it as a context manager.

    Args:
        target: Base URL of the backend.
        decide: Looks at every request first; its answer goes out instead of the backend's. It
            may also wait, or raise OSError to cut the connection.
        prefix: Path prefix that is taken off before a request is handed on.
    """

    def __init__(
        self, target: str, decide: Decide = lambda _call: None, *, prefix: str = ""
    ) -> None:
        self.calls: list[Call] = []
        address = urlsplit(target)
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                try:
                    reply = door._reply(address.netloc, decide, prefix, self)
                except OSError:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                if reply.location:
                    self.send_header("Location", reply.location)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = handle_any  # noqa: N815  (names that http.server looks for)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """Say nothing about clients that went away."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{prefix}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def __enter__(self) -> FrontDoor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _reply(
        self, backend: str, decide: Decide, prefix: str, request: BaseHTTPRequestHandler
    ) -> Reply:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(len(self.calls), request.command, request.path, headers, body)
        self.calls.append(call)
        decided = decide(call)
        if decided is not None:
            return decided
        if not call.path.startswith(prefix):
            return Reply(404, b'{"message": "outside of the prefix"}')
        handed_on = http.client.HTTPConnection(backend, timeout=60)
        try:
            kept = {name: headers[name] for name in ("content-type",) if name in headers}
            handed_on.request(call.method, call.path[len(prefix) :], body or None, kept)
            answer = handed_on.getresponse()
            content_type = answer.getheader("Content-Type", "application/json")
            return Reply(answer.status, answer.read(), content_type)
        finally:
            handed_on.close()
