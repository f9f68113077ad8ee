"""The first process in the sandbox of a session of the built-in interpreter.

It keeps the kernel (:mod:`codewitness.embedded.interpreter_kernel`) running, catches what that
writes, and looks after the files, also while the kernel is busy. It outlives kernels that crash.

Messages go both ways as a length of four bytes, a JSON object, and as many further bytes as the
object's ``size`` says. The end of the orders is the end of the sandbox.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import shutil
import signal
import stat
import subprocess
import sys
from typing import Any

MOST_OUTPUT = 1 << 20
"""Bytes kept of stdout and of stderr of one call."""

_CHUNK = 1 << 16
_PIPE = 1 << 16
_LARGEST_READ = 1 << 20


def pack(message: dict[str, Any], payload: bytes = b"") -> bytes:
    """Return a message for the wire."""
    head = json.dumps({**message, "size": len(payload)}).encode()
    return len(head).to_bytes(4, "big") + head + payload


def unpack(descriptor: int) -> tuple[dict[str, Any], bytes] | None:
    """Read a message; ``None`` at the end."""
    length = _read(descriptor, 4)
    if len(length) < 4:
        return None
    head = _read(descriptor, int.from_bytes(length, "big"))
    try:
        message: dict[str, Any] = json.loads(head)
    except ValueError:
        return None
    payload = _read(descriptor, message["size"])
    return (message, payload) if len(payload) == message["size"] else None


def write(descriptor: int, message: bytes) -> None:
    """Write all of a message to a pipe."""
    view = memoryview(message)
    while view:
        view = view[os.write(descriptor, view) :]


def _read(descriptor: int, size: int) -> bytes:
    chunks = []
    while size and (chunk := os.read(descriptor, min(size, _LARGEST_READ))):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


class _Kernel:
    """A running kernel and what it has said since the last call began."""

    def __init__(self, code: str, limits: str, environment: dict[str, str], folder: str) -> None:
        orders, self._orders = os.pipe()
        self.answers, answers = os.pipe()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", code, str(orders), str(answers), limits],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=folder,
            pass_fds=(orders, answers),
            start_new_session=True,
        )
        for descriptor in (orders, answers, stdout, stderr):
            os.close(descriptor)
        for descriptor in self.readable:
            os.set_blocking(descriptor, False)
        self.said = {self.stdout: bytearray(), self.stderr: bytearray()}
        self._answer = b""

    @property
    def readable(self) -> tuple[int, int, int]:
        return self.answers, self.stdout, self.stderr

    def order(self, code: Any) -> None:
        for said in self.said.values():
            said.clear()
        with contextlib.suppress(BrokenPipeError):
            write(self._orders, json.dumps(code).encode() + b"\n")

    def hear(self, descriptor: int) -> bool:
        """Take what is there to be read; tell whether there was anything."""
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if descriptor == self.answers:
            self._answer += chunk
        else:
            said = self.said[descriptor]
            said += chunk[: MOST_OUTPUT - len(said)]
        return bool(chunk)

    def take_answer(self) -> dict[str, Any] | None:
        line, end, rest = self._answer.partition(b"\n")
        if not end:
            return None
        self._answer = rest
        answer: dict[str, Any] = json.loads(line)
        return answer

    def take_output(self) -> dict[str, str]:
        for descriptor in (self.stdout, self.stderr):
            # As much as a pipe holds was said before the answer; more may come for ever.
            for _ in range(_PIPE // _CHUNK + 1):
                if not self.hear(descriptor):
                    break
        stdout, stderr = (bytes(said).decode("utf-8", "replace") for said in self.said.values())
        return {"stdout": stdout, "stderr": stderr}

    def close(self) -> None:
        for descriptor in (self._orders, *self.readable):
            os.close(descriptor)


class _Agent:
    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._folder: str = setup["folder"]
        self._kernel: _Kernel | None = None
        self._call: int | None = None
        self._selector = selectors.DefaultSelector()
        woken, waker = os.pipe()
        for descriptor in (woken, waker):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._woken = woken
        self._selector.register(woken, selectors.EVENT_READ)
        self._selector.register(0, selectors.EVENT_READ)

    def serve(self) -> None:
        self._start_kernel()
        self._send({"ready": True})
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._woken:
                    os.read(self._woken, 512)
                    self._reap()
                elif key.fd == 0:
                    message = unpack(0)
                    if message is None:
                        return
                    self._obey(*message)
                else:
                    self._hear(key.fd)

    def end(self) -> None:
        """Kill what is left where no walls end it."""
        if self._kernel is not None:
            _kill_all(self._kernel)

    def _send(self, message: dict[str, Any], payload: bytes = b"") -> None:
        write(1, pack(message, payload))

    def _obey(self, message: dict[str, Any], payload: bytes) -> None:
        operation = message["operation"]
        if operation == "execute":
            self._call = message["id"]
            kernel = self._kernel or self._start_kernel()
            kernel.order(message["code"])
        elif operation == "abort":
            if self._call == message["call"] and self._kernel is not None:
                _kill_all(self._kernel)
        else:
            reply, content = self._look_after_files(operation, message["path"], payload)
            self._send({"id": message["id"], **reply}, content)

    def _look_after_files(
        self, operation: str, name: str, payload: bytes
    ) -> tuple[dict[str, Any], bytes]:
        path = os.path.join(self._folder, name)  # noqa: PTH118
        try:
            if operation == "write":
                os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
                with open(path, "wb") as file:  # noqa: PTH123
                    file.write(payload)
                return {"entry": _entry(self._folder, name)}, b""
            if operation == "read":
                return {}, _read_file(path)
            if operation == "list":
                return {"entries": [_entry(self._folder, it) for it in _names(path, name)]}, b""
            if operation == "stat":
                return {"entry": _entry(self._folder, name)}, b""
            if os.path.isdir(path):  # noqa: PTH112
                shutil.rmtree(path)
            else:
                os.remove(path)  # noqa: PTH107
        except OSError as error:
            return {"error": error.strerror or str(error), "errno": error.errno}, b""
        return {}, b""

    def _start_kernel(self) -> _Kernel:
        environment = {**os.environ, "MPLBACKEND": "Agg"}
        limits = json.dumps(self._setup["limits"])
        kernel = self._kernel = _Kernel(self._setup["kernel"], limits, environment, self._folder)
        for descriptor in kernel.readable:
            self._selector.register(descriptor, selectors.EVENT_READ)
        return kernel

    def _hear(self, descriptor: int) -> None:
        kernel = self._kernel
        if kernel is None or descriptor not in kernel.readable:
            return
        if not kernel.hear(descriptor):
            self._selector.unregister(descriptor)
        answer = kernel.take_answer()
        if answer is not None and self._call is not None:
            self._send({"id": self._call, "ended": "itself", **answer, **kernel.take_output()})
            self._call = None

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                if self._kernel is not None and pid == self._kernel.process.pid:
                    self._forget(self._kernel)

    def _forget(self, kernel: _Kernel) -> None:
        """Clean up after a kernel that ended; the next call gets a new one."""
        self._kernel = None
        kernel.process.returncode = 0
        _kill_all(kernel)
        output = kernel.take_output()
        for descriptor in kernel.readable:
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
        kernel.close()
        if self._call is not None:
            self._send({"id": self._call, "ended": "killed", "ok": False, **output})
            self._call = None


def _kill_all(kernel: _Kernel) -> None:
    with contextlib.suppress(ProcessLookupError):
        if os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
        else:
            os.killpg(kernel.process.pid, signal.SIGKILL)


def _read_file(path: str) -> bytes:
    # A caller's code may have put a pipe in the place of a file.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a file")
        return file.read()


def _names(path: str, name: str) -> list[str]:
    if not os.path.lexists(path):
        return []
    return sorted(os.path.join(name, it) if name else it for it in os.listdir(path))  # noqa: PTH118, PTH208


def _entry(folder: str, name: str) -> dict[str, Any]:
    status = os.stat(os.path.join(folder, name), follow_symlinks=False)  # noqa: PTH116, PTH118
    return {
        "name": name,
        "size": status.st_size,
        "modified": status.st_mtime,
        "is_folder": stat.S_ISDIR(status.st_mode),
    }


def _be_untouchable() -> None:
    """Keep callers' code, which is the same user's, away from this process's memory and files."""
    import ctypes

    set_dumpable = 4
    ctypes.CDLL(None).prctl(set_dumpable, 0, 0, 0, 0)


def main() -> None:
    """Serve until the orders end. The command line holds descriptors that nobody here needs."""
    for descriptor in sys.argv[1:]:
        os.close(int(descriptor))
    if os.getpid() == 1:
        _be_untouchable()
    message = unpack(0)
    if message is None:
        return
    agent = _Agent(message[0])
    try:
        # The owner may have been killed; then nobody is there to hear of it.
        with contextlib.suppress(BrokenPipeError):
            agent.serve()
    finally:
        agent.end()


if __name__ == "__main__":
    main()
