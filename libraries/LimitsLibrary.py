"""Keywords about limits: of time, of output, of input, of memory."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal

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
from codewitness.reporting.card import Mismatch
from codewitness.reporting.visible import size_of
from codewitness.target.capabilities import ceiling_in

_LONG_SLEEP = "import time\nprint('{nonce}', flush=True)\ntime.sleep(8)\nprint('woke up')\n"
_COUNTS_TIME = """\
import time
start = time.monotonic()
print('{nonce}', flush=True)
while time.monotonic() < start + 4:
    time.sleep(0.02)
    print(time.monotonic() - start, flush=True)
"""
_LONG_LOOP = (
    "import time\nprint('{nonce}', flush=True)\nend = time.time() + 8\n"
    "while time.time() < end:\n    pass\nprint('woke up')\n"
)
# The lines are numbered, so that a piece missing in the middle shows.
_LARGE_OUTPUT = """\
import sys
nonce, size = '{nonce}', {size}
text = ''.join(f'{{nonce}} {{number:010}}\\n' for number in range(size // len(nonce) + 1))
sys.{stream}.write(text[:size])
"""
_BOTH_STREAMS = """\
import sys
line = '{nonce} ' + 'x' * 970 + '\\n'
for _ in range({size} // len(line)):
    sys.stdout.write(line)
    sys.stderr.write(line)
"""
_SPLIT_CHARACTER = """\
import os, time
os.write(1, b'{nonce} caf\\xc3')
time.sleep(0.2)
os.write(1, b'\\xa9\\n')
"""
_HASHES_STDIN = """\
import hashlib, sys
data = sys.stdin.buffer.read()
print('{nonce}', len(data), hashlib.sha256(data).hexdigest())
"""
# A child that outlives its parent and holds the parent's streams, for a bounded time.
_BACKGROUND_CHILD = """\
import subprocess, sys
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])
print('{nonce}', flush=True)
"""

_LIMIT_CLAUSE = "Piston v2 contract, section 4: limits and how an overrun shows"
_STDIN_SIZES = (1 << 20, 1 << 18, 90_000, 1 << 16, 1 << 14, 1 << 12, 1 << 10)
_UNASKED_LIMIT = 3.0
_WAY_THERE_AND_BACK = 2.0
_LATE = 0.5


@library(scope="TEST", version=__version__, auto_keywords=False)
class LimitsLibrary:
    """Keywords that push a service against its limits.

    A limit may be anything, as long as it shows: a program that is stopped or whose output is
    cut must be reported so. A limit that is in the way of what a test wants to see makes the
    test a SKIP which says so.
    """

    def __init__(self) -> None:
        self._stopped: tuple[ExecutionRequest, ExecutionResult] | None = None

    @keyword(tags=["limits"])
    def execute_program_that_takes_too_long(
        self, kind: Literal["sleeping", "busy"] = "sleeping", run_timeout: int = 1000
    ) -> None:
        """Executes a program that prints its token and then goes on for 8 s.

        It asks for ``run_timeout`` milliseconds; where the service's ceiling is lower, for
        that. The expectations below are about this program.
        """
        code = (_LONG_SLEEP if kind == "sleeping" else _LONG_LOOP).format(nonce=run_context.nonce())
        request = _python(code, Limits(run_timeout=run_timeout))
        try:
            result = run_context.service().execute(request)
        except RequestRefused as refusal:
            ceiling = ceiling_in(refusal.message)
            if not ceiling:
                run_context.skip(f"The service refuses run_timeout: {refusal}")
            request = replace(request, limits=Limits(run_timeout=ceiling))
            result = _execute(request, "a program stopped at run_timeout")
        except ExecutionError as error:
            run_context.fail_with(error, request, "a program stopped at run_timeout")
        self._stopped = request, result
        logger.info(f"The answer took {result.elapsed:.2f} s: {result.run.ending}")

    @keyword(tags=["limits"])
    def program_should_have_been_stopped_in_time(self) -> None:
        """Fails unless the program was stopped within 2 s after its run_timeout."""
        request, result = self._program()
        asked = (request.limits.run_timeout or 0) / 1000
        if b"woke up" in result.run.stdout or result.elapsed > asked + _WAY_THERE_AND_BACK:
            run_context.fail(
                Mismatch(
                    "run_timeout",
                    "stops the program",
                    f"stopped after {asked:g} s",
                    f"an answer after {result.elapsed:.1f} s, {result.run.ending}",
                    "Piston v2 contract, section 1: run_timeout is wall-clock time",
                ),
                request,
                result,
            )

    @keyword(tags=["limits"])
    def run_timeout_should_be_the_one_asked_for(
        self, shorter: int = 600, longer: int = 1700
    ) -> None:
        """Executes a program that takes too long with two limits, in milliseconds.

        Fails unless the difference of the limits shows in when the answers come: a service that
        applies one fixed limit has looked at neither.
        """
        took = []
        for run_timeout in (shorter, longer):
            self.execute_program_that_takes_too_long("sleeping", run_timeout)
            took.append(self._program()[1].elapsed)
        asked = (longer - shorter) / 1000
        if not 0.5 * asked < took[1] - took[0] < 2 * asked:
            run_context.fail(
                Mismatch(
                    "run_timeout",
                    "is the one asked for",
                    f"answers about {asked:g} s apart for limits of {shorter} and {longer} ms",
                    f"answers after {took[0]:.2f} s and {took[1]:.2f} s",
                    "Piston v2 contract, section 1: run_timeout is wall-clock time",
                    "one fixed limit was applied to both",
                ),
                *self._program(),
            )

    @keyword(tags=["limits"])
    def run_timeout_should_not_be_rounded(self, run_timeout: int) -> None:
        """Executes a program that prints how long it has run, and asks for ``run_timeout``.

        ``run_timeout`` is in milliseconds, and a little more than whole seconds. Fails if the
        program ran on for more than half a second. Skips where the service does not keep what a
        program printed before it was stopped.
        """
        request = _python(
            _COUNTS_TIME.format(nonce=run_context.nonce()), Limits(run_timeout=run_timeout)
        )
        result = _execute(request, "a program stopped at run_timeout")
        printed = result.run.stdout.split()[1:]
        if not printed:
            run_context.skip("What a program printed before it was stopped is not kept.")
        ran = float(printed[-2] if len(printed) > 1 else printed[-1])
        logger.info(f"The program counted {ran:.2f} s: {result.run.ending}")
        if ran > run_timeout / 1000 + _LATE:
            run_context.fail(
                Mismatch(
                    "run_timeout",
                    "is the one asked for",
                    f"a program stopped after {run_timeout / 1000:g} s",
                    f"by its own clock it ran for {ran:.2f} s",
                    "Piston v2 contract, section 1: run_timeout is in milliseconds",
                    "the limit was rounded, or is looked at too seldom",
                ),
                request,
                result,
            )

    @keyword(tags=["limits"])
    def both_streams_should_arrive_whole(self, size: int) -> None:
        """Executes a program that writes ``size`` bytes to each stream, in turn.

        A service that reads one stream to its end before the other makes such a program wait for
        ever. Skips the test where the service cuts such an output and says so.
        """
        nonce = run_context.nonce()
        request = _python(_BOTH_STREAMS.format(nonce=nonce, size=size))
        result = _execute(request, f"{size} bytes on each stream")
        line = f"{nonce} {'x' * 970}\n".encode()
        expected = line * (size // len(line))
        for stream in ("stdout", "stderr"):
            received: bytes = getattr(result.run, stream)
            if received == expected:
                continue
            if _is_visibly_cut(result) and expected.startswith(received):
                run_context.skip(f"The service's output limit is below {size} bytes.")
            run_context.fail(
                _output_mismatch(stream, expected, received, result.run), request, result
            )

    @keyword(tags=["limits"])
    def program_should_be_reported_as_stopped(self) -> None:
        """Fails unless the answer says that a time limit ended the program.

        Status ``TO`` says so; so do SIGKILL without an exit code and exit code 124 with a text
        about a time-out.
        """
        request, result = self._program()
        if b"woke up" in result.run.stdout:
            run_context.skip("The program was not stopped, so there is nothing to be reported.")
        if not _reported_as_stopped(result):
            run_context.fail(
                Mismatch(
                    "run_timeout",
                    "is reported",
                    "status TO, or SIGKILL without an exit code, or exit code 124 with a text",
                    result.run.ending,
                    _LIMIT_CLAUSE,
                ),
                request,
                result,
            )

    @keyword(tags=["limits"])
    def output_before_the_stop_should_be_kept(self) -> None:
        """Fails unless stdout holds what the program printed before it was stopped."""
        request, result = self._program()
        if b"woke up" in result.run.stdout:
            run_context.skip("The program was not stopped, so nothing could get lost.")
        expected = f"{run_context.nonce()}\n".encode()
        if result.run.stdout != expected:
            run_context.fail(
                Mismatch(
                    "stdout",
                    "equals",
                    expected,
                    result.run.stdout,
                    "Piston v2 contract, section 4: output written before a timeout is kept",
                ),
                request,
                result,
            )

    @keyword(tags=["limits"])
    def large_output_should_arrive_whole(
        self, size: int, stream: Literal["stdout", "stderr"] = "stdout"
    ) -> None:
        """Executes a program that writes ``size`` bytes and fails unless all of them arrive.

        Skips the test where the service cuts such an output and says so.
        """
        request, result, expected = _write(size, stream)
        received: bytes = getattr(result.run, stream)
        if received == expected and result.run.code == 0:
            return
        if _is_visibly_cut(result) and expected.startswith(received):
            run_context.skip(
                f"The service's output limit is below {size} bytes; it kept {size_of(received)} "
                f"and says so ({result.run.ending})."
            )
        run_context.fail(_output_mismatch(stream, expected, received, result.run), request, result)

    @keyword(tags=["limits"])
    def output_should_be_whole_or_visibly_cut(
        self, size: int, stream: Literal["stdout", "stderr"] = "stdout"
    ) -> None:
        """Executes a program that writes ``size`` bytes and fails if some are lost silently."""
        request, result, expected = _write(size, stream)
        received: bytes = getattr(result.run, stream)
        whole = received == expected and result.run.code == 0
        cut = _is_visibly_cut(result) and expected.startswith(received)
        if not whole and not cut:
            run_context.fail(
                _output_mismatch(stream, expected, received, result.run), request, result
            )
        logger.info(f"{size_of(received)} of {size} arrived: {result.run.ending}")

    @keyword(tags=["limits"])
    def character_written_in_two_pieces_should_stay_one(self) -> None:
        """Executes a program that writes the two bytes of one character with a pause between.

        Skips the test where the service visibly replaces such a character by U+FFFD, which a
        Piston may do; fails where anything else is lost or changed.
        """
        nonce = run_context.nonce()
        request = _python(_SPLIT_CHARACTER.format(nonce=nonce))
        result = _execute(request, "both halves of the character")
        received = result.run.stdout.decode("utf-8", "surrogateescape")
        if received == f"{nonce} caf\ufffd\ufffd\n":
            run_context.skip(
                "The service decodes output piece by piece: a character that is written in two "
                "pieces comes as U+FFFD (Piston v2 contract, section 4)."
            )
        expected = f"{nonce} café\n".encode()
        if result.run.stdout != expected:
            run_context.fail(
                Mismatch("stdout", "equals", expected, result.run.stdout, _LIMIT_CLAUSE),
                request,
                result,
            )

    @keyword(tags=["limits"])
    def largest_stdin_should_arrive_whole(self) -> None:
        """Finds the largest stdin that the service takes and fails unless all of it arrives.

        Sizes from 1 MiB down are tried; a refusal of the request leads to the next one.
        """
        refusals = []
        for size in _STDIN_SIZES:
            nonce = run_context.nonce()
            line = f"{nonce} ünï \n".encode()
            stdin = (line * (size // len(line) + 1))[: size - 1].decode("utf-8", "ignore") + "\n"
            content = stdin.encode()
            request = _python(_HASHES_STDIN.format(nonce=nonce), stdin=content)
            try:
                result = run_context.service().execute(request)
            except ExecutionError as error:
                status = getattr(error, "status", None)
                if isinstance(error, PlatformFault) and status not in (413, 431):
                    run_context.fail_with(error, request, f"stdin of {size} bytes to arrive")
                refusals.append(f"{size} bytes refused: {error}")
                continue
            expected = f"{nonce} {len(content)} {hashlib.sha256(content).hexdigest()}\n".encode()
            if result.run.stdout != expected:
                detail = f"stdin of {len(content)} bytes did not reach the program whole"
                run_context.fail(
                    Mismatch("stdin", "arrives whole", expected, result.run.stdout, "", detail),
                    request,
                    result,
                )
            logger.info("\n".join([*refusals, f"{len(content)} bytes arrived whole"]))
            return
        raise AssertionError(
            "stdin of even 1 KiB is refused, which no service should do:\n" + "\n".join(refusals)
        )

    @keyword(tags=["limits"])
    def large_stdin_left_unread_should_do_no_harm(self, size: int = 65536) -> None:
        """Executes a program that never reads its stdin of ``size`` bytes and ends normally."""
        nonce = run_context.nonce()
        stdin = (f"{nonce} never read\n".encode() * (size // 30))[: size - 1] + b"\n"
        request = _python(f"print('{nonce} done')\n", stdin=stdin)
        result = _execute(request, "a program that leaves its stdin unread to end normally")
        expected = f"{nonce} done\n".encode()
        if result.run.stdout != expected or result.run.code != 0:
            run_context.fail(
                Mismatch(
                    "stdout of a program that leaves its stdin unread",
                    "equals",
                    expected,
                    result.run.stdout,
                    detail=result.run.ending,
                ),
                request,
                result,
            )

    @keyword(tags=["limits"])
    def background_child_should_not_hold_back_the_answer(self) -> None:
        """Executes a program that ends while a child of it holds stdout for 20 s more.

        The answer must come when the program ends, or at the latest when its time is up.
        """
        nonce = run_context.nonce()
        request = _python(_BACKGROUND_CHILD.format(nonce=nonce))
        result = _execute(request, "an answer that no background child holds back")
        longest = _UNASKED_LIMIT + _WAY_THERE_AND_BACK + 1
        if result.elapsed > longest:
            run_context.fail(
                Mismatch(
                    "answer to a program with a background child",
                    "comes when the program ends or its time is up",
                    f"within {longest:g} s",
                    f"after {result.elapsed:.1f} s",
                    _LIMIT_CLAUSE,
                ),
                request,
                result,
            )
        if nonce.encode() not in result.run.stdout:
            run_context.fail(
                Mismatch(
                    "stdout",
                    "contains",
                    nonce.encode(),
                    result.run.stdout,
                    _LIMIT_CLAUSE,
                    "what the program printed before its background child was left alone",
                ),
                request,
                result,
            )

    def _program(self) -> tuple[ExecutionRequest, ExecutionResult]:
        assert self._stopped is not None, (
            "Begin the test with 'Execute Program That Takes Too Long'."
        )
        return self._stopped


def _python(code: str, limits: Limits | None = None, stdin: bytes = b"") -> ExecutionRequest:
    files = (SourceFile(code.encode()),)
    return ExecutionRequest("python", files, stdin=stdin, limits=limits or Limits())


def _execute(request: ExecutionRequest, expected: str) -> ExecutionResult:
    try:
        return run_context.service().execute(request)
    except ExecutionError as error:
        run_context.fail_with(error, request, expected)


def _write(size: int, stream: str) -> tuple[ExecutionRequest, ExecutionResult, bytes]:
    nonce = run_context.nonce()
    request = _python(_LARGE_OUTPUT.format(nonce=nonce, size=size, stream=stream))
    result = _execute(request, f"{size} bytes on {stream}")
    text = "".join(f"{nonce} {number:010}\n" for number in range(size // len(nonce) + 1))
    return request, result, text[:size].encode()


def _output_mismatch(stream: str, expected: bytes, received: bytes, run: Stage) -> Mismatch:
    if expected.startswith(received):
        detail = (
            f"{stream} was cut from {len(expected)} to {len(received)} bytes, and nothing says "
            f"so: {run.ending}"
        )
    else:
        detail = f"{len(received)} of {len(expected)} bytes came, and not the first ones"
    return Mismatch(stream, "is whole or visibly cut", expected, received, _LIMIT_CLAUSE, detail)


def _is_visibly_cut(result: ExecutionResult) -> bool:
    """Whether a limit of output shows; a program that ran out of time was not cut by one."""
    run = result.run
    if run.status is not None:
        return run.status in ("OL", "EL")
    return run.code is None and run.signal == "SIGKILL" and result.elapsed < _UNASKED_LIMIT - 0.5


def _reported_as_stopped(result: ExecutionResult) -> bool:
    run = result.run
    if run.status == "TO" or (run.code is None and run.signal is not None):
        return True
    text = (run.stderr + run.stdout).lower() + (run.message or "").lower().encode()
    return run.code in (124, 137, 143) and (run.code != 124 or b"tim" in text)
