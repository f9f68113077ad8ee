"""Keywords that execute hostile programs and judge whether they were contained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import psutil
from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

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
)
from codewitness.judging.containment import Breach, find_breach, ran_at_once
from codewitness.reporting.card import Mismatch
from codewitness.target.capabilities import ceiling_in
from ExecutionLibrary import LANGUAGES, log_result

DANGEROUS = "dangerous"
"""Tag of tests whose programs may harm a service that does not contain them."""

MOST_OUTPUT = 16 << 20
"""Bytes of output from which on nobody can call it bounded; programs write 24 MB."""

_CLAUSE = "program behaviours that a service must survive; Piston v2 contract, section 4: limits"
_COMPILE_TIMEOUT = 3000
_EXPLAINED = 1 << 14
# Beyond its time limit, in seconds: some services are far away, or start a session first.
_WAY_THERE_AND_BACK = 6.0
_SOON = 5.0
_GONE_WITHIN = 3.0
_ODD_NAMES = (
    *("nul\0inside", "x" * 5000, "a/" * 500 + "deep", ".", "..", "/", "//", "folder/", "~/file"),
    *(" ", "new\nline", "-rf", "*", "$(id)", "con", "..\\..\\file", "main.py/inside"),
)


@library(scope="TEST", version=__version__, auto_keywords=False)
class HostileProgramsLibrary:
    """Keywords about programs that try to break what runs them.

    There are many right answers to a hostile program: a limit ends it, the kernel refuses what it
    asks for, its output is cut, the service does not take it at all. What they have in common is
    judged: nothing that must not happen did, the answer came in time and says how the program
    ended, and the service is well afterwards.

    The programs are in ``resources/programs/hostile``. Each has a cap of its own, so that it does
    no lasting harm where nothing contains it, and tells on stdout what it achieved.

    = Which of them run =

    Those tagged ``dangerous`` unless ``HOSTILE`` is false, as it is by default for a target that is
    given; those tagged ``thorough`` where ``THOROUGH`` is true, or where they are selected by name.
    """

    def __init__(self) -> None:
        self._last: tuple[ExecutionRequest, ExecutionResult | RequestRefused] | None = None

    @keyword(tags=["hostile"])
    def requires_permission_to_attack(self) -> None:
        """Skips a test that is tagged ``dangerous`` unless ``HOSTILE`` allows it on this target."""
        tags = BuiltIn().get_variable_value("${TEST TAGS}")
        if DANGEROUS in tags and not run_context.service().settings["HOSTILE"]:
            run_context.skip(
                "Dangerous for a service that does not contain its programs. HOSTILE=true runs it "
                "on a target that is yours to attack."
            )

    @keyword(tags=["hostile"])
    def requires_limit_on_processes(self) -> None:
        """Skips the test where the service itself says that it can't limit processes."""
        told = run_context.service().whereabouts.provenance
        for note in () if told is None else told.notes:
            if note.startswith("no limit on"):
                run_context.skip(f"The service says so itself: {note}.")

    @keyword(tags=["hostile"])
    def execute_hostile_program(
        self,
        path: str,
        stdin: str = "",
        run_memory_limit: int | None = None,
        run_timeout: int | None = 1000,
    ) -> None:
        """Executes a program of ``resources/programs/hostile`` and keeps what came of it.

        It asks for ``run_timeout``, in milliseconds, where the service knows that field, and a
        compiled one for a ``compile_timeout`` of 3 s. A refusal of the program is a right answer,
        too.
        """
        request = _request(path, stdin, run_memory_limit, run_timeout)
        try:
            result = _execute(request)
        except RequestRefused as refusal:
            logger.info(f"The service refuses the program: {refusal}")
            self._last = request, refusal
            return
        log_result(result)
        self._last = request, result

    @keyword(tags=["hostile"])
    def program_should_have_been_contained(self, because: str) -> None:
        """Fails if the program did harm, or if the answer hides how it ended or came too late.

        ``because`` says in the failure card what no program may do.
        """
        request, result = self._executed()
        if isinstance(result, ExecutionResult):
            _judge(request, result, because)

    @keyword(tags=["hostile"])
    def output_should_be_bounded(self) -> None:
        """Fails if the answer holds more than 16 MiB of output, or more stdout than was written.

        A program that floods stderr alone leaves its stdout as it is.
        """
        request, result = self._executed()
        if not isinstance(result, ExecutionResult):
            return
        nonce, run = run_context.nonce(), result.run
        size = len(run.stdout) + len(run.stderr)
        if size > MOST_OUTPUT:
            _fail(
                Breach(
                    "output",
                    "is bounded",
                    f"at most {MOST_OUTPUT >> 20} MiB of a program that writes without end",
                    f"{size >> 20} MiB",
                    "a limit of output keeps one program from filling the service's memory",
                ),
                request,
                result,
            )
        if request.stdin.strip() == b"stderr" and not _begins(run.stdout, nonce):
            breach = Breach("stdout", "starts with", f"{nonce} began\n".encode(), run.stdout[:1000])
            _fail(breach, request, result)

    @keyword(tags=["hostile"])
    def exit_code_of_hostile_program_should_be(self, code: int) -> None:
        """Fails unless the program exited by itself with ``code``."""
        request, result = self._executed()
        if isinstance(result, ExecutionResult) and not result.run.exited(code):
            breach = Breach("exit code", "equals", str(code), result.run.ending)
            _fail(breach, request, result)

    @keyword(tags=["hostile"])
    def programs_at_once_should_be_contained(self, because: str, *paths: str) -> None:
        """Executes programs at the same time, and fails if one of them did harm.

        They tell when they ran; where that was not at the same time, the log says that nothing
        was shown.
        """
        nonce = run_context.nonce()
        requests = [_request(path) for path in paths]
        results = []
        for request, outcome in zip(
            requests, run_context.service().execute_many(requests), strict=True
        ):
            if isinstance(outcome, RequestRefused):
                logger.info(f"The service refuses the program: {outcome}")
                continue
            if isinstance(outcome, ExecutionError):
                run_context.fail_with(outcome, request, f"a result of {len(paths)} runs at once")
            _judge(request, outcome, because)
            results.append(outcome.run)
        if not ran_at_once(results, nonce):
            logger.info("Shows nothing: the programs did not run at the same time.")

    @keyword(tags=["hostile"])
    def odd_file_names_should_do_no_harm(self) -> None:
        """Sends programs with a further file of an odd name each.

        A refusal, Piston's empty 500 and a file that stays inside are all right; a service that
        crashes or hangs is not.
        """
        nonce = run_context.nonce()
        code = f"print('{nonce} began')\nprint('{nonce} done')\n".encode()
        for name in _ODD_NAMES:
            files = (SourceFile(code, "main.py"), SourceFile(b"odd", name))
            request = ExecutionRequest("python", files)
            try:
                result = run_context.service().execute(request)
            except RequestRefused as refusal:
                logger.info(f"{name[:30]!r}: refused: {refusal}")
                continue
            except PlatformFault as fault:
                if fault.status == 500 and not fault.body:
                    logger.info(f"{name[:30]!r}: answered with an empty 500, as Piston does")
                    continue
                run_context.fail_with(fault, request, "a refusal of the file name, or a result")
            _judge(request, result, f"the file name {name[:30]!r} must do no harm")
            logger.info(f"{name[:30]!r}: contained")

    @keyword(tags=["hostile"])
    def files_should_not_be_on_this_machine(self, folders: str) -> None:
        """Fails if a file that a program left in one of ``folders`` is in there on this machine."""
        name = f"left-{run_context.nonce()}"
        found = [folder for folder in folders.split() if Path(folder, name).exists()]
        if found:
            _fail(Breach("files on this machine", "equals", "none", f"{name} in {found}"))

    @keyword(tags=["hostile"])
    def services_should_not_grow(self, path: str, runs: int = 120, at_once: int = 6) -> None:
        """Executes a program many times and fails if processes or descriptors become more.

        Only the embedded services can be counted; other targets make the test a SKIP.
        """
        target = run_context.service()
        if not target.own_services:
            run_context.skip("Only processes and descriptors of the embedded services are counted.")
        self._run_often(path, 2 * at_once, at_once)
        nonce = run_context.nonce()
        before = _counted(target.own_services, nonce)
        self._run_often(path, runs, at_once)
        # What the last runs left may take a moment to go.
        deadline = time.monotonic() + _GONE_WITHIN
        while True:
            after = _counted(target.own_services, nonce)
            grown = {kind: after[kind] - before[kind] for kind in before}
            if all(more <= at_once for more in grown.values()):
                break
            if time.monotonic() > deadline:
                _fail(
                    Breach(
                        "processes and descriptors of the embedded services",
                        "stay as they were",
                        f"{before}, give or take {at_once}",
                        f"{after} after {runs} runs",
                        "what a program leaves behind must go with it",
                    )
                )
            time.sleep(0.1)
        logger.info(f"Before: {before}; after {runs} runs: {after}")

    @keyword(tags=["hostile"])
    def service_should_be_well(self) -> None:
        """Fails unless an ordinary program gives its own result, soon, and nothing is left.

        Soon is 5 s, or three times what executions usually took in this run if that is more.
        Where code runs on this machine, no process of the test's programs may be left on it.
        A test that was skipped is not judged.
        """
        if BuiltIn().get_variable_value("${TEST STATUS}") == "SKIP":
            return
        nonce = run_context.nonce()
        code = f"print('well {nonce}')\nraise SystemExit(7)\n"
        request = ExecutionRequest("python", (SourceFile(code.encode()),))
        try:
            result = run_context.service().execute(request)
        except ExecutionError as error:
            run_context.fail_with(error, request, "the service to be well after a hostile program")
        because = "an ordinary program must run as ever after a hostile one"
        if result.run.stdout != f"well {nonce}\n".encode() or not result.run.exited(7):
            expected = f"well {nonce}\n".encode()
            detail = f"{because}; {result.run.ending}"
            _fail(Breach("stdout", "equals", expected, result.run.stdout, detail), request, result)
        soon = max(_SOON, 3 * run_context.usual_latency())
        if result.elapsed > soon:
            took = f"{result.elapsed:.2f} s"
            _fail(Breach("latency", "is at most", f"{soon:g} s", took, because), request, result)
        if run_context.service().whereabouts.on_this_machine:
            _nothing_should_be_left(nonce)

    # Listener

    def _executed(self) -> tuple[ExecutionRequest, ExecutionResult | RequestRefused]:
        assert self._last is not None, "Begin the test with 'Execute Hostile Program'."
        return self._last

    def _run_often(self, path: str, runs: int, at_once: int) -> None:
        request = _request(path)
        for _ in range(runs // at_once):
            for outcome in run_context.service().execute_many([request] * at_once):
                if isinstance(outcome, ExecutionError):
                    run_context.fail_with(outcome, request, f"the result of each of {runs} runs")
                _judge(request, outcome, "a program that leaves children ends as any other")


def _request(
    path: str,
    stdin: str = "",
    memory_limit: int | None = None,
    run_timeout: int | None = None,
) -> ExecutionRequest:
    language = LANGUAGES[PurePath(path).suffix]
    code = run_context.read_program(f"hostile/{path}").encode()
    limits = Limits(run_memory_limit=memory_limit)
    if run_timeout is not None and run_context.has_capability("run_timeout"):
        limits = replace(limits, run_timeout=run_timeout)
    name = None
    if language != "python":
        name = path
        limits = replace(limits, compile_timeout=_COMPILE_TIMEOUT, compile_memory_limit=1 << 29)
    # Every process of the program then has the token on its command line, forked ones included.
    args = (run_context.nonce(),) if run_context.has_capability("args") else ()
    files = (SourceFile(code, name),)
    return ExecutionRequest(language, files, stdin=stdin.encode(), args=args, limits=limits)


def _execute(request: ExecutionRequest) -> ExecutionResult:
    try:
        return run_context.service().execute(request)
    except RequestRefused as refusal:
        ceiling = ceiling_in(refusal.message)
        if ceiling is None:
            raise
        run_context.skip(f"The service's ceiling is in the way: {refusal.message}.")
    except PlatformFault as fault:
        run_context.fail_with(fault, request, "an answer that says how the program ended")


def _judge(request: ExecutionRequest, result: ExecutionResult, because: str) -> None:
    nonce = run_context.nonce()
    compiled = result.compile
    if compiled is not None and not compiled.exited(0):
        # It never began, and the answer says why.
        logger.info(f"Not compiled: {compiled.ending}")
    elif breach := find_breach(result.run, nonce):
        detail = "; ".join(filter(None, (because, breach.detail)))
        _fail(replace(breach, detail=detail), request, result)
    limits = (request.limits.run_timeout, request.limits.compile_timeout)
    longest = sum(limit or 3000 for limit in limits[: 1 if compiled is None else 2]) / 1000
    longest += _WAY_THERE_AND_BACK + 2 * run_context.usual_latency()
    if result.elapsed > longest:
        breach = Breach(
            "answer to a hostile program",
            "comes in time",
            f"within {longest:.1f} s: its limits, and the way there and back",
            f"after {result.elapsed:.1f} s, {result.run.ending}",
            because,
        )
        _fail(breach, request, result)


def _fail(
    breach: Breach,
    request: ExecutionRequest | None = None,
    result: ExecutionResult | None = None,
) -> None:
    if result is not None:
        # Explaining a flood as a whole would take minutes.
        run = result.run
        kept = replace(run, stdout=run.stdout[:_EXPLAINED], stderr=run.stderr[:_EXPLAINED])
        result = replace(result, run=replace(kept, output=None))
    run_context.fail(
        Mismatch(
            breach.subject,
            breach.relation,
            breach.expected,
            breach.received,
            _CLAUSE,
            breach.detail,
        ),
        request,
        result,
    )


def _begins(stdout: bytes, nonce: str) -> bool:
    lines = stdout.splitlines()
    return not lines or lines[0] == f"{nonce} began".encode()


def _nothing_should_be_left(nonce: str) -> None:
    deadline = time.monotonic() + _GONE_WITHIN
    while left := _processes_with(nonce):
        if time.monotonic() > deadline:
            _fail(
                Breach(
                    "processes on this machine",
                    "equals",
                    f"no process of the program {_GONE_WITHIN:g} s after its answer",
                    "; ".join(left),
                    "what a program started must be gone after its answer",
                )
            )
        time.sleep(0.1)


def _processes_with(nonce: str) -> list[str]:
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if nonce in command:
            found.append(f"process {process.info['pid']}: {command[:200]}")
    return found


def _counted(services: Sequence[int], nonce: str) -> dict[str, int]:
    """Count the services' processes and descriptors, and processes of programs anywhere."""
    processes = [psutil.Process(pid) for pid in services]
    return {
        "processes": sum(len(process.children(recursive=True)) for process in processes),
        "descriptors": sum(process.num_fds() for process in processes),
        "processes of programs": len(_processes_with(nonce)),
    }
