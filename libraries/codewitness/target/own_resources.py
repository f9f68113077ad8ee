"""What processes of this machine hold: memory, descriptors, threads and children."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Held:
    """What some processes hold together at one moment.

    Attributes:
        memory: Their resident memory, in MiB.
        descriptors: Their open descriptors, or handles.
        threads: Their threads.
        children: Processes that they started and that are still there, at any depth.
    """

    memory: float
    descriptors: int
    threads: int
    children: int

    @property
    def handles(self) -> int:
        """What there is a limited number of: descriptors, threads and children."""
        return self.descriptors + self.threads + self.children

    def __str__(self) -> str:
        return (
            f"{self.memory:.1f} MiB, {self.descriptors} descriptors, {self.threads} threads, "
            f"{self.children} children"
        )


def look_at(pids: Sequence[int]) -> Held:
    """Return what processes hold now; memory of their children is not theirs.

    Raises:
        psutil.Error: One of them has ended.
    """
    memory, descriptors, threads, children = 0.0, 0, 0, 0
    for pid in pids:
        process = psutil.Process(pid)
        # One picture of each process, not one for each figure.
        with process.oneshot():
            memory += process.memory_info().rss / _MIB
            threads += process.num_threads()
        descriptors += _descriptors(process)
        children += len(process.children(recursive=True))
    return Held(memory, descriptors, threads, children)


def _descriptors(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()
