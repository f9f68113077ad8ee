"""Keywords about what one program may find of another."""

from __future__ import annotations

from robot.api import logger
from robot.api.deco import keyword, library

import run_context
from codewitness import __version__
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    SourceFile,
)
from codewitness.reporting.card import Mismatch


@library(scope="GLOBAL", version=__version__, auto_keywords=False)
class IsolationLibrary:
    """Keywords that let programs leave something behind and others look for it.

    A service may have several workers that share nothing with each other, each of which keeps
    what its own programs leave. One program that looks would meet the right worker by chance
    only; so several programs leave their traces and more look for them, all at once.
    """

    @keyword(tags=["isolation"])
    def trace_should_not_survive(
        self,
        leave: str,
        look: str,
        because: str,
        stdin: str = "",
        leaving_runs: int = 4,
        looking_runs: int = 10,
    ) -> None:
        """Executes the program ``leave`` several times at once, then ``look``, and fails if found.

        Both are files of ``resources/programs`` and read ``stdin``. They print the test's token
        and then ``left`` or ``left nothing:`` with the reason, and ``nothing left`` or what was
        found. Where no program could leave anything, the log says that nothing was shown.

        | Trace Should Not Survive    leave_file.py    look_for_file.py    because=it is private
        """
        nonce = run_context.nonce()
        reasons = []
        for request, result in _execute_at_once(leave, stdin, leaving_runs):
            told = result.run.stdout
            unable = f"{nonce} left nothing: ".encode()
            if told.startswith(unable):
                reasons.append(told[len(unable) :].decode(errors="replace").strip())
            elif told != f"{nonce} left\n".encode():
                expected = f"{nonce} left\n".encode()
                detail = "the program that leaves a trace tells when it cannot"
                run_context.fail(
                    Mismatch("stdout", "equals", expected, told, detail=detail), request, result
                )
        if len(reasons) == leaving_runs:
            logger.info(
                "Shows nothing: no program could leave a trace "
                f"({', '.join(sorted(set(reasons)))})."
            )
        looked = _execute_at_once(look, stdin, looking_runs)
        expected = f"{nonce} nothing left\n".encode()
        differing = [(request, it) for request, it in looked if it.run.stdout != expected]
        if differing:
            request, result = differing[0]
            detail = f"{because}; {len(differing)} of {looking_runs} runs differ"
            run_context.fail(
                Mismatch("stdout", "equals", expected, result.run.stdout, detail=detail),
                request,
                result,
            )
        logger.info(f"{leaving_runs} runs left a trace or tried to, none of {looking_runs} met it.")


def _execute_at_once(
    path: str, stdin: str, runs: int
) -> list[tuple[ExecutionRequest, ExecutionResult]]:
    code = run_context.read_program(path)
    request = ExecutionRequest("python", (SourceFile(code.encode()),), stdin=stdin.encode())
    results = []
    for outcome in run_context.service().execute_many([request] * runs):
        if isinstance(outcome, ExecutionError):
            run_context.fail_with(outcome, request, f"the result of each of {runs} runs at once")
        results.append((request, outcome))
    return results
