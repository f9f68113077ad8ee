"""Identifiers of sessions: nobody guesses them, and each serves one execution at a time."""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol

# Part of an identifier that is for people; the rest keeps it unguessable.
_LONGEST_RUN_ID = 80


def new_run_id() -> str:
    """Return the name of a run, which no other run has."""
    return f"run-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def new_identifier(run_id: str) -> str:
    """Return an identifier that every pool takes, beginning with the name of a run."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", run_id).strip("-")
    return f"{readable[:_LONGEST_RUN_ID] or 'run'}-{secrets.token_hex(16)}"


@dataclass
class Lease:
    """An identifier while it is lent, and what is known of its session.

    Attributes:
        identifier: Leads to the session.
        opened: Whether it has led to one, or may have.
        created_at: When the pool says that the session was allocated.
    """

    identifier: str
    opened: bool = False
    created_at: datetime | None = None


class NoneFree(Exception):
    """No identifier became free in time; the text says which were waited for."""


class CallerBusy(NoneFree):
    """What was waited for are the caller's own requests; others could have been served."""


class Lender(Protocol):
    """Lends identifiers. Safe to use from several threads."""

    @property
    def opened(self) -> list[str]:
        """Identifiers whose sessions have to be stopped at the end, in order of their issue."""

    def take(self, within: float) -> Lease:
        """Lend an identifier to one execution.

        Args:
            within: Seconds to wait for one.

        Raises:
            NoneFree: There was none to be had.
        """

    def give_back(self, lease: Lease, *, usable: bool) -> None:
        """End a loan; an identifier that is not usable is never lent again."""


class RunIdentifiers:
    """Lends the identifiers of a run to whoever asks, never more than allowed in all.

    The one that came back last goes out first, so that a run with few executions at a time
    holds few sessions.

    Args:
        run_id: Name of the run, which every identifier begins with.
        most: How many may be issued.

    Raises:
        ValueError: None may.
    """

    def __init__(self, run_id: str, most: int) -> None:
        check_most(most)
        self._run_id = run_id
        self._most = most
        self._issued: list[Lease] = []
        self._free: list[Lease] = []
        self._lent = 0
        self._changed = threading.Condition()

    @property
    def opened(self) -> list[str]:
        """Identifiers that have led to a session, or may have."""
        return [lease.identifier for lease in self._issued if lease.opened]

    def take(self, within: float) -> Lease:
        """Lend an identifier; see :meth:`Lender.take`."""
        with self._changed:
            self._changed.wait_for(self._available, within)
            if self._free:
                lease = self._free.pop()
            elif len(self._issued) < self._most:
                lease = self._issue()
            else:
                raise NoneFree(
                    f"none of the {len(self._issued)} sessions that this run may use was free "
                    f"within {within:g} s, or they were given up before"
                )
            self._lent += 1
            return lease

    def take_fresh(self) -> Lease:
        """Lend an identifier that has led to no session, else the one that was free longest.

        Raises:
            NoneFree: All are lent. Nobody is waited for.
        """
        with self._changed:
            lease = next((it for it in self._free if not it.opened), None)
            if lease is None and len(self._issued) < self._most:
                lease = self._issue()
            elif lease is None and not self._free:
                raise NoneFree(f"none of the {self._most} sessions that this run may use is free")
            else:
                lease = lease or self._free[0]
                self._free.remove(lease)
            self._lent += 1
            return lease

    def _issue(self) -> Lease:
        lease = Lease(new_identifier(self._run_id))
        self._issued.append(lease)
        return lease

    def _available(self) -> bool:
        # Without one that may come back, waiting is in vain.
        return bool(self._free) or len(self._issued) < self._most or not self._lent

    def give_back(self, lease: Lease, *, usable: bool) -> None:
        """End a loan; see :meth:`Lender.give_back`."""
        with self._changed:
            self._lent -= 1
            if usable:
                self._free.append(lease)
            self._changed.notify_all()


def check_most(most: int) -> None:
    """Refuse a number of sessions with which nothing can be executed.

    Raises:
        ValueError: It is below 1.
    """
    if most < 1:
        raise ValueError(f"a run that may use {most} sessions can execute nothing; allow 1")
