"""A custom-container session pool of the test's own process, with executors made for tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from codewitness.embedded.clock import Clock
from codewitness.embedded.containers import Container, Containers
from codewitness.embedded.gateway import GatewayConfig
from codewitness.embedded.identity import IdentityService
from codewitness.embedded.running_pool import RunningPool
from codewitness.embedded.session_pool import ForwardingConfig, create_pool_app
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Provenance,
    RequestRefused,
    Runtime,
    Stage,
)
from codewitness.session_pool.hosts import ExecutorHost
from codewitness.session_pool.lifecycle import PoolRules, Timed
from codewitness.session_pool.tokens import TokenRules
from tests.loopback_identity import EventLoop


@dataclass
class Echo:
    """Prints the program instead of running it; one that says 'hold' ends at the release."""

    released: threading.Event
    running: int = 0
    most_running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        if request.language != "python":
            raise RequestRefused(f"{request.language}-* runtime is unknown")
        program = request.files[0].content
        with self._lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        if program == b"hold":
            self.released.wait(30)
        with self._lock:
            self.running -= 1
        run = Stage(stdout=program, code=0)
        return ExecutionResult(request.language, "3.11.2", run, Provenance("echo", sandbox="none"))

    def runtimes(self) -> Sequence[Runtime]:
        return [Runtime("python", "3.11.2", ("py",))]

    def close(self) -> None:
        pass


@dataclass
class LoopbackPool:
    """A pool that listens.

    Attributes:
        url: Its base URL.
        identity: Issues the tokens that it wants.
        clock: Its clock; to be moved in its event loop.
        containers: What was started behind it, in order.
        requests: Path and query of every request, in order.
        released: Lets programs that hold come to their end.
    """

    url: str
    identity: IdentityService
    containers: list[Echo]
    requests: list[str]
    released: threading.Event
    _clock: Clock
    _pool: RunningPool[Container]
    _loop: EventLoop

    def move_clock(self, seconds: float) -> None:
        async def move() -> None:
            self._clock.move(seconds)
            await self._pool.settle()

        self._loop.run(move())

    def sessions(self) -> list[str]:
        async def listed() -> list[str]:
            return [session.identifier for session in self._pool.sessions()]

        return self._loop.run(listed())


@contextlib.contextmanager
def running_pool(
    maximum: int = 5,
    forwarding: ForwardingConfig | None = None,
    rules: Callable[[TokenRules], TokenRules] = lambda rules: rules,
) -> Iterator[LoopbackPool]:
    """Run a pool and its identity service.

    Args:
        maximum: Sessions at once.
        forwarding: What becomes of requests.
        rules: Changes what the pool demands of tokens.
    """
    loop, identity, clock = EventLoop(), IdentityService(), Clock()
    containers: list[Echo] = []
    released = threading.Event()
    requests: list[str] = []

    def make() -> Echo:
        containers.append(Echo(released))
        return containers[-1]

    async def note(request: web.Request, _response: web.StreamResponse) -> None:
        requests.append(f"{request.method} {request.path_qs}")

    async def start() -> tuple[RunningPool[Container], web.AppRunner]:
        await identity.start()
        pool = RunningPool(PoolRules(maximum, 1, Timed(300)), Containers(ExecutorHost(make)), clock)
        gateway = GatewayConfig(authority=rules(TokenRules(identity.signer.public_key)))
        app = create_pool_app(pool, clock, gateway, forwarding)
        app.on_response_prepare.append(note)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return pool, runner

    try:
        pool, runner = loop.run(start())
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield LoopbackPool(url, identity, containers, requests, released, clock, pool, loop)
        released.set()
        loop.run(runner.cleanup())
        loop.run(identity.stop())
    finally:
        loop.close()
