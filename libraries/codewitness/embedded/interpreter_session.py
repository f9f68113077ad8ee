"""Sessions of the built-in pools: a Python that keeps its variables, or a shell, and files."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from codewitness.embedded import interpreter_agent, interpreter_kernel
from codewitness.execution.model import PlatformFault
from codewitness.execution.sandbox import (
    OPEN_FILES_LIMIT,
    PROCESS_LIMIT,
    Layout,
    broken,
    closed,
    interpreter,
)
from codewitness.execution.sandbox_places import (
    Bare,
    Bubblewrap,
    Place,
    Start,
    Unusable,
    as_text,
    bubblewraps,
    close_all,
    limits_processes,
)
from codewitness.execution.sandbox_process import kill_processes_of
from codewitness.session_pool.contract import DATA_FOLDER, LONGEST_UPLOAD

MEMORY_LIMIT = 1 << 30
"""Bytes that a session's interpreter may allocate."""

SPACE_LIMIT = 192 << 20
"""Bytes of a session's files; an upload of the greatest length fits in."""

_START_WITHIN = 30.0
_ANSWER_WITHIN = 60.0
_END_WITHIN = 2.0
_LAST_WORDS = 1 << 12

_Message = tuple[dict[str, Any], bytes]

Code = str | Mapping[str, Any]
"""What a session runs: Python source, or what :func:`shell_command` makes."""


def shell_command(
    command: str | None, arguments: Sequence[str] | None, stdin: str = ""
) -> Mapping[str, Any]:
    """Return the order to run a command.

    Args:
        command: Text for a shell; ``None`` when there are arguments.
        arguments: A program and its arguments, to be run without a shell.
        stdin: What it reads.
    """
    return {"command": command, "arguments": arguments, "stdin": stdin}


@dataclass(frozen=True)
class Outcome:
    """What a call did.

    Attributes:
        ended: ``itself``, or ``killed`` when the interpreter did not survive the call.
        ok: Whether it ended without an exception, or with exit code 0.
        result: Value of the last expression as JSON can carry it, or ``None``; of a command its
            exit code.
        stdout: Standard output.
        stderr: Standard error, which ends with the traceback of an exception.
    """

    ended: Literal["itself", "killed"]
    ok: bool
    result: Any
    stdout: str
    stderr: str


@dataclass(frozen=True)
class StoredFile:
    """A file, or a folder, below the data folder.

    Attributes:
        path: Relative to the data folder.
        size: Bytes.
        modified: Seconds since the epoch.
        is_folder: Which of both.
    """

    path: str
    size: int
    modified: float
    is_folder: bool


class InterpreterSession:
    """A long-lived interpreter in a sandbox of its own. Safe to use from several threads.

    Args:
        start: How to start it.
        memory_limit: Bytes that the interpreter may allocate.

    Raises:
        PlatformFault: It can't be started.
    """

    def __init__(self, start: Start, memory_limit: int = MEMORY_LIMIT) -> None:
        self._start = start
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[_Message]] = {}
        self._call = 0
        self._ended = False
        self._last_words = ""
        try:
            self._process = subprocess.Popen(
                [*start.prefix, interpreter(), "-I", "-S", "-c", _source(interpreter_agent)]
                + [str(descriptor) for descriptor in start.keeps],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=start.environment,
                pass_fds=(*start.keeps, *start.hands_over),
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            shutil.rmtree(start.folder, ignore_errors=True)
            raise broken(f"no interpreter can be started: {error}") from error
        finally:
            close_all(start.hands_over)
        ready: Future[_Message] = Future()
        self._waiting[0] = ready
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._send(
                {
                    "folder": start.layout.job,
                    "kernel": _source(interpreter_kernel),
                    "limits": _resource_limits(memory_limit, walled=not start.folder),
                }
            )
            ready.result(_START_WITHIN)
        except Exception as error:
            self.close()
            raise broken(f"the interpreter did not start: {self._last_words or error}") from error

    def submit(self, code: Code) -> Future[Outcome]:
        """Begin a call; the one before it has ended."""
        outcome: Future[Outcome] = Future()

        def tell(answer: Future[_Message]) -> None:
            if (error := answer.exception()) is not None:
                outcome.set_exception(error)
                return
            message, _ = answer.result()
            outcome.set_result(
                Outcome(
                    message["ended"],
                    message["ok"],
                    message.get("result"),
                    message["stdout"],
                    message["stderr"],
                )
            )

        number, answer = self._ask({"operation": "execute", "code": code})
        self._call = number
        answer.add_done_callback(tell)
        return outcome

    def abort(self) -> None:
        """End the call that runs, and with it the interpreter; the next call gets a new one."""
        with contextlib.suppress(PlatformFault):
            self._send({"operation": "abort", "call": self._call})

    def write_file(self, path: str, content: bytes) -> StoredFile:
        """Store a file.

        Raises:
            OSError: It can't be stored.
            PlatformFault: The session is over.
        """
        return _stored(self._order("write", path, content)[0]["entry"])

    def read_file(self, path: str) -> bytes:
        """Return a file's content; errors as above."""
        return self._order("read", path)[1]

    def find_file(self, path: str) -> StoredFile:
        """Return what is known of a file; errors as above."""
        return _stored(self._order("stat", path)[0]["entry"])

    def list_files(self, folder: str = "") -> Sequence[StoredFile]:
        """Return what lies in a folder; errors as above."""
        return [_stored(entry) for entry in self._order("list", folder)[0]["entries"]]

    def delete_file(self, path: str) -> None:
        """Delete a file or folder; errors as above."""
        self._order("delete", path)

    def close(self) -> None:
        """End the sandbox with everything in it."""
        self._ended = True
        assert self._process.stdin is not None
        # Whoever is sending is stuck then, and freed when the process is killed.
        if self._sending.acquire(timeout=_END_WITHIN):
            self._process.stdin.close()
            self._sending.release()
        try:
            self._process.wait(_END_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_END_WITHIN)
        if self._start.folder:
            kill_processes_of(self._start.layout)
            shutil.rmtree(self._start.folder, ignore_errors=True)

    def _order(self, operation: str, path: str, content: bytes = b"") -> _Message:
        _, reply = self._ask({"operation": operation, "path": path}, content)
        try:
            message, payload = reply.result(_ANSWER_WITHIN)
        except FutureTimeoutError:
            raise broken(f"the sandbox did not answer within {_ANSWER_WITHIN:g} s") from None
        if "error" in message:
            raise OSError(message["errno"], message["error"], path)
        return message, payload

    def _ask(self, order: dict[str, Any], content: bytes = b"") -> tuple[int, Future[_Message]]:
        number = next(self._numbers)
        reply: Future[_Message] = Future()
        self._waiting[number] = reply
        try:
            self._send({"id": number, **order}, content)
        except PlatformFault:
            self._waiting.pop(number, None)
            raise
        return number, reply

    def _send(self, order: dict[str, Any], content: bytes = b"") -> None:
        assert self._process.stdin is not None
        with self._sending:
            if self._ended:
                raise closed()
            try:
                interpreter_agent.write(
                    self._process.stdin.fileno(), interpreter_agent.pack(order, content)
                )
            except BrokenPipeError:
                raise self._gone() from None

    def _read(self) -> None:
        """Hand out replies until the sandbox ends."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with self._process.stdout as stdout, self._process.stderr as stderr:
            while (reply := interpreter_agent.unpack(stdout.fileno())) is not None:
                waiting = self._waiting.pop(reply[0].get("id", 0), None)
                if waiting is not None:
                    waiting.set_result(reply)
            self._last_words = as_text(stderr.read(_LAST_WORDS))
        while self._waiting:
            with contextlib.suppress(KeyError):
                self._waiting.popitem()[1].set_exception(self._gone())

    def _gone(self) -> PlatformFault:
        if self._ended:
            return closed()
        return broken(f"the interpreter's sandbox ended: {self._last_words or 'it said nothing'}")


class InterpreterHost:
    """Starts sessions of the built-in interpreter.

    Args:
        sandbox: ``bubblewrap`` insists on real walls, ``none`` does without them, ``auto`` takes
            them where they work.
        memory_limit: Bytes that each interpreter may allocate.

    Raises:
        PlatformFault: There is nothing here to run sessions in.
    """

    def __init__(
        self,
        *,
        sandbox: Literal["auto", "bubblewrap", "none"] = "auto",
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        if sys.platform == "win32":
            raise broken("sessions of the interpreter need a POSIX system", "use Linux, or WSL")
        self._memory_limit = memory_limit
        # bubblewrap's --die-with-parent means the thread that started it.
        self._launcher = ThreadPoolExecutor(1, "interpreter-launcher")
        self._place = self._find_place(sandbox)

    def open(self) -> InterpreterSession:
        """Start a session."""
        return self._launcher.submit(self._start, self._place).result()

    def close(self) -> None:
        """Release what is held for all sessions."""
        self._launcher.shutdown()
        self._place.close()

    def _start(self, place: Place) -> InterpreterSession:
        return InterpreterSession(place.prepare(), self._memory_limit)

    def _find_place(self, sandbox: str) -> Place:
        if sandbox == "none":
            return Bare("that was asked for")
        reasons = []
        for executable in bubblewraps() if sys.platform == "linux" else ():
            try:
                place = _Walls(executable)
            except Unusable as error:
                reasons.append(f"{executable}: {error}")
                continue
            try:
                self._launcher.submit(self._start, place).result().close()
            except PlatformFault as fault:
                place.close()
                reasons.append(f"{executable}: {fault.detail}")
            else:
                return place
        reason = "; ".join(reasons) or "bubblewrap is not there"
        if sandbox == "bubblewrap":
            self._launcher.shutdown()
            raise broken(reason, "install the package bubblewrap")
        return Bare(reason)


class _Walls(Bubblewrap):
    """Walls made by bubblewrap, with the data folder inside.

    Raises:
        Unusable: This executable does not work here.
    """

    _LAYOUT = Layout(DATA_FOLDER, "/box/home", "/tmp", "/box/artefacts")

    def prepare(self) -> Start:
        start = super().prepare()
        # Before what makes the root folder read-only.
        at = -1 if self._view is not None else -3
        start.prefix[at:at] = ["--size", str(SPACE_LIMIT), "--tmpfs", DATA_FOLDER]
        return start

    def _further_view(self) -> list[str]:
        return ["--perms", "0755", "--dir", DATA_FOLDER]


def _stored(entry: dict[str, Any]) -> StoredFile:
    return StoredFile(entry["name"], entry["size"], entry["modified"], entry["is_folder"])


@cache
def _source(module: ModuleType) -> str:
    assert module.__file__ is not None
    return Path(module.__file__).read_text(encoding="utf-8")


def _resource_limits(memory: int, *, walled: bool) -> list[tuple[int, int]]:
    """Return numbers and values of limits for ``setrlimit``."""
    import resource

    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: LONGEST_UPLOAD,
        resource.RLIMIT_NOFILE: OPEN_FILES_LIMIT,
        resource.RLIMIT_DATA: memory,
    }
    if walled and (os.geteuid() == 0 or limits_processes()):
        limits[resource.RLIMIT_NPROC] = PROCESS_LIMIT
    return list(limits.items())
