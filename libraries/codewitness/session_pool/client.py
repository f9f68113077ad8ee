"""Executing in the sessions of a custom-container pool that speaks the Piston v2 API.

A pool gives every identifier a session of its own and allocates it on first use; there is no
call that creates one. The token opens all identifiers of a pool, so an identifier must be one
that nobody can guess, and it is used by one execution at a time.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

from codewitness.execution import causes
from codewitness.execution.answers import read_result, read_runtimes
from codewitness.execution.backend import encode_body
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.http_client import HttpAnswer, HttpCall
from codewitness.execution.http_executor import ASKING, SENDING, HttpExecutor
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    Provenance,
    RequestRefused,
    Runtime,
)
from codewitness.execution.piston import request_to_json
from codewitness.session_pool.caller_leases import CallerLeases
from codewitness.session_pool.callers import Caller
from codewitness.session_pool.credentials import SCOPE
from codewitness.session_pool.identifiers import (
    CallerBusy,
    Lease,
    Lender,
    NoneFree,
    RunIdentifiers,
    new_identifier,
)
from codewitness.session_pool.management import (
    API_VERSION,
    PoolManagement,
    PoolSession,
    check_gateway,
)

__all__ = ["API_VERSION", "PoolSession", "SessionPoolExecutor"]

T = TypeVar("T")

_PROVE_WITHIN = 10.0
_STOP_WITHIN = 10.0
_RUNTIMES_KEPT = 300.0
# The management routes won't get better by asking again.
_NO_MANAGEMENT = (
    FaultKind.BAD_ANSWER,
    FaultKind.FORBIDDEN,
    FaultKind.NOT_THE_API,
    FaultKind.WRONG_ADDRESS,
)
# No session was allocated for requests that failed so.
_NEVER_REACHED = (
    FaultKind.NAME_NOT_RESOLVED,
    FaultKind.NOTHING_LISTENING,
    FaultKind.TLS,
    FaultKind.UNAUTHENTICATED,
    FaultKind.FORBIDDEN,
)
_ALLOCATOR = re.compile(r"allocating pod|SessionsCountExceedsLimit")


class SessionPoolExecutor(HttpExecutor):
    """Executes in sessions of a custom-container pool.

    Executions that follow each other share a session; those that run at once get one each, up
    to ``max_sessions``, and wait for a free one beyond that. An identifier whose execution was
    cut off or timed out is not used again, because its session may still be busy.

    With ``per_caller`` it serves many callers, whom it tells apart by
    :func:`codewitness.session_pool.callers.calling`, as
    :class:`codewitness.session_pool.callers.CallerSessions` says: each has a session of its own,
    in which its executions wait for each other.

    The provenance of a result names a session only when the pool vouches for it: by its
    ``X-Ms-New-Allocation`` header, or by its management route, which is asked after the
    execution. A request is repeated only when it surely never ran; see
    :class:`codewitness.execution.backend.BackendExecutor`, whose other methods this one has too.

    Args:
        endpoint: Base URL of the pool, such as
            ``https://<pool>.<environment>.<region>.azurecontainerapps.io``.
        run_id: Name of the run, which every identifier begins with.
        credentials: Token for the pool; by default azure-identity's for the pools' scope.
        max_sessions: How many identifiers may be used in all; with ``per_caller``, at one time.
        per_caller: Whether sessions belong to callers.
        prove_sessions: Whether the management route is asked where the header is missing.
            Without it such a session counts as used but not proven.
        deadline: Seconds that one call may take in all, waiting for a free session included.
        verify: Whether the server's certificate is checked.
        ca_bundle: PEM file with the certificate authorities to trust instead of the system's.

    Raises:
        ValueError: The endpoint, the CA bundle or the proxy can't be used.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        run_id: str = "run",
        credentials: BackendCredentials | None = None,
        max_sessions: int = 5,
        per_caller: bool = False,
        prove_sessions: bool = True,
        deadline: float = 60.0,
        verify: bool = True,
        ca_bundle: str | None = None,
    ) -> None:
        self._credentials = credentials or BackendCredentials(scope=SCOPE)
        self._callers: CallerLeases | None = None
        if per_caller:
            self._callers = CallerLeases(run_id, max_sessions, self._stop)
        self._lender: Lender = self._callers or RunIdentifiers(run_id, max_sessions)
        self._prove_sessions = prove_sessions
        self._no_management: str | None = None
        self._by_hand = new_identifier(run_id)
        self._runtimes: tuple[float, list[Runtime]] | None = None
        self._asking_runtimes = threading.Lock()
        self._closed = False
        self.left_open: tuple[str, ...] = ()
        super().__init__(
            endpoint,
            credentials=self._credentials,
            deadline=deadline,
            verify=verify,
            ca_bundle=ca_bundle,
        )
        self._management = PoolManagement(self._endpoint, self._client)

    @property
    def name(self) -> str:
        """Who executes, for provenance."""
        return f"session pool {self._endpoint.origin}"

    @property
    def execute_url(self) -> str:
        """Full URL of the execute route, with an identifier kept for use by hand."""
        return self._with_identifier("execute", self._by_hand)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Identifiers that have led to a session, or may have, in order.

        With ``per_caller``, those whose sessions were stopped meanwhile are left out.
        """
        return tuple(self._lender.opened)

    def execute(
        self, request: ExecutionRequest, *, deadline: float | None = None
    ) -> ExecutionResult:
        """Run one program and wait for its end.

        Args:
            request: What to run.
            deadline: Seconds for this call, if not those of the executor.

        Raises:
            RequestRefused: The container refused the request, or (429) the caller's own requests
                kept its session busy.
            PlatformFault: The pool gave no session, or no answer of an execute API.
        """
        body = encode_body(request_to_json(request))
        start = time.perf_counter()

        def attempt(within: float) -> ExecutionResult:
            before = time.perf_counter()
            with self._lease(within) as lease:
                left = within - (time.perf_counter() - before)
                waited = time.perf_counter() - start
                answer = self._send("POST", "execute", lease, left, body)
                result = self._read(
                    answer,
                    lambda: read_result(
                        answer, executor=self.name, credentials=self._client.credentials
                    ),
                )
                provenance = self._provenance(answer, lease, result.provenance)
            return replace(result, provenance=provenance, elapsed=result.elapsed + waited)

        return self._with_room(attempt, deadline or self._deadline)

    def execute_many(
        self, requests: Sequence[ExecutionRequest], *, deadline: float | None = None
    ) -> list[ExecutionResult | ExecutionError]:
        """Run programs all at once, each in a session of its own, and wait for all.

        Args:
            requests: What to run.
            deadline: Seconds for each call, if not those of the executor.

        Returns:
            In the order of the requests, what :meth:`execute` would return or raise.
        """

        def outcome(request: ExecutionRequest) -> ExecutionResult | ExecutionError:
            try:
                return self.execute(request, deadline=deadline)
            except ExecutionError as error:
                return error

        with ThreadPoolExecutor(max(1, len(requests)), "session") as threads:
            return list(threads.map(outcome, requests))

    def runtimes(self) -> Sequence[Runtime]:
        """Return the languages that the pool's container lists; asked anew after 5 minutes.

        Raises:
            PlatformFault: There was no such list.
        """
        kept = self._runtimes
        if kept is not None and time.monotonic() - kept[0] < _RUNTIMES_KEPT:
            return kept[1]
        asking = self._asking_runtimes.acquire(blocking=False)
        if kept is not None and not asking:
            # An older list will do until the newer one is there.
            return kept[1]
        try:
            listed = self._with_room(self._ask_runtimes, self._deadline)
        finally:
            if asking:
                self._asking_runtimes.release()
        self._runtimes = time.monotonic(), listed
        return listed

    def _ask_runtimes(self, within: float) -> list[Runtime]:
        with self._lease(within) as lease:
            answer = self._send("GET", "runtimes", lease, within)
            listed = self._read(
                answer, lambda: read_runtimes(answer, credentials=self._client.credentials)
            )
            if not lease.opened and self._prove_sessions:
                # So that the first execution in it can be seen to meet a session in use.
                with suppress(PlatformFault):
                    self._proven(Provenance(self.name), lease)
        return listed

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> HttpAnswer:
        """Send a request; see :meth:`HttpExecutor.exchange`.

        An identifier is added, unless the path has one.
        """
        within = deadline or self._deadline
        if "identifier" in dict(parse_qsl(urlsplit(path).query, keep_blank_values=True)):
            call = HttpCall(method, self._endpoint.url(path), body, headers or {})
            return self._guarded(lambda: self._client.send(call, within))
        with self._lease(within) as lease:
            return self._send(method, path, lease, within, body, headers or {}, retry=False)

    def exchange_as(
        self,
        scope: str | None,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send a request as it is given, without an identifier of this executor's.

        Args:
            scope: What the token that goes with it is good for; ``None`` sends no token.
            method: HTTP method.
            path: See :meth:`HttpExecutor.exchange`.
            body: Bytes of the body, or ``None`` for none.
            headers: Headers.

        Raises:
            PlatformFault: There was no complete answer, or no such token (``UNAUTHENTICATED``).
        """
        credentials = BackendCredentials() if scope is None else self._credentials
        client = self._new_client(credentials=replace(credentials, scope=scope))
        try:
            call = HttpCall(method, self._endpoint.url(path), body, headers or {})
            return self._guarded(lambda: client.send(call, self._deadline))
        finally:
            client.close()

    def borrow(self) -> Lease:
        """Lend an identifier of the run to whoever calls the pool with it by :meth:`exchange`.

        It has led to no session yet as long as there is such a one. The borrower notes on it
        whether it was ``opened``, so that its session is stopped in the end.

        Raises:
            NoneFree: All that may be used are lent.
        """
        if not isinstance(self._lender, RunIdentifiers):
            raise TypeError("sessions that belong to callers are not lent")
        return self._lender.take_fresh()

    def give_back(self, lease: Lease, *, usable: bool) -> None:
        """End the loan of an identifier; one that is not usable is never lent again."""
        self._lender.give_back(lease, usable=usable)

    def get_session(self, identifier: str) -> PoolSession | None:
        """Return what the pool knows of a session, or ``None`` when it knows none such.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        return self._guarded(lambda: self._management.get_session(identifier, self._deadline))

    def list_sessions(self) -> list[PoolSession]:
        """Return all sessions of the pool, of other runs too.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        return self._guarded(lambda: self._management.list_sessions(self._deadline))

    def stop_session(self, identifier: str) -> bool:
        """End a session now; tell whether there was one.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        return self._guarded(lambda: self._management.stop_session(identifier, self._deadline))

    def leave(self, caller: Caller) -> None:
        """Stop the session of a caller that will not come again, when it is not in use.

        Returns at once. Without ``per_caller`` no session is a caller's, and nothing happens.
        """
        if self._callers is not None and not self._closed:
            self._callers.leave(caller)

    def close(self) -> None:
        """Stop the sessions that were used, then close all connections.

        What could not be stopped is in ``left_open`` afterwards; the pool ends it by itself
        after its cooldown.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.left_open = tuple(self._stop(self.identifiers))
        finally:
            super().close()

    def _stop(self, identifiers: Sequence[str]) -> list[str]:
        return self._management.stop_sessions(identifiers, _STOP_WITHIN)

    def _with_room(self, attempt: Callable[[float], T], within: float) -> T:
        """Attempt something until no caller's session is left that could make room for it."""
        give_up = time.perf_counter() + within
        while True:
            left = max(0.1, give_up - time.perf_counter())
            try:
                return attempt(left)
            except PlatformFault as fault:
                # Surely it never ran: the pool gave it no session.
                if self._callers is None or fault.status != 429 or not _is_full(fault):
                    raise
                left = give_up - time.perf_counter()
                if left <= 0 or not self._callers.make_room(left):
                    raise

    @contextmanager
    def _lease(self, deadline: float) -> Iterator[Lease]:
        try:
            lease = self._lender.take(deadline)
        except CallerBusy as busy:
            # Not the pool's fault, and no reason to execute anywhere else.
            raise RequestRefused(str(busy), 429) from None
        except NoneFree as none:
            raise self._retold(PlatformFault(FaultKind.CAPACITY, str(none))) from None
        opened, usable = True, False
        try:
            yield lease
            usable = True
        except PlatformFault as fault:
            opened = fault.kind not in _NEVER_REACHED and not _is_full(fault)
            usable = fault.kind not in (FaultKind.TIMEOUT, FaultKind.CONNECTION_CUT)
            raise
        except RequestRefused:
            usable = True
            raise
        finally:
            lease.opened |= opened
            self._lender.give_back(lease, usable=usable)

    def _send(
        self,
        method: str,
        path: str,
        lease: Lease,
        deadline: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        retry: bool = True,
    ) -> HttpAnswer:
        if headers is None:
            headers = ASKING if body is None else SENDING
        url = self._with_identifier(path, lease.identifier)
        call = HttpCall(method, url, body, headers, retry_when_told=retry)
        return self._guarded(lambda: self._client.send(call, max(0.1, deadline)))

    def _with_identifier(self, path: str, identifier: str) -> str:
        joint = "&" if "?" in path else "?"
        return self._endpoint.url(f"{path}{joint}identifier={quote(identifier, safe='')}")

    def _read(self, answer: HttpAnswer, read: Callable[[], T]) -> T:
        def checked() -> T:
            check_gateway(answer)
            return read()

        return self._guarded(checked)

    def _guarded(self, action: Callable[[], T]) -> T:
        """Let a platform fault say that a pool was asked, and how many sessions were held."""
        try:
            return action()
        except PlatformFault as fault:
            raise self._retold(fault) from fault

    def _retold(self, fault: PlatformFault) -> PlatformFault:
        held = len(self.identifiers)
        sessions = "no session" if not held else f"{held} session{'s' if held > 1 else ''}"
        return causes.fault(
            fault.kind,
            f"{fault.detail} (session pool, of which the caller holds {sessions})",
            status=fault.status,
            body=fault.body,
            elapsed=fault.elapsed,
            retries=fault.retries,
        )

    def _provenance(self, answer: HttpAnswer, lease: Lease, told: Provenance) -> Provenance:
        provenance = replace(told, executor=self.name, session=lease.identifier)
        if told.executor != self.name:
            provenance = _noted(provenance, f"container: {told.executor}")
        allocated = _flag(answer.headers.get("X-Ms-New-Allocation"))
        if allocated is not None:
            note = f"X-Ms-New-Allocation: {answer.headers['X-Ms-New-Allocation']}"
            return _noted(replace(provenance, session_new=allocated), note)
        if not self._prove_sessions:
            return _noted(provenance, "session not proven: the pool was not asked")
        return self._proven(provenance, lease)

    def _proven(self, provenance: Provenance, lease: Lease) -> Provenance:
        """Complete a provenance by what the pool itself knows of the session."""
        unproven = replace(provenance, session=None)
        if self._no_management is not None:
            return _noted(unproven, self._no_management)
        try:
            session = self._guarded(
                lambda: self._management.get_session(lease.identifier, _PROVE_WITHIN)
            )
        except PlatformFault as fault:
            note = f"session not proven: {fault.detail}"
            if fault.kind in _NO_MANAGEMENT:
                self._no_management = note
            return _noted(unproven, note)
        if session is None:
            return replace(
                unproven,
                degraded=f"the pool knows no session {lease.identifier}: something else answered",
            )
        known, lease.created_at = lease.created_at, session.created_at
        if session.created_at is None:
            return _noted(provenance, "listed by the pool")
        new: bool | None = None
        if not lease.opened or known is not None:
            # Nobody else can have used an identifier that was made up for this lease.
            new = session.created_at != known
        note = f"listed by the pool as created at {session.created_at:%Y-%m-%d %H:%M:%S.%f} UTC"
        return _noted(replace(provenance, session_new=new), note)


def _is_full(fault: PlatformFault) -> bool:
    return _ALLOCATOR.search(f"{fault.detail}\n{fault.body}") is not None


def _flag(value: str | None) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get((value or "").strip().lower())


def _noted(provenance: Provenance, note: str) -> Provenance:
    return replace(provenance, notes=(*provenance.notes, note))
