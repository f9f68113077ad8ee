"""Keywords about services of a suite's own, which it may stop, start and set otherwise."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import psutil
from robot.api import logger
from robot.api.deco import keyword, library
from robot.api.types import Secret
from robot.libraries.BuiltIn import BuiltIn

import run_context
from codewitness import __version__
from codewitness.embedded.callers import USER_HEADER
from codewitness.embedded.service import RunningService, ServiceNotStarted
from codewitness.execution.answers import read_result
from codewitness.execution.backend import BackendExecutor, encode_body
from codewitness.execution.causes import Diagnosis
from codewitness.execution.credentials import describe_claims
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    PlatformFault,
)
from codewitness.execution.piston import request_to_json
from codewitness.reporting.card import Mismatch, fault_card, mismatch_card
from codewitness.reporting.diagnosis import explain, new_nonce
from codewitness.session_pool.client import PoolSession
from codewitness.session_pool.credentials import SCOPE
from codewitness.target.private_services import DEADLINE, RestartablePool, start_backend
from codewitness.target.whereabouts import Whereabouts, fingerprint_request, read_whereabouts

T = TypeVar("T")

_IDENTITY_CLAUSE = "Azure dynamic sessions contract, section 5: authentication"
_WHERE_CLAUSE = "degradation is never silent: an answer says who executed, and where"
_READ_AT_ONCE = 1 << 20

_FELL_BACK = Diagnosis(
    "the backend fell back because its pool was out of order, and said so",
    "look at the reason in the answer and mend the pool; without fallback such a run fails at once",
    "X4",
)
_NOT_IN_POOL = Diagnosis(
    "the backend executed on its own host or in another pool, and did not say so",
    "look at the address of the pool in the backend's settings, and at its fallback",
    "X4",
)
_SILENT = Diagnosis(
    "the backend hides that its pool is out of order, or the pool is still up",
    "look at whether the pool has ended, then at what the backend does with its errors",
    "X4",
)
# What of a place all programs in it see alike.
_SAME_IN_ONE_PLACE = ("boot", "kernel", "host", "uid", "python")


@dataclass(frozen=True)
class _Tried:
    """One attempt to execute the fingerprint program."""

    where: str
    nonce: str
    request: ExecutionRequest
    outcome: ExecutionResult | ExecutionError
    sessions: Mapping[str, PoolSession]

    @property
    def whereabouts(self) -> Whereabouts:
        assert isinstance(self.outcome, ExecutionResult)
        return read_whereabouts(self.outcome, self.nonce)


@library(scope="SUITE", version=__version__, listener="SELF", auto_keywords=False)
class PrivateServicesLibrary:
    """Keywords to start an embedded session pool, and backends in front of it, for one suite.

    None of them touches the service under test: what is shown here is how the contract is
    rehearsed, and that a fault is told with its cause. The services are started when a test
    first needs them, are shared by the tests of one suite and end with it, however it ends.

    Every execution runs a program that tells where it is. `Execute In Private Pool` and
    `Execute Through Private Backend` keep the outcome, be it a result or a failure; the
    expectations are about the outcome kept last.

    | Use Private Pool
    | Execute In Private Pool    scope=https://management.azure.com/.default
    | Pool Should Have Refused The Caller    401    I1    because=the token is for another audience
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self._pools: dict[tuple[str, ...], RestartablePool] = {}
        self._backends: dict[tuple[str, bool], RunningService] = {}
        self._pool: RestartablePool | None = None
        self._backend: RunningService | None = None
        self._tried: _Tried | None = None

    # Services

    @keyword(tags=["private"])
    def use_private_pool(self, **options: str) -> None:
        """Makes the private session pool with these options the one that keywords are about.

        It is started at the first time, and its identity gives right tokens again.
        Options are those of ``python libraries/codewitness session-pool --help``, such as
        ``identity=imds`` or ``max-sessions=2``. With ``identity=none`` the pool lets everybody
        in, and so may be started again; its callers then get their tokens from the identity of
        another private pool.
        """
        self._pool = self._start_pool(options)
        self._pool.reset_identity()

    @keyword(tags=["private"])
    def stop_private_pool(self) -> None:
        """Ends the private pool with all its sessions: from now on nothing listens there."""
        self._current_pool.stop()

    @keyword(tags=["private"])
    def start_private_pool_again(self) -> None:
        """Starts the private pool anew, empty, at the address that it had.

        Nothing happens where it still runs.
        """
        _started(self._current_pool.start_again)

    @keyword(tags=["private"])
    def use_private_backend(self, fallback: bool = False, in_pool: bool = True) -> None:
        """Makes a private backend the one that keywords are about; starts it if need be.

        It executes in the private pool, and with ``fallback`` on its own machine while the
        pool is out of order. With ``in_pool`` false it never asks a pool.
        """
        pool = self._current_pool
        key = (pool.url if in_pool else "", fallback)
        if key not in self._backends:
            behind = pool if in_pool else None
            self._backends[key] = _started(lambda: start_backend(behind, fallback=fallback))
        self._backend = self._backends[key]

    # Identity

    @keyword(tags=["private", "authentication"])
    def let_identity_give_tokens(
        self, lifetime: float = 3600.0, with_role: bool = True, forged: bool = False
    ) -> None:
        """Changes the tokens that the private pool's identity service gives from now on.

        ``lifetime`` is in seconds, and negative for tokens that have expired. ``forged`` tokens
        are right in all that they claim, but signed with a key that the pool doesn't know.
        """
        roles: dict[str, Any] = {} if with_role else {"roles": []}
        self._current_pool.configure_identity(lifetime=lifetime, foreign_signature=forged, **roles)

    @keyword(tags=["private", "authentication"])
    def get_token_for_private_pool(self) -> Secret:
        """Returns a token for the private pool, as azure-identity gets it for the pool's callers.

        AuthenticationLibrary judges it.
        """
        pool = self._current_pool
        try:
            token = pool.fetch_token()
        except PlatformFault as fault:
            raise AssertionError(
                _card_of(fault, None, "a token for the pool", pool.name)
            ) from fault
        logger.info(f"Token for {pool.name}: {describe_claims(token.token)}")
        return Secret(token.token)

    @keyword(tags=["private", "authentication"])
    def no_secret_should_have_been_written(self) -> None:
        """Fails if a file below ``${OUTPUT DIR}``, or a command line, holds a private secret.

        Secrets are the credentials of the identities of all private pools of this suite, and
        every token that this process got from them.
        """
        secrets = [it.encode() for pool in self._pools.values() for it in pool.secrets]
        folder = Path(BuiltIn().get_variable_value("${OUTPUT DIR}"))
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        places = [str(path.relative_to(folder)) for path in files if _holds(path, secrets)]
        places += [
            place
            for place, arguments in self._command_lines()
            if any(secret in arguments for secret in secrets)
        ]
        logger.info(f"Looked for {len(secrets)} secrets in {len(files)} files and command lines.")
        if places:
            _fail(
                Mismatch(
                    "secrets in what the run wrote",
                    "equals",
                    "none",
                    f"found in {', '.join(places)}",
                    _IDENTITY_CLAUSE,
                    "whoever can read the report can use the pool until the token expires",
                ),
                "the files of this run",
            )

    # Executing

    @keyword(tags=["private", "execute"])
    def execute_in_private_pool(self, scope: str = SCOPE) -> None:
        """Executes the fingerprint program in the private pool, with its identity's token.

        ``scope`` is what the token is asked for, by default session pools.
        """
        pool = self._current_pool

        def execute(request: ExecutionRequest) -> ExecutionResult:
            with pool.client(scope) as client:
                return client.execute(request)

        self._try(pool.name, execute, {})

    @keyword(tags=["private", "execute"])
    def execute_in_private_pool_without_token(self) -> None:
        """Executes the fingerprint program in the private pool as a caller without a token."""
        pool = self._current_pool
        self._try(pool.name, pool.execute_without_token, {})

    @keyword(tags=["private", "execute"])
    def execute_through_private_backend(self) -> None:
        """Executes the fingerprint program through the private backend.

        The list of sessions is read before, where the pool is up, to see which of them moves.
        """
        pool, backend = self._current_pool, self._current_backend
        sessions: Mapping[str, PoolSession] = {}
        if pool.running:
            # A pool that does not let the caller in can't be asked either.
            with contextlib.suppress(PlatformFault):
                sessions = pool.sessions()

        def execute(request: ExecutionRequest) -> ExecutionResult:
            with BackendExecutor(backend.url, deadline=DEADLINE) as client:
                # Named, so that the session is still there to be looked at afterwards.
                answer = client.exchange(
                    "POST",
                    "execute",
                    body=encode_body(request_to_json(request)),
                    headers={"Content-Type": "application/json", USER_HEADER: "suite"},
                )
            return read_result(answer, executor=f"backend {client.base_url}", credentials="none")

        self._try(f"private backend at {backend.url}", execute, sessions)

    # Expectations

    @keyword(tags=["private", "expect"])
    def program_should_have_run_in_the_pool(self) -> None:
        """Fails unless the program gave its result and the answer names a session of the pool."""
        tried, result = self._result("a result from a session of the pool")
        told = result.provenance
        if told.degraded:
            self._fail_result("place of execution", "a session of the pool", tried, _FELL_BACK)
        if told.session is None:
            self._fail_result("place of execution", "a session of the pool", tried, _NOT_IN_POOL)
        self._check_program(tried)

    @keyword(tags=["private", "expect"])
    def session_list_should_agree(self) -> None:
        """Fails unless the pool's own list shows that the last execution was in its sessions.

        One session must be new, or must have been used since the list was read before the
        execution, and it must be the one that the answer names. The same program, run once
        more in that very session and without the backend, must find itself in the same place.
        """
        tried, result = self._result("a result from a session of the pool")
        listed = self._asked(self._current_pool.sessions)
        moved = [
            name
            for name, session in listed.items()
            if name not in tried.sessions
            or session.last_accessed_at != tried.sessions[name].last_accessed_at
        ]
        named = result.provenance.session
        told = f"sessions of the pool that moved: {', '.join(moved) or 'none'}"
        logger.info(f"{told}; the answer names {named}")
        if named is None or named not in moved:
            expected = f"the session that moved: {named}" if named else "a session that moved"
            self._fail_result("place of execution", expected, tried, _NOT_IN_POOL, told)
        self._compare_places(tried, named)

    @keyword(tags=["private", "expect"])
    def program_should_have_run_in_fallback(self) -> None:
        """Fails unless the program gave its result elsewhere and the answer says so.

        The answer must be marked as degraded, with the reason, and must name no session.
        """
        tried, result = self._result("a result of the fallback")
        told = result.provenance
        if not told.degraded or told.session is not None:
            expected = "not in the pool, and the answer marked as degraded"
            self._fail_result("place of execution", expected, tried, _SILENT)
        self._check_program(tried)
        logger.info(f"Answered by {told.executor}; {told.degraded}")

    @keyword(tags=["private", "expect"])
    def pool_should_have_refused_the_caller(self, status: int, row: str, because: str) -> None:
        """Fails unless the pool answered ``status`` and the diagnosis is of ``row``.

        Rows name causes, such as ``I3`` for a missing role; ``because`` says what is wrong
        with the request. The diagnosis must be shown without the token.
        """
        tried, fault = self._fault(f"HTTP {status}, because {because}")
        found = explain(fault)
        received = f"HTTP {fault.status}, diagnosed as {found.row or 'nothing in particular'}"
        if (fault.status, found.row) != (status, row):
            _fail(
                Mismatch(
                    "refusal",
                    "equals",
                    f"HTTP {status}, diagnosed as {row}",
                    received,
                    _IDENTITY_CLAUSE,
                    f"{because}; what came: {fault}",
                ),
                tried.where,
            )
        logger.info(f"{received}: {found}")

    @keyword(tags=["private", "expect"])
    def diagnosis_should_say(self, words: str) -> None:
        """Fails unless the failure card of the last execution says ``words``."""
        tried, fault = self._fault(f"a failure that says: {words}")
        card = _card_of(fault, tried.request, "a result", tried.where)
        if words not in " ".join(card.split()):
            _fail(Mismatch("failure card", "contains", words, card), tried.where)

    @keyword(tags=["private", "expect"])
    def backend_should_have_failed_within(self, seconds: float) -> None:
        """Fails unless the backend answered 5xx with a message in less than ``seconds``.

        The message must name the pool, so that nobody blames the program.
        """
        expected = f"a 5xx with a message that names the pool, within {seconds:g} s"
        tried, fault = self._fault(expected)
        told = _message_of(fault.body)
        is_server_error = fault.status is not None and 500 <= fault.status < 600
        names_pool = self._current_pool.url in told or "session pool" in told
        if not (is_server_error and names_pool and fault.elapsed < seconds):
            received = f"HTTP {fault.status} after {fault.elapsed:.1f} s: {told or 'no message'}"
            detail = "without a fallback, an outage must be told at once, and as such"
            _fail(
                Mismatch("answer", "equals", expected, received, _WHERE_CLAUSE, detail), tried.where
            )
        logger.info(f"HTTP {fault.status} after {fault.elapsed:.2f} s: {told}")

    # Listener

    def start_test(self, _data: Any, _result: Any) -> None:
        """Let no test judge what another one executed."""
        self._pool = self._backend = self._tried = None

    def close(self) -> None:
        """End all services at the end of the suite, the backends first."""
        for services in (self._backends.values(), self._pools.values()):
            with ThreadPoolExecutor(max(1, len(services))) as threads:
                for each in services:
                    threads.submit(each.stop)
        self._backends.clear()
        self._pools.clear()

    # Within

    @property
    def _current_pool(self) -> RestartablePool:
        if self._pool is None:
            raise AssertionError("There is no private pool yet; begin with `Use Private Pool`.")
        return self._pool

    @property
    def _current_backend(self) -> RunningService:
        if self._backend is None:
            raise AssertionError("There is no private backend; begin with `Use Private Backend`.")
        return self._backend

    def _start_pool(self, options: Mapping[str, str]) -> RestartablePool:
        wanted = {"identity": "app-service", **options}
        arguments = tuple(f"--{name.replace('_', '-')}={it}" for name, it in wanted.items())
        if arguments not in self._pools:
            lets_all_in = wanted["identity"] == "none"
            identity = self._start_pool({}) if lets_all_in else None
            broken = (*arguments, *run_context.pool_fault_options())
            self._pools[arguments] = _started(lambda: RestartablePool(broken, identity))
        return self._pools[arguments]

    def _command_lines(self) -> Iterator[tuple[str, bytes]]:
        pids = [os.getpid()]
        pids += [pool.pid for pool in self._pools.values()]
        pids += [backend.pid for backend in self._backends.values()]
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                arguments = "\0".join(psutil.Process(pid).cmdline())
                yield f"command line of process {pid}", arguments.encode()

    def _try(
        self,
        where: str,
        execute: Callable[[ExecutionRequest], ExecutionResult],
        sessions: Mapping[str, PoolSession],
    ) -> None:
        nonce = new_nonce()
        request = fingerprint_request(nonce)
        outcome: ExecutionResult | ExecutionError
        try:
            outcome = execute(request)
        except ExecutionError as error:
            outcome = error
            logger.info(_card_of(error, request, "to be judged by the test", where))
        else:
            logger.info(f"{where}: {outcome.provenance}")
        self._tried = _Tried(where, nonce, request, outcome, sessions)

    @property
    def _last(self) -> _Tried:
        if self._tried is None:
            raise AssertionError("Nothing was executed yet.")
        return self._tried

    def _result(self, expected: str) -> tuple[_Tried, ExecutionResult]:
        tried = self._last
        if isinstance(tried.outcome, ExecutionError):
            card = _card_of(tried.outcome, tried.request, expected, tried.where)
            raise AssertionError(card) from tried.outcome
        return tried, tried.outcome

    def _fault(self, expected: str) -> tuple[_Tried, PlatformFault]:
        tried = self._last
        if not isinstance(tried.outcome, PlatformFault):
            received = (
                "a result" if isinstance(tried.outcome, ExecutionResult) else str(tried.outcome)
            )
            _fail(Mismatch("outcome", "equals", expected, received, _IDENTITY_CLAUSE), tried.where)
        return tried, tried.outcome

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except ExecutionError as error:
            where = self._current_pool.name
            raise AssertionError(_card_of(error, None, "an answer of the pool", where)) from error

    def _check_program(self, tried: _Tried) -> None:
        if not tried.whereabouts.facts:
            self._fail_result("stdout", "the fingerprint program's own output", tried, None)

    def _compare_places(self, tried: _Tried, session: str) -> None:
        nonce = new_nonce()
        request = fingerprint_request(nonce)
        direct = self._asked(lambda: self._current_pool.execute_in(session, request))
        found, facts = read_whereabouts(direct, nonce).facts, tried.whereabouts.facts
        for fact in _SAME_IN_ONE_PLACE:
            if found.get(fact) != facts.get(fact):
                self._fail_result(
                    f"{fact} that the program saw",
                    f"{found.get(fact)}, as the same program saw it directly in the session",
                    tried,
                    _NOT_IN_POOL,
                    str(facts.get(fact)),
                )

    def _fail_result(
        self,
        subject: str,
        expected: str,
        tried: _Tried,
        diagnosis: Diagnosis | None,
        received: str = "",
    ) -> NoReturn:
        assert isinstance(tried.outcome, ExecutionResult)
        told = tried.outcome.provenance
        who = f"answered by {told.executor}, session {told.session or 'none'}"
        clauses = filter(None, (run_context.clause_of_test(), _WHERE_CLAUSE))
        raise AssertionError(
            mismatch_card(
                Mismatch(
                    subject,
                    "equals",
                    expected,
                    "; ".join(filter(None, (received, who, told.degraded))),
                    "; ".join(clauses),
                ),
                tried.request,
                tried.outcome,
                diagnosis=diagnosis,
                where=f"{tried.where}; {tried.whereabouts.evidence}",
            )
        )


def _started(start: Callable[[], T]) -> T:
    try:
        return start()
    except ServiceNotStarted as error:
        raise AssertionError(f"A private service could not be started. {error}") from error


def _fail(mismatch: Mismatch, where: str) -> NoReturn:
    raise AssertionError(mismatch_card(mismatch, None, None, diagnosis=None, where=where))


def _card_of(
    error: ExecutionError, request: ExecutionRequest | None, expected: str, where: str
) -> str:
    return fault_card(
        error,
        request,
        expected=expected,
        diagnosis=explain(error),
        where=where,
        clause=run_context.clause_of_test(),
    )


def _message_of(body: str) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    message = document.get("message") if isinstance(document, dict) else None
    return message if isinstance(message, str) else ""


def _holds(path: Path, secrets: list[bytes]) -> bool:
    """Tell whether a file holds one of some texts, reading it piece by piece."""
    overlap = max(map(len, secrets), default=0)
    end = b""
    with path.open("rb") as file:
        while piece := file.read(_READ_AT_ONCE):
            piece = end + piece
            if any(secret in piece for secret in secrets):
                return True
            end = piece[-overlap:] if overlap else b""
    return False
