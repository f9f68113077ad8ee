"""Keywords that send several requests, one after the other or all at once."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

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
from codewitness.measuring.overlap import Interval, measure_overlap
from codewitness.measuring.statistics import estimate_quantile, percentile
from codewitness.reporting.card import Mismatch
from codewitness.reporting.diagnosis import new_nonce

_TELLS_ITS_TIMES = """\
import time
start = time.time()
token = input()
time.sleep({seconds})
print(token, repr(start), repr(time.time()))
"""
# Uses every channel at once, so that a result mixed from two requests can't fit.
_USES_EVERY_CHANNEL = """\
import sys
text = sys.stdin.buffer.read()
sys.stdout.buffer.write(b'{nonce} out ' + text)
sys.stderr.buffer.write(b'{nonce} err\\n')
sys.exit({code})
"""
_NEVER_THE_SAME = "import os, time; print(input(), os.urandom(8).hex(), time.time_ns())"
_ALPHABET = "abcXYZ 0189 äß€ \t\"'\\<&>{}$`~ 漢字 e\u0301 😀"


@dataclass(frozen=True)
class _Sent:
    token: str
    request: ExecutionRequest
    result: ExecutionResult


@library(scope="TEST", version=__version__, auto_keywords=False)
class ConcurrencyLibrary:
    """Keywords for sequential and simultaneous requests.

    Every request carries a token of its own on stdin, and its program prints that token: an
    answer that belongs to another request is found, however seldom it comes. Latencies are
    seconds from sending a request to having its whole answer.
    """

    def __init__(self) -> None:
        self._sent: list[_Sent] = []

    @keyword(tags=["concurrency"])
    def execute_sequentially(self, count: int) -> list[float]:
        """Executes ``count`` programs one after the other; returns their latencies.

        Fails at the first one that does not give exactly its own result.
        """
        self._sent = []
        for _ in range(count):
            token, request = _request(0)
            try:
                result = run_context.service().execute(request)
            except ExecutionError as error:
                run_context.fail_with(error, request, f"the result of one of {count} requests")
            self._sent.append(_Sent(token, request, result))
        self._log_latencies()
        self._check_tokens()
        return [sent.result.elapsed for sent in self._sent]

    @keyword(tags=["concurrency"])
    def execute_simultaneously(self, count: int, seconds: float = 1.0) -> list[float]:
        """Executes ``count`` programs at once, each ``seconds`` long; returns their latencies.

        Fails unless every one of them gives exactly its own result.
        """
        pairs = [_request(seconds) for _ in range(count)]
        outcomes = run_context.service().execute_many([request for _, request in pairs])
        self._sent = []
        for (token, request), outcome in zip(pairs, outcomes, strict=True):
            if isinstance(outcome, ExecutionError):
                failed = sum(isinstance(it, ExecutionError) for it in outcomes)
                expected = f"all {count} simultaneous requests to succeed; {failed} did not"
                run_context.fail_with(outcome, request, expected)
            self._sent.append(_Sent(token, request, outcome))
        self._log_latencies()
        self._check_tokens()
        return [sent.result.elapsed for sent in self._sent]

    @keyword(tags=["concurrency"])
    def programs_should_have_overlapped(self, at_least: int) -> None:
        """Fails unless ``at_least`` programs ran at one moment, by their own clocks.

        Sending requests at once proves nothing: a service may queue them.
        """
        intervals = [Interval(*_times(sent.result)) for sent in self._sent]
        overlap = measure_overlap(intervals)
        told = (
            f"greatest overlap {overlap.peak} of {overlap.count}, all within {overlap.span:.2f} s, "
            f"the longest {overlap.longest:.2f} s, starts spread over {overlap.start_spread:.2f} s"
        )
        logger.info(told)
        if overlap.peak < at_least:
            last = self._sent[-1]
            run_context.fail(
                Mismatch(
                    "overlap of simultaneous programs",
                    "is at least",
                    f"{at_least} programs running at one moment",
                    told,
                    "test plan, section 4: concurrent executions",
                    "the service runs simultaneous requests one after the other",
                ),
                last.request,
                last.result,
            )

    @keyword(tags=["concurrency"])
    def session_should_be_reused(self) -> None:
        """Executes two programs in turn and fails unless the second met the first one's session.

        What is evidence is the session that each answer names, and whether it was new.
        """
        self.execute_sequentially(2)
        first, second = self._sent
        before, after = first.result.provenance, second.result.provenance
        logger.info(f"{_session(first)}, then {_session(second)}")
        if before.session != after.session or after.session_new is not False:
            run_context.fail(
                Mismatch(
                    "session of the second request",
                    "is the first one's, reused",
                    f"{before.session}, reused",
                    _session(second),
                ),
                second.request,
                second.result,
            )

    @keyword(tags=["concurrency"])
    def reused_sessions_should_be_faster_than_new_ones(
        self, reused: int = 8, new: int = 10, pairs: int = 7
    ) -> None:
        """Fails unless requests in reused sessions are faster than those that open one.

        First ``reused`` requests at once make sure of sessions, then ``reused`` + ``new``
        requests at once meet these and open others. Both kinds are under the same load, and
        are compared in ``pairs`` or more pairs: the whole interval of the median difference
        must be above 0. The test is skipped as INCONCLUSIVE where it straddles 0, or where the
        pool gave too few of one kind.
        """
        self.execute_simultaneously(reused, seconds=0.1)
        self.execute_simultaneously(reused + new, seconds=0.1)
        opened = [it for it in self._sent if it.result.provenance.session_new]
        met = [it for it in self._sent if it.result.provenance.session_new is False]
        if min(len(opened), len(met)) < pairs:
            run_context.skip(
                f"INCONCLUSIVE: {len(opened)} requests opened a session and {len(met)} met one; "
                f"{pairs} of each are needed to compare them, and sessions for all at once "
                "(MAX_SESSIONS_USED, where a session pool is asked directly)."
            )
        saved = estimate_quantile(
            [
                one.result.elapsed - other.result.elapsed
                for one, other in zip(opened, met, strict=False)
            ]
        )
        told = f"a reused session saves {saved.format()} s, the median of {saved.count} pairs"
        added = run_context.service().added_cold_start
        if added:
            told = f"{told}; the embedded pool adds {added:g} s to every new one"
        logger.info(told)
        run_context.set_metadata({"Session reuse": told})
        if saved.high is not None and saved.high <= 0:
            run_context.fail(
                Mismatch("latency of reused sessions", "is below that of new ones", "less", told),
                met[0].request,
                met[0].result,
            )
        if saved.low is None or saved.low <= 0:
            run_context.skip(f"INCONCLUSIVE: {told}; the interval does not decide.")

    @keyword(tags=["concurrency"])
    def median_latency_should_be_below(self, seconds: float, skipping: int = 0) -> None:
        """Fails unless the median latency is below ``seconds``.

        The first ``skipping`` requests, which may be cold, are left out.
        """
        counted = [sent.result.elapsed for sent in self._sent[skipping:]]
        median = percentile(counted, 0.5)
        told = f"{median:.3f} s, the median of {len(counted)} requests"
        logger.info(f"Latency {told}")
        if not median < seconds:
            last = self._sent[-1]
            run_context.fail(
                Mismatch(
                    "latency",
                    "is below",
                    f"{seconds:g} s",
                    told,
                    detail="all latencies: "
                    + ", ".join(f"{sent.result.elapsed:.2f} s" for sent in self._sent),
                ),
                last.request,
                last.result,
            )

    @keyword(tags=["concurrency"])
    def independent_runs_should_give_independent_results(
        self, runs: int, at_once: int = 1, seed: int = 2024
    ) -> None:
        """Executes ``runs`` programs with random input and exit code, ``at_once`` at a time.

        Each must give back its own input on stdout, its own token on both streams and the exit
        code that it asked for. ``seed`` makes the random choices repeatable. The throughput is
        shown at the top of the report.
        """
        choose = random.Random(seed)
        began = time.perf_counter()
        for start in range(0, runs, at_once):
            batch = [_random_request(choose) for _ in range(start, min(start + at_once, runs))]
            outcomes = run_context.service().execute_many([request for request, *_ in batch])
            for (request, stdout, stderr, code), outcome in zip(batch, outcomes, strict=True):
                number = f"run {start + 1} to {start + len(batch)} of {runs}"
                if isinstance(outcome, ExecutionError):
                    run_context.fail_with(outcome, request, f"a result of {number}")
                _compare(request, outcome, stdout, stderr, code, number)
        rate = runs / (time.perf_counter() - began)
        told = f"{rate:.1f} programs a second, {runs} short ones, {at_once} at a time"
        logger.info(f"{told}; each gave its own result.")
        run_context.set_metadata({f"Throughput, {at_once} at a time": told})

    @keyword(tags=["concurrency"])
    def identical_requests_should_be_executed_anew(self, times: int = 4) -> None:
        """Sends the very same request several times, in turn and at once.

        Its program prints random bytes and the time: equal outputs come from a memory of
        requests, not from the program.
        """
        files = (SourceFile(_NEVER_THE_SAME.encode()),)
        request = ExecutionRequest("python", files, stdin=f"{new_nonce()}\n".encode())
        target = run_context.service()
        outcomes = [outcome for _ in range(times) for outcome in target.execute_many([request])]
        outcomes += target.execute_many([request] * times)
        seen: set[bytes] = set()
        for outcome in outcomes:
            if isinstance(outcome, ExecutionError):
                run_context.fail_with(outcome, request, "a result of its own for every request")
            stdout = outcome.run.stdout
            if stdout in seen or not stdout.startswith(request.stdin.strip()):
                run_context.fail(
                    Mismatch(
                        "stdout",
                        "is of this very execution",
                        "random bytes and a time that no other execution printed",
                        stdout,
                        detail="an identical request was answered with an earlier result",
                    ),
                    request,
                    outcome,
                )
            seen.add(stdout)

    def _check_tokens(self) -> None:
        for sent in self._sent:
            run = sent.result.run
            words = run.stdout.split()
            if not words or words[0] != sent.token.encode():
                run_context.fail(
                    Mismatch(
                        "stdout",
                        "begins with the request's own token",
                        sent.token.encode(),
                        run.stdout,
                        detail="the token on stdin is the request's own; another one is another "
                        "request's answer",
                    ),
                    sent.request,
                    sent.result,
                )
            if run.code != 0:
                run_context.fail(
                    Mismatch("exit code", "equals", "0", str(run.code)), sent.request, sent.result
                )

    def _log_latencies(self) -> None:
        lines = [
            f"{number:>3}  {sent.result.elapsed * 1000:7.0f} ms  {sent.token}"
            for number, sent in enumerate(self._sent, 1)
        ]
        logger.info("\n".join(lines))


def _request(seconds: float) -> tuple[str, ExecutionRequest]:
    token = new_nonce()
    code = _TELLS_ITS_TIMES.format(seconds=seconds)
    files = (SourceFile(code.encode()),)
    return token, ExecutionRequest("python", files, stdin=f"{token}\n".encode())


def _session(sent: _Sent) -> str:
    told = sent.result.provenance
    kind = {True: "new", False: "reused", None: "not known whether new"}[told.session_new]
    return f"session {told.session} ({kind})"


def _times(result: ExecutionResult) -> tuple[float, float]:
    _, start, end = result.run.stdout.split()
    # A clock too coarse for a short program must not look like one that was set back.
    return float(start), max(float(end), float(start) + 1e-6)


def _random_request(choose: random.Random) -> tuple[ExecutionRequest, bytes, bytes, int]:
    nonce = new_nonce()
    code = choose.choice([0, 1, 2, 3, 42, 43, 64, 77, 100, 113, 127])
    lines = "".join(choose.choices(_ALPHABET + "\n", k=choose.randrange(1, 120)))
    stdin = f"{lines}\n".encode()
    program = _USES_EVERY_CHANNEL.format(nonce=nonce, code=code)
    request = ExecutionRequest("python", (SourceFile(program.encode()),), stdin=stdin)
    return request, f"{nonce} out ".encode() + stdin, f"{nonce} err\n".encode(), code


def _compare(
    request: ExecutionRequest,
    result: ExecutionResult,
    stdout: bytes,
    stderr: bytes,
    code: int,
    number: str,
) -> None:
    run = result.run
    detail = f"in {number}"
    if run.stdout != stdout:
        run_context.fail(
            Mismatch("stdout", "equals", stdout, run.stdout, detail=detail), request, result
        )
    if run.stderr != stderr:
        run_context.fail(
            Mismatch("stderr", "equals", stderr, run.stderr, detail=detail), request, result
        )
    if run.code != code:
        mismatch = Mismatch("exit code", "equals", str(code), str(run.code), detail=detail)
        run_context.fail(mismatch, request, result)
