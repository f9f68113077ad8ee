"""Nothing that the local executor starts outlives its purpose, however that ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import FaultKind, PlatformFault
from codewitness.execution.sandbox_places import TEMPORARY_PREFIX
from tests.local_executors import executor_of, request, users

PATIENCE = 20_000
SLEEPER = "import sys, time; print(1, flush=True); time.sleep(float(sys.argv[1]))"


@pytest.fixture
def marker() -> str:
    """A number of seconds that stands in the command line of nothing else."""
    return f"4{uuid.uuid4().int % 10**9}.5"


def processes_with(marker: str) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [it for it in found if any(marker in word for word in it.info["cmdline"] or ())]


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come true"
        time.sleep(0.02)


def temporary_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{TEMPORARY_PREFIX}*"))


@pytest.mark.parametrize("user", users())
def test_fifty_at_once_are_not_mixed_up(user: str) -> None:
    program = "import sys, time; time.sleep(0.2); print(sys.argv[1], input())"

    def execute(number: int) -> bytes:
        asked = request(
            program, args=[str(number)], stdin=str(-number).encode(), run_timeout=60_000
        )
        return executor.execute(asked).run.stdout

    with executor_of(user) as executor, ThreadPoolExecutor(50) as threads:
        said = list(threads.map(execute, range(50)))
    assert said == [f"{number} {-number}\n".encode() for number in range(50)]


def test_many_runs_leave_no_processes_and_no_descriptors() -> None:
    program = "import subprocess; [subprocess.Popen(['sleep', '60']) for _ in range(3)]"
    with closing(LocalExecutor()) as executor:
        executor.execute(request(program))

        def used() -> tuple[int, int]:
            return len(children()), psutil.Process().num_fds()

        wait_until(lambda: len(children()) <= 4)
        processes, descriptors = used()
        for _ in range(40):
            executor.execute(request(program, run_timeout=PATIENCE))
        wait_until(lambda: used()[0] <= processes + 2 and used()[1] <= descriptors + 10)
    wait_until(lambda: not children())


@pytest.mark.parametrize("sandbox", ["bubblewrap", "none"])
def test_closing_ends_what_runs(sandbox: str, marker: str) -> None:
    executor = LocalExecutor(sandbox=sandbox)  # type: ignore[arg-type]
    before = temporary_folders()
    faults: list[PlatformFault] = []

    def execute() -> None:
        with pytest.raises(PlatformFault) as fault:
            executor.execute(request(SLEEPER, args=[marker], run_timeout=60_000))
        faults.append(fault.value)

    threads = [threading.Thread(target=execute) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(processes_with(marker)) >= 4)
    start = time.monotonic()
    executor.close()
    assert time.monotonic() - start < 15
    for thread in threads:
        thread.join(20)
    assert [fault.kind for fault in faults] == [FaultKind.SANDBOX] * 4
    assert {fault.detail for fault in faults} == {"the executor was closed"}
    wait_until(lambda: not children())
    assert not processes_with(marker)
    wait_until(lambda: temporary_folders() <= before)
    executor.close()
    with pytest.raises(PlatformFault, match="the executor was closed"):
        executor.execute(request("print(1)"))


OWNER = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import ExecutionRequest, Limits, SourceFile

executor = LocalExecutor(sandbox=sys.argv[2])
program = SourceFile(sys.argv[4].encode())
limits = Limits(run_timeout=600_000)
asked = ExecutionRequest("python", (program,), args=(sys.argv[3],), limits=limits)
threads = [threading.Thread(target=executor.execute, args=(asked,)) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
DAEMON = f"""
import os
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
{SLEEPER}
"""


@pytest.mark.parametrize("program", [SLEEPER, DAEMON], ids=["program", "daemon"])
@pytest.mark.parametrize("sandbox", ["bubblewrap", "none"])
def test_killing_the_owner_ends_what_runs(
    project_root: Path, tmp_path: Path, marker: str, sandbox: str, program: str
) -> None:
    command = [sys.executable, "-c", OWNER, str(project_root / "libraries"), sandbox, marker]
    owner = subprocess.Popen(
        [*command, program],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        # The owner's own command line shows the marker as well.
        expected = 4 if program is SLEEPER else 7
        wait_until(lambda: len(processes_with(marker)) >= expected)
        assert len(list(tmp_path.iterdir())) == (0 if sandbox == "bubblewrap" else 3)
        family = psutil.Process(owner.pid).children(recursive=True)
    finally:
        owner.kill()
        owner.wait(20)
    wait_until(lambda: not processes_with(marker))
    wait_until(lambda: not any(it.is_running() for it in family))
    wait_until(lambda: not list(tmp_path.iterdir()))


def test_interrupting_the_owner_spares_what_runs() -> None:
    # Ctrl-C reaches every process of the terminal's foreground group.
    with closing(LocalExecutor()) as it:
        it.execute(request("pass"))
        groups = {os.getpgid(child.pid) for child in children()}
    assert groups
    assert os.getpgrp() not in groups


def test_killed_spare_is_replaced() -> None:
    with closing(LocalExecutor()) as it:
        it.execute(request("pass"))
        wait_until(lambda: len(children()) >= 2)
        killed = children()
        for child in killed:
            child.kill()
        wait_until(lambda: all(has_ended(child) for child in killed))
        assert it.execute(request("print(1)", run_timeout=PATIENCE)).run.stdout == b"1\n"


def test_killed_sandbox_is_a_fault_of_the_platform(marker: str) -> None:
    with closing(LocalExecutor()) as it, ThreadPoolExecutor(1) as threads:
        running = threads.submit(it.execute, request(SLEEPER, args=[marker], run_timeout=60_000))
        wait_until(lambda: bool(processes_with(marker)))
        first = processes_with(marker)[0].parent()
        assert first is not None
        first.kill()
        with pytest.raises(PlatformFault, match="ended before its program"):
            running.result(30)
        assert it.execute(request("print(1)", run_timeout=PATIENCE)).run.stdout == b"1\n"
    wait_until(lambda: not processes_with(marker))


def test_sandbox_needs_no_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nonesuch"))
    with closing(LocalExecutor(sandbox="bubblewrap")) as executor:
        assert executor.execute(request("print(1)")).run.stdout == b"1\n"
        assert executor.execute(request("int main() {}", language="c")).run.code == 0


def test_nothing_is_inherited_from_signals_and_masks() -> None:
    program = """
import json, signal
ignored = [it.name for it in signal.Signals if signal.getsignal(it) is signal.SIG_IGN]
print(json.dumps([ignored, sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))]))
"""
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with closing(LocalExecutor()) as it:
            said = json.loads(it.execute(request(program)).run.stdout)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        signal.signal(signal.SIGHUP, former)
    # Python itself ignores these two.
    assert said == [["SIGPIPE", "SIGXFSZ"], []]
