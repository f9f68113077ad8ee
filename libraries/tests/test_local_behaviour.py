"""What programs get from the local executor, and what it says of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    Executor,
    RequestRefused,
    SourceFile,
    Stage,
)
from tests.local_executors import executor_of, request, users

PATIENCE = 20_000


@pytest.fixture(scope="module", params=users())
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with executor_of(request.param) as it:
        yield it


@pytest.fixture(scope="module")
def own_executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor()
    yield executor
    executor.close()


def run(executor: Executor, program: str, stdin: bytes = b"", *args: str) -> Stage:
    return executor.execute(request(program, stdin=stdin, args=args, run_timeout=PATIENCE)).run


def test_result_says_what_ran_and_where(executor: Executor) -> None:
    result = executor.execute(request("print('hi')", language="py"))
    assert result.language == "python"
    assert result.version.count(".") == 2
    assert result.compile is None
    assert result.elapsed > 0
    assert result.provenance.executor == "local"
    assert (result.provenance.sandbox or "").startswith("bubblewrap ")
    stage = result.run
    assert (stage.stdout, stage.stderr, stage.output) == (b"hi\n", b"", b"hi\n")
    assert (stage.code, stage.signal, stage.status, stage.message) == (0, None, None, None)
    assert stage.cpu_time is not None
    assert stage.wall_time is not None
    assert stage.memory is not None
    assert stage.cpu_time > 0
    assert 0 < stage.wall_time <= result.elapsed * 1000
    assert 1 << 20 < stage.memory < 1 << 30


@pytest.mark.parametrize("code", [1, 2, 3, 42, 43, 124, 126, 127, 128, 137, 139, 255])
def test_exit_codes(own_executor: LocalExecutor, code: int) -> None:
    stage = run(own_executor, f"import os; os._exit({code})")
    assert (stage.code, stage.signal, stage.status) == (code, None, "RE")
    assert stage.message == f"Exited with error status {code}"


@pytest.mark.parametrize(
    ("ending", "code", "stderr"),
    [("256", 0, b""), ("-1", 255, b""), ("None", 0, b""), ("'text'", 1, b"text\n")],
)
def test_ways_to_exit(own_executor: LocalExecutor, ending: str, code: int, stderr: bytes) -> None:
    stage = run(own_executor, f"import sys; sys.exit({ending})")
    assert (stage.code, stage.stderr) == (code, stderr)


@pytest.mark.parametrize(
    "name", ["SIGSEGV", "SIGFPE", "SIGABRT", "SIGKILL", "SIGTERM", "SIGPIPE", "SIGXCPU", "SIGHUP"]
)
def test_death_by_signal_is_no_exit_code(executor: Executor, name: str) -> None:
    program = f"""
import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
print("last words", flush=True)
os.kill(os.getpid(), signal.{name})
"""
    stage = run(executor, program)
    assert (stage.code, stage.signal, stage.status) == (None, name, "SG")
    assert stage.stdout == b"last words\n"


def test_exception_keeps_earlier_output(own_executor: LocalExecutor) -> None:
    stage = run(own_executor, "print('before'); 1 / 0")
    assert (stage.code, stage.stdout) == (1, b"before\n")
    assert stage.stderr.endswith(b"ZeroDivisionError: division by zero\n")


def test_unflushed_output_is_lost_with_the_program(own_executor: LocalExecutor) -> None:
    stage = run(own_executor, "import os; print('x'); os._exit(3)")
    assert (stage.code, stage.stdout) == (3, b"")


def test_deep_recursion(own_executor: LocalExecutor) -> None:
    stage = run(own_executor, "def f(): f()\nf()")
    assert stage.code == 1
    assert b"RecursionError" in stage.stderr
    program = "int f(int n) { return n ? f(n + 1) + 1 : 0; } int main() { return f(1); }"
    stage = own_executor.execute(request(program, language="c")).run
    assert (stage.code, stage.signal) == (None, "SIGSEGV")


def test_output_in_order_of_arrival(own_executor: LocalExecutor) -> None:
    program = """
import sys, time
for number in range(4):
    print(number, file=sys.stderr if number % 2 else sys.stdout, flush=True)
    time.sleep(0.2)
"""
    stage = run(own_executor, program)
    assert stage.output == b"0\n1\n2\n3\n"
    assert (stage.stdout, stage.stderr) == (b"0\n2\n", b"1\n3\n")


def test_character_split_over_two_writes(own_executor: LocalExecutor) -> None:
    program = "import os, time; os.write(1, b'\\xc3'); time.sleep(0.2); os.write(1, b'\\xa9')"
    assert run(own_executor, program).stdout == "é".encode()


@pytest.mark.parametrize(
    ("stdin", "arrives"),
    [
        (b"", b"\n"),
        (b"a", b"a\n"),
        (b"a\n", b"a\n"),
        (b"a\n\n", b"a\n\n"),
        (b"a\r", b"a\r\n"),
        ("é漢😀".encode(), "é漢😀\n".encode()),
        (bytes(range(256)), bytes(range(256)) + b"\n"),
    ],
)
def test_stdin_gets_its_final_newline(executor: Executor, stdin: bytes, arrives: bytes) -> None:
    program = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    assert run(executor, program, stdin).stdout == arrives


@settings(max_examples=25)
@given(content=st.binary(max_size=2000), error=st.binary(max_size=200))
def test_any_bytes_pass_unchanged(
    own_executor: LocalExecutor, content: bytes, error: bytes
) -> None:
    program = f"import os, sys; os.write(1, sys.stdin.buffer.read()); os.write(2, {error!r})"
    stage = run(own_executor, program, content + b"\n")
    assert (stage.stdout, stage.stderr, stage.code) == (content + b"\n", error, 0)


def test_huge_stdin_unread(executor: Executor) -> None:
    stage = run(executor, "print('done')", b"x" * (16 << 20))
    assert (stage.code, stage.stdout) == (0, b"done\n")


def test_huge_stdin_closed(own_executor: LocalExecutor) -> None:
    program = "import os, time; os.close(0); time.sleep(0.3); print('done')"
    assert run(own_executor, program, b"x" * (1 << 20)).stdout == b"done\n"


def test_large_stdin_echoed() -> None:
    executor = LocalExecutor(output_limit=64 << 20)
    try:
        sent = bytes(range(256)) * (40 << 10) + b"\n"
        stage = run(
            executor,
            "import shutil, sys\nshutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)",
            sent,
        )
        assert stage.stdout == sent
    finally:
        executor.close()


ARGUMENTS = ["a", "", "b c", "'single'", '"double"', "*", "$HOME", "-c", "é😀", "a\nb", "\\"]


def test_arguments_arrive_as_they_are(executor: Executor) -> None:
    program = "import json, sys; print(json.dumps(sys.argv[1:]))"
    assert json.loads(run(executor, program, b"", *ARGUMENTS).stdout) == ARGUMENTS


def test_arguments_too_long_are_refused(own_executor: LocalExecutor) -> None:
    with pytest.raises(RequestRefused, match="args are too long"):
        run(own_executor, "", b"", "x" * (1 << 20))
    assert run(own_executor, "print(1)").stdout == b"1\n"


def test_argument_with_nul_is_refused(own_executor: LocalExecutor) -> None:
    with pytest.raises(RequestRefused, match="NUL"):
        run(own_executor, "", b"", "a\0b")


SELF = """
import json, os, sys
print(json.dumps([__name__, sys.argv, os.path.basename(__file__), sys.path[0] == os.getcwd(),
                  os.listdir()]))
"""


@pytest.mark.parametrize("name", ["main.py", "other name.txt", "-c", "..c", "é.py"])
def test_program_runs_as_python_runs_a_file(executor: Executor, name: str) -> None:
    files = (SourceFile(SELF.encode(), name),)
    result = executor.execute(ExecutionRequest("python", files))
    argv0 = "./-c" if name == "-c" else name
    assert json.loads(result.run.stdout) == ["__main__", [argv0], name, True, [name]]


def test_program_without_a_name(own_executor: LocalExecutor) -> None:
    named = json.loads(run(own_executor, SELF).stdout)
    assert named == ["__main__", ["file0.code"], "file0.code", True, ["file0.code"]]


def test_first_text_file_is_the_program(own_executor: LocalExecutor) -> None:
    files = (
        SourceFile(bytes(range(256)), "data", "base64"),
        SourceFile(b"import pack.module\nprint(len(open('data', 'rb').read()))", "main.py"),
        SourceFile(b"print('module')", "pack/module.py"),
        SourceFile(b"", None, "hex"),
    )
    stage = own_executor.execute(ExecutionRequest("python", files)).run
    assert (stage.stdout, stage.stderr) == (b"module\n256\n", b"")


def test_module_of_the_program_goes_before_the_library(own_executor: LocalExecutor) -> None:
    files = (
        SourceFile(b"import calendar; print(calendar.mine)", "main.py"),
        SourceFile(b"mine = True", "calendar.py"),
    )
    assert own_executor.execute(ExecutionRequest("python", files)).run.stdout == b"True\n"


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "..", ".", "a/", "", "a\0b", "..\\x", "C:\\x", "\\x"]
)
def test_file_name_that_leaves_the_job_folder_is_refused(
    own_executor: LocalExecutor, name: str
) -> None:
    files = (SourceFile(b"print(1)", "main.py"), SourceFile(b"", name))
    with pytest.raises(RequestRefused) as refusal:
        own_executor.execute(ExecutionRequest("python", files))
    assert refusal.value.status == 400


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("x" * 300,), ("a/" * 3000 + "b",)])
def test_files_that_can_not_be_are_refused(
    own_executor: LocalExecutor, names: tuple[str, ...]
) -> None:
    files = (SourceFile(b"print(1)", "main.py"), *(SourceFile(b"", name) for name in names))
    with pytest.raises(RequestRefused, match="files can't be laid out"):
        own_executor.execute(ExecutionRequest("python", files))
    assert run(own_executor, "print(1)").stdout == b"1\n"


def test_request_without_a_program_is_refused(own_executor: LocalExecutor) -> None:
    files = (SourceFile(b"", "data", "base64"),)
    with pytest.raises(RequestRefused, match="at least one utf8 encoded file"):
        own_executor.execute(ExecutionRequest("python", files))


@pytest.mark.parametrize(
    ("language", "version"),
    [("nonesuch", "*"), ("PYTHON", "*"), ("python", "99"), ("python", "latest")],
)
def test_unknown_runtime_is_refused(
    own_executor: LocalExecutor, language: str, version: str
) -> None:
    asked = ExecutionRequest(language, (SourceFile(b""),), version)
    with pytest.raises(RequestRefused) as refusal:
        own_executor.execute(asked)
    assert refusal.value.message == f"{language}-{version} runtime is unknown"
    assert refusal.value.status == 400


HOLDS_STDOUT = """
import subprocess
subprocess.Popen(["sleep", "15"])
print("main is done")
"""
HOLDS_STDOUT_AS_DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(15)
        print("daemon")
    os._exit(0)
print("main is done")
"""


@pytest.mark.parametrize("program", [HOLDS_STDOUT, HOLDS_STDOUT_AS_DAEMON])
def test_answer_comes_when_the_main_program_ends(executor: Executor, program: str) -> None:
    start = time.monotonic()
    stage = run(executor, program)
    assert time.monotonic() - start < 12
    assert (stage.code, stage.stdout) == (0, b"main is done\n")


def test_child_that_writes_for_ever_does_not_hold_the_answer(executor: Executor) -> None:
    program = """
import os, time
if os.fork() == 0:
    while True:
        os.write(1, b"c")
        time.sleep(0.001)
time.sleep(0.3)
os.write(1, b"main")
"""
    stage = run(executor, program)
    assert (stage.code, stage.status) == (0, None)
    assert b"main" in stage.stdout
    assert set(stage.stdout.replace(b"main", b"")) == set(b"c")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_can_be_opened_by_name(executor: Executor, stream: str) -> None:
    stage = run(executor, f"print('x', file=open('/dev/{stream}', 'w'))")
    assert (stage.stdout + stage.stderr, stage.code) == (b"x\n", 0)


def test_children_and_shell_work(executor: Executor) -> None:
    program = "import subprocess; subprocess.run('echo $((1 + 1)) | cat; python3 -c 1', shell=True)"
    stage = run(executor, program)
    assert (stage.stdout, stage.stderr, stage.code) == (b"2\n", b"", 0)


def test_standard_library_works(executor: Executor) -> None:
    program = """
import asyncio, ctypes, decimal, hashlib, multiprocessing, os, pwd, socket, sqlite3, tempfile
import time, zoneinfo
with tempfile.NamedTemporaryFile() as file: assert file.name.startswith("/tmp/")
assert pwd.getpwuid(os.getuid()).pw_name == "sandbox"
assert os.path.expanduser("~") == os.environ["HOME"]
assert socket.gethostbyname("localhost") == "127.0.0.1"
async def main(): await asyncio.sleep(0)
asyncio.run(main())
def work(queue): queue.put(42)
if __name__ == "__main__":
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=work, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
"""
    stage = run(executor, program)
    assert (stage.stdout, stage.stderr) == (b"42\n", b"")
