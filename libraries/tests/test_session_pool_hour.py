"""An hour of a pool's life, in seconds by its clock: nothing is left of any session.

Thousands of sessions are of a light kind, which runs no program; dozens are sandboxes.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import aiohttp
import psutil
import pytest

from codewitness.embedded.clock import Clock
from codewitness.embedded.containers import Containers
from codewitness.embedded.running_pool import RunningPool
from codewitness.embedded.session_pool import create_pool_app
from codewitness.embedded.session_pool_service import PoolSettings
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Provenance,
    Runtime,
    Stage,
)
from codewitness.session_pool.hosts import ExecutorHost
from codewitness.session_pool.lifecycle import PoolRules, Timed
from tests.session_pools import (
    API_VERSION,
    listening,
    pool_of,
    sandboxes,
    still_alive,
)

HOUR = 3600
COOLDOWN = 300
STEP = 30
WRITES = "open('mine', 'w').close(); open('/tmp/mine', 'w').close(); print('written', end='')"


@dataclass(frozen=True)
class Held:
    """What this process holds of its machine."""

    files: int
    threads: int
    children: int

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        process = psutil.Process()
        children = process.children(recursive=True)
        return cls(process.num_fds(), threading.active_count(), len(children))

    def within(self, other: Held) -> bool:
        # What an earlier test has left may still go.
        return (
            self.files <= other.files
            and self.threads <= other.threads
            and self.children <= other.children
        )


@pytest.fixture
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test after which a file, thread, process or descriptor is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # What is made once for a process is no leak.
    asyncio.run(asyncio.to_thread(lambda: None))
    before = Held.now()
    yield
    assert list(tmp_path.iterdir()) == []
    # Threads end a moment after their last work.
    deadline = time.monotonic() + 20
    while not Held.now().within(before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert Held.now().within(before), (Held.now(), before)


class Light:
    """Runs nothing, and holds what a real one does for its life: a folder and an open file."""

    started = 0
    alive: ClassVar[set[Light]] = set()

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._file = (Path(self._folder.name) / "state").open("w")
        Light.started += 1
        Light.alive.add(self)

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        run = Stage(stdout=request.stdin, code=0)
        return ExecutionResult(request.language, "3.11.2", run, Provenance("light"))

    def runtimes(self) -> Sequence[Runtime]:
        return [Runtime("python", "3.11.2")]

    def close(self) -> None:
        self._file.close()
        self._folder.cleanup()
        Light.alive.discard(self)


async def call(client: aiohttp.ClientSession, url: str, identifier: str) -> None:
    files = [{"content": "input"}]
    body = {"language": "python", "version": "*", "stdin": f"{identifier}\n", "files": files}
    async with client.post(f"{url}/api/v2/execute?identifier={identifier}", json=body) as answer:
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["run"]["stdout"] == f"{identifier}\n"


async def stop(client: aiohttp.ClientSession, url: str, identifier: str) -> None:
    query = f"api-version={API_VERSION}&identifier={identifier}"
    async with client.post(f"{url}/.management/stopSession?{query}") as answer:
        assert answer.status == 200, await answer.text()


async def light_hour(users: int) -> None:
    """Let some users come in every step: a quarter is stopped, another's containers exit."""
    clock = Clock()
    rules = PoolRules(10 * users, 1, Timed(COOLDOWN))
    pool = RunningPool(rules, Containers(ExecutorHost(Light)), clock)
    async with listening(create_pool_app(pool, clock)) as url, aiohttp.ClientSession() as client:
        for step in range(HOUR // STEP):
            new = [f"user-{step}-{number}" for number in range(users)]
            await asyncio.gather(*(call(client, url, identifier) for identifier in new))
            quarter = users // 4
            await asyncio.gather(*(stop(client, url, it) for it in new[:quarter]))
            assert all(pool.lose(identifier) for identifier in new[quarter : 2 * quarter])
            clock.move(STEP)
            await pool.settle()
            steps = min(step + 1, COOLDOWN // STEP - 1)
            assert len(pool.sessions()) == steps * (users - 2 * quarter)
        clock.move(COOLDOWN)
        await pool.settle()
        assert pool.sessions() == []
        # What was refilled after the last of them.
        census = pool.census
        assert (census.active, census.cooling) == (0, 0)
        assert len(Light.alive) <= 1 + census.starting


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.thorough
def test_thousands_of_sessions_leave_nothing_behind() -> None:
    Light.started = 0
    asyncio.run(light_hour(users=18))
    assert Light.started > 2000
    assert not Light.alive


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.thorough
def test_sessions_with_sandboxes_leave_nothing_behind() -> None:
    users, step = 4, 6 * STEP
    seen: set[psutil.Process] = set()
    rules = PoolRules(10 * users, 1, Timed(COOLDOWN))
    with (
        pool_of(PoolSettings(rules=rules, identity=None)) as pool,
        ThreadPoolExecutor(users) as threads,
    ):
        for turn in range(HOUR // step):
            new = [f"user-{turn}-{number}" for number in range(users)]
            told = list(threads.map(lambda it: pool.stdout(WRITES, it), new))
            assert told == ["written"] * users
            seen |= sandboxes()
            assert pool.manage("stopSession", identifier=new[0]).status == 200
            assert pool.exit(new[1]).status == 200
            pool.move(step)
            # Those of the turn before have cooled down.
            assert len(pool.state()["sessions"]) == users - 2
        pool.move(COOLDOWN)
        assert pool.state()["sessions"] == []
    assert len(seen) >= users * HOUR // step
    assert still_alive(seen) == []
