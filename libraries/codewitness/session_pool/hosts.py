"""What a session pool is made of: sessions, and hosts that start them.

The pool decides whose session an instance becomes (:mod:`codewitness.session_pool.lifecycle`);
a host only starts it. So instances can be started before anybody asks for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from codewitness.execution.model import Executor


class Session(Protocol):
    """One sandbox, or one set of them, that serves one identifier for its life."""

    def close(self) -> None:
        """End everything that runs in it and release what it holds."""


SessionT = TypeVar("SessionT", bound=Session, covariant=True)


class SessionHost(Protocol[SessionT]):
    """Starts sessions. Safe to use from several threads."""

    def open(self) -> SessionT:
        """Start an instance that can serve at once.

        Raises:
            PlatformFault: It can't be started.
        """

    def close(self) -> None:
        """Release what is held for all sessions; they are closed before."""


class ExecutorHost:
    """Puts an executor of its own behind every session, as a container with a Piston server does.

    Args:
        make: Returns a new executor; called once for every session.
    """

    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make

    def open(self) -> Executor:
        """Return the executor of a new session."""
        return self._make()

    def close(self) -> None:
        """Nothing is held."""
