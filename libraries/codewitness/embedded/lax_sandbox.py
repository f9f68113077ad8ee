"""The local executor's sandbox with one wall taken down, to see whether the suite notices."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from codewitness.embedded.preludes import is_python
from codewitness.execution.local import OUTPUT_LIMIT, RUN_TIME, LocalExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    Provenance,
    Runtime,
    Stage,
)
from codewitness.execution.sandbox import FILE_SIZE_LIMIT, PROCESS_LIMIT, broken, interpreter
from codewitness.execution.sandbox_places import Bubblewrap, Start, Unusable, bubblewraps
from codewitness.execution.sandbox_pool import SandboxPool
from codewitness.execution.versions import highest_match, parse_version

STATE = "/box/state"
"""Folder that all programs share when ``state`` is among the shared folders."""

# Where programs see folders that can be shared.
_FOLDERS = {
    "home": "/box/home",
    "job": "/box/job",
    "shm": "/dev/shm",
    "state": STATE,
    "tmp": "/tmp",
    "var": "/var",
}
# Where root's sandboxes find the shared folders.
_SHARED = "/shared"

_UNSHARED_ALWAYS = ("--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")


@dataclass(frozen=True)
class Laxity:
    """What a sandbox lets through.

    Attributes:
        shared_folders: Which of ``job``, ``home``, ``tmp``, ``shm``, ``var`` and ``state`` all
            programs share.
        shared_network: Whether programs reach what listens on this machine.
        capabilities: Whether programs have all capabilities that a sandbox can have.
        environment: Variables given to every program.
        completes_stdin: Whether stdin that does not end with a newline gets one.
    """

    shared_folders: frozenset[str] = frozenset()
    shared_network: bool = False
    capabilities: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    completes_stdin: bool = True


class LaxSandbox:
    """Executes in sandboxes that lack something.

    What programs share lies in a folder of this executor's own instead of this machine's, and
    goes with it. Needs bubblewrap, so that only the wall meant is down.

    Args:
        inner: The executor that this one stands for; closed together with it.
        laxity: What is lacking.
        output_limit: Bytes of stdout and of stderr.

    Raises:
        PlatformFault: Bubblewrap does not work here.
    """

    def __init__(
        self, inner: Executor, laxity: Laxity, *, output_limit: int = OUTPUT_LIMIT
    ) -> None:
        self._inner = inner
        self._laxity = laxity
        self._root = _shared_root()
        self._executor = LocalExecutor(
            output_limit=output_limit,
            containment=SandboxPool(_lax_place(laxity, self._root), ready=2),
            completes_stdin=laxity.completes_stdin,
        )

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Run a program laxly."""
        if "job" in self._laxity.shared_folders:
            request = _with_own_files(request)
        return self._executor.execute(request)

    def runtimes(self) -> Sequence[Runtime]:
        """Return what the inner executor lists."""
        return self._inner.runtimes()

    def close(self) -> None:
        """End everything that runs and remove everything shared."""
        self._executor.close()
        shutil.rmtree(self._root, ignore_errors=True)
        self._inner.close()


class SharedProcesses:
    """Executes Python programs among each other's processes, which may outlive their program.

    Other languages are handed on. What outlived its program is ended by :meth:`close`. Processor
    time is not limited by itself.

    Args:
        inner: The executor that this one stands for; closed together with it.
        output_limit: Bytes of stdout and of stderr.
        process_limit: Processes of one program; ``None`` for any number.
        outliving: Whether processes outlive their program.

    Raises:
        PlatformFault: Bubblewrap does not work here.
    """

    def __init__(
        self,
        inner: Executor,
        *,
        output_limit: int = OUTPUT_LIMIT,
        process_limit: int | None = PROCESS_LIMIT,
        outliving: bool = True,
    ) -> None:
        self._inner = inner
        self._output_limit = output_limit
        self._process_limit = process_limit
        self._outliving = outliving
        self._root = _shared_root()
        self._place = _lax_place(Laxity(), self._root)
        # No other program has such a home, which tells the survivors from other processes.
        self._homes = f"/box/{uuid.uuid4().hex}"

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Run a Python program laxly, any other one properly."""
        runtime = next((it for it in self._inner.runtimes() if _runs(it, request)), None)
        if runtime is None or runtime.language != "python":
            return self._inner.execute(request)
        start = time.perf_counter()
        stage = self._run(request)
        elapsed = time.perf_counter() - start
        provenance = Provenance("local", sandbox=f"{self._place.description}, shared processes")
        return ExecutionResult(
            runtime.language, runtime.version, stage, provenance, elapsed=elapsed
        )

    def runtimes(self) -> Sequence[Runtime]:
        """Return what the inner executor lists."""
        return self._inner.runtimes()

    def close(self) -> None:
        """End what outlived its program, and the inner executor."""
        _kill_below(self._homes)
        self._place.close()
        shutil.rmtree(self._root, ignore_errors=True)
        self._inner.close()

    def _run(self, request: ExecutionRequest) -> Stage:
        limits = request.limits
        with (
            tempfile.TemporaryDirectory(dir=self._root) as job,
            tempfile.TemporaryFile(dir=self._root) as stdin,
            tempfile.TemporaryFile(dir=self._root) as stdout,
            tempfile.TemporaryFile(dir=self._root) as stderr,
        ):
            main = _write_files(request, Path(job))
            stdin.write(request.stdin)
            stdin.seek(0)
            started = self._place.prepare()
            home = f"{self._homes}/{uuid.uuid4().hex}"
            started.environment["HOME"] = home
            process = subprocess.Popen(
                [
                    *self._among_others(started.prefix, Path(job), home),
                    *_process_limits(limits.run_memory_limit, self._process_limit),
                    *(interpreter(), main, *request.args),
                ],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=started.environment,
                pass_fds=(*started.keeps, *started.hands_over),
                start_new_session=True,
            )
            for descriptor in started.hands_over:
                os.close(descriptor)
            code: int | None = None
            try:
                code = process.wait((limits.run_timeout or RUN_TIME) / 1000)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if not self._outliving:
                _kill_below(home)
            return self._stage(code, _read(stdout), _read(stderr))

    def _among_others(self, prefix: Sequence[str], job: Path, home: str) -> list[str]:
        """Return a prefix without a process namespace and with a job folder."""
        changed = list(prefix)
        changed.remove("--as-pid-1")
        _replace(changed, ["--unshare-all"], [*_UNSHARED_ALWAYS, "--unshare-net"])
        _replace(changed, ["--proc", "/proc"], ["--ro-bind", "/proc", "/proc"])
        binds = ["--bind", self._place.source(job.name), _FOLDERS["job"], "--dir", home]
        return [*changed[:-1], *binds, "--chdir", _FOLDERS["job"], changed[-1]]

    def _stage(self, code: int | None, stdout: bytes, stderr: bytes) -> Stage:
        limit = self._output_limit
        kept = Stage(stdout[:limit], stderr[:limit], signal="SIGKILL")
        if code is None:
            return replace(kept, status="TO", message="Time limit exceeded (wall clock)")
        if len(stdout) > limit:
            return replace(kept, status="OL", message="stdout length exceeded")
        if len(stderr) > limit:
            return replace(kept, status="EL", message="stderr length exceeded")
        return Stage(stdout, stderr, code=code)


class _LaxBubblewrap(Bubblewrap):
    """Walls made by bubblewrap, without some of them.

    Raises:
        Unusable: This executable does not work here.
    """

    def __init__(self, executable: str, laxity: Laxity, root: Path) -> None:
        self._laxity = laxity
        self._root = root
        super().__init__(executable)
        if self._view is not None:
            # One user for all: what they share must belong to each of them.
            self._users = itertools.cycle([next(self._users)])

    def prepare(self) -> Start:
        start = super().prepare()
        start.environment.update(self._laxity.environment)
        for name in self._laxity.shared_folders:
            start.prefix[-1:-1] = ["--bind", self.source(name), _FOLDERS[name]]
        if self._view is not None:
            # Each shared folder shows in its own place only.
            start.prefix[-1:-1] = ["--tmpfs", _SHARED, "--remount-ro", _SHARED]
        if self._laxity.capabilities:
            # For another user, and without user namespaces in it, a sandbox gets a second one,
            # in which they are worth nothing.
            start.prefix.remove("--disable-userns")
            _replace(start.prefix, ["--uid", "1000", "--gid", "1000"], ["--uid", "0", "--gid", "0"])
            start.prefix[-1:-1] = ["--cap-add", "ALL"]
        if self._laxity.shared_network:
            _replace(start.prefix, ["--unshare-all"], [*_UNSHARED_ALWAYS, "--unshare-pid"])
        return start

    def source(self, name: str) -> str:
        """Return where bubblewrap finds a folder below the root."""
        return str(self._root / name) if self._view is None else f"{_SHARED}/{name}"

    def _further_view(self) -> list[str]:
        return ["--bind", str(self._root), _SHARED]


def _lax_place(laxity: Laxity, root: Path) -> _LaxBubblewrap:
    """Return the walls of the first bubblewrap that works here."""
    for name in laxity.shared_folders:
        (root / name).mkdir()
        (root / name).chmod(0o777)
    reasons = []
    for executable in bubblewraps():
        attempt = _attempt(executable, laxity, root)
        if isinstance(attempt, _LaxBubblewrap):
            return attempt
        reasons.append(attempt)
    shutil.rmtree(root)
    raise broken("; ".join(reasons) or "bubblewrap is not there", "install the package bubblewrap")


def _attempt(executable: str, laxity: Laxity, root: Path) -> _LaxBubblewrap | str:
    try:
        return _LaxBubblewrap(executable, laxity, root)
    except Unusable as error:
        return f"{executable}: {error}"


def _shared_root() -> Path:
    root = Path(tempfile.mkdtemp(prefix="lax-sandbox-"))
    # Root's sandboxes pass through as another user.
    root.chmod(0o711)
    return root


def _runs(runtime: Runtime, request: ExecutionRequest) -> bool:
    version = highest_match(request.version, [parse_version(runtime.version)])
    return request.language in (runtime.language, *runtime.aliases) and version is not None


def _with_own_files(request: ExecutionRequest) -> ExecutionRequest:
    """Keep simultaneous programs from overwriting each other, which would be another fault."""
    own = uuid.uuid4().hex
    files = request.files
    if is_python(request):
        files = tuple(
            file if file.name else replace(file, name=f"{own}-{index}.py")
            for index, file in enumerate(files)
        )
    elif len(files) == 1 and files[0].name:
        files = (replace(files[0], name=f"{own}/{files[0].name}"),)
    return replace(request, files=files)


def _replace(words: list[str], old: Sequence[str], new: Sequence[str]) -> None:
    start = next(i for i in range(len(words)) if words[i : i + len(old)] == list(old))
    words[start : start + len(old)] = new


def _process_limits(memory: int | None, processes: int | None) -> list[str]:
    limits = [f"--fsize={FILE_SIZE_LIMIT}", "--core=0"]
    limits += [] if processes is None else [f"--nproc={processes}"]
    limits += [] if memory is None else [f"--as={memory}"]
    return ["prlimit", *limits]


def _kill_below(home: str) -> None:
    """Kill every process whose home is this one, or one of those below it."""
    # Imported here: only faults need it.
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if f"{process.environ().get('HOME')}/".startswith(f"{home}/"):
                process.kill()


def _write_files(request: ExecutionRequest, folder: Path) -> str:
    """Write a request's files and return the name of the program."""
    folder.chmod(0o777)
    names = []
    for index, file in enumerate(request.files):
        path = folder / (file.name or f"file{index}.code")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        names += [str(path.relative_to(folder))] if file.encoding == "utf8" else []
    return names[0]


def _read(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read()
