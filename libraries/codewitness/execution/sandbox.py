"""What a sandbox is to those who run programs in one, and the limits that hold in every one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from codewitness.execution.model import FaultKind, PlatformFault

PROCESS_LIMIT = 64
"""Processes and threads of one sandbox; Piston's figure, as the two below."""

OPEN_FILES_LIMIT = 2048
"""Open files of one process."""

FILE_SIZE_LIMIT = 10_000_000
"""Bytes of one file."""

StageEnd = Literal["itself", "wall time", "CPU time", "stdout", "stderr"]


@dataclass(frozen=True)
class Layout:
    """Where a program finds its things; every path is absolute.

    Attributes:
        job: Folder of the request's files; the program's working directory.
        home: The program's home.
        tmp: For temporary files.
        artefacts: For what a compiler makes; apart from the job folder, so that no file of the
            request is in its way.
    """

    job: str
    home: str
    tmp: str
    artefacts: str


@dataclass(frozen=True)
class StageLimits:
    """Limits of one stage; ``None`` sets none.

    Attributes:
        wall_time: Seconds from start to end.
        cpu_time: Seconds of processor time, summed over the program's processes.
        memory: Bytes that each process may allocate.
        output: Bytes of stdout and of stderr, each.
        counts_address_space: Whether ``memory`` binds the whole address space; otherwise
            private data alone, for run-times that reserve much more than they use.
    """

    wall_time: float | None
    cpu_time: float | None
    memory: int | None
    output: int
    counts_address_space: bool = True


@dataclass(frozen=True)
class StageOutcome:
    """How a stage ended and what it wrote.

    Attributes:
        end: What ended it.
        code: Exit code; ``None`` when a signal or a limit ended the main process.
        signal: Number of the signal that ended it, or ``None``.
        stdout: Standard output, at most the limit.
        stderr: Standard error, at most the limit.
        output: Both in order of arrival.
        wall_time: Seconds; ``None`` when unknown, as the two below.
        cpu_time: Seconds, summed over all processes.
        memory: Peak of the largest process in bytes.
    """

    end: StageEnd
    code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    output: bytes
    wall_time: float | None = None
    cpu_time: float | None = None
    memory: int | None = None


class Transcript:
    """What a stage writes, up to a limit for each stream.

    Attributes:
        overflow: The first stream that went over the limit, or ``None``.
    """

    def __init__(self, limit: int) -> None:
        self.overflow: Literal["stdout", "stderr"] | None = None
        self._limit = limit
        self._streams = {"stdout": bytearray(), "stderr": bytearray()}
        self._output = bytearray()

    def add(self, name: Literal["stdout", "stderr"], chunk: bytes) -> None:
        """Keep what a stream said next, as far as the limit goes."""
        stream = self._streams[name]
        kept = chunk[: self._limit - len(stream)]
        stream += kept
        self._output += kept
        if len(kept) < len(chunk) and self.overflow is None:
            self.overflow = name

    def outcome(
        self,
        end: StageEnd,
        code: int | None = None,
        signal: int | None = None,
        *,
        wall_time: float | None = None,
        cpu_time: float | None = None,
        memory: int | None = None,
    ) -> StageOutcome:
        """Return the outcome of a stage that wrote this; an overflow is what ended it."""
        if self.overflow is not None:
            end = self.overflow
        return StageOutcome(
            end,
            code if end == "itself" else None,
            signal if end == "itself" else None,
            bytes(self._streams["stdout"]),
            bytes(self._streams["stderr"]),
            bytes(self._output),
            wall_time,
            cpu_time,
            memory,
        )


class Sandbox(Protocol):
    """A place to run the stages of one request."""

    @property
    def layout(self) -> Layout:
        """Where programs in it find their things."""

    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Put files into the job folder before the next stage runs.

        Args:
            files: Contents by name; names are relative, with ``/``, and stay inside.
        """

    def run(self, command: Sequence[str], stdin: bytes | None, limits: StageLimits) -> StageOutcome:
        """Run a command until its main process ends or a limit is passed.

        When this returns, none of the command's processes is left.

        Args:
            command: Absolute path of the executable, and arguments.
            stdin: What the command reads; ``None`` for an empty device.
            limits: Bounds of this stage.

        Raises:
            RequestRefused: The files or arguments can't be handed over.
            PlatformFault: The sandbox, not the command, broke.
        """


class Containment(Protocol):
    """Gives out sandboxes. Safe to use from several threads.

    Attributes:
        description: Name of the containment, for the provenance.
        notes: What a reader of results must know about it.
    """

    description: str
    notes: tuple[str, ...]

    def find_tool(self, name: str) -> str | None:
        """Return the absolute path at which programs can execute a tool, or ``None``."""

    def open(self) -> AbstractContextManager[Sandbox]:
        """Return a fresh sandbox, to be used in a ``with`` statement.

        Raises:
            PlatformFault: No sandbox can be started.
        """

    def close(self) -> None:
        """End every sandbox; later uses are a fault."""


def interpreter() -> str:
    """Return the Python interpreter for programs: the one below any virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def broken(
    detail: str,
    cause: str = "the sandbox on this machine broke off; repeat, and look into the system's log",
) -> PlatformFault:
    """Return the fault of a sandbox that does not work."""
    return PlatformFault(FaultKind.SANDBOX, detail, cause=cause)


def closed() -> PlatformFault:
    """Return the fault of using an executor after its end, or across it."""
    return broken("the executor was closed", "whoever started the executor has ended it")
