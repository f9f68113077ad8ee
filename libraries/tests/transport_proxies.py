"""Transport proxies in front of a target that answers at once, all in this process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from codewitness.embedded.stub_server import StubProtocol
from codewitness.embedded.transport_faults import TransportFault
from codewitness.embedded.transport_proxy import serving_transport_proxy


class ProxyHost:
    """An event loop in a thread that serves a stub target, and proxies before it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._target = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    @property
    def target(self) -> str:
        """URL of the stub target, whose programs print their stdin."""
        return f"http://127.0.0.1:{self._target.sockets[0].getsockname()[1]}"

    @contextlib.contextmanager
    def serving(self, fault: TransportFault, target: str = "") -> Iterator[str]:
        """Serve a proxy with a fault and give its URL."""
        proxy = serving_transport_proxy(target or self.target, fault)
        url = asyncio.run_coroutine_threadsafe(proxy.__aenter__(), self._loop).result(10)
        try:
            yield url
        finally:
            leaving = proxy.__aexit__(None, None, None)
            asyncio.run_coroutine_threadsafe(leaving, self._loop).result(10)

    def close(self) -> None:
        """End the target and the thread."""

        async def end() -> None:
            self._target.close()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(StubProtocol, "127.0.0.1", 0)
