"""Keywords about the session pool of the target: the one that is given, wherever it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

from robot.api import logger
from robot.api.deco import keyword, library

import run_context
from codewitness import __version__
from codewitness.execution.answers import error_in, read_result
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.model import ExecutionError, FaultKind, PlatformFault
from codewitness.execution.redaction import redact
from codewitness.measuring.overlap import Interval, measure_overlap
from codewitness.reporting.card import Mismatch, answer_card, fault_card
from codewitness.reporting.curl import curl_line
from codewitness.reporting.diagnosis import explain
from codewitness.session_pool.identifiers import NoneFree
from codewitness.session_pool.management import PoolSession
from codewitness.target.given_pool import GivenCall, GivenPool
from codewitness.target.settings import TargetKind

T = TypeVar("T")

LONGEST_COOLDOWN = 360.0
"""Seconds of a cooldown that a test waits for."""

# A pool looks for sessions that have cooled down from time to time only.
_GONE_WITHIN = 45.0
_REUSE = "Azure dynamic sessions contract, section 3: known identifier, same session"
_MANAGEMENT = "Azure dynamic sessions contract, section 3: management routes"
_LIFECYCLE = "Azure dynamic sessions contract, section 4: lifecycle and limits"
_ISOLATION = "Azure dynamic sessions contract, section 4: the identifier is the only boundary"
_ERRORS = "Azure dynamic sessions contract, section 6: errors"
_CAPACITY = ("allocating pod", "SessionsCountExceedsLimit")


@library(scope="SUITE", version=__version__, auto_keywords=False)
class GivenPoolLibrary:
    """Keywords about the session pool that code is meant to run in.

    That is the pool of ``POOL_MANAGEMENT_ENDPOINT``, by itself or behind the backend, else the
    one of the embedded flow. `Use Given Pool` skips the test where there is none. Nothing is
    asked of the pool but what Azure's contract gives to every caller, so that all of it is true
    of a real pool.

    = Users =

    A session belongs to an identifier. Tests name users, such as ``alice``, whose identifiers
    carry the run's name and count against ``MAX_SESSIONS_USED``; a user keeps the session for the
    whole suite. `Stop Sessions Of Given Pool` ends them all, and belongs into the suite's
    teardown.

    = Evidence =

    Whether a session is new or reused is told by the pool's management: it knew none before the
    call, or one that was created at another time.
    """

    def __init__(self) -> None:
        self._pool: GivenPool | None = None
        self._call: GivenCall | None = None
        self._answer: HttpAnswer | None = None
        self._has_token = True
        self._waited_in_vain: PlatformFault | None = None

    @keyword(tags=["given-pool"])
    def use_given_pool(self) -> None:
        """Skips the test unless there is a session pool that is the target, or behind it.

        A backend in front of it may be out of order. Fails at once where the pool let an earlier
        test of the suite wait in vain.
        """
        target = run_context.service()
        self._call = self._answer = None
        if self._pool is None:
            self._pool = target.given_pool()
        if self._pool is None:
            run_context.skip(
                f"No session pool is known behind the target, {target.name}. Give one as "
                "POOL_MANAGEMENT_ENDPOINT, by itself or beside ENDPOINT."
            )
        if self._waited_in_vain is not None:
            self._fail_with(self._waited_in_vain)

    @keyword(tags=["given-pool"])
    def requires_costly_tests(self) -> None:
        """Skips the test unless ``COSTLY`` allows tests that cost minutes or many sessions.

        On the embedded pool they are always skipped: it can't tell how a real one fills and
        cools down, and its own rules are rehearsed elsewhere with a clock that is moved.
        """
        settings = run_context.service().settings
        if settings.kind is TargetKind.EMBEDDED:
            run_context.skip(
                "Costly, and about real pools only: give one as POOL_MANAGEMENT_ENDPOINT, and "
                "COSTLY=true. The embedded pool's rules are rehearsed by Lifecycle and Capacity."
            )
        if not settings["COSTLY"]:
            run_context.skip(
                "Costly: takes minutes, or many sessions, of the pool given. COSTLY=true runs it."
            )

    @keyword(tags=["given-pool"])
    def stop_sessions_of_given_pool(self) -> None:
        """Stops the sessions of all users.

        What can't be stopped is tried again at the end of the run, and told at the top of the
        report if it is left.
        """
        if self._pool is not None:
            self._pool.close()

    # Calls

    @keyword(tags=["given-pool", "execute"])
    def execute_in_given_pool(self, user: str, code: str, stdin: str = "") -> None:
        r"""Executes a Python program in the session of ``user``; fails without its result.

        | Execute In Given Pool    alice    print(6 * 7)
        | Output In Given Pool Should Be    42\n
        """
        self._keep(self._ask(lambda: self._given.call(user, code, stdin)))
        self._output()

    @keyword(tags=["given-pool", "execute"])
    def execute_file_in_given_pool(self, user: str, path: str, stdin: str = "") -> None:
        """Executes a Python program from ``resources/programs``, like `Execute In Given Pool`.

        In the program, ``@NONCE@`` becomes the test's ``${NONCE}``.
        """
        self.execute_in_given_pool(user, run_context.read_program(path), stdin)

    @keyword(tags=["given-pool", "execute"])
    def execute_files_together_in_given_pool(
        self, user: str, path: str, other: str, other_path: str
    ) -> None:
        """Executes a program in the session of ``user`` and another in that of ``other`` at once.

        Both must print one line of JSON with ``start`` and ``end``, seconds since the epoch. The
        second one's answer is the one to be judged. Whether they overlapped is logged, and is no
        failure: clocks of two sessions may differ.
        """
        programs = {
            user: run_context.read_program(path),
            other: run_context.read_program(other_path),
        }
        intervals = []
        for call in self._ask(lambda: self._given.call_together(programs)):
            self._keep(call)
            told = json.loads(self._output())
            intervals.append(Interval(told["start"], told["end"]))
        logger.info(f"The programs overlapped: {measure_overlap(intervals)}")

    @keyword(tags=["given-pool", "execute"])
    def leave_file_in_given_pool(self, user: str, folder: str) -> None:
        """Leaves a file in ``folder`` in the session of ``user``; skips if nobody may write there.

        The log says whether the next program in the session sees it, which depends on the
        container.
        """
        self.execute_file_in_given_pool(user, "leave_file.py", folder)
        left = self._output()
        if left.startswith(f"{run_context.nonce()} left nothing"):
            run_context.skip(f"A program can't leave a file there: {left.strip()}.")
        self.execute_file_in_given_pool(user, "look_for_file.py", folder)
        logger.info(f"The next program in the same session: {self._output()}")

    @keyword(tags=["given-pool"])
    def call_given_pool_without_token(self) -> None:
        """Asks the pool for an execution without a token, and keeps the answer, any answer."""
        self._keep_answer(self._ask(lambda: self._given.call_as(None)), has_token=False)

    @keyword(tags=["given-pool"])
    def call_given_pool_with_token_for(self, scope: str) -> None:
        """Asks the pool for an execution with a token that is good for ``scope`` and not for it.

        Keeps the answer, any answer. Skips the test where azure-identity gives no such token.
        """
        try:
            answer = self._ask(lambda: self._given.call_as(scope), PlatformFault)
        except PlatformFault as fault:
            if fault.kind is not FaultKind.UNAUTHENTICATED:
                self._fail_with(fault)
            run_context.skip(
                redact(f"Needs a token for another audience, and there is none: {fault.detail}")
            )
        self._keep_answer(answer, has_token=False)

    @keyword(tags=["given-pool"])
    def call_given_pool_without_identifier(self) -> None:
        """Asks the pool for an execution in nobody's session, and keeps the answer, any answer."""
        self._keep_answer(self._ask(lambda: self._given.call_without_identifier()))

    @keyword(tags=["given-pool"])
    def ask_given_pool_about_nobody(self) -> None:
        """Asks the pool's management about an identifier that was never used."""
        self._keep_answer(self._ask(lambda: self._given.ask_about_nobody()))

    @keyword(tags=["given-pool"])
    def stop_session_in_given_pool(self, user: str) -> None:
        """Ends a user's session by the contract's own call; fails unless it is gone soon."""
        answer = self._ask(lambda: self._given.stop_session(user))
        self._keep_answer(answer)
        if answer.status != 200:
            self._fail("stopSession", "is answered with", "200", _told(answer), _MANAGEMENT)
        self._session_should_be_gone(user)

    @keyword(tags=["given-pool"])
    def wait_for_cooldown_of_given_pool(self, user: str) -> None:
        """Waits as long as the pool itself says that a session of ``user`` outlives its last call.

        Skips the test where that is longer than 6 minutes, or the pool does not say it. Fails if
        the session is there long after that.
        """
        cooldown = self._ask(lambda: self._given.cooldown(user))
        if cooldown is None:
            run_context.skip("The pool does not say when a session ends, so nobody can wait.")
        if cooldown > LONGEST_COOLDOWN:
            run_context.skip(
                f"The pool's sessions live {cooldown:g} s after their last call, longer than the "
                f"{LONGEST_COOLDOWN:g} s that a test waits."
            )
        logger.console(f"\nWaiting {cooldown:.0f} s for a session to cool down")
        # Asking meanwhile might count as a request.
        time.sleep(max(0.0, cooldown) + 1)
        self._session_should_be_gone(user, _GONE_WITHIN)

    # Expectations

    @keyword(tags=["given-pool", "expect"])
    def given_pool_should_have_refused(
        self, status: int, text: str = "", because: str = ""
    ) -> None:
        """Fails unless the last answer has this HTTP status and ``text`` in its body."""
        answer = self._last_answer
        if answer.status != status or text not in answer.text:
            expected = f"HTTP {status} with '{text}'" if text else f"HTTP {status}"
            self._fail("answer of the pool", "is", expected, _told(answer), _ERRORS, because)

    @keyword(tags=["given-pool", "expect"])
    def output_in_given_pool_should_be(self, expected: str, because: str = "") -> None:
        """Fails unless the last program wrote exactly ``expected`` to stdout."""
        output = self._output()
        if output != expected:
            self._fail("stdout", "equals", expected.encode(), output.encode(), _ISOLATION, because)

    @keyword(tags=["given-pool", "expect"])
    def nothing_should_have_been_seen_in_given_pool(self) -> None:
        """Fails unless the last program printed JSON in which ``found`` is empty."""
        found = json.loads(self._output())["found"]
        if found:
            expected, received = "nothing of the other session", ", ".join(found)
            self._fail("what a program saw", "is", expected, received, _ISOLATION)

    @keyword(tags=["given-pool", "expect"])
    def session_in_given_pool_should_be_new(self) -> None:
        """Fails unless the session of the last call was allocated for it."""
        call = self._last_call
        if not call.is_new:
            self._fail("session", "is", "one allocated for this call", _seen(call), _REUSE)
        logger.info(_seen(call))

    @keyword(tags=["given-pool", "expect"])
    def session_in_given_pool_should_be_reused(self) -> None:
        """Fails unless the last call met the session that its user already had."""
        call = self._last_call
        if not call.is_reused:
            self._fail("session", "is", "the one that the user had", _seen(call), _REUSE)
        logger.info(_seen(call))

    @keyword(tags=["given-pool", "expect"])
    def given_pool_should_list_session(self, user: str) -> None:
        """Fails unless the pool's list has a session of ``user``, and not twice."""
        wanted = self._ask(lambda: self._given.identifier(user))
        listed = self._ask(lambda: self._given.listed(user))
        if listed.count(wanted) != 1:
            received = f"{listed.count(wanted)} of them among {len(listed)} sessions"
            self._fail("list of sessions", "has", f"{wanted} once", received, _MANAGEMENT)
        logger.info(f"{wanted} is listed, of {len(listed)} sessions.")

    @keyword(tags=["given-pool", "expect"])
    def given_pool_should_fill_up(self) -> None:
        """Opens sessions until the pool refuses one, then stops them.

        Fails unless the refusal is 429 in the contract's words. Skips the test if the pool has
        room for all that the run may open.
        """
        filled = self._ask(lambda: self._given.fill())
        if filled.refusal is None:
            run_context.skip(
                f"The pool had room for all {filled.held} sessions that this run may hold. "
                "MAX_SESSIONS_USED above the pool's own maximum shows how it refuses."
            )
        self._keep_answer(filled.refusal)
        logger.info(f"{filled.held} sessions of this run were held.")
        if filled.refusal.status != 429 or not any(it in filled.refusal.text for it in _CAPACITY):
            expected = f"HTTP 429 with '{_CAPACITY[0]}'"
            self._fail("answer of the full pool", "is", expected, _told(filled.refusal), _LIFECYCLE)

    @property
    def _given(self) -> GivenPool:
        if self._pool is None:
            raise AssertionError("No pool is used yet. Begin the test with 'Use Given Pool'.")
        return self._pool

    @property
    def _last_answer(self) -> HttpAnswer:
        if self._answer is None:
            raise AssertionError(
                "The pool was not called before this expectation. Begin the test with 'Execute In "
                "Given Pool' or another keyword that calls it."
            )
        return self._answer

    @property
    def _last_call(self) -> GivenCall:
        if self._call is None:
            raise AssertionError(
                "No program was executed before this expectation. Begin the test with 'Execute In "
                "Given Pool'."
            )
        return self._call

    def _session_should_be_gone(self, user: str, within: float = 5.0) -> None:
        if not self._ask(lambda: self._given.wait_until_gone(user, within)):
            self._keep_answer(self._ask(lambda: self._given.ask_about(user)))
            received = _told(self._last_answer)
            self._fail("session that has ended", "is", "unknown", received, _LIFECYCLE)

    def _keep(self, call: GivenCall) -> None:
        self._call, self._answer, self._has_token = call, call.answer, True
        logger.info(f"{call.identifier}: {_told(call.answer)}, {_seen(call)}")

    def _keep_answer(self, answer: HttpAnswer, *, has_token: bool = True) -> None:
        self._call, self._answer, self._has_token = None, answer, has_token
        logger.info(_told(answer))

    def _output(self) -> str:
        answer = self._last_answer
        result = self._ask(
            lambda: read_result(answer, executor=self._given.name, credentials="a token")
        )
        run = result.run
        return (run.stdout + (run.stderr if run.code else b"")).decode("utf-8", "replace")

    def _ask(self, action: Callable[[], T], passed: type[Exception] | tuple[()] = ()) -> T:
        """Do something; the test fails with a card where the pool gives no answer."""
        try:
            return action()
        except passed:
            raise
        except NoneFree as none:
            run_context.skip(f"Needs one more session: {none}. Raise MAX_SESSIONS_USED.")
        except ExecutionError as error:
            if isinstance(error, PlatformFault) and error.kind is FaultKind.TIMEOUT:
                self._waited_in_vain = error
            self._fail_with(error)

    def _fail_with(self, error: ExecutionError) -> NoReturn:
        raise AssertionError(
            fault_card(
                error,
                None,
                expected="an answer of the pool, and a program's result where one was sent",
                diagnosis=explain(error),
                where=self._given.name,
                clause=run_context.clause_of_test(),
            )
        ) from error

    def _fail(
        self,
        subject: str,
        relation: str,
        expected: str | bytes,
        received: str | bytes,
        clause: str,
        because: str = "",
    ) -> NoReturn:
        answer = self._last_answer
        clauses = "; ".join(filter(None, (run_context.clause_of_test(), clause)))
        error = error_in(answer)
        call = answer.call
        options = self._given.curl_options if self._has_token else ()
        repeat = curl_line(call.url, call.body, options, call.method, call.headers)
        raise AssertionError(
            answer_card(
                Mismatch(subject, relation, expected, received, clauses, because),
                answer,
                diagnosis=None if error is None else explain(error),
                where=self._given.name,
                repeat=repeat,
            )
        )


def _told(answer: HttpAnswer) -> str:
    return redact(f"HTTP {answer.status} {answer.reason}: {answer.text[:300] or '(empty)'}")


def _seen(call: GivenCall) -> str:
    return f"before the call {_session(call.before)}, after it {_session(call.after)}"


def _session(session: PoolSession | None) -> str:
    if session is None:
        return "no session known to the pool"
    if session.created_at is None:
        return "a session"
    return f"one created at {session.created_at:%H:%M:%S.%f} UTC"
