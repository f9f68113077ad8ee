"""The first process of a sandbox: it starts the program, watches it and reports its end.

It runs inside the sandbox, in an interpreter without ``site`` and from compiled code that it
gets through a pipe. As every execution pays for its start, it imports nothing but modules that
are built in or nearly so, and these only when it runs.

Orders come from a side that is trusted: :data:`ORDER`, four bytes of length and a marshalled
dictionary. :data:`STOP` asks for the end of what runs. The end of the pipe means that the owner
is gone: everything ends. Reports go the other way, as lines of text that are safe to parse
whoever wrote them:

- ``ready``
- ``ended <reason> <wait status> <CPU microseconds> <elapsed microseconds> <peak bytes>``
- ``failed files <errno> <words>``, ``failed start <errno> <words>``
"""

from __future__ import annotations

# Part of every start, so no typing module here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Order = dict[str, Any]

ORDER = b"o"
STOP = b"s"

ENDED_BY_ITSELF, WALL_TIME, CPU_TIME, ON_REQUEST = range(4)

# How often processor time is looked at when the limit is near, in seconds.
_SHORTEST_LOOK = 0.02
_SPARED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM")


class _Supervisor:
    def __init__(self, orders: int, reports: int) -> None:
        import _signal  # type: ignore[import-not-found]  # signal would import enum: 2 ms
        import posix
        import select

        self._orders = orders
        self._reports = reports
        # Of a namespace of its own; only there may everything be killed.
        self._contained = posix.getpid() == 1
        woken, waker = posix.pipe()
        for descriptor in (orders, reports, woken, waker):
            posix.set_inheritable(descriptor, False)
        posix.set_blocking(waker, False)
        posix.set_blocking(woken, False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        _signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        # Programs may signal everything they see; this process goes last.
        for name in _SPARED:
            _signal.signal(getattr(_signal, name), _signal.SIG_IGN)
        self._woken = woken
        self._poll = select.poll()
        self._poll.register(woken, select.POLLIN)
        self._poll.register(orders, select.POLLIN)
        self._ticks = posix.sysconf("SC_CLK_TCK")
        self._processors = posix.cpu_count() or 1
        self._forget()

    def serve(self) -> None:
        self._report("ready")
        while (order := self._next_order()) is not None:
            try:
                self._write_files(order["files"])
            except OSError as error:
                self._report(f"failed files {error.errno} {error.strerror}: {error.filename!r}")
                return
            self._run(order)

    def _report(self, line: str) -> None:
        import posix

        posix.write(self._reports, (line + "\n").encode("utf-8", "replace"))

    def _next_order(self) -> Order | None:
        import marshal

        if self._read(1) != ORDER:
            return None
        order: Order = marshal.loads(self._read(int.from_bytes(self._read(4), "big")))
        return order

    def _read(self, size: int) -> bytes:
        import posix

        chunks = []
        while size and (chunk := posix.read(self._orders, size)):
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def _write_files(self, files: list[tuple[bytes, bytes]]) -> None:
        import posix

        for path, content in files:
            parent = path.rpartition(b"/")[0]
            self._make_folder(parent)
            flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC
            descriptor = posix.open(path, flags, 0o644)
            view = memoryview(content)
            while view:
                view = view[posix.write(descriptor, view) :]
            posix.close(descriptor)

    def _make_folder(self, path: bytes) -> None:
        import posix

        try:
            posix.mkdir(path, 0o755)
        except FileExistsError:
            pass
        except FileNotFoundError:
            self._make_folder(path.rpartition(b"/")[0])
            posix.mkdir(path, 0o755)

    def _run(self, order: Order) -> None:
        import posix
        import time

        self._forget()
        start = time.monotonic()
        main = posix.fork()
        if main == 0:
            self._become(order)
        reason = self._watch(main, start, order["wall"], order["cpu"])
        elapsed = time.monotonic() - start
        self._end_all(main)
        self._report(
            f"ended {reason} {self._status or 0} {self._cpu * 1e6:.0f} {elapsed * 1e6:.0f} "
            f"{self._peak}"
        )

    def _forget(self) -> None:
        """Start counting anew."""
        self._cpu = 0.0
        self._peak = 0
        self._status: int | None = None

    def _become(self, order: Order) -> None:
        """Turn this process, a new child, into the program."""
        import _signal
        import posix
        import resource

        try:
            posix.setsid()
            _signal.set_wakeup_fd(-1)
            for name in (*_SPARED, "SIGPIPE", "SIGXFSZ"):
                _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
            _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
            for limit, soft, hard in order["rlimits"]:
                ceiling = resource.getrlimit(limit)[1]
                if ceiling != resource.RLIM_INFINITY:
                    soft, hard = min(soft, ceiling), min(hard, ceiling)
                resource.setrlimit(limit, (soft, hard))
            posix.chdir(order["folder"])
            if not order["stdin"]:
                posix.dup2(posix.open("/dev/null", posix.O_RDONLY), 0)
            posix.execve(order["argv"][0], order["argv"], order["environment"])
        except Exception as error:
            self._report(f"failed start {getattr(error, 'errno', 0)} {error}")
        finally:
            posix._exit(127)

    def _watch(self, main: int, start: float, wall: float | None, cpu: float | None) -> int:
        """Wait until the main program ends or must end, and return which of it."""
        import posix
        import time

        never = float("inf")
        deadline = never if wall is None else start + wall
        look = never if cpu is None else start + max(cpu / self._processors, _SHORTEST_LOOK)
        while True:
            self._reap(main, posix.WNOHANG)
            if self._status is not None:
                return ENDED_BY_ITSELF
            now = time.monotonic()
            if now >= deadline:
                return WALL_TIME
            if cpu is not None and now >= look:
                left = cpu - self._cpu - self._running_cpu()
                if left <= 0:
                    return CPU_TIME
                look = now + max(left / self._processors, _SHORTEST_LOOK)
            until = min(deadline, look)
            timeout = None if until == never else min((until - now) * 1000 + 1, 1e9)
            for descriptor, _ in self._poll.poll(timeout):
                if descriptor == self._woken:
                    posix.read(self._woken, 512)
                else:
                    posix.read(self._orders, 1)
                    return ON_REQUEST

    def _reap(self, main: int, flags: int) -> bool:
        """Collect children that ended, orphans included; tell whether there are others."""
        import posix
        import sys

        while True:
            try:
                pid, status, usage = posix.wait4(-1, flags)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._cpu += usage.ru_utime + usage.ru_stime
            unit = 1 if sys.platform == "darwin" else 1024
            self._peak = max(self._peak, usage.ru_maxrss * unit)
            if pid == main:
                self._status = status

    def _end_all(self, main: int) -> None:
        """Kill every process that the program left, and wait until all are gone."""
        import posix
        import select

        if self._contained:
            _kill(-1)
            self._reap(main, 0)
            return
        if self._status is None:
            _kill(main)
        while self._reap(main, posix.WNOHANG):
            for pid in self._below_me():
                _kill(pid)
            select.select([], [], [], 0.001)

    def _running_cpu(self) -> float:
        """Return the CPU seconds of all running processes and of children they waited for."""
        table = self._table()
        return sum(table[pid][1] for pid in self._below_me(table)) / self._ticks

    def _below_me(self, table: dict[int, tuple[int, int]] | None = None) -> list[int]:
        """Return every process that the program left or runs."""
        import posix

        table = self._table() if table is None else table
        mine = posix.getpid()
        if self._contained:
            return [pid for pid in table if pid != mine]
        found = [mine]
        for parent in found:
            found += [pid for pid, (above, _) in table.items() if above == parent]
        return found[1:]

    def _table(self) -> dict[int, tuple[int, int]]:
        """Return parent and clock ticks of every process that can be seen."""
        import posix

        table: dict[int, tuple[int, int]] = {}
        try:
            names = posix.listdir("/proc")
        except OSError:
            return table
        for name in names:
            if not name.isdigit():
                continue
            try:
                descriptor = posix.open(f"/proc/{name}/stat", posix.O_RDONLY)
            except OSError:
                continue
            try:
                fields = posix.read(descriptor, 1024).rpartition(b")")[2].split()
                table[int(name)] = int(fields[1]), sum(map(int, fields[11:15]))
            except OSError:
                continue
            finally:
                posix.close(descriptor)
        return table


def _kill(pid: int) -> None:
    import _signal
    import posix

    try:
        posix.kill(pid, _signal.SIGKILL)
    except OSError:
        return


def _adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ended, where the system can."""
    import sys

    if sys.platform == "linux":
        import ctypes

        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def _be_first_to_go() -> None:
    """Have the kernel, short of memory, look here before it looks at anything else."""
    import posix

    try:
        descriptor = posix.open("/proc/self/oom_score_adj", posix.O_WRONLY)
        posix.write(descriptor, b"1000")
        posix.close(descriptor)
    except OSError:
        return


def _be_untouchable() -> None:
    """Keep programs, which are the same user's, away from this process's memory and files."""
    import _ctypes  # ctypes itself would cost 4 ms

    set_dumpable = 4
    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    _ctypes.call_function(prctl, (set_dumpable, 0, 0, 0, 0))


def _serve(orders: int, reports: int) -> None:
    try:
        _Supervisor(orders, reports).serve()
    except BrokenPipeError:
        # The owner was killed; nobody is there to hear how the program ended.
        return


def main() -> None:
    """Serve orders until their end.

    The command line holds the descriptors of orders and reports, the folder to remove in the
    end when this is no sandbox, else nothing, and descriptors that programs must not have.
    """
    import posix
    import sys

    for descriptor in sys.argv[4:]:
        posix.close(int(descriptor))
    folder = sys.argv[3]
    _be_first_to_go()
    if folder:
        _adopt_orphans()
    else:
        _be_untouchable()
    _serve(int(sys.argv[1]), int(sys.argv[2]))
    if folder:
        posix.execv("/bin/rm", ["rm", "-rf", folder])


if __name__ == "__main__":
    main()
