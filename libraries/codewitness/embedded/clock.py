"""Time of an embedded service: the real one, or ahead of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable


class Clock:
    """Goes as fast as real time and can be moved ahead; belongs to one event loop."""

    def __init__(self) -> None:
        # Monotonic, because a machine whose time is set back must not keep sessions alive.
        self._offset = time.time() - time.monotonic()
        self._moved: asyncio.Event | None = None
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.monotonic() + self._offset

    def move(self, seconds: float) -> None:
        """Jump ahead.

        Raises:
            ValueError: That would not be ahead.
        """
        if not 0 <= seconds < 1e9:
            raise ValueError(f"the clock can't be moved by {seconds:g} s: it only goes ahead")
        self._offset += seconds
        if self._moved is not None:
            self._moved.set()
            self._moved = None
        for listener in self._listeners:
            listener()

    def on_move(self, listener: Callable[[], None]) -> None:
        """Have a function called after every jump."""
        self._listeners.append(listener)

    async def wait_until(self, moment: float) -> None:
        """Wait until a moment is there, be it in real time or by a jump."""
        while (left := moment - self.now()) > 0:
            if self._moved is None:
                self._moved = asyncio.Event()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left)
