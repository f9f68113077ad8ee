"""Every limit of the local executor binds, for root and for ordinary users."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from codewitness.execution.local import OUTPUT_LIMIT
from codewitness.execution.model import Executor, Stage
from codewitness.execution.sandbox import FILE_SIZE_LIMIT, OPEN_FILES_LIMIT, PROCESS_LIMIT
from tests.local_executors import executor_of, request, users

# Much more than any of these takes; a limit that does not hold is still told from a slow machine.
PATIENCE = 20_000


@pytest.fixture(scope="module", params=users())
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with executor_of(request.param) as it:
        yield it


def run(executor: Executor, program: str, **limits: Any) -> Stage:
    return executor.execute(request(program, **limits)).run


def ending(stage: Stage) -> tuple[int | None, str | None, str | None, str | None]:
    return stage.code, stage.signal, stage.status, stage.message


WALL_TIME = (None, "SIGKILL", "TO", "Time limit exceeded (wall clock)")
CPU_TIME = (None, "SIGKILL", "TO", "Time limit exceeded")


def assert_next_one_runs(executor: Executor) -> None:
    assert run(executor, "print(1)", run_timeout=PATIENCE).stdout == b"1\n"


def test_wall_time_ends_a_sleeper_and_keeps_its_output(executor: Executor) -> None:
    program = "import time; print('a', flush=True); time.sleep(60); print('b')"
    start = time.monotonic()
    stage = run(executor, program, run_timeout=1500)
    assert ending(stage) == WALL_TIME
    assert (stage.stdout, stage.output) == (b"a\n", b"a\n")
    assert stage.wall_time is not None
    assert 1500 <= stage.wall_time < PATIENCE
    assert time.monotonic() - start < 20
    assert_next_one_runs(executor)


def test_time_limits_have_defaults(executor: Executor) -> None:
    stage = run(executor, "import time; time.sleep(60)")
    assert ending(stage) == WALL_TIME
    assert stage.wall_time is not None
    assert 3000 <= stage.wall_time < PATIENCE


BURN = "while True: pass"
BURN_IN_CHILDREN = """
import os
for _ in range(4):
    if os.fork() == 0:
        while True: pass
os.wait()
"""
BURN_IN_SUCCESSION = """
import os, time
while True:
    if os.fork() == 0:
        end = time.process_time() + 0.1
        while time.process_time() < end: pass
        os._exit(0)
    os.wait()
"""
BURN_IN_ORPHANS = """
import os, time
for _ in range(2):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            while True: pass
        os._exit(0)
time.sleep(60)
"""


@pytest.mark.parametrize("program", [BURN, BURN_IN_CHILDREN, BURN_IN_SUCCESSION, BURN_IN_ORPHANS])
def test_cpu_time_counts_all_processes(executor: Executor, program: str) -> None:
    stage = run(executor, program, run_timeout=PATIENCE, run_cpu_time=700)
    assert ending(stage) == CPU_TIME
    assert stage.cpu_time is not None
    assert 650 < stage.cpu_time < 3000
    assert_next_one_runs(executor)


def test_sleeping_uses_no_cpu_time(executor: Executor) -> None:
    program = "import time; time.sleep(1.5)"
    assert run(executor, program, run_timeout=PATIENCE, run_cpu_time=1000).code == 0


def test_program_that_ignores_signals_is_ended(executor: Executor) -> None:
    program = """
import signal, time
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
print("deaf", flush=True)
while True: time.sleep(1)
"""
    stage = run(executor, program, run_timeout=1500)
    assert ending(stage) == WALL_TIME
    assert stage.stdout == b"deaf\n"


def test_memory(executor: Executor) -> None:
    limit = 200 << 20
    hungry = run(executor, "x = bytearray(400 << 20)", run_memory_limit=limit)
    assert (hungry.code, hungry.status) == (1, "RE")
    assert hungry.stderr.endswith(b"MemoryError\n")
    modest = run(executor, "x = bytearray(100 << 20); print(1)", run_memory_limit=limit)
    assert modest.stdout == b"1\n"
    assert modest.memory is not None
    assert 100 << 20 < modest.memory < limit


def test_memory_is_unlimited_unless_asked_for(executor: Executor) -> None:
    assert run(executor, "x = bytearray(400 << 20)", run_timeout=PATIENCE).code == 0


FORKS = """
import os, time
children = 0
try:
    while children < 400:
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        children += 1
except OSError as error:
    print(error.errno)
print(children)
"""
THREADS = """
import threading, time
threads = 0
try:
    while threads < 400:
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
        threads += 1
except RuntimeError:
    print(11)
print(threads)
"""


@pytest.mark.parametrize("program", [FORKS, THREADS], ids=["forks", "threads"])
def test_processes(executor: Executor, program: str) -> None:
    stage = run(executor, program, run_timeout=PATIENCE)
    errno, children = map(int, stage.stdout.split())
    assert errno == 11
    assert PROCESS_LIMIT - 10 < children < PROCESS_LIMIT
    assert_next_one_runs(executor)


def test_processes_of_simultaneous_programs_are_counted_apart(executor: Executor) -> None:
    with ThreadPoolExecutor(4) as threads:
        stages = list(threads.map(lambda _: run(executor, FORKS, run_timeout=PATIENCE), range(4)))
    assert len({stage.stdout for stage in stages}) == 1


def test_fork_bomb_of_its_own_cap_is_bounded_and_gone(executor: Executor) -> None:
    program = """
import os, time
end = time.monotonic() + 0.5
while time.monotonic() < end:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""
    assert run(executor, program, run_timeout=PATIENCE).code in (0, 1)
    assert_next_one_runs(executor)


def test_open_files(executor: Executor) -> None:
    program = """
files = []
try:
    while len(files) < 5000:
        files.append(open("/dev/null"))
except OSError as error:
    print(error.errno, len(files))
"""
    errno, opened = map(int, run(executor, program, run_timeout=PATIENCE).stdout.split())
    assert errno == 24
    assert OPEN_FILES_LIMIT - 20 < opened < OPEN_FILES_LIMIT


def test_size_of_one_file(executor: Executor) -> None:
    program = """
import os
with open("big", "wb", 0) as file:
    try:
        while True: file.write(bytes(1_000_003))
    except OSError as error:
        print(error.errno, os.path.getsize("big"))
"""
    assert run(executor, program).stdout.split() == [b"27", str(FILE_SIZE_LIMIT).encode()]


def test_size_of_one_file_by_signal(executor: Executor) -> None:
    program = "head -c 20000000 /dev/zero > big; echo $?; stat -c %s big"
    stage = executor.execute(request(program, language="bash")).run
    assert stage.stdout.split() == [b"153", str(FILE_SIZE_LIMIT).encode()]


@pytest.mark.parametrize("folder", [".", "/tmp", "/dev/shm"])
def test_space_of_all_files(executor: Executor, folder: str) -> None:
    program = f"""
import errno, os
content = os.urandom(1 << 20) * 8
os.chdir({folder!r})
try:
    for number in range(100):
        with open(str(number), "wb") as file: file.write(content)
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    assert run(executor, program, run_timeout=PATIENCE).stdout == b"ENOSPC\n"
    assert_next_one_runs(executor)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_is_cut_at_the_limit(executor: Executor, stream: str) -> None:
    program = f"""
import sys
sys.stdout.write("out"); sys.stdout.flush()
sys.stderr.write("err"); sys.stderr.flush()
while True: sys.{stream}.write("0123456789" * 1000)
"""
    stage = run(executor, program, run_timeout=PATIENCE)
    status = "OL" if stream == "stdout" else "EL"
    assert ending(stage) == (None, "SIGKILL", status, f"{stream} length exceeded")
    written = {"stdout": stage.stdout, "stderr": stage.stderr}
    endless = written.pop(stream)
    assert len(endless) == OUTPUT_LIMIT
    assert endless[3:] == (b"0123456789" * OUTPUT_LIMIT)[: OUTPUT_LIMIT - 3]
    assert written.popitem()[1] == (b"err" if stream == "stdout" else b"out")
    assert_next_one_runs(executor)


def test_output_of_exactly_the_limit_is_whole(executor: Executor) -> None:
    program = f"import sys; sys.stdout.write('x' * {OUTPUT_LIMIT})"
    stage = run(executor, program, run_timeout=PATIENCE)
    assert (stage.code, len(stage.stdout)) == (0, OUTPUT_LIMIT)


def test_both_streams_flooded_at_once(executor: Executor) -> None:
    program = """
import os, sys
for _ in range(60):
    os.write(1, b"o" * 10_000)
    os.write(2, b"e" * 10_000)
"""
    stage = run(executor, program, run_timeout=PATIENCE)
    assert (stage.code, len(stage.stdout), len(stage.stderr)) == (0, 600_000, 600_000)
    assert stage.output is not None
    assert sorted(set(stage.output)) == [ord("e"), ord("o")]
    assert len(stage.output) == 1_200_000


def test_limits_can_not_be_raised(executor: Executor) -> None:
    program = """
import resource
for limit in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
    try:
        resource.setrlimit(limit, (1 << 30, 1 << 30))
        print("raised", limit)
    except (ValueError, OSError):
        print("refused")
"""
    assert run(executor, program).stdout == b"refused\n" * 3


def test_compilation_has_limits_of_its_own(executor: Executor) -> None:
    # Takes the compiler for ever: every level of templates makes two more.
    program = """
template <int n, long k> struct T { static const long v = T<n-1, 2*k>::v + T<n-1, 2*k+1>::v; };
template <long k> struct T<0, k> { static const long v = k; };
int main() { return T<25, 0>::v; }
"""
    result = executor.execute(request(program, language="c++", compile_timeout=1000))
    assert result.compile is not None
    assert ending(result.compile) == WALL_TIME
    assert result.run == result.compile
    assert_next_one_runs(executor)


def test_endless_memory_on_the_disk_of_the_compiler(executor: Executor) -> None:
    program = '#include "/dev/zero"\nint main() {}'
    result = executor.execute(request(program, language="c", compile_timeout=2000))
    assert result.compile is not None
    assert result.compile.code != 0
    assert_next_one_runs(executor)
