"""Local executors for tests: as the user who runs them and, where that is root, as another one.

The other user gets a process of its own (this file, run as a program) with a copy of the package
that everyone can read, and an interpreter that everyone can execute.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])

from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    FaultKind,
    Limits,
    PlatformFault,
    RequestRefused,
    Runtime,
    SourceFile,
)
from codewitness.execution.sandbox import interpreter

NOBODY = 65534
PACKAGE = Path(__file__).resolve().parents[1] / "codewitness"


def users() -> list[str]:
    """Return who can run sandboxes here; each limit must hold for each of them."""
    return ["root", "ordinary user"] if os.geteuid() == 0 else ["ordinary user"]


@contextmanager
def executor_of(user: str) -> Iterator[Executor]:
    """Provide an executor that insists on bubblewrap and belongs to a user."""
    if user == "ordinary user" and os.geteuid() == 0:
        with tempfile.TemporaryDirectory() as folder:
            executor: Executor = _OrdinaryUsers(Path(folder))
            try:
                yield executor
            finally:
                executor.close()
        return
    executor = LocalExecutor(sandbox="bubblewrap")
    try:
        yield executor
    finally:
        executor.close()


def request(
    program: str | bytes,
    *,
    language: str = "python",
    stdin: bytes = b"",
    args: Sequence[str] = (),
    **limits: Any,
) -> ExecutionRequest:
    """Return the request to run one program, with limits by their names."""
    content = program.encode() if isinstance(program, str) else program
    files = (SourceFile(content),)
    return ExecutionRequest(language, files, stdin=stdin, args=tuple(args), limits=Limits(**limits))


class _OrdinaryUsers:
    """An executor in another process, which belongs to nobody in particular."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        shutil.copytree(PACKAGE / "execution", folder / "codewitness" / "execution")
        shutil.copy(PACKAGE / "__init__.py", folder / "codewitness")
        program = Path(shutil.copy(__file__, folder))
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True, timeout=60)
        self._process = subprocess.Popen(
            [_interpreter_for_everyone(), "-B", str(program), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"},
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        result: ExecutionResult = self._ask(request)
        return result

    def runtimes(self) -> Sequence[Runtime]:
        runtimes: Sequence[Runtime] = self._ask(None)
        return runtimes

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._reader.join(60)

    def _ask(self, question: ExecutionRequest | None) -> Any:
        assert self._process.stdin is not None
        answer: Future[Any] = Future()
        with self._lock:
            number = id(answer)
            self._waiting[number] = answer
            pickle.dump((number, question), self._process.stdin)
            self._process.stdin.flush()
        kind, *rest = answer.result(120)
        if kind == "refused":
            raise RequestRefused(*rest)
        if kind == "fault":
            raise PlatformFault(FaultKind.SANDBOX, *rest)
        return rest[0]

    def _read(self) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                number, answer = pickle.load(self._process.stdout)
            except EOFError:
                break
            self._waiting.pop(number).set_result(answer)
        for future in self._waiting.values():
            future.set_result(("fault", "the other process ended"))


def _interpreter_for_everyone() -> str:
    candidates = [interpreter(), shutil.which("python3", path="/usr/local/bin:/usr/bin")]
    check = "import sys; sys.exit(sys.version_info < (3, 10))"
    for candidate in filter(None, candidates):
        try:
            asked = subprocess.run(
                [candidate, "-c", check], cwd="/", user=NOBODY, group=NOBODY, timeout=60
            )
        except PermissionError:
            continue
        if asked.returncode == 0:
            return candidate
    raise AssertionError(
        "no Python 3.10 or later here can be executed by an ordinary user; install one in /usr, "
        "or run these tests as an ordinary user"
    )


def _serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    executor = LocalExecutor(sandbox="bubblewrap")
    lock = threading.Lock()

    def answer(number: int, question: ExecutionRequest | None) -> None:
        said: tuple[Any, ...]
        try:
            said = ("ok", executor.runtimes() if question is None else executor.execute(question))
        except RequestRefused as refusal:
            said = ("refused", refusal.message, refusal.status)
        except PlatformFault as fault:
            said = ("fault", fault.detail)
        with lock:
            pickle.dump((number, said), answers)
            answers.flush()

    with ThreadPoolExecutor(64) as threads:
        while True:
            try:
                number, question = pickle.load(questions)
            except EOFError:
                break
            threads.submit(answer, number, question)
    executor.close()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
