"""Keywords about session pools: private ones that a test starts, calls, watches and moves."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from datetime import datetime, timezone
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
from codewitness.reporting.diagnosis import diagnose_mismatch, explain
from codewitness.session_pool.client import PoolSession
from codewitness.session_pool.contract import FullForm, Kind
from codewitness.target.private_pool import (
    CALL_WITHIN,
    PrivatePool,
    SessionCall,
    output_of,
    properties_of,
    result_of,
    wait_until_deaf,
)

T = TypeVar("T")

_REUSE = "Azure dynamic sessions contract, section 3: known identifier, same session"
_LIFECYCLE = "Azure dynamic sessions contract, section 4: lifecycle and limits"
_FORWARDING = "Azure dynamic sessions contract, section 8: the caller's token is dropped"
_MANAGEMENT = "Azure dynamic sessions contract, section 3: management routes"
_ERRORS = "Azure dynamic sessions contract, section 6: errors"
_SIZES = "the session pool hands on what it is sent, to the byte"
_TOKENS = "Azure dynamic sessions contract, section 5, and field failure I2: renew in time"
_TOKENLESS = "Azure dynamic sessions contract, section 6: a call without a token gets 401"
_GENERATION_A = "Azure dynamic sessions contract, section 2.1: generation A"
_FAILURES = "Azure dynamic sessions contract, section 2.4: user-code failure is HTTP 200"
_ISOLATION = "Azure dynamic sessions contract, section 4: the identifier is the only boundary"
# Beyond any cooldown that Azure allows, and any age in its examples.
_LONG = 100_000.0
_START_WITHIN = 10.0
# What a busy machine adds to the seconds by which the pool's clock is moved.
_ABOUT = 30.0
_TELL_OWN_DIGEST = """\
import hashlib
source = open(__file__, "rb").read()
print(hashlib.sha256(source).hexdigest(), len(source))
"""
# 20 bytes, with characters of two, three and four among them.
_LINE = "{:09} é☃🐍\n"
# The part of a token's life after which a caller that judges it by the second rests.
_REST_FROM = 0.6
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
        self._begun: Future[SessionCall] | None = None
        self._containers: dict[str, str] = {}
        self._with_new_caller: PrivatePool | None = None

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
        body_limit: int | None = None,
        shared: bool = False,
    ) -> None:
        """Starts a pool that ends with the test; the keywords that follow are about it.

        ``kind`` is a pool of containers with a Piston server, or ``python`` for the built-in
        interpreter. ``cooldown`` and ``max_alive`` are in seconds; the second makes sessions
        end with their container or at this age. ``start_time`` is how many seconds every
        instance takes longer to start, also those that are kept ready. ``body_limit`` is the
        longest request, in bytes, that the Piston server in a container takes. With
        ``sandbox=bubblewrap`` the test is skipped where programs can't be walled in.

        A ``shared`` pool ends with the suite. Where an earlier test of the suite has started
        one with the same arguments, that one is taken; no session is left in it.
        """
        options = (
            *("--max-sessions", str(max_sessions), "--ready-sessions", str(ready_sessions)),
            *("--cooldown", str(cooldown)),
            *([] if max_alive is None else ["--max-alive", str(max_alive)]),
            *("--start-time", str(start_time), "--when-full", when_full, "--sandbox", sandbox),
            *([] if body_limit is None else ["--body-limit", str(body_limit)]),
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
        self.ask(lambda: self.pool.move_clock(seconds))

    @keyword(tags=["session-pool"])
    def ready_sessions_should_become(self, count: int, within: float = 10) -> None:
        """Waits until ``count`` instances are ready; fails if they are not ``within`` seconds."""
        state = self.ask(lambda: self.pool.wait_until_ready(count, within))
        if state.ready != count:
            received = f"{state.ready} ready, {state.starting} starting after {within:g} s"
            self.fail("ready sessions", "is", str(count), received, _LIFECYCLE)

    @keyword(tags=["session-pool"])
    def container_exits(self, user: str) -> None:
        """Has the container of a user's session end by itself."""
        self.ask(lambda: self.pool.end_container(self.identifier(user)))

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
    def start_program_in_session(self, user: str, path: str, time_limit: int | None = None) -> None:
        """Begins a program from ``resources/programs`` in the session of ``user``.

        It goes on while other keywords work, until `Wait For Program` or the end of the test.
        ``time_limit`` is in seconds, and asks an interpreter for less time than it would give.
        """
        identifier, code = self.identifier(user), run_context.read_program(path)
        self._begun = self.ask(lambda: self.pool.begin_call(identifier, code, "", time_limit))
        state = self.ask(lambda: self.pool.wait_until_active(identifier, _START_WITHIN))
        if identifier not in state.active:
            received = f"no call of {identifier} within {_START_WITHIN:g} s"
            self.fail("program", "is", "running", received, _LIFECYCLE)

    @keyword(tags=["session-pool", "execute"])
    def wait_for_program(self) -> None:
        """Waits for the end of the program that `Start Program In Session` began.

        Fails after 20 s. Its answer, any answer, is the one to be judged.
        """
        begun = self._begun
        if begun is None:
            raise AssertionError("No program runs. Begin with 'Start Program In Session'.")
        self._keep_call(self.ask(lambda: begun.result(2 * CALL_WITHIN)))

    @keyword(tags=["session-pool", "execute", "expect"])
    def program_should_be_stopped_after(self, limit: str, within: float = 10) -> None:
        """Fails unless the pool stops the program that `Start Program In Session` began.

        ``limit`` is after how long by the pool's clock, such as ``220 s``, and is over by now; the
        answer must come ``within`` seconds. It is the one to be judged then.
        """
        begun = self._begun
        if begun is not None:
            wait([begun], within)
            if not begun.done():
                received = f"not stopped after {limit}"
                # What came before is no answer to this.
                self._answer = None
                self.fail("program", "is", f"stopped after {limit}", received, _FAILURES)
        self.wait_for_program()

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
            self.identifier(user): run_context.read_program(path),
            self.identifier(other): run_context.read_program(other_path),
        }
        self._calls = self.ask(lambda: self.pool.call_together(programs))
        intervals = []
        for call in self._calls:
            self._answer = call.answer
            told = json.loads(self._output())
            intervals.append(Interval(told["start"], told["end"]))
        overlap = measure_overlap(intervals)
        logger.info(f"The programs overlapped: {overlap}")
        if overlap.peak < len(intervals):
            received = f"one after the other, {overlap}"
            self.fail("programs of two sessions", "run", "at once", received, _REUSE)

    @keyword(tags=["session-pool"])
    def stop_session(self, user: str) -> None:
        """Ends a user's session by the contract's own call; fails unless the pool says it did."""
        self.try_to_stop_session(user)
        answer = self.answer
        if answer.status not in (200, 204):
            self.fail("stopSession", "is answered with", "200", _told(answer), _MANAGEMENT)

    @keyword(tags=["session-pool"])
    def try_to_stop_session(self, user: str) -> None:
        """Asks the pool to end a user's session, and keeps the answer, any answer."""
        self._answer = self.ask(lambda: self.pool.stop_session(self.identifier(user)))
        logger.info(_told(self._answer))

    @keyword(tags=["session-pool"])
    def get_addresses_of_pool(self) -> list[str]:
        """Returns where the pool, its control port and its identity endpoint listen.

        Each is ``host port``, as ``connect.py`` reads it.
        """
        return self.pool.addresses

    # Tokens

    @keyword(tags=["session-pool", "authentication"])
    def call_as_a_new_caller(self, token_life: float = 3600) -> None:
        """Has the rest of the test call the pool as a process that has no token yet.

        Its tokens live for ``token_life`` seconds.
        """
        self.ask(lambda: self.pool.begin_caller(token_life))
        self._with_new_caller = self.pool

    @keyword(tags=["session-pool", "authentication"])
    def execute_over_lives_of_tokens(self, count: int) -> None:
        """Calls the pool again and again, as one caller, until ``count`` tokens were needed.

        Fails as soon as a call is not served. The caller rests towards the end of each token's
        life, when a request could be judged a moment after the token has expired.
        """
        tokens = self.pool.tokens
        for number in range(1, count + 1):
            calls = 0
            while calls == 0 or (number < count and time.time() < tokens[-1].age(_REST_FROM)):
                self._call("alice", "print(1)", "")
                self._output()
                calls += 1
            logger.info(f"Token {number}: {calls} calls were served.")
            if number < count:
                time.sleep(max(0.0, tokens[-1].expires - time.time()))

    @keyword(tags=["session-pool", "authentication", "expect"])
    def tokens_fetched_should_be(self, count: int) -> None:
        """Fails unless this caller asked the identity service for exactly ``count`` tokens."""
        asked = self.ask(self.pool.count_token_requests)
        if asked != count:
            self.fail("requests for tokens", "is", str(count), str(asked), _TOKENS)

    @keyword(tags=["session-pool", "authentication", "expect"])
    def callers_without_a_token_should_be_refused(self, user: str) -> None:
        """Fails unless whoever uses the session of ``user`` without a token is answered 401.

        What is tried is to execute in it, to describe it, to list all sessions, and to stop it.
        """
        identifier = self.identifier(user)
        for operation, answer in self.ask(lambda: self.pool.try_without_token(identifier)).items():
            if answer.status != 401:
                self._answer = answer
                self.fail(f"answer to {operation}", "is", "HTTP 401", _told(answer), _TOKENLESS)

    # Expectations

    @keyword(tags=["session-pool", "execute", "expect"])
    def users_should_meet_their_own_sessions(self, *users: str, calls: int) -> None:
        """Calls an interpreter for each of ``users`` in turn, ``calls`` times in all.

        Fails unless each call finds in its session what its user has left there, and no other.
        """
        self._leave_names(users)
        for number in range(calls):
            user = users[number % len(users)]
            self._call(user, "print(owner)", "")
            self._check_owner(user, f"call {number + 1} of {calls}")

    @keyword(tags=["session-pool", "execute", "expect"])
    def users_should_meet_their_own_sessions_at_once(self, *users: str, times: int) -> None:
        """Calls an interpreter for all of ``users`` at the same moment, and that ``times`` times.

        Fails unless each call finds in its session what its user has left there, and no other.
        """
        self._leave_names(users)
        programs = {self.identifier(user): "print(owner)" for user in users}
        for number in range(times):
            calls = self.ask(lambda: self.pool.call_together(programs))
            for user, call in zip(users, calls, strict=True):
                self._keep_call(call)
                self._check_owner(user, f"time {number + 1} of {times}")

    @keyword(tags=["session-pool", "expect"])
    def output_should_be(self, expected: str, because: str = "") -> None:
        """Fails unless the last program wrote exactly ``expected``, and did not fail."""
        received = self._output()
        if received != expected:
            self.fail("output", "equals", expected, received, "", because)

    @keyword(tags=["session-pool", "expect"])
    def program_should_have_failed(self, stderr: str) -> None:
        """Fails unless the pool answered 200, and that the program failed with this ``stderr``."""
        run = self.ask(lambda: result_of(self.answer, self.pool.kind)).run
        received = run.stderr.decode("utf-8", "replace")
        if not run.code or received != stderr:
            shown = f"{'failed' if run.code else 'succeeded'}: {received or '(nothing on stderr)'}"
            self.fail("execution", "is told as", f"failed: {stderr}", shown, _FAILURES)

    @keyword(tags=["session-pool", "execute", "expect"])
    def older_operation_should_tell(
        self, user: str, code: str, stdout: str = "", stderr: str = "", result: str = ""
    ) -> None:
        """Executes a program by ``code/execute``, and fails unless it is told as a success.

        The answer must have all four fields of generation A, which clients rely on. ``result`` is
        the value of the program's last expression as JSON; empty for a program without one, whose
        result may be empty or null.
        """
        identifier = self.identifier(user)
        answer = self.ask(lambda: self.pool.execute_wrapped(identifier, code))
        self._answer = answer
        told = self.ask(lambda: properties_of(answer))
        seen = {name: told.get(name, "(missing)") for name in ("status", "stdout", "stderr")}
        value = told.get("result", "")
        seen["result"] = "" if value in ("", None) else json.dumps(value)
        if "result" not in told:
            seen["result"] = "(missing)"
        wanted = {"status": "Success", "stdout": stdout, "stderr": stderr, "result": result}
        if seen != wanted:
            expected, received = json.dumps(wanted), json.dumps(seen)
            self.fail("properties of the answer", "are", expected, received, _GENERATION_A)
        logger.info(f"{identifier}: {answer.text}")

    @keyword(tags=["session-pool", "expect"])
    def failure_should_be_explained(self, row: str, cure: str) -> None:
        """Fails unless the suite explains the last result by ``row`` and advises ``cure``.

        ``row`` is the short name of a cause, such as ``C11``. What a report would say is logged.
        """
        call = self._last_call
        result = self.ask(lambda: result_of(call.answer, self.pool.kind))
        diagnosis = diagnose_mismatch(call.request, result)
        logger.info(f"Likely cause {diagnosis.row}: {diagnosis}")
        if diagnosis.row != row or cure not in diagnosis.cure:
            received = f"{diagnosis.row}: {diagnosis}"
            self.fail("diagnosis", "is", f"{row}, with the advice '{cure}'", received, _FAILURES)

    @keyword(tags=["session-pool", "expect"])
    def large_source_should_arrive_unchanged(self, user: str, size: int) -> None:
        """Fails unless a program of ``size`` bytes finds itself as it was sent, by its SHA-256."""
        code = _pad(_TELL_OWN_DIGEST, size)
        self._call(user, code, "")
        expected = f"{hashlib.sha256(code.encode()).hexdigest()} {size}\n"
        self.compare("digest of the source", expected.encode(), self._output().encode(), _SIZES)

    @keyword(tags=["session-pool", "expect"])
    def large_input_should_come_back_unchanged(self, user: str, size: int) -> None:
        """Fails unless a program that echoes ``size`` bytes of stdin gives back every one."""
        stdin = _lines(size)
        self._call(user, run_context.read_program("echo_stdin.py"), stdin)
        self.compare("stdout", stdin.encode(), self._output().encode(), _SIZES)

    @keyword(tags=["session-pool", "expect"])
    def large_output_should_arrive_unchanged(self, user: str, size: int) -> None:
        """Fails unless ``size`` bytes that a program writes by itself all arrive, in order."""
        lines = f"{_LINE!r}.format(number) for number in range({size // 20})"
        self._call(user, f"print(''.join({lines}), end='')", "")
        self.compare("stdout", _lines(size).encode(), self._output().encode(), _SIZES)

    @keyword(tags=["session-pool", "expect"])
    def nothing_should_have_been_seen(self) -> None:
        """Fails unless the last program printed JSON in which ``found`` is empty."""
        found = json.loads(self._output())["found"]
        if found:
            expected, received = "nothing of the other session", ", ".join(found)
            self.fail("what a program saw", "is", expected, received, _ISOLATION)

    @keyword(tags=["session-pool", "expect"])
    def session_should_be_new(self) -> None:
        """Fails unless the session of the last call was allocated for it."""
        call = self._last_call
        if call.instance is None or call.instance == call.instance_before:
            expected = "one that was allocated for this call"
            self.fail("session", "is", expected, _session(call), _REUSE)
        logger.info(f"{call.identifier}: {_session(call)}")

    @keyword(tags=["session-pool", "expect"])
    def session_should_be_reused(self) -> None:
        """Fails unless the last call met the session that its user already had."""
        call = self._last_call
        if call.instance is None or call.instance != call.instance_before:
            expected = "the one that the user already had"
            self.fail("session", "is", expected, _session(call), _REUSE)
        logger.info(f"{call.identifier}: {_session(call)}")

    @keyword(tags=["session-pool", "expect"])
    def session_should_be_listed(self, user: str) -> None:
        """Fails unless the pool's management lists a session of ``user``, and describes it."""
        listed, session = self._listed(user)
        if self.identifier(user) not in listed or session is None:
            self.fail(
                "list of sessions", "has", self.identifier(user), _in_words(listed), _MANAGEMENT
            )
        logger.info(f"created {session.created_at}, ends {session.expires_at}")

    @keyword(tags=["session-pool", "expect"])
    def session_should_tell_its_end_as(self, user: str, name: str) -> None:
        """Fails unless the description and the list of sessions tell a session's end as ``name``.

        It must be a moment after the session's last call. Clients read it by that very name.
        """
        identifier = self.identifier(user)
        for told in self.ask(lambda: self.pool.describe_session(identifier)):
            self._answer = told.answer
            ends, used = (_moment(told.session, it) for it in (name, "lastAccessedAt"))
            if ends is None or used is None or not ends > used:
                expected = f"{name}, a moment after lastAccessedAt"
                received = json.dumps(told.session)
                self.fail(f"session in {told.operation}", "has", expected, received, _MANAGEMENT)
            logger.info(f"{told.operation}: {name} is {ends}")

    @keyword(tags=["session-pool", "expect"])
    def list_of_sessions_should_be(self, *users: str) -> None:
        """Fails unless the pool's management lists the sessions of ``users`` and no others."""
        wanted = sorted(map(self.identifier, users))
        listed = sorted(it.identifier for it in self.ask(self.pool.client.list_sessions))
        if listed != wanted:
            self.fail("list of sessions", "is", _in_words(wanted), _in_words(listed), _MANAGEMENT)

    @keyword(tags=["session-pool", "expect"])
    def session_should_tell_its_use(self, user: str, age: float, cooldown: float) -> None:
        """Fails unless management tells when a session began, was used last, and will end.

        Its last call was ``age`` seconds after its first, and it ends ``cooldown`` seconds later;
        half a minute more or less is the machine's.
        """
        identifier = self.identifier(user)
        expected = (
            f"lastAccessedAt {age:g} s after createdAt, expiresAt {cooldown:g} s after "
            f"lastAccessedAt"
        )
        for told in self.ask(lambda: self.pool.describe_session(identifier)):
            self._answer = told.answer
            names = ("createdAt", "lastAccessedAt", "expiresAt")
            created, used, ends = (_moment(told.session, name) for name in names)
            if not (_apart(created, used, age) and _apart(used, ends, cooldown)):
                received = json.dumps(told.session)
                self.fail(f"session in {told.operation}", "has", expected, received, _MANAGEMENT)

    @keyword(tags=["session-pool", "expect"])
    def container_should_be_gone(self, user: str, within: float = 10) -> None:
        """Fails if the container that served ``user`` still listens ``within`` seconds from now.

        A container that goes on can be given to somebody else, with whatever is left in it.
        """
        url = self._containers.get(self.identifier(user))
        if url is None:
            raise AssertionError(f"No container has served {user} in this test.")
        if not wait_until_deaf(url, within):
            received = f"it listens at {url}"
            self.fail("container of the session that ended", "is", "gone", received, _ISOLATION)
        logger.info(f"Nothing listens at {url} any more.")

    @keyword(tags=["session-pool", "expect"])
    def container_should_not_have_been_sent(self, user: str, header: str) -> None:
        """Fails if a request of ``user`` came to the container with ``header``.

        What came is told by the container, through the pool's control port.
        """
        received = self.ask(self.pool.state).received.get(self.identifier(user), frozenset())
        told = _in_words(sorted(received))
        if "host" not in received or header.lower() in received:
            expected = f"Host and others, without {header}"
            self.fail("headers that the container got", "are", expected, told, _FORWARDING)
        logger.info(f"The container got: {told}")

    @keyword(tags=["session-pool", "expect"])
    def session_should_not_be_listed(self, user: str) -> None:
        """Fails if the pool's management lists or describes a session of ``user``."""
        listed, session = self._listed(user)
        if self.identifier(user) in listed or session is not None:
            expected = f"no {self.identifier(user)}"
            self.fail("list of sessions", "has", expected, _in_words(listed), _MANAGEMENT)

    @keyword(tags=["session-pool", "expect"])
    def sessions_held_should_be(self, count: int) -> None:
        """Fails unless the pool holds exactly ``count`` sessions."""
        held = list(self.ask(self.pool.state).instances)
        if len(held) != count:
            self.fail("sessions held", "is", str(count), _in_words(held), _LIFECYCLE)

    @keyword(tags=["session-pool", "expect"])
    def call_should_have_waited_for_an_instance(self, seconds: float) -> None:
        """Fails unless nothing was ready for the last call, and it took ``seconds`` or more."""
        call = self._last_call
        if call.before.ready or call.answer.elapsed < seconds:
            expected = f"no instance ready, {seconds:g} s or more"
            self.fail("first call", "met", expected, _start_seen(call), _LIFECYCLE)
        logger.info(_start_seen(call))

    @keyword(tags=["session-pool", "expect"])
    def call_should_have_met_a_ready_instance(self, seconds: float) -> None:
        """Fails unless an instance was ready for the last call, and it took less than ``seconds``.

        ``seconds`` is what an instance takes to start.
        """
        call = self._last_call
        if not call.before.ready or call.answer.elapsed >= seconds:
            expected = f"an instance ready, less than {seconds:g} s"
            self.fail("first call", "met", expected, _start_seen(call), _LIFECYCLE)
        logger.info(_start_seen(call))

    @keyword(tags=["session-pool", "expect"])
    def pool_should_have_refused(self, status: int, text: str = "") -> None:
        """Fails unless the last answer has this HTTP status and ``text`` in its body."""
        answer = self.answer
        if answer.status != status or text not in answer.text:
            expected = f"HTTP {status} with '{text}'" if text else f"HTTP {status}"
            self.fail("answer of the pool", "is", expected, _told(answer), _ERRORS)

    @keyword(tags=["session-pool", "expect"])
    def refusal_should_be_explained(self, row: str, cure: str) -> None:
        """Fails unless the suite explains the last answer by ``row`` and advises ``cure``.

        ``row`` is the short name of a cause, such as ``C1``. What a report would say is logged.
        """
        error = error_in(self.answer)
        if error is None:
            self.fail("answer of the pool", "is", "a refusal", _told(self.answer), _ERRORS)
        diagnosis = explain(error)
        logger.info(f"{error}\nLikely cause {diagnosis.row}: {diagnosis}")
        if diagnosis.row != row or cure not in diagnosis.cure:
            received = f"{diagnosis.row}: {diagnosis}"
            self.fail("diagnosis", "is", f"{row}, with the advice '{cure}'", received, _ERRORS)

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
            self.fail("calls served", "are", expected, received, _LIFECYCLE)
        if refused:
            self._answer = refused[0]

    # Listener

    def end_test(self, _data: Any, _result: Any) -> None:
        """End the pools of the test."""
        if self._with_new_caller is not None:
            self._with_new_caller.begin_caller()
            self._with_new_caller = None
        if self._current in self._own:
            self._current = None
        self._calls, self._answer, self._begun, self._containers = [], None, None, {}
        _end(self._own)
        self._own = []

    def close(self) -> None:
        """End the pools of the suite."""
        _end([*self._own, *self._shared.values()])
        self._own, self._shared, self._current = [], {}, None

    # For the libraries whose keywords are about the same pools

    @property
    def pool(self) -> PrivatePool:
        """Pool that the test is about."""
        if self._current is None:
            raise AssertionError(
                "There is no session pool yet. Begin with 'Start Session Pool', in the test or in "
                "a setup."
            )
        return self._current

    @property
    def answer(self) -> HttpAnswer:
        """Answer that is to be judged."""
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

    def identifier(self, user: str) -> str:
        """Return the identifier of a user in the current test."""
        return f"{user}-{run_context.nonce()}"

    def keep(self, answer: HttpAnswer) -> None:
        """Make an answer the one to be judged."""
        self._answer = answer

    def compare(self, subject: str, expected: bytes, received: bytes, clause: str) -> None:
        """Fail the test unless two bodies are the same to the byte; both are saved then."""
        if expected == received:
            return
        bodies = {"expected": expected, "received": received}
        saved = {it: run_context.save_beside_log(f"{it}.bin", body) for it, body in bodies.items()}
        mismatch = Mismatch(subject, "equals", expected, received, clause)
        where = self.pool.name
        raise AssertionError(answer_card(mismatch, self.answer, where=where, saved=saved))

    def _use(self, pool: PrivatePool) -> None:
        self._current, self._calls, self._answer = pool, [], None
        logger.info(f"From here on: {pool.name}")

    def _call(self, user: str, code: str, stdin: str) -> None:
        self._keep_call(self.ask(lambda: self.pool.call(self.identifier(user), code, stdin)))

    def _keep_call(self, call: SessionCall) -> None:
        self._calls, self._answer = [call], call.answer
        self._containers.update(call.after.containers)
        logger.info(f"{call.identifier}: {_told(call.answer)}, {_session(call)}")

    def _call_in_turn(self, users: list[str]) -> None:
        calls = []
        for user in users:
            self._call(user, "print(1)", "")
            calls += self._calls
        self._calls = calls

    def _leave_names(self, users: Sequence[str]) -> None:
        for user in users:
            self._call(user, f"owner = {self.identifier(user)!r}", "")
            self._output()

    def _check_owner(self, user: str, when: str) -> None:
        received = self._output().strip()
        if received != self.identifier(user):
            found = f"{received.rpartition(chr(10))[2] or '(nothing)'}, in {when}"
            self.fail("owner of the session", "is", f"{user}'s own name", found, _REUSE)

    def _output(self) -> str:
        return self.ask(lambda: output_of(self.answer, self.pool.kind))

    def _listed(self, user: str) -> tuple[list[str], PoolSession | None]:
        """Return the identifiers that the pool lists, and how it describes a user's session."""
        client = self.pool.client
        session = self.ask(lambda: client.get_session(self.identifier(user)))
        return [it.identifier for it in self.ask(client.list_sessions)], session

    def ask(self, action: Callable[[], T]) -> T:
        """Do something; the test fails with a card where the pool gives no answer."""
        try:
            return action()
        except ExecutionError as error:
            raise AssertionError(
                fault_card(
                    error,
                    None,
                    expected="an answer of the pool, and a program's result where one was sent",
                    diagnosis=explain(error),
                    where=self.pool.name,
                    clause=run_context.clause_of_test(),
                )
            ) from error

    def fail(
        self,
        subject: str,
        relation: str,
        expected: str,
        received: str,
        clause: str,
        because: str = "",
    ) -> NoReturn:
        """Fail the test because of the answer to be judged, or of the pool where there is none."""
        clauses = filter(None, (run_context.clause_of_test(), clause))
        mismatch = Mismatch(
            subject, relation, expected, redact(received), "; ".join(clauses), because
        )
        answer, where = self._answer, self.pool.name
        if answer is None:
            raise AssertionError(mismatch_card(mismatch, None, None, diagnosis=None, where=where))
        error = error_in(answer)
        diagnosis = None if error is None else explain(error)
        raise AssertionError(answer_card(mismatch, answer, diagnosis=diagnosis, where=where))


def _pad(code: str, size: int) -> str:
    """Return a program of so many bytes."""
    return code + "#" * (size - len(code))


def _lines(size: int) -> str:
    """Return so many bytes of text, in whole lines of 20 bytes."""
    return "".join(map(_LINE.format, range(size // 20)))


def _start(kind: Kind, options: tuple[str, ...]) -> PrivatePool:
    canaries = {name: f"canary-{secrets.token_hex(8)}" for name in _SERVICE_VARIABLES}
    try:
        options = (*options, *run_context.pool_fault_options())
        return PrivatePool(options, kind=kind, environment=canaries)
    except ServiceNotStarted as error:
        if "sandbox out of order" in str(error):
            run_context.skip(f"Needs a sandbox with walls for programs: {error}")
        raise AssertionError(f"A private session pool could not be started. {error}") from error


def _end(pools: list[PrivatePool]) -> None:
    for pool in pools:
        pool.close()


def _moment(session: Mapping[str, Any], name: str) -> datetime | None:
    """Return a moment that a session tells, or ``None`` where it tells none."""
    try:
        # The final Z is read by Python 3.11 and newer alone.
        moment = datetime.fromisoformat(str(session.get(name)).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _apart(before: datetime | None, after: datetime | None, seconds: float) -> bool:
    if before is None or after is None:
        return False
    return abs((after - before).total_seconds() - seconds) < _ABOUT


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
