"""Instances of a built-in pool: interpreters that make one call after the other."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from codewitness.embedded.clock import Clock
from codewitness.embedded.interpreter_session import Code, InterpreterSession, Outcome
from codewitness.session_pool.contract import EXECUTION_LIMIT
from codewitness.session_pool.hosts import SessionHost

TIMED_OUT = "Request timed out waiting for code execution to complete"
"""What stands in stderr of a call that took too long (L)."""

ABORTED = "Execution aborted"
"""What stands there when the interpreter did not survive the call (L)."""

_AT_ONCE = 8


@dataclass(frozen=True)
class Call:
    """A call that is over.

    Attributes:
        ok: Whether the code ended without an exception or with exit code 0, in time.
        result: Value of its last expression as JSON can carry it, or ``None``; of a command its
            exit code, ``None`` when it was ended.
        stdout: Standard output.
        stderr: Standard error, or why there is no more.
        elapsed: Seconds that it took.
    """

    ok: bool
    result: Any
    stdout: str
    stderr: str
    elapsed: float


@dataclass
class Interpreter:
    """A session with what it has been asked to do.

    Attributes:
        session: Runs the code.
        guid: Tells the session from all others.
        executions: What is told of each execution of generation B, by its identifier.
    """

    session: InterpreterSession
    guid: str = field(default_factory=lambda: str(uuid.uuid4()))
    executions: MutableMapping[str, dict[str, Any]] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def call(self, code: Code, clock: Clock, limit: float = EXECUTION_LIMIT) -> Call:
        """Run code after the calls that came before.

        What the real pool does with simultaneous calls is not known.

        Args:
            code: What to run.
            clock: Says when the time is up.
            limit: Seconds that the code may run.

        Raises:
            PlatformFault: The session is over.
        """
        async with self._turn:
            start = time.perf_counter()
            # Set before the code can show that it runs, so that nobody moves the clock too soon.
            end = clock.now() + limit
            submitted = await asyncio.to_thread(self.session.submit, code)
            running = asyncio.wrap_future(submitted)
            timer = asyncio.create_task(clock.wait_until(end))
            waiting: set[asyncio.Future[Any]] = {running, timer}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            timed_out = not running.done()
            timer.cancel()
            if timed_out:
                await asyncio.to_thread(self.session.abort)
            outcome = await running
            return _call(outcome, timed_out, time.perf_counter() - start)


def _call(outcome: Outcome, timed_out: bool, elapsed: float) -> Call:
    if outcome.ended == "killed":
        why = TIMED_OUT if timed_out else ABORTED
        return Call(False, None, outcome.stdout, why, elapsed)
    return Call(outcome.ok, outcome.result, outcome.stdout, outcome.stderr, elapsed)


class Interpreters:
    """Starts interpreters for a pool.

    Args:
        host: Starts the sessions; closed together with this.
    """

    def __init__(self, host: SessionHost[InterpreterSession]) -> None:
        self._host = host
        self._workers = ThreadPoolExecutor(_AT_ONCE, "interpreter")

    async def start(self) -> Interpreter:
        """Start an interpreter and wait until it can be called."""
        loop = asyncio.get_running_loop()
        return Interpreter(await loop.run_in_executor(self._workers, self._host.open))

    async def stop(self, instance: Interpreter) -> None:
        """End an interpreter at once, whatever it is doing."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._workers, instance.session.close)

    async def close(self) -> None:
        """Release what is held for all interpreters."""
        await asyncio.to_thread(self._host.close)
        self._workers.shutdown(wait=False)
