"""Keywords about session pools: private ones that a test starts, calls, watches and moves."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any, Literal, NoReturn, TypeVar

from robot.api import logger
from robot.api.deco import keyword, library

import run_context
from codewitness import __version__
from codewitness.embedded.service import ServiceNotStarted
from codewitness.execution.answers import error_in
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.model import ExecutionError
from codewitness.execution.redaction import SECRET_VARIABLES, redact
from codewitness.measuring.overlap import Interval, measure_overlap
from codewitness.reporting.card import Mismatch, answer_card, fault_card, mismatch_card
from codewitness.reporting.diagnosis import explain
from codewitness.session_pool.client import PoolSession
from codewitness.session_pool.contract import FullForm, Kind
from codewitness.target.private_pool import PrivatePool, SessionCall, output_of

T = TypeVar("T")

_REUSE = "Azure dynamic sessions contract, section 3: known identifier, same session"
_LIFECYCLE = "Azure dynamic sessions contract, section 4: lifecycle and limits"
_MANAGEMENT = "Azure dynamic sessions contract, section 3: management routes"
_ERRORS = "Azure dynamic sessions contract, section 6: errors"
_ISOLATION = "Azure dynamic sessions contract, section 4: the identifier is the only boundary"
# Beyond any cooldown that Azure allows, and any age in its examples.
_LONG = 100_000.0
# What a service with a managed identity has in its environment, and no program may see.
_SERVICE_VARIABLES = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", *SECRET_VARIABLES)


@library(scope="SUITE", version=__version__, listener="SELF", auto_keywords=False)
class SessionPoolLibrary:
    """Keywords that rehearse Azure's contract for session pools on private embedded pools.

    `Start Session Pool` starts a pool for one test, or for all tests of a suite that share it. It
    ends by itself, also when a test fails, and nothing that is done to it reaches the service
    under test. Tokens come from azure-identity.

    = Users =

    A session belongs to an identifier. Tests name users, such as ``alice``; the identifier adds
    the test's ``${NONCE}``, so that it can't be guessed and no test meets another's session.

    = Evidence =

    Whether a session is new or reused is told by the number of the instance that serves the
    identifier, which the pool's control port shows before and after a call; in a pool of
    containers also by the management routes of the contract.

    = Secrets =

    The process of every private pool has an identity endpoint and secrets in its environment, as
    a deployed service has. Their values, which open nothing, begin with ``canary-``.

    = Time =

    No test waits for a cooldown: `Move Pool Clock` lets time pass for the pool alone.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self._own: list[PrivatePool] = []
        self._shared: dict[tuple[str, ...], PrivatePool] = {}
        self._current: PrivatePool | None = None
        self._calls: list[SessionCall] = []
        self._answer: HttpAnswer | None = None

    # Pools

    @keyword(tags=["session-pool"])
    def start_session_pool(
        self,
        kind: Kind = "custom-container",
        max_sessions: int = 5,
        ready_sessions: int = 1,
        cooldown: float = 300,
        max_alive: float | None = None,
        start_time: float = 0,
        when_full: FullForm = "allocator",
        sandbox: Literal["auto", "bubblewrap"] = "auto",
        shared: bool = False,
    ) -> None:
        """Starts a pool that ends with the test; the keywords that follow are about it.

        ``kind`` is a pool of containers with a Piston server, or ``python`` for the built-in
        interpreter. ``cooldown`` and ``max_alive`` are in seconds; the second makes sessions
        end with their container or at this age. ``start_time`` is how many seconds every
        instance takes longer to start, also those that are kept ready. With
        ``sandbox=bubblewrap`` the test is skipped where programs can't be walled in.

        A ``shared`` pool ends with the suite. Where an earlier test of the suite has started
        one with the same arguments, that one is taken; no session is left in it.
        """
        options = (
            *("--max-sessions", str(max_sessions), "--ready-sessions", str(ready_sessions)),
            # Azure may refuse a pool that keeps nothing ready; the plan's cheapest one does so.
            *(["--unchecked"] if ready_sessions == 0 else []),
            *("--cooldown", str(cooldown)),
            *([] if max_alive is None else ["--max-alive", str(max_alive)]),
            *("--start-time", str(start_time), "--when-full", when_full, "--sandbox", sandbox),
        )
        if not shared:
            self._own.append(_start(kind, options))
            self._use(self._own[-1])
            return
        wanted = (kind, *options)
        if wanted not in self._shared:
            self._shared[wanted] = _start(kind, options)
        self._use(self._shared[wanted])
        self.move_pool_clock(_LONG)

    @keyword(tags=["session-pool"])
    def move_pool_clock(self, seconds: float) -> None:
        """Lets time pass for the pool; what ends by it has ended afterwards."""
        self._ask(lambda: self._pool.move_clock(seconds))

    @keyword(tags=["session-pool"])
    def ready_sessions_should_become(self, count: int, within: float = 10) -> None:
        """Waits until ``count`` instances are ready; fails if they are not ``within`` seconds."""
        state = self._ask(lambda: self._pool.wait_for(lambda it: it.ready == count, within))
        if state.ready != count:
            received = f"{state.ready} ready, {state.starting} starting after {within:g} s"
            self._fail("ready sessions", "is", str(count), received, _LIFECYCLE)

    @keyword(tags=["session-pool"])
    def container_exits(self, user: str) -> None:
        """Has the container of a user's session end by itself."""
        self._ask(lambda: self._pool.end_container(_identifier(user)))

    # Calls

    @keyword(tags=["session-pool", "execute"])
    def execute_in_session(self, user: str, code: str, stdin: str = "") -> None:
        r"""Executes a Python program in the session of ``user``; fails without its result.

        | Execute In Session    alice    print(6 * 7)
        | Output Should Be    42\n
        """
        self._call(user, code, stdin)
        self._output()

    @keyword(tags=["session-pool", "execute"])
    def execute_file_in_session(self, user: str, path: str, stdin: str = "") -> None:
        """Executes a Python program from ``resources/programs``, like `Execute In Session`.

        In the program, ``@NONCE@`` becomes the test's ``${NONCE}``.
        """
        self.execute_in_session(user, run_context.read_program(path), stdin)

    @keyword(tags=["session-pool", "execute"])
    def try_to_execute_in_session(self, user: str, code: str = "print(1)") -> None:
        """Executes a Python program in the session of ``user`` and keeps the answer, any answer."""
        self._call(user, code, "")

    @keyword(tags=["session-pool", "execute"])
    def execute_with_a_new_identifier_per_call(self, calls: int) -> None:
        """Calls the pool ``calls`` times in turn, each time with an identifier of its own."""
        self._call_in_turn([f"user{number}" for number in range(1, calls + 1)])

    @keyword(tags=["session-pool", "execute"])
    def execute_with_one_identifier(self, calls: int) -> None:
        """Calls the pool ``calls`` times in turn, always with the same identifier."""
        self._call_in_turn(["alice"] * calls)

    @keyword(tags=["session-pool", "execute"])
    def execute_files_together(self, user: str, path: str, other: str, other_path: str) -> None:
        """Executes a program in the session of ``user`` and another in that of ``other`` at once.

        Both must print one line of JSON with ``start`` and ``end``, seconds since the epoch.
        Fails unless they overlapped; the second one's answer is the one to be judged.
        """
        programs = {
            _identifier(user): run_context.read_program(path),
            _identifier(other): run_context.read_program(other_path),
        }
        self._calls = self._ask(lambda: self._pool.call_together(programs))
        intervals = []
        for call in self._calls:
            self._answer = call.answer
            told = json.loads(self._output())
            intervals.append(Interval(told["start"], told["end"]))
        overlap = measure_overlap(intervals)
        logger.info(f"The programs overlapped: {overlap}")
        if overlap.peak < len(intervals):
            received = f"one after the other, {overlap}"
            self._fail("programs of two sessions", "run", "at once", received, _REUSE)

    @keyword(tags=["session-pool"])
    def stop_session(self, user: str) -> None:
        """Ends a user's session by the contract's own call; fails unless the pool says it did."""
        self.try_to_stop_session(user)
        answer = self._last
        if answer.status not in (200, 204):
            self._fail("stopSession", "is answered with", "200", _told(answer), _MANAGEMENT)

    @keyword(tags=["session-pool"])
    def try_to_stop_session(self, user: str) -> None:
        """Asks the pool to end a user's session, and keeps the answer, any answer."""
        self._answer = self._ask(lambda: self._pool.stop_session(_identifier(user)))
        logger.info(_told(self._answer))

    @keyword(tags=["session-pool"])
    def get_addresses_of_pool(self) -> list[str]:
        """Returns where the pool, its control port and its identity endpoint listen.

        Each is ``host port``, as ``connect.py`` reads it.
        """
        return self._pool.addresses

    # Expectations

    @keyword(tags=["session-pool", "expect"])
    def output_should_be(self, expected: str, because: str = "") -> None:
        """Fails unless the last program wrote exactly ``expected``, and did not fail."""
        received = self._output()
        if received != expected:
            self._fail("output", "equals", expected, received, "", because)

    @keyword(tags=["session-pool", "expect"])
    def nothing_should_have_been_seen(self) -> None:
        """Fails unless the last program printed JSON in which ``found`` is empty."""
        found = json.loads(self._output())["found"]
        if found:
            expected, received = "nothing of the other session", ", ".join(found)
            self._fail("what a program saw", "is", expected, received, _ISOLATION)

    @keyword(tags=["session-pool", "expect"])
    def session_should_be_new(self) -> None:
        """Fails unless the session of the last call was allocated for it."""
        call = self._last_call
        if call.instance is None or call.instance == call.instance_before:
            expected = "one that was allocated for this call"
            self._fail("session", "is", expected, _session(call), _REUSE)
        logger.info(f"{call.identifier}: {_session(call)}")

    @keyword(tags=["session-pool", "expect"])
    def session_should_be_reused(self) -> None:
        """Fails unless the last call met the session that its user already had."""
        call = self._last_call
        if call.instance is None or call.instance != call.instance_before:
            expected = "the one that the user already had"
            self._fail("session", "is", expected, _session(call), _REUSE)
        logger.info(f"{call.identifier}: {_session(call)}")

    @keyword(tags=["session-pool", "expect"])
    def session_should_be_listed(self, user: str) -> None:
        """Fails unless the pool's management lists a session of ``user``, and describes it."""
        listed, session = self._listed(user)
        if _identifier(user) not in listed or session is None:
            self._fail("list of sessions", "has", _identifier(user), _in_words(listed), _MANAGEMENT)
        logger.info(f"created {session.created_at}, ends {session.expires_at}")

    @keyword(tags=["session-pool", "expect"])
    def session_should_not_be_listed(self, user: str) -> None:
        """Fails if the pool's management lists or describes a session of ``user``."""
        listed, session = self._listed(user)
        if _identifier(user) in listed or session is not None:
            expected = f"no {_identifier(user)}"
            self._fail("list of sessions", "has", expected, _in_words(listed), _MANAGEMENT)

    @keyword(tags=["session-pool", "expect"])
    def sessions_held_should_be(self, count: int) -> None:
        """Fails unless the pool holds exactly ``count`` sessions."""
        held = list(self._ask(self._pool.state).instances)
        if len(held) != count:
            self._fail("sessions held", "is", str(count), _in_words(held), _LIFECYCLE)

    @keyword(tags=["session-pool", "expect"])
    def call_should_have_waited_for_an_instance(self, seconds: float) -> None:
        """Fails unless nothing was ready for the last call, and it took ``seconds`` or more."""
        call = self._last_call
        if call.before.ready or call.answer.elapsed < seconds:
            expected = f"no instance ready, {seconds:g} s or more"
            self._fail("first call", "met", expected, _start_seen(call), _LIFECYCLE)
        logger.info(_start_seen(call))

    @keyword(tags=["session-pool", "expect"])
    def call_should_have_met_a_ready_instance(self, seconds: float) -> None:
        """Fails unless an instance was ready for the last call, and it took less than ``seconds``.

        ``seconds`` is what an instance takes to start.
        """
        call = self._last_call
        if not call.before.ready or call.answer.elapsed >= seconds:
            expected = f"an instance ready, less than {seconds:g} s"
            self._fail("first call", "met", expected, _start_seen(call), _LIFECYCLE)
        logger.info(_start_seen(call))

    @keyword(tags=["session-pool", "expect"])
    def pool_should_have_refused(self, status: int, text: str) -> None:
        """Fails unless the last answer has this HTTP status and ``text`` in its body."""
        answer = self._last
        if answer.status != status or text not in answer.text:
            self._fail(
                "answer of the pool", "is", f"HTTP {status} with '{text}'", _told(answer), _ERRORS
            )

    @keyword(tags=["session-pool", "expect"])
    def refusal_should_be_explained(self, row: str, cure: str) -> None:
        """Fails unless the suite explains the last answer by ``row`` and advises ``cure``.

        ``row`` is the short name of a cause, such as ``C1``. What a report would say is logged.
        """
        error = error_in(self._last)
        if error is None:
            self._fail("answer of the pool", "is", "a refusal", _told(self._last), _ERRORS)
        diagnosis = explain(error)
        logger.info(f"{error}\nLikely cause {diagnosis.row}: {diagnosis}")
        if diagnosis.row != row or cure not in diagnosis.cure:
            received = f"{diagnosis.row}: {diagnosis}"
            self._fail("diagnosis", "is", f"{row}, with the advice '{cure}'", received, _ERRORS)

    @keyword(tags=["session-pool", "expect"])
    def calls_served_should_be(self, count: int) -> None:
        """Fails unless exactly the first ``count`` of the last calls were served, no other one.

        The first call that was not served becomes the answer to be judged.
        """
        statuses = [call.answer.status for call in self._calls]
        refused = [call.answer for call in self._calls if call.answer.status != 200]
        logger.info(f"Answered with {_in_words([str(status) for status in statuses])}.")
        served = next((i for i, status in enumerate(statuses) if status != 200), len(statuses))
        if served != count or len(refused) != len(statuses) - count:
            received = _in_words([str(status) for status in statuses])
            expected = f"the first {count} of {len(statuses)}"
            self._fail("calls served", "are", expected, received, _LIFECYCLE)
        if refused:
            self._answer = refused[0]

    # Listener

    def end_test(self, _data: Any, _result: Any) -> None:
        """End the pools of the test."""
        if self._current in self._own:
            self._current = None
        self._calls, self._answer = [], None
        _end(self._own)
        self._own = []

    def close(self) -> None:
        """End the pools of the suite."""
        _end([*self._own, *self._shared.values()])
        self._own, self._shared, self._current = [], {}, None

    # What the rest is made of

    @property
    def _pool(self) -> PrivatePool:
        if self._current is None:
            raise AssertionError(
                "There is no session pool yet. Begin with 'Start Session Pool', in the test or in "
                "a setup."
            )
        return self._current

    @property
    def _last(self) -> HttpAnswer:
        if self._answer is None:
            raise AssertionError(
                "The pool was not called before this expectation. Begin the test with 'Execute In "
                "Session' or another keyword that calls it."
            )
        return self._answer

    @property
    def _last_call(self) -> SessionCall:
        if not self._calls:
            raise AssertionError(
                "No program was executed before this expectation. Begin the test with 'Execute In "
                "Session'."
            )
        return self._calls[-1]

    def _use(self, pool: PrivatePool) -> None:
        self._current, self._calls, self._answer = pool, [], None
        logger.info(f"From here on: {pool.name}")

    def _call(self, user: str, code: str, stdin: str) -> None:
        call = self._ask(lambda: self._pool.call(_identifier(user), code, stdin))
        self._calls, self._answer = [call], call.answer
        logger.info(f"{call.identifier}: {_told(call.answer)}, {_session(call)}")

    def _call_in_turn(self, users: list[str]) -> None:
        calls = []
        for user in users:
            self._call(user, "print(1)", "")
            calls += self._calls
        self._calls = calls

    def _output(self) -> str:
        return self._ask(lambda: output_of(self._last, self._pool.kind))

    def _listed(self, user: str) -> tuple[list[str], PoolSession | None]:
        """Return the identifiers that the pool lists, and how it describes a user's session."""
        client = self._pool.client
        session = self._ask(lambda: client.get_session(_identifier(user)))
        return [it.identifier for it in self._ask(client.list_sessions)], session

    def _ask(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except ExecutionError as error:
            raise AssertionError(
                fault_card(
                    error,
                    None,
                    expected="an answer of the pool, and a program's result where one was sent",
                    diagnosis=explain(error),
                    where=self._pool.name,
                    clause=run_context.clause_of_test(),
                )
            ) from error

    def _fail(
        self,
        subject: str,
        relation: str,
        expected: str,
        received: str,
        clause: str,
        because: str = "",
    ) -> NoReturn:
        clauses = filter(None, (run_context.clause_of_test(), clause))
        mismatch = Mismatch(
            subject, relation, expected, redact(received), "; ".join(clauses), because
        )
        answer, where = self._answer, self._pool.name
        if answer is None:
            raise AssertionError(mismatch_card(mismatch, None, None, diagnosis=None, where=where))
        error = error_in(answer)
        diagnosis = None if error is None else explain(error)
        raise AssertionError(answer_card(mismatch, answer, diagnosis=diagnosis, where=where))


def _start(kind: Kind, options: tuple[str, ...]) -> PrivatePool:
    canaries = {name: f"canary-{secrets.token_hex(8)}" for name in _SERVICE_VARIABLES}
    try:
        return PrivatePool(options, kind=kind, environment=canaries)
    except ServiceNotStarted as error:
        if "sandbox out of order" in str(error):
            run_context.skip(f"Needs a sandbox with walls for programs: {error}")
        raise AssertionError(f"A private session pool could not be started. {error}") from error


def _end(pools: list[PrivatePool]) -> None:
    for pool in pools:
        pool.close()


def _identifier(user: str) -> str:
    return f"{user}-{run_context.nonce()}"


def _told(answer: HttpAnswer) -> str:
    return redact(f"HTTP {answer.status} {answer.reason}: {answer.text[:300] or '(empty)'}")


def _session(call: SessionCall) -> str:
    if call.instance is None:
        return "no session"
    if call.instance_before is None:
        return f"instance {call.instance}, new"
    if call.instance == call.instance_before:
        return f"instance {call.instance}, reused"
    return f"instance {call.instance}, new after instance {call.instance_before}"


def _start_seen(call: SessionCall) -> str:
    return f"{call.before.ready} ready before, {call.answer.elapsed:.3f} s"


def _in_words(items: list[str]) -> str:
    return ", ".join(items) or "none"
