"""What programs of the local executor can't reach: this machine and each other."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from codewitness.execution.model import Executor, Stage
from tests.local_executors import executor_of, request, users

PATIENCE = 20_000


@pytest.fixture(scope="module", params=users())
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with executor_of(request.param) as it:
        yield it


def run(executor: Executor, program: str, **limits: Any) -> Stage:
    return executor.execute(request(program, **{"run_timeout": PATIENCE, **limits})).run


def told(executor: Executor, expression: str) -> object:
    """Return the value that an expression has in the sandbox."""
    stage = run(executor, f"import json, os, sys\nprint(json.dumps({expression}))")
    assert stage.code == 0, stage.stderr
    return json.loads(stage.stdout)


def processes_with(marker: str) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [it for it in found if any(marker in word for word in it.info["cmdline"] or ())]


def wait_until_none(marker: str) -> None:
    deadline = time.monotonic() + 10
    while processes_with(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_with(marker)


def test_environment_is_small_and_fixed(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hidden")
    environment = told(executor, "dict(os.environ)")
    assert isinstance(environment, dict)
    assert sorted(environment) == ["HOME", "LANG", "PATH", "TMPDIR"]
    assert environment["LANG"] == "C.UTF-8"
    assert "hidden" not in str(told(executor, "open('/proc/1/cmdline').read()"))


def test_interpreter_is_not_that_of_a_virtual_environment(executor: Executor) -> None:
    assert told(executor, "sys.prefix == sys.base_prefix") is True
    assert told(executor, "[it for it in sys.path if 'venv' in it]") == []
    assert b"ModuleNotFoundError" in run(executor, "import robot").stderr


@pytest.mark.parametrize(
    "path",
    [
        *(str(it) for it in (Path(__file__), Path(__file__).parents[2], Path(sys.prefix))),
        *("/etc/shadow", "/etc/ssh", "/etc/hostname", "/home", "/mnt", "/sys", "/run", "/srv"),
        *("/var/log", "/var/lib", "/boot", "/dev/kmsg", "/dev/mem", "/root/.bashrc"),
    ],
)
def test_files_of_this_machine_are_invisible(executor: Executor, path: str) -> None:
    assert told(executor, f"os.path.lexists({path!r})") is False


def test_temporary_files_of_this_machine_are_invisible(executor: Executor, tmp_path: Path) -> None:
    assert told(executor, f"os.path.lexists({str(tmp_path)!r})") is False
    assert told(executor, "[os.listdir(it) for it in ('/tmp', '/dev/shm', '/var/tmp')]") == [[]] * 3


def test_accounts_are_stand_ins(executor: Executor) -> None:
    names = told(executor, "[line.split(':')[0] for line in open('/etc/passwd')]")
    assert names == ["root", "sandbox", "nobody"]


def test_processes_of_this_machine_are_invisible(executor: Executor) -> None:
    assert told(executor, "[it for it in os.listdir('/proc') if it.isdigit()]") == ["1", "2"]


@pytest.mark.parametrize(
    "path", ["/x", "/etc/x", "/usr/x", "/usr/bin/x", "/dev/x", "/proc/x", "/box/../x", "/var/x"]
)
def test_nothing_outside_can_be_written(executor: Executor, path: str) -> None:
    stage = run(executor, f"open({path!r}, 'w')")
    assert stage.code == 1
    assert not Path(path).exists()


def test_nothing_outside_can_be_changed(executor: Executor) -> None:
    program = """
import os, sys
for path in ("/usr/bin/env", "/etc/passwd", sys.executable, os.__file__):
    for attempt in (lambda: os.chmod(path, 0o777), lambda: os.unlink(path),
                    lambda: open(path, "a"), lambda: os.utime(path)):
        try: attempt(); print("changed", path)
        except OSError: pass
"""
    stage = run(executor, program)
    assert (stage.stdout, stage.code) == (b"", 0)


FOLDERS = [".", "~", "/tmp", "/dev/shm", "/var/tmp", "/box", "/run/lock"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_persists(executor: Executor, folder: str) -> None:
    program = f"""
import os
path = os.path.join(os.path.expanduser({folder!r}), "marker")
print(os.path.exists(path))
try: open(path, "w").close()
except OSError: pass
"""
    assert [run(executor, program).stdout for _ in range(2)] == [b"False\n"] * 2


def test_network_of_this_machine_is_out_of_reach(executor: Executor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        stage = run(executor, f"import socket; socket.create_connection({address}, 3)")
    assert stage.code == 1
    assert b"ConnectionRefusedError" in stage.stderr


def test_abstract_sockets_of_this_machine_are_out_of_reach(executor: Executor) -> None:
    name = f"\0codewitness-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        program = f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})"
        assert run(executor, program).code == 1


def test_there_is_no_way_out(executor: Executor) -> None:
    assert told(executor, "[name for _, name in __import__('socket').if_nameindex()]") == ["lo"]
    program = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    stage = run(executor, program)
    assert stage.code == 1
    assert b"Network is unreachable" in stage.stderr


def test_simultaneous_programs_listen_on_one_port(executor: Executor) -> None:
    program = """
import socket, time
with socket.create_server(("127.0.0.1", 8080)) as server:
    with socket.create_connection(("127.0.0.1", 8080)): print("connected")
    time.sleep(1)
"""
    with ThreadPoolExecutor(3) as threads:
        stages = list(threads.map(lambda _: run(executor, program), range(3)))
    assert [stage.stdout for stage in stages] == [b"connected\n"] * 3


DAEMON = """
import os, subprocess, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(3): os.close(descriptor)
        os.execvp("sleep", ["sleep", sys.argv[1]])
    os._exit(0)
os.wait()
print("started")
"""


def test_daemons_end_with_their_program(executor: Executor) -> None:
    marker = f"3{uuid.uuid4().int % 10**9}.5"
    stage = executor.execute(request(DAEMON, args=[marker])).run
    assert stage.stdout == b"started\n"
    wait_until_none(marker)


@pytest.mark.parametrize(
    "attack",
    [
        "os.kill(-1, signal.SIGKILL)",
        "os.kill(1, signal.SIGKILL)",
        "os.kill(1, signal.SIGSTOP)",
        "os.kill(0, signal.SIGKILL)",
        "[os.kill(1, it) for it in signal.valid_signals()]",
        "os.kill(os.getppid(), signal.SIGSTOP)",
    ],
)
def test_attack_on_the_first_process_ends_as_usual(executor: Executor, attack: str) -> None:
    program = f"""
import os, signal, time
print(1, flush=True)
try:
    {attack}
except OSError:
    pass
time.sleep(60)
"""
    stage = run(executor, program, run_timeout=2000)
    assert stage.stdout == b"1\n"
    assert stage.signal == "SIGKILL"
    assert run(executor, "print(2)").stdout == b"2\n"


@pytest.mark.parametrize(
    "attack",
    [
        "os.listdir('/proc/1/fd')",
        "open('/proc/1/mem', 'rb')",
        "open('/proc/1/environ', 'rb').read()",
        "os.readlink('/proc/1/cwd')",
        "os.setuid(0)",
        "os.setgroups([0])",
        "os.chroot('/box')",
        "os.nice(-5)",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
        "time.clock_settime(time.CLOCK_REALTIME, 0)",
        "socket.sethostname('x')",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "os.mknod('x', 0o600 | stat.S_IFBLK, os.makedev(254, 0))",
        "call('mount', b'none', b'/box', b'tmpfs', 0, 0)",
        "call('umount2', b'/proc', 2)",
        "call('unshare', 0x10000000)",
        "call('setns', os.open('/proc/self/ns/mnt', 0), 0)",
        "call('reboot', 0x1234567)",
        "call('ptrace', 16, 1, 0, 0)",
        "call('pivot_root', b'/box', b'/box')",
    ],
)
def test_privileged_call_is_refused(executor: Executor, attack: str) -> None:
    program = f"""
import ctypes, os, socket, stat, time
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    if getattr(libc, name)(*args) == -1: raise OSError(ctypes.get_errno(), name)
try:
    {attack}
except (OSError, AttributeError) as error:
    print("refused")
"""
    stage = run(executor, program)
    assert (stage.stdout, stage.code) == (b"refused\n", 0), stage


def test_no_privileges_and_no_descriptors(executor: Executor) -> None:
    program = """
import os
for line in open("/proc/self/status"):
    if line.startswith(("Cap", "NoNewPrivs", "Groups")): print(*line.split())
print(os.getuid(), os.getgid(), sorted(map(int, os.listdir("/proc/self/fd")))[:4])
"""
    lines = run(executor, program).stdout.decode().splitlines()
    none = "0" * 16
    assert lines == [
        lines[0],
        *(f"{name}: {none}" for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")),
        "NoNewPrivs: 1",
        "1000 1000 [0, 1, 2, 3]",
    ]
    assert set(lines[0].split()[1:]) <= {"1000"}


def test_descriptors_of_this_process_are_not_inherited(executor: Executor) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        open_ones = told(executor, "os.listdir('/proc/self/fd')")
    finally:
        os.close(reader)
        os.close(writer)
    # The last one is the listing's own.
    assert open_ones == ["0", "1", "2", "3"]


def test_simultaneous_programs_do_not_see_each_other(executor: Executor) -> None:
    program = """
import os, sys, time
open(sys.argv[1], "w").close()
time.sleep(0.5)
print(sorted(os.listdir()), sorted(os.listdir("/tmp")), len(os.listdir("/dev/shm")))
"""
    names = [str(number) for number in range(8)]
    barrier = threading.Barrier(len(names))

    def execute(name: str) -> bytes:
        barrier.wait(30)
        return executor.execute(request(program, args=[name], run_timeout=PATIENCE)).run.stdout

    with ThreadPoolExecutor(len(names)) as threads:
        said = list(threads.map(execute, names))
    assert said == [f"['{name}', 'file0.code'] [] 0\n".encode() for name in names]
