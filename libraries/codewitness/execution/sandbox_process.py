"""One sandbox as its owner sees it: the pipes to its first process and to its programs."""

from __future__ import annotations

import contextlib
import errno
import marshal
import math
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from codewitness.execution import sandbox_init
from codewitness.execution.model import PlatformFault, RequestRefused
from codewitness.execution.sandbox import (
    FILE_SIZE_LIMIT,
    OPEN_FILES_LIMIT,
    PROCESS_LIMIT,
    Layout,
    StageEnd,
    StageLimits,
    StageOutcome,
    Transcript,
    broken,
    closed,
    interpreter,
)
from codewitness.execution.sandbox_places import Start, as_text, close_all, limits_processes

REPORT_WITHIN = 3.0
"""Seconds that the first process may take to report an end that it has to bring about."""

END_WITHIN = 2.0
"""Seconds that it may take to end itself."""

OUT_OF_MEANS = "this machine is out of processes, open files or memory; run less at once"
"""Likely cause where the operating system refuses to start a sandbox."""

# A sandbox starts in some 15 ms; where 64 start at once, in seconds.
_START_WITHIN = 30.0
_CHUNK = 1 << 16
_STACK = 8 << 20
# Longer than any wait, and a number that every system call takes.
_FOREVER = 1e6
_BOOT = """\
import marshal, posix, sys
code = b""
while len(code) < {size}: code += posix.read(int(sys.argv[1]), {size} - len(code)) or sys.exit()
exec(marshal.loads(code))
"""

_ENDS: Mapping[int, StageEnd] = {
    sandbox_init.WALL_TIME: "wall time",
    sandbox_init.CPU_TIME: "CPU time",
}


class SupervisedSandbox:
    """A sandbox whose first process is :mod:`codewitness.execution.sandbox_init`.

    It is for one thread at a time; :meth:`interrupt` may be called from any.

    Raises:
        PlatformFault: The process can't be started.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._files: dict[str, bytes] = {}
        self._ready = False
        self._said = b""
        self._lock = threading.Lock()
        self._interrupted = False
        self._ended = False
        pipes: list[tuple[int, int]] = []
        try:
            while len(pipes) < 5:
                pipes.append(os.pipe())
            self._process = _start_first_process(start, pipes)
        except OSError as error:
            close_all(descriptor for pipe in pipes for descriptor in pipe)
            shutil.rmtree(start.folder, ignore_errors=True)
            raise broken(f"no sandbox can be started: {error}", OUT_OF_MEANS) from error
        finally:
            close_all(start.hands_over)
        stdin, orders, stdout, stderr, reports = pipes
        close_all((stdin[0], orders[0], stdout[1], stderr[1], reports[1]))
        self._stdin: int | None = stdin[1]
        self._orders = orders[1]
        self._stdout, self._stderr, self._reports = stdout[0], stderr[0], reports[0]
        for descriptor in (stdin[1], self._stdout, self._stderr):
            os.set_blocking(descriptor, False)
        # One that is gone already is missed when it has to be ready.
        with contextlib.suppress(BrokenPipeError):
            self._tell(_code_of_first_process())

    @property
    def layout(self) -> Layout:
        """Where programs in it find their things."""
        return self._start.layout

    def wait_until_ready(self) -> bool:
        """Wait for the first process and tell whether it is there."""
        if not self._ready:
            self._ready = self._next_report(time.monotonic() + _START_WITHIN) == "ready"
        return self._ready and self._process.poll() is None

    def last_words(self) -> str:
        """Return what stands in stderr: before the first program, words of bubblewrap."""
        with contextlib.suppress(BlockingIOError):
            return as_text(os.read(self._stderr, _CHUNK))
        return ""

    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Put files into the job folder before the next stage runs."""
        self._files.update(files)

    def run(self, command: Sequence[str], stdin: bytes | None, limits: StageLimits) -> StageOutcome:
        """Run a command until its main process ends or a limit is passed."""
        folder = os.fsencode(self.layout.job)
        order = {
            "files": [
                (folder + b"/" + _encoded(name), content) for name, content in self._files.items()
            ],
            "argv": [_encoded(word) for word in command],
            "environment": self._start.environment,
            "folder": folder,
            "stdin": stdin is not None,
            "wall": limits.wall_time,
            "cpu": limits.cpu_time,
            "rlimits": _resource_limits(limits, walled=not self._start.folder),
        }
        self._files = {}
        body = marshal.dumps(order)
        try:
            self._tell(sandbox_init.ORDER + len(body).to_bytes(4, "big") + body)
        except BrokenPipeError:
            raise self._gone() from None
        transcript = Transcript(limits.output)
        if not self._attend(stdin, limits, transcript):
            return transcript.outcome("wall time")
        return self._outcome(self._take_report(), transcript, limits)

    def interrupt(self) -> None:
        """End what runs in the sandbox, or would, from any thread."""
        with self._lock, contextlib.suppress(OSError):
            self._interrupted = True
            if not self._ended:
                os.write(self._orders, sandbox_init.STOP)

    def end(self) -> None:
        """Take down the sandbox with everything in it; when this returns, it is gone."""
        with self._lock:
            self._ended = True
            close_all((self._orders, self._stdout, self._stderr, self._reports))
            self._close_stdin()
        # The first process meets the end of its orders and takes everything with it.
        try:
            self._process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._start.folder:
            if self._process.returncode != 0:
                kill_processes_of(self.layout)
            shutil.rmtree(self._start.folder, ignore_errors=True)

    def _attend(self, stdin: bytes | None, limits: StageLimits, transcript: Transcript) -> bool:
        """Feed and drain the program until its end is reported; tell whether that came."""
        deadline = time.monotonic() + (limits.wall_time or _FOREVER) + REPORT_WITHIN
        stopping = False
        unsent = memoryview(stdin or b"")
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._stdout, self._stderr, self._reports):
                selector.register(descriptor, selectors.EVENT_READ)
            if stdin is not None and self._stdin is not None:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            while b"\n" not in self._said:
                left = deadline - time.monotonic()
                if left <= 0:
                    self._process.kill()
                    return False
                for key, _ in selector.select(min(left, _FOREVER)):
                    if key.fd == self._stdin:
                        unsent = _feed(key.fd, unsent)
                        if not unsent:
                            selector.unregister(key.fd)
                            self._close_stdin()
                    elif key.fd == self._reports:
                        self._hear()
                    else:
                        self._drain(key.fd, transcript)
                if transcript.overflow is not None and not stopping:
                    stopping = True
                    deadline = time.monotonic() + REPORT_WITHIN
                    with contextlib.suppress(BrokenPipeError):
                        self._tell(sandbox_init.STOP)
        # Nobody is left to write, unless one got away where there are no walls.
        for descriptor in (self._stdout, self._stderr):
            while transcript.overflow is None and self._drain(descriptor, transcript):
                pass
        return True

    def _tell(self, message: bytes) -> None:
        view = memoryview(message)
        while view:
            view = view[os.write(self._orders, view) :]

    def _hear(self) -> None:
        said = os.read(self._reports, _CHUNK)
        if not said:
            raise self._gone()
        self._said += said

    def _drain(self, descriptor: int, transcript: Transcript) -> bool:
        """Take what a stream holds; tell whether there was anything."""
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        transcript.add("stdout" if descriptor == self._stdout else "stderr", chunk)
        return bool(chunk)

    def _outcome(self, report: str, transcript: Transcript, limits: StageLimits) -> StageOutcome:
        word, _, rest = report.partition(" ")
        if word == "failed":
            raise _not_started(rest)
        try:
            reason, status, cpu, elapsed, peak = map(int, rest.split())
        except ValueError:
            raise broken(f"the sandbox reported {report!r}") from None
        if self._interrupted:
            raise closed()
        killer = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        end = _ENDS.get(reason, "itself")
        if killer is not None and _is_for_cpu_time(killer, cpu / 1e6, limits):
            end = "CPU time"
        return transcript.outcome(
            end,
            os.WEXITSTATUS(status) if killer is None else None,
            killer,
            wall_time=elapsed / 1e6,
            cpu_time=cpu / 1e6,
            memory=peak,
        )

    def _next_report(self, deadline: float) -> str:
        """Return the next report; empty when none comes until the deadline, or at all."""
        with selectors.DefaultSelector() as selector, contextlib.suppress(PlatformFault):
            selector.register(self._reports, selectors.EVENT_READ)
            while b"\n" not in self._said:
                if not selector.select(max(deadline - time.monotonic(), 0)):
                    return ""
                self._hear()
        return self._take_report()

    def _take_report(self) -> str:
        line, _, self._said = self._said.partition(b"\n")
        return line.decode("utf-8", "replace")

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    def _gone(self) -> PlatformFault:
        if self._interrupted:
            return closed()
        said = self.last_words()
        return broken("the sandbox ended before its program" + (f": {said}" if said else ""))


def kill_processes_of(layout: Layout) -> None:
    """Kill every process with the home of one execution, which no other process has."""
    # Imported here: it is needed only where there are no walls.
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == layout.home:
                process.kill()


@cache
def _code_of_first_process() -> bytes:
    source = Path(sandbox_init.__file__).read_bytes()
    return marshal.dumps(compile(source, "sandbox_init", "exec", optimize=2))


def _start_first_process(start: Start, pipes: Sequence[tuple[int, int]]) -> subprocess.Popen[bytes]:
    stdin, orders, stdout, stderr, reports = pipes
    if start.owner is not None:
        for descriptor in (stdin[0], stdout[1], stderr[1]):
            os.fchown(descriptor, start.owner, start.owner)
    boot = _BOOT.format(size=len(_code_of_first_process()))
    return subprocess.Popen(
        [
            *(*start.prefix, interpreter(), "-I", "-S", "-c", boot),
            *(str(orders[0]), str(reports[1]), start.folder, *map(str, start.keeps)),
        ],
        stdin=stdin[0],
        stdout=stdout[1],
        stderr=stderr[1],
        env=start.environment,
        pass_fds=(orders[0], reports[1], *start.keeps, *start.hands_over),
        start_new_session=True,
    )


def _is_for_cpu_time(killer: int, cpu_time: float, limits: StageLimits) -> bool:
    if limits.cpu_time is None or killer not in (signal.SIGXCPU, signal.SIGKILL):
        return False
    return cpu_time >= limits.cpu_time


def _not_started(reason: str) -> RequestRefused | PlatformFault:
    what, _, rest = reason.partition(" ")
    number, _, words = rest.partition(" ")
    if what == "files":
        return RequestRefused(f"files can't be laid out in the job folder: {words}")
    if number == str(errno.E2BIG):
        return RequestRefused("args are too long for a command line")
    return broken(f"the program can't be started: {words}")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _feed(descriptor: int, unsent: memoryview) -> memoryview:
    """Write what a pipe takes and return what remains; nothing when nobody reads any more."""
    try:
        return unsent[os.write(descriptor, unsent[:_CHUNK]) :]
    except BlockingIOError:
        return unsent
    except BrokenPipeError:
        return unsent[:0]


def _resource_limits(limits: StageLimits, *, walled: bool) -> list[tuple[int, int, int]]:
    """Return number, soft and hard value of each limit for ``setrlimit``."""
    import resource

    chosen = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (FILE_SIZE_LIMIT, FILE_SIZE_LIMIT),
        resource.RLIMIT_NOFILE: (OPEN_FILES_LIMIT, OPEN_FILES_LIMIT),
        # Not this process's own, lest the depth of a recursion depend on who started it.
        resource.RLIMIT_STACK: (_STACK, resource.getrlimit(resource.RLIMIT_STACK)[1]),
    }
    if limits.cpu_time is not None:
        # The first process looks at all processes together; this holds should it be late.
        seconds = math.ceil(min(limits.cpu_time, _FOREVER)) + 1
        chosen[resource.RLIMIT_CPU] = (seconds, seconds + 1)
    if limits.memory is not None:
        kind = resource.RLIMIT_AS if limits.counts_address_space else resource.RLIMIT_DATA
        memory = min(limits.memory, 1 << 62)
        chosen[kind] = (memory, memory)
    if walled and (os.geteuid() == 0 or limits_processes()):
        chosen[resource.RLIMIT_NPROC] = (PROCESS_LIMIT, PROCESS_LIMIT)
    return [(number, soft, hard) for number, (soft, hard) in chosen.items()]
