"""A lax sandbox differs from the real one in nothing but the wall that is meant."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from codewitness.embedded.faults import FAULTS, faulty
from codewitness.embedded.lax_sandbox import Laxity, LaxSandbox, SharedProcesses
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    Limits,
    RequestRefused,
    SourceFile,
)

EVERYTHING = frozenset({"home", "job", "shm", "state", "tmp"})

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "real sandbox": LocalExecutor,
    "no laxity": lambda: LaxSandbox(LocalExecutor(), Laxity()),
    "everything shared": lambda: LaxSandbox(
        LocalExecutor(), Laxity(EVERYTHING, shared_network=True, environment={"EXTRA": "1"})
    ),
    "shared processes": lambda: SharedProcesses(LocalExecutor()),
    "environment kept": lambda: faulty(LocalExecutor(), FAULTS["shared-environment"]),
    "waits for children": lambda: faulty(LocalExecutor(), FAULTS["background-child-holds-answer"]),
}


@pytest.fixture(scope="module", params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with closing(EXECUTORS[request.param]()) as executor:
        yield executor


def python(code: str, **limits: float) -> ExecutionRequest:
    return ExecutionRequest(
        "python",
        (SourceFile(code.encode()),),
        limits=Limits(**limits),  # type: ignore[arg-type]
    )


def run(executor: Executor, request: ExecutionRequest) -> ExecutionResult:
    result = executor.execute(request)
    assert result.language == "python"
    return result


def test_files_stdin_and_arguments(executor: Executor) -> None:
    code = (
        "import sys, pack.module; print(__name__, sys.argv, pack.module.NAME, open('data').read(), "
        "sys.stdin.read().split()); print('oops', file=sys.stderr); sys.exit(7)"
    )
    files = (
        SourceFile(code.encode(), "main.py"),
        SourceFile(b"NAME = 'module'", "pack/module.py"),
        SourceFile(b"hi", "data", "base64"),
    )
    request = ExecutionRequest("py", files, stdin=b"a b\n", args=("x y", ""))
    stage = run(executor, request).run
    assert stage.stdout == b"__main__ ['main.py', 'x y', ''] module hi ['a', 'b']\n"
    assert (stage.stderr, stage.code) == (b"oops\n", 7)


def test_unnamed_programs_and_other_languages(executor: Executor) -> None:
    assert run(executor, python("print('é', 1)")).run.stdout == "é 1\n".encode()
    script = ExecutionRequest("bash", (SourceFile(b"echo $((6 * 7))"),))
    assert executor.execute(script).run.stdout == b"42\n"


def test_timeout_keeps_output(executor: Executor) -> None:
    stage = run(
        executor, python("import time; print('a', flush=True); time.sleep(30)", run_timeout=600)
    ).run
    assert (stage.stdout, stage.code, stage.signal, stage.status) == (b"a\n", None, "SIGKILL", "TO")


def test_death_by_a_signal(executor: Executor) -> None:
    stage = run(executor, python("import os; os.kill(os.getpid(), 11)")).run
    assert stage.signal == "SIGSEGV" or stage.code == 139


def test_too_much_output(executor: Executor) -> None:
    stage = run(executor, python("import os\nwhile True: os.write(2, b'x' * 65536)")).run
    assert (len(stage.stderr), stage.status, stage.code) == (1 << 20, "EL", None)


def test_memory_limit(executor: Executor) -> None:
    stage = run(executor, python("bytearray(400 << 20)", run_memory_limit=200 << 20)).run
    assert stage.code == 1
    assert stage.stderr.endswith(b"MemoryError\n")


def test_limit_of_processes(executor: Executor) -> None:
    code = """\
import os, time
started = 0
try:
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
        started += 1
except BlockingIOError:
    print("limited", started < 70)
"""
    assert run(executor, python(code)).run.stdout == b"limited True\n"


def test_hosts_files_stay_hidden(executor: Executor, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("seen")
    tmp_path.chmod(0o755)
    paths = [str(secret), __file__, "/shared/tmp"]
    code = f"import os; print([path for path in {paths!r} if os.path.exists(path)])"
    assert run(executor, python(code)).run.stdout == b"[]\n"


def test_unknown_version_is_refused(executor: Executor) -> None:
    with pytest.raises(RequestRefused, match="python-99 runtime is unknown"):
        executor.execute(replace(python(""), version="99"))


def test_survivors_end_with_the_executor() -> None:
    code = "import subprocess; subprocess.Popen(['sleep', '63.741'], start_new_session=True)"
    with closing(SharedProcesses(LocalExecutor())) as executor:
        run(executor, python(code))
        assert survivors() == 1
    deadline = time.monotonic() + 10
    while survivors() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert survivors() == 0


def survivors() -> int:
    return sum(has_argument(process, "63.741") for process in psutil.process_iter())


def has_argument(process: psutil.Process, argument: str) -> bool:
    try:
        return argument in process.cmdline()
    except psutil.Error:
        return False
