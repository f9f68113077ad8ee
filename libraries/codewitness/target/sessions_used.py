"""What a run has opened in a session pool, and what it leaves there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from codewitness.execution.model import PlatformFault
from codewitness.session_pool.client import SessionPoolExecutor


@dataclass(frozen=True)
class SessionsUsed:
    """The sessions that a run opened in a pool which others use, too.

    Attributes:
        opened: How many it opened.
        left: Identifiers of those that could not be stopped, with the end that the pool has
            set to them, where it says so.
    """

    opened: int
    left: Mapping[str, datetime | None]

    def __str__(self) -> str:
        if not self.opened:
            return "none was opened"
        told = f"{self.opened} opened"
        if not self.left:
            return f"{told}, all stopped at the end"
        lines = [
            f"{name}, until {f'{end:%Y-%m-%d %H:%M:%S} UTC' if end else 'its cooldown has passed'}"
            for name, end in self.left.items()
        ]
        return f"{told}, {len(lines)} left open: {'; '.join(lines)}"


def close_sessions(
    pool: SessionPoolExecutor, asking: Callable[[], SessionPoolExecutor]
) -> SessionsUsed:
    """Stop all sessions that were opened through a pool's executor, and close it.

    Args:
        pool: The executor.
        asking: Makes a caller of the same pool that can be asked about what was left.
    """
    opened = len(pool.identifiers)
    pool.close()
    left: dict[str, datetime | None] = dict.fromkeys(pool.left_open)
    if left:
        with suppress(PlatformFault), asking() as caller:
            listed = {session.identifier: session for session in caller.list_sessions()}
            # What is not listed has ended meanwhile.
            left = {name: listed[name].expires_at for name in left if name in listed}
    return SessionsUsed(opened, left)
