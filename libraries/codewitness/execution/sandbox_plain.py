"""Programs without walls on systems that are not POSIX: a time limit and little else."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

from codewitness.execution.sandbox import (
    Layout,
    Sandbox,
    StageEnd,
    StageLimits,
    StageOutcome,
    Transcript,
    broken,
    closed,
    interpreter,
)
from codewitness.execution.sandbox_places import folders_on_disk
from codewitness.execution.sandbox_process import kill_processes_of

# Without these, hardly anything starts on Windows.
_SYSTEM_VARIABLES = ("COMSPEC", "PATHEXT", "SYSTEMROOT", "WINDIR")
# How often closing and too much output are looked for, in seconds.
_LOOK = 0.02
_CHUNK = 1 << 16
_END_WITHIN = 5.0


class PlainContainment:
    """Gives every program a folder of its own, a wall-time and an output limit.

    Args:
        reason: Why there are no walls.
    """

    description = "process limits only"

    def __init__(self, reason: str) -> None:
        self.notes: tuple[str, ...] = (
            f"not contained: {reason}",
            "no limits on processor time, memory, processes and files",
        )
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._running = 0

    def find_tool(self, name: str) -> str | None:
        """Return a tool of this process's own search path."""
        return shutil.which(name)

    @contextlib.contextmanager
    def open(self) -> Iterator[Sandbox]:
        """Return a fresh folder, to be used in a ``with`` statement."""
        with self._changed:
            if self._closing.is_set():
                raise closed()
            self._running += 1
        try:
            layout, folder = folders_on_disk()
            try:
                yield _PlainSandbox(layout, self._closing)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """End every program; later uses are a fault."""
        with self._changed:
            self._closing.set()
            self._changed.wait_for(lambda: not self._running, _END_WITHIN)


class _PlainSandbox:
    def __init__(self, layout: Layout, closing: threading.Event) -> None:
        self.layout = layout
        self._closing = closing

    def write_files(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            path = Path(self.layout.job, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def run(self, command: Sequence[str], stdin: bytes | None, limits: StageLimits) -> StageOutcome:
        transcript = Transcript(limits.output)
        start = time.monotonic()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.layout.job,
                env=_environment(self.layout),
                start_new_session=True,
            )
        except OSError as error:
            raise broken(f"the program can't be started: {error}") from error
        threads = _attend(process, stdin, transcript)
        try:
            end = self._wait(process, start, limits, transcript)
        finally:
            process.kill()
            process.wait()
            elapsed = time.monotonic() - start
            kill_processes_of(self.layout)
            for thread in threads:
                thread.join(1)
        killer = -process.returncode if process.returncode < 0 else None
        code = process.returncode if killer is None else None
        return transcript.outcome(end, code, killer, wall_time=elapsed)

    def _wait(
        self,
        process: subprocess.Popen[bytes],
        start: float,
        limits: StageLimits,
        transcript: Transcript,
    ) -> StageEnd:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK)
                return "itself"
            if self._closing.is_set():
                raise closed()
            if transcript.overflow is not None:
                return transcript.overflow
            if limits.wall_time is not None and time.monotonic() - start >= limits.wall_time:
                return "wall time"


def _attend(
    process: subprocess.Popen[bytes], stdin: bytes | None, transcript: Transcript
) -> list[threading.Thread]:
    """Feed and drain a program in threads, as pipes can't be waited for on Windows."""
    lock = threading.Lock()

    def drain(stream: IO[bytes], name: Literal["stdout", "stderr"]) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), _CHUNK):
                with lock:
                    transcript.add(name, chunk)

    def feed(stream: IO[bytes], content: bytes) -> None:
        # A program need not read what it is given.
        with contextlib.suppress(OSError), stream:
            stream.write(content)

    threads = []
    if process.stdout is not None:
        threads.append(threading.Thread(target=drain, args=(process.stdout, "stdout")))
    if process.stderr is not None:
        threads.append(threading.Thread(target=drain, args=(process.stderr, "stderr")))
    if process.stdin is not None:
        threads.append(threading.Thread(target=feed, args=(process.stdin, stdin)))
    for thread in threads:
        thread.daemon = True
        thread.start()
    return threads


def _environment(layout: Layout) -> dict[str, str]:
    folder = str(Path(interpreter()).parent)
    kept = {name: os.environ[name] for name in _SYSTEM_VARIABLES if name in os.environ}
    return {
        **kept,
        "PATH": os.pathsep.join([folder, os.environ.get("PATH", os.defpath)]),
        "HOME": layout.home,
        "USERPROFILE": layout.home,
        "LANG": "C.UTF-8",
        **dict.fromkeys(("TEMP", "TMP", "TMPDIR"), layout.tmp),
    }
