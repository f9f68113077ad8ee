"""The service under test: started if it is embedded, asked, watched and ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence

from codewitness.embedded.service import RunningService, start_service
from codewitness.execution import causes
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
    Runtime,
)
from codewitness.reporting.diagnosis import (
    control_request,
    explain,
    new_nonce,
    platform_error_in,
)
from codewitness.reporting.summary import RunRecord
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import SCOPE, fetch_token
from codewitness.session_pool.identifiers import new_run_id
from codewitness.target.breaker import Breaker, ServiceDown
from codewitness.target.capabilities import Capabilities
from codewitness.target.embedded_flow import EmbeddedFlow, start_flow
from codewitness.target.given_pool import GivenPool
from codewitness.target.pool_witness import FELL_BACK, NO_WITNESS, PoolWitness, Testimony
from codewitness.target.rendezvous import Rendezvous
from codewitness.target.sessions_used import SessionsUsed, close_sessions
from codewitness.target.settings import Settings, SettingsError, TargetKind
from codewitness.target.whereabouts import Whereabouts, fingerprint_request, read_whereabouts

CHECK_WITHIN = 5.0
"""Seconds that a service gets to show that it works again after a fault."""

POOL_CHECK_WITHIN = 15.0
"""The same for a session pool, which may have to allocate a session for it."""

_ASK_WITHIN = 5.0


class ServiceUnderTest:
    """The one service that all tests of a process talk to.

    Args:
        settings: Effective settings of the run.
        rendezvous: Where the processes of the run meet, if it has several: they share the run id
            and the embedded services.

    Raises:
        SettingsError: The settings name something unusable.
        ServiceNotStarted: The embedded service did not start.
        RendezvousLost: The processes of the run can't meet any more.
    """

    def __init__(self, settings: Settings, rendezvous: Rendezvous | None = None) -> None:
        self.settings = settings
        self.record = RunRecord()
        self.first_latency: float | None = None
        self.first_fault: PlatformFault | None = None
        self.testimony: Testimony | None = None
        self.sessions_used: SessionsUsed | None = None
        self.sends_credentials = False
        self.run_id = new_run_id() if rendezvous is None else rendezvous.run_id
        self._flow: EmbeddedFlow | None = None
        self._proxy: RunningService | None = None
        self._pool: SessionPoolExecutor | None = None
        self._whereabouts: Whereabouts | None = None
        self._runtimes: Sequence[Runtime] | None = None
        try:
            self.capabilities = Capabilities(self.execute, settings["DEVIATIONS"])
            if settings.kind in (TargetKind.EMBEDDED, TargetKind.LOCAL):
                start = start_flow if rendezvous is None else rendezvous.flow
                self._flow = start(through_pool=settings.through_pool, fault=settings["FAULT"])
                self._proxy = self._start_proxy(self._flow.url)
            self._pool = self._open_pool()
            self.executor = self._open_executor()
        except ValueError as error:
            self._close_pool()
            self._stop_flow()
            raise SettingsError(str(error)) from error
        self._breaker = Breaker(self._check)

    def _start_proxy(self, url: str) -> RunningService | None:
        """Start what breaks the transport to the embedded backend, if it is to be broken."""
        fault = self.settings["TRANSPORT_FAULT"]
        if not fault:
            return None
        try:
            return start_service(["transport-proxy", "--to", url, "--fault", fault])
        except BaseException:
            self._stop_flow()
            raise

    def _open_pool(self) -> SessionPoolExecutor | None:
        """Return a caller of the pool that is known: the target itself, or the backend's."""
        if self.settings["POOL_MANAGEMENT_ENDPOINT"] or (self._flow and self._flow.pool):
            return self._pool_caller(
                self.settings["MAX_SESSIONS_USED"], self.settings["REQUEST_DEADLINE"]
            )
        return None

    def _pool_caller(self, max_sessions: int, deadline: float) -> SessionPoolExecutor:
        url, credentials = self.settings["POOL_MANAGEMENT_ENDPOINT"], None
        if self._flow is not None and self._flow.pool is not None:
            url = self._flow.pool.url
            identity = token_source_of(self._flow.pool.details["environment"])
            credentials = BackendCredentials(scope=SCOPE, token_source=identity)
        try:
            return SessionPoolExecutor(
                url,
                run_id=self.run_id,
                credentials=credentials,
                max_sessions=max_sessions,
                deadline=deadline,
                verify=self.settings["VERIFY_TLS"],
                ca_bundle=self.settings["CA_BUNDLE"] or None,
            )
        except ValueError as error:
            raise ValueError(f"POOL_MANAGEMENT_ENDPOINT: {error}") from error

    def _open_executor(self) -> BackendExecutor | SessionPoolExecutor:
        if self.settings.kind is TargetKind.POOL:
            assert self._pool is not None
            self.sends_credentials = True
            return self._pool
        # Credentials are for the service that the environment names, not for ours.
        credentials = BackendCredentials()
        if self._flow is None:
            credentials = BackendCredentials.from_environment()
        self.sends_credentials = bool(credentials)
        return BackendExecutor(
            self._backend_url,
            credentials=credentials,
            deadline=self.settings["REQUEST_DEADLINE"],
            verify=self.settings["VERIFY_TLS"],
            ca_bundle=self.settings["CA_BUNDLE"] or None,
        )

    @property
    def _backend_url(self) -> str:
        nearest = self._proxy or self._flow
        return nearest.url if nearest else str(self.settings["ENDPOINT"])

    @property
    def name(self) -> str:
        """The flow under test with its address, for people."""
        flows = {
            TargetKind.EMBEDDED: "embedded backend → session pool → sandboxed process"
            if self.settings.through_pool
            else "embedded backend → sandboxed process",
            TargetKind.LOCAL: "local executor: embedded backend → sandboxed process",
            TargetKind.BACKEND: "backend",
            TargetKind.POOL: "session pool",
        }
        return f"{flows[self.settings.kind]} at {self.executor.base_url}"

    @property
    def added_cold_start(self) -> float:
        """Seconds that an embedded session pool adds to the first request of a session."""
        return 0.0 if self._flow is None else self._flow.added_cold_start

    @property
    def knows_pool(self) -> bool:
        """Whether there is a session pool that can be asked where code ran."""
        return self._pool is not None

    def given_pool(self) -> GivenPool | None:
        """Return a caller of the pool that the target is or has behind it; ``None`` without one.

        Its sessions count among the run's.
        """
        return None if self._pool is None else GivenPool(self._pool)

    def testify(self, *, compare: bool = True) -> Testimony:
        """Execute a program and find out whether it ran in a session of the pool.

        Args:
            compare: Whether the same program is also run directly in the pool. It never is
                where the pool itself is the target.
        """
        found = self._testimony(compare)
        if found.whereabouts is not None and self._whereabouts is None:
            self._whereabouts = found.whereabouts
        proven = self.testimony is not None and self.testimony.in_pool and found.in_pool
        if compare or not proven:
            # Evidence is not replaced by less of the same.
            self.testimony = found
        return found

    def _testimony(self, compare: bool) -> Testimony:
        if self._pool is None:
            evidence = "no session pool is known that could be asked"
            if self.settings.kind is TargetKind.BACKEND:
                evidence = f"{evidence}; POOL_MANAGEMENT_ENDPOINT is not given"
            return Testimony(None, evidence, NO_WITNESS)
        witness = PoolWitness(self._pool)
        try:
            seen = witness.watch(self.executor.execute)
        except ExecutionError as error:
            return Testimony(None, f"the program gave no result: {error}", explain(error))
        if seen.in_pool and compare and self.settings.kind is not TargetKind.POOL:
            return witness.compare(seen)
        return seen

    def open(self) -> None:
        """Execute a first program, whose latency is the cold start's.

        A first attempt that fails is repeated once, unless it took all its time: what fails at
        the second attempt, too, is no hiccup. The cold start then counts as failed.

        Where the pool is required, the ``testimony`` says afterwards whether code runs there.

        Raises:
            PlatformFault: The service did not answer as an execute API does.
        """
        if self.settings.kind is TargetKind.POOL:
            # How long the identity service takes is no part of the pool's cold start.
            fetch_token()
        try:
            self.first_latency = self._try_once()
        except PlatformFault as fault:
            self.first_fault = fault
            if fault.kind is FaultKind.TIMEOUT:
                raise
            self._try_once()
        if self.settings["REQUIRE_POOL"]:
            self.testify()

    def _try_once(self) -> float:
        """Execute a program and return the seconds until its answer was there."""
        start = time.perf_counter()
        try:
            result = self.executor.execute(control_request(new_nonce()))
        except RequestRefused:
            # Answered, and in time; which requests it takes is for the tests to judge.
            pass
        except PlatformFault as fault:
            self.record.note_fault(fault)
            if not _worth_a_test(fault):
                raise
        else:
            self.record.note(result)
            return result.elapsed
        return time.perf_counter() - start

    def execute(
        self, request: ExecutionRequest, *, deadline: float | None = None
    ) -> ExecutionResult:
        """Run one program.

        Raises:
            RequestRefused: The service refused the request.
            PlatformFault: The service is out of order, or delivered a platform's error as a
                program's result, or a fallback's result where the pool is required.
        """
        self._breaker.before()
        try:
            result = self.executor.execute(request, deadline=deadline)
        except ExecutionError as error:
            self._note_error(error)
            raise
        self.record.note(result)
        disguised = self._fault_in(result, request)
        if disguised is not None:
            self._note_error(disguised)
            raise disguised
        return result

    def execute_many(
        self, requests: Sequence[ExecutionRequest]
    ) -> list[ExecutionResult | ExecutionError]:
        """Run programs all at once; see :meth:`BackendExecutor.execute_many`."""
        try:
            self._breaker.before()
        except ServiceDown as down:
            return [down for _ in requests]
        outcomes: list[ExecutionResult | ExecutionError] = []
        for request, outcome in zip(requests, self.executor.execute_many(requests), strict=True):
            if isinstance(outcome, ExecutionError):
                self._note_error(outcome)
                outcomes.append(outcome)
                continue
            self.record.note(outcome)
            disguised = self._fault_in(outcome, request)
            if disguised is not None:
                self._note_error(disguised)
            outcomes.append(disguised or outcome)
        return outcomes

    def _fault_in(self, result: ExecutionResult, request: ExecutionRequest) -> PlatformFault | None:
        disguised = platform_error_in(result, request)
        degraded = result.provenance.degraded
        if disguised is not None or not degraded or not self.settings["REQUIRE_POOL"]:
            return disguised
        return PlatformFault(
            FaultKind.PLATFORM_ERROR_AS_RESULT,
            f"the session pool is required, and a fallback answered in its place: {degraded}",
            cause=str(FELL_BACK),
            status=200,
            elapsed=result.elapsed,
            retries=result.retries,
        )

    def control(self, nonce: str) -> ExecutionResult | ExecutionError:
        """Run the control program that helps to explain a wrong result."""
        try:
            return self.executor.execute(control_request(nonce), deadline=self._check_within)
        except ExecutionError as error:
            return error

    def require(self) -> None:
        """Return at once unless the service is known to be out of order.

        Raises:
            ServiceDown: It is.
        """
        self._breaker.before()

    def lost(self, fault: PlatformFault) -> None:
        """Note that a request which was not sent by this object failed."""
        self._note_error(fault)

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send exactly this request; see :meth:`BackendExecutor.exchange`."""
        self._breaker.before()
        try:
            return self.executor.exchange(method, path, body=body, headers=headers)
        except ExecutionError as error:
            self._note_error(error)
            raise

    def runtimes(self) -> Sequence[Runtime]:
        """Return what the service lists; asked once.

        Raises:
            PlatformFault: There is no such list.
        """
        if self._runtimes is None:
            self._breaker.before()
            try:
                self._runtimes = self.executor.runtimes()
            except ExecutionError as error:
                self._note_error(error)
                raise
        return self._runtimes

    @property
    def whereabouts(self) -> Whereabouts:
        """Where code runs, by a fingerprint program; asked once."""
        if self._whereabouts is None:
            nonce = new_nonce()
            try:
                result = self.executor.execute(fingerprint_request(nonce))
                self._whereabouts = read_whereabouts(result, nonce)
            except ExecutionError as error:
                self._whereabouts = Whereabouts(f"not proven: {error}", None, {})
        return self._whereabouts

    @property
    def own_services(self) -> tuple[int, ...]:
        """Process identifiers of the embedded services under test; none where one is given."""
        return () if self._flow is None else tuple(it.pid for it in self._flow.services)

    def close(self) -> None:
        """Stop what was opened in the pool, close all connections, end what was started here."""
        self.executor.close()
        self._close_pool()
        self._stop_flow()

    def _close_pool(self) -> None:
        if self._pool is None or self.sessions_used is not None:
            return
        if self._flow is not None:
            # Whatever is left ends with the pool.
            self._pool.close()
            return
        used = close_sessions(self._pool, lambda: self._pool_caller(1, _ASK_WITHIN))
        self.sessions_used = used

    def _stop_flow(self) -> None:
        if self._proxy is not None:
            self._proxy.stop()
        if self._flow is not None:
            self._flow.stop()

    @property
    def _check_within(self) -> float:
        return POOL_CHECK_WITHIN if self.settings.kind is TargetKind.POOL else CHECK_WITHIN

    def _check(self) -> None:
        if self._flow is not None and self._flow.ended:
            raise causes.fault(FaultKind.NOTHING_LISTENING, self._flow.ended)
        with contextlib.suppress(RequestRefused):
            self.executor.execute(control_request(new_nonce()), deadline=self._check_within)

    def _note_error(self, error: ExecutionError) -> None:
        self.record.note_fault(error)
        if not isinstance(error, PlatformFault):
            return
        if self._flow is not None and self._flow.ended:
            error.detail += f"; {self._flow.ended}"
        self._breaker.failed(error)


def _worth_a_test(fault: PlatformFault) -> bool:
    """Whether a service that answers so is still there to be tested."""
    return fault.kind in (
        FaultKind.BAD_ANSWER,
        FaultKind.PLATFORM_ERROR_AS_RESULT,
        FaultKind.SANDBOX,
    )
