"""Every fault that the suite is tried against, and how a run meets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codewitness.embedded.faults import FAULTS
from codewitness.embedded.pool_faults import POOL_FAULTS
from codewitness.embedded.transport_faults import TRANSPORT_FAULTS

_FIRST = "T1.1 Simple Print Statement"
SENTINELS = (_FIRST, "T2.1 Reading From Stdin", "T3.2 Runtime Error")
"""Tests that run against every fault, whoever claims it."""

POOL_SENTINELS = (_FIRST, "Every Identifier Has A Session Of Its Own")
"""The same against a pool's faults."""

# What says nothing of a backend's fault, and what a pool's fault is not in the way of. All test
# cases take longer than everything else, and two problems fail no differently from thirty.
_FOR_A_BACKEND = ("--exclude", "rehearsal", "-v", "CASES:hello-n-times,unicode-text")
_FOR_A_POOL = ("--suite", "6 Session Pool")
_TRANSPORT_DEADLINE = 4


@dataclass(frozen=True)
class TriedFault:
    """A fault as a run meets it.

    Attributes:
        catalogue: What is broken: ``backend``, ``pool`` or ``transport``.
        name: Name of the fault.
        summary: What happens, in one line.
        group: The property's family.
        claimed_by: Name of the test that must find it.
        words: What the message of this test must have, in any case.
        options: Robot Framework's options that bring the fault about.
        also_needs: Names of tests that must run before the claiming one.
        sentinels: Names of the tests that run against every fault of this catalogue.
        everything: Robot Framework's options that choose all tests which could notice it.
        borne: Whether the suite is to pass nevertheless.
    """

    catalogue: str
    name: str
    summary: str
    group: str
    claimed_by: str
    words: tuple[str, ...]
    options: tuple[str, ...]
    also_needs: tuple[str, ...]
    sentinels: tuple[str, ...]
    everything: tuple[str, ...]
    borne: bool = False


def every_fault() -> list[TriedFault]:
    """Return the faults of all catalogues."""
    return [*_backend(), *_pool(), *_transport()]


def some_of_each_group(one_in: int) -> list[TriedFault]:
    """Return one of so many faults of every group, and at least one."""
    groups: dict[tuple[str, str], list[TriedFault]] = {}
    for fault in every_fault():
        groups.setdefault((fault.catalogue, fault.group), []).append(fault)
    return [fault for faults in groups.values() for fault in faults[::one_in]]


def _backend() -> Iterator[TriedFault]:
    for fault in FAULTS.values():
        yield TriedFault(
            "backend",
            fault.name,
            fault.summary,
            fault.group,
            fault.claimed_by,
            fault.expect_words,
            (*_setting("FAULT", fault.name), *_deadline(fault.request_deadline)),
            fault.also_needs,
            SENTINELS,
            _FOR_A_BACKEND,
        )


def _pool() -> Iterator[TriedFault]:
    for fault in POOL_FAULTS.values():
        yield TriedFault(
            "pool",
            fault.name,
            fault.summary,
            fault.group,
            fault.claimed_by,
            fault.expect_words,
            _setting("FAULT", fault.name),
            (),
            POOL_SENTINELS,
            _FOR_A_POOL,
        )


def _transport() -> Iterator[TriedFault]:
    for fault in TRANSPORT_FAULTS.values():
        yield TriedFault(
            "transport",
            # Some things can go wrong on the wire and in a backend alike.
            f"transport-{fault.name}",
            fault.summary,
            fault.group,
            fault.claimed_by,
            fault.expect_words,
            (*_setting("TRANSPORT_FAULT", fault.name), *_deadline(_TRANSPORT_DEADLINE)),
            (),
            SENTINELS,
            _FOR_A_BACKEND,
            fault.borne,
        )


def _setting(name: str, value: str) -> tuple[str, ...]:
    return ("-v", f"{name}:{value}")


def _deadline(seconds: int | None) -> tuple[str, ...]:
    return () if seconds is None else _setting("REQUEST_DEADLINE", str(seconds))
