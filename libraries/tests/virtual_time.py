"""An event loop whose clock jumps to the next thing to do, so that hours of load take no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

from codewitness.execution.load import LoadAnswer
from codewitness.measuring.driving import drive
from codewitness.measuring.samples import Run
from codewitness.measuring.schedules import Schedule

Service = Callable[[int, Callable[[], float]], Awaitable[LoadAnswer]]
"""Answers the request with a number; the second argument tells the time since the start."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left to be done, and still somebody waits"
        self.now += timeout
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop of tasks that wait for each other and for time, and for nothing else."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def drive_virtually(service: Service, schedule: Schedule, **options: Any) -> Run:
    """Drive a load against a service that is made of waiting."""
    loop = VirtualTimeLoop()
    try:

        async def attempt(number: int) -> LoadAnswer:
            return await service(number, loop.time)

        return loop.run_until_complete(drive(attempt, schedule, clock=loop.time, **options))
    finally:
        loop.close()
