"""Keywords that execute programs and judge what came back."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from robot.api import logger
from robot.api.deco import keyword, library

import run_context
from codewitness import __version__
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    Limits,
    PlatformFault,
    RequestRefused,
    SourceFile,
    Stage,
)
from codewitness.execution.redaction import redact
from codewitness.reporting.card import Mismatch
from codewitness.reporting.visible import as_text, size_of, visible
from codewitness.target.capabilities import ceiling_in

LANGUAGES = {
    ".py": "python",
    ".js": "javascript",
    ".sh": "bash",
    ".c": "c",
    ".cpp": "c++",
    ".java": "java",
    ".cs": "csharp",
}

_COMBINING = "e\u0301 a\u0308 n\u0303 A\u030a"
_STREAM_CLAUSE = "Piston v2 contract, section 3: {0} is what the program wrote there, unchanged"
_CODE_CLAUSE = "Piston v2 contract, section 3: run.code is the program's exit code"
_VERSION_CLAUSE = "Piston v2 contract, section 3: version is the concrete version that ran"
_SOON = 2.5
_LOOKED_AT = 1 << 14
# 124 and above may stand for a time limit or a signal.
_PLAIN_EXIT_CODES = range(124)


@dataclass
class Execution:
    """The execution that the expectations of the current test are about."""

    request: ExecutionRequest | None = None
    result: ExecutionResult | None = None
    files: list[SourceFile] = field(default_factory=list)


@library(scope="TEST", version=__version__, auto_keywords=False)
class ExecutionLibrary:
    r"""Keywords to execute a program, give it input, and expect an outcome.

    A test executes one program and then states what it expects; each expectation is about the
    program executed last. A failed expectation shows one failure card: what was sent, expected
    and received, where it ran, the likely cause and how to repeat it.

    | Execute Python       print(f"Hello, {input()}")    stdin=Alice
    | Stdout Should Be     Hello, Alice\n
    | Exit Code Should Be  0

    Text travels as UTF-8. ``${NONCE}`` is a token that is new for every test: a program that
    prints it can't be answered from a cache or by a mock.
    """

    def __init__(self) -> None:
        self._last = Execution()

    # Executing

    @keyword(tags=["execute"])
    def add_file(
        self, name: str, content: str | bytes, encoding: Literal["utf8", "base64", "hex"] = "utf8"
    ) -> None:
        """Puts a file beside the next program.

        ``name`` may contain folders. ``encoding`` says how the content travels; the file holds
        ``content`` itself in all cases.
        """
        self._last.files.append(SourceFile(_bytes(content), name, encoding))

    @keyword(tags=["execute"])
    def add_file_of_every_byte(
        self, name: str, encoding: Literal["base64", "hex"] = "base64"
    ) -> None:
        """Puts a file beside the next program that holds the bytes 0 to 255, each once."""
        self.add_file(name, bytes(range(256)), encoding)

    @keyword(tags=["execute"])
    def execute_python(
        self,
        code: str,
        stdin: str | bytes = "",
        args: list[str] | None = None,
        run_timeout: int | None = None,
        run_memory_limit: int | None = None,
        version: str = "*",
        file_name: str | None = None,
    ) -> ExecutionResult:
        r"""Executes a Python program and returns its result.

        ``run_timeout`` is in milliseconds, ``run_memory_limit`` in bytes; both are left to the
        service when not given. ``version`` is a range such as ``3`` or ``>=3.8``.

        | Execute Python    print(input()[::-1])    stdin=stressed
        """
        return self._execute(
            "python", code, stdin, args, run_timeout, run_memory_limit, version, file_name
        )

    @keyword(tags=["execute"])
    def execute_program(
        self,
        language: str,
        code: str | bytes,
        stdin: str | bytes = "",
        args: list[str] | None = None,
        run_timeout: int | None = None,
        run_memory_limit: int | None = None,
        version: str = "*",
        file_name: str | None = None,
    ) -> ExecutionResult:
        """Executes a program in any language; otherwise the same as `Execute Python`.

        | Execute Program    bash    echo "${NONCE}"
        """
        return self._execute(
            language, code, stdin, args, run_timeout, run_memory_limit, version, file_name
        )

    @keyword(tags=["execute"])
    def execute_program_file(
        self,
        path: str,
        stdin: str | bytes = "",
        args: list[str] | None = None,
        run_timeout: int | None = None,
        run_memory_limit: int | None = None,
    ) -> ExecutionResult:
        """Executes a program from a file, whose ending decides the language.

        ``path`` is relative to ``resources/programs``. In the program, ``@NONCE@`` becomes the
        test's ``${NONCE}``.

        | Execute Program File    echo_stdin.py    stdin=${NONCE}
        """
        language = LANGUAGES.get(PurePath(path).suffix)
        if language is None:
            raise ValueError(f"'{path}' ends in none of {', '.join(LANGUAGES)}.")
        code = run_context.read_program(path)
        name = PurePath(path).name if language in ("java", "csharp", "c", "c++") else None
        return self._execute(
            language, code, stdin, args, run_timeout, run_memory_limit, file_name=name
        )

    @keyword(tags=["execute"])
    def execute_python_writing(
        self, content: str | bytes, stream: Literal["stdout", "stderr"] = "stdout"
    ) -> ExecutionResult:
        """Executes a Python program that writes exactly ``content`` to ``stream``."""
        code = f"import sys\nsys.{stream}.buffer.write({_bytes(content)!r})\n"
        return self._execute("python", code)

    @keyword(tags=["execute"])
    def draw_exit_codes(self, count: int, seed: int | None = None) -> list[int]:
        """Returns ``count`` different exit codes that stand for nothing but themselves.

        They differ from run to run; the log has the ``seed`` that draws the same ones again.
        """
        seed = random.randrange(1_000_000) if seed is None else seed
        codes = random.Random(seed).sample(_PLAIN_EXIT_CODES, count)
        logger.info(f"Exit codes {', '.join(map(str, codes))}, drawn with seed={seed}.")
        return codes

    @keyword(tags=["execute"])
    def execute_program_with_combining_characters(
        self, channel: Literal["stdin", "source"]
    ) -> None:
        """Executes a program that prints characters which could be composed, and judges them.

        They reach it through ``channel``: its standard input, or escapes in its own source.
        They are made here because Robot itself composes the characters of its data.
        """
        text = f"{run_context.nonce()} {_COMBINING}\n"
        if channel == "stdin":
            self._execute("python", "print(input())", text)
        else:
            self._execute("python", f"print({text[:-1]!a})")
        because = f"combining characters from {channel} must not be composed or dropped"
        self._stream_should_be("stdout", _bytes(text), because)

    @keyword(tags=["execute"])
    def file_name_should_not_lead_out(self, name: str) -> None:
        """Sends a further file of this ``name`` and fails if it is written outside the job folder.

        A refusal, Piston's empty 500 and a file that stays inside are all right.
        """
        code = run_context.read_program("look_for_escaped_file.py").replace(
            "@NAME@", name.rpartition("/")[2]
        )
        files = (SourceFile(_bytes(code), "main.py"), SourceFile(b"escaped", name))
        request = ExecutionRequest("python", files)
        self._last = Execution(request=request)
        try:
            self._last.result = run_context.service().execute(request)
        except RequestRefused as refusal:
            logger.info(f"Refused: {refusal}")
            return
        except PlatformFault as fault:
            if fault.status == 500 and not fault.body:
                logger.info("Answered with an empty 500, as Piston does.")
                return
            run_context.fail_with(fault, request, "a refusal of the file name, or containment")
        self.stdout_should_be(
            f"{run_context.nonce()} nothing escaped\n",
            f"no file may be written outside the job folder, and {name} leads there",
        )

    # Expectations: streams

    @keyword(tags=["expect"])
    def stdout_should_be(self, expected: str | bytes, because: str = "") -> None:
        r"""Fails unless stdout equals ``expected`` to the byte.

        ``because`` is shown in the failure card. A line that the program printed ends in
        ``\n``, which must be written here, too.
        """
        self._stream_should_be("stdout", _bytes(expected), because)

    @keyword(tags=["expect"])
    def stderr_should_be(self, expected: str | bytes, because: str = "") -> None:
        """Fails unless stderr equals ``expected`` to the byte."""
        self._stream_should_be("stderr", _bytes(expected), because)

    @keyword(tags=["expect"])
    def stdout_should_contain(self, text: str, because: str = "") -> None:
        """Fails unless stdout contains ``text``, which can't be empty."""
        self._stream_should_contain("stdout", text, because)

    @keyword(tags=["expect"])
    def stderr_should_contain(self, text: str, because: str = "") -> None:
        """Fails unless stderr contains ``text``, which can't be empty."""
        self._stream_should_contain("stderr", text, because)

    @keyword(tags=["expect"])
    def stdout_should_not_contain(self, text: str, because: str = "") -> None:
        """Fails if stdout contains ``text``."""
        self._stream_should_not_contain("stdout", text, because)

    @keyword(tags=["expect"])
    def stderr_should_not_contain(self, text: str, because: str = "") -> None:
        """Fails if stderr contains ``text``."""
        self._stream_should_not_contain("stderr", text, because)

    @keyword(tags=["expect"])
    def stdout_should_be_empty(self, because: str = "") -> None:
        """Fails if there is anything on stdout."""
        self._stream_should_be("stdout", b"", because)

    @keyword(tags=["expect"])
    def stderr_should_be_empty(self, because: str = "") -> None:
        """Fails if there is anything on stderr."""
        self._stream_should_be("stderr", b"", because)

    # Expectations: the end of a program

    @keyword(tags=["expect"])
    def exit_code_should_be(self, expected: int, because: str = "") -> None:
        """Fails unless the program exited by itself with exit code ``expected``."""
        run = self._run
        if not run.exited(expected):
            wanted = str(expected)
            if run.code == expected:
                wanted += " of a program that exited by itself"
            self._fail("exit code", "equals", wanted, run.ending, _CODE_CLAUSE, because)

    @keyword(tags=["expect"])
    def exit_code_should_not_be_zero(self, because: str = "") -> None:
        """Fails if the program is reported as a success.

        A program that a signal or a limit ended has failed, too, whatever the code.
        """
        if not has_failed(self._run):
            self._fail(
                "exit code", "is not 0", "other than 0", self._run.ending, _CODE_CLAUSE, because
            )

    @keyword(tags=["expect"])
    def program_should_have_succeeded(self) -> None:
        """Fails unless the program exited with 0."""
        self.exit_code_should_be(0)

    @keyword(tags=["expect"])
    def program_should_have_been_killed_by_signal(self, number: int, name: str) -> None:
        """Fails unless death by a signal shows: as 128 + ``number``, -``number`` or ``name``.

        | Program Should Have Been Killed By Signal    11    SIGSEGV
        """
        run = self._run
        if run.code not in (128 + number, -number) and run.signal != name:
            expected = f"death by signal {name}: code {128 + number} or {-number}, or its name"
            self._fail(
                "signal",
                "shows in code or signal",
                expected,
                run.ending,
                "Piston v2 contract, section 8.8: never success",
            )

    @keyword(tags=["expect"])
    def compilation_should_have_failed(self) -> None:
        """Fails unless the compiler's failure shows, with what the compiler said.

        Where a compile stage is answered, ``run`` must be a copy of it.
        """
        result = self._result
        compiled = result.compile
        if not has_failed(result.run):
            self._fail(
                "compile stage",
                "has failed",
                "a failed compilation, copied to run",
                result.run.ending,
                "Piston v2 contract, section 3: when compilation fails, run is a copy of compile",
            )
        if not result.run.stderr + result.run.stdout:
            self._fail(
                "compile stage",
                "says why it failed",
                "the compiler's message on stderr",
                "no output at all",
                "Piston v2 contract, section 3: when compilation fails, run is a copy of compile",
            )
        if compiled is not None and not has_failed(compiled):
            self._fail(
                "compile stage",
                "has failed",
                "compile.code other than 0",
                compiled.ending,
                "Piston v2 contract, section 3: compile is the compile stage",
            )

    @keyword(tags=["expect"])
    def language_of_answer_should_be(self, expected: str) -> None:
        """Fails unless the answer names ``expected`` as the language that ran."""
        if self._result.language != expected:
            self._fail(
                "language",
                "is the canonical name",
                expected,
                self._result.language,
                "Piston v2 contract, section 3: language is canonical, not the alias sent",
            )

    @keyword(tags=["expect"])
    def version_of_answer_should_be_concrete(self) -> None:
        """Fails unless the answer's version is a version such as 3.11.2, and not a range."""
        version = self._result.version
        if not version[:1].isdigit() or "." not in version or version.endswith("x"):
            self._fail(
                "version",
                "is concrete",
                "an installed version such as 3.11.2",
                version or "(empty)",
                _VERSION_CLAUSE,
            )

    @keyword(tags=["expect"])
    def version_of_answer_should_be_the_one_that_ran(self) -> None:
        """Fails unless the answer's version is the one that ran, as far as both have parts.

        The program must have printed ``${NONCE}`` and its version, such as 3.11.2, in one line.
        Skips where the answer's version has no number, which is for another keyword to judge.
        """
        nonce, _, ran = as_text(self._run.stdout).strip().partition(" ")
        told = self._result.version
        numbers = _numbers(ran)
        if nonce != run_context.nonce() or not numbers:
            wanted = f"{run_context.nonce()} and a version"
            self._fail("stdout", "tells the version", wanted, self._run.stdout, _VERSION_CLAUSE)
        if not _numbers(told):
            run_context.skip(f"The answer's version '{told}' is no version to compare with.")
        if any(one != other for one, other in zip(_numbers(told), numbers, strict=False)):
            self._fail("version", "is the one that ran", ran, told, _VERSION_CLAUSE)

    @keyword(tags=["expect"])
    def answer_should_come_within(self, seconds: float, because: str) -> None:
        """Fails if the whole answer took longer than ``seconds``."""
        elapsed = self._result.elapsed
        if elapsed > seconds:
            self._fail("latency", "is at most", f"{seconds:g} s", f"{elapsed:.2f} s", "", because)

    @keyword(tags=["expect"])
    def next_program_should_run_normally(self, after: str) -> None:
        """Executes a small program and fails unless it gives its own result, and soon.

        Soon is 2.5 s, or three times what executions usually took in this run if that is more.
        ``after`` says what happened before, for the failure card.
        """
        nonce = run_context.nonce()
        code = f"import sys\nprint('next {nonce}')\nsys.exit(7)\n"
        request = ExecutionRequest("python", (SourceFile(code.encode()),))
        self._last = Execution(request=request)
        try:
            result = run_context.service().execute(request)
        except ExecutionError as error:
            run_context.fail_with(error, request, f"the next program to run normally after {after}")
        self._last.result = result
        because = f"the service must be healthy right after {after}"
        self.stdout_should_be(f"next {nonce}\n", because)
        self.exit_code_should_be(7, because)
        soon = max(_SOON, 3 * run_context.usual_latency())
        self.answer_should_come_within(soon, because)

    # What the rest is made of

    @property
    def _result(self) -> ExecutionResult:
        if self._last.result is None:
            raise AssertionError(
                "No program was executed before this expectation. Begin the test with "
                "'Execute Python' or another keyword that executes one."
            )
        return self._last.result

    @property
    def _run(self) -> Stage:
        return self._result.run

    def _execute(
        self,
        language: str,
        code: str | bytes,
        stdin: str | bytes = "",
        args: list[str] | None = None,
        run_timeout: int | None = None,
        run_memory_limit: int | None = None,
        version: str = "*",
        file_name: str | None = None,
    ) -> ExecutionResult:
        request = ExecutionRequest(
            language,
            (SourceFile(_bytes(code), file_name), *self._last.files),
            version=version,
            stdin=_bytes(stdin),
            args=tuple(args or ()),
            limits=Limits(run_timeout=run_timeout, run_memory_limit=run_memory_limit),
        )
        self._last = Execution(request=request)
        try:
            result = run_context.service().execute(request)
        except ExecutionError as error:
            if isinstance(error, RequestRefused) and ceiling_in(error.message):
                run_context.skip(f"The service's ceiling is in the way: {error.message}.")
            run_context.fail_with(error, request, "a result of the program")
        self._last.result = result
        log_result(result)
        return result

    def _stream_should_be(self, stream: str, expected: bytes, because: str) -> None:
        received = getattr(self._run, stream)
        if received != expected:
            clause = _STREAM_CLAUSE.format(f"run.{stream}")
            self._fail(stream, "equals", expected, received, clause, because)

    def _stream_should_contain(self, stream: str, text: str, because: str) -> None:
        if not text:
            raise ValueError("An empty text is in every output; name one that is not empty.")
        received = getattr(self._run, stream)
        if _bytes(text) not in received:
            clause = _STREAM_CLAUSE.format(f"run.{stream}")
            self._fail(stream, "contains", _bytes(text), received, clause, because)

    def _stream_should_not_contain(self, stream: str, text: str, because: str) -> None:
        received = getattr(self._run, stream)
        if _bytes(text) in received:
            clause = _STREAM_CLAUSE.format(f"run.{stream}")
            self._fail(stream, "does not contain", _bytes(text), received, clause, because)

    def _fail(
        self,
        subject: str,
        relation: str,
        expected: str | bytes,
        received: str | bytes,
        clause: str = "",
        because: str = "",
    ) -> None:
        mismatch = Mismatch(subject, relation, expected, received, clause, because)
        run_context.fail(mismatch, self._last.request, self._last.result)


def has_failed(stage: Stage) -> bool:
    """Whether a stage is reported as a failure, in any of the ways in use."""
    return stage.code != 0 or stage.signal is not None or stage.status is not None


def log_result(result: ExecutionResult) -> None:
    """Log a result in a few lines."""
    run = result.run
    lines = [
        f"{result.language} {result.version}: {run.ending}, {result.elapsed * 1000:.0f} ms, "
        f"{result.provenance.executor}"
        + (f" in {result.provenance.sandbox}" if result.provenance.sandbox else "")
    ]
    for name in ("stdout", "stderr"):
        output: bytes = getattr(run, name)
        if output:
            # Redacting all of a large output takes seconds; no secret is as long as this piece.
            shown = visible(redact(as_text(output[:_LOOKED_AT]))[:300])
            lines.append(f"{name} ({size_of(output)}): {shown}")
    lines += [f"retried: {retry}" for retry in result.retries]
    if result.provenance.degraded:
        lines.append(redact(f"a fallback answered: {result.provenance.degraded}"))
    logger.info(redact("\n".join(lines)))


def _numbers(version: str) -> list[int]:
    """Return the parts of a version up to the first that is no number."""
    found = re.match(r"\d+(\.\d+)*", version)
    return [int(part) for part in found[0].split(".")] if found else []


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass")
