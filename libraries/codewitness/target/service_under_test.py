"""The service under test: started if it is embedded, asked, watched and ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence

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
from codewitness.reporting.diagnosis import control_request, new_nonce, platform_error_in
from codewitness.reporting.summary import RunRecord
from codewitness.target.breaker import Breaker, ServiceDown
from codewitness.target.capabilities import Capabilities
from codewitness.target.embedded_flow import EmbeddedFlow, start_flow
from codewitness.target.settings import Settings, SettingsError, TargetKind
from codewitness.target.whereabouts import Whereabouts, fingerprint_request, read_whereabouts

CHECK_WITHIN = 5.0
"""Seconds that a service gets to show that it works again after a fault."""


class ServiceUnderTest:
    """The one service that all tests of a process talk to.

    Args:
        settings: Effective settings of the run.

    Raises:
        SettingsError: The settings name something unusable.
        ServiceNotStarted: The embedded service did not start.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.record = RunRecord()
        self.first_latency: float | None = None
        self.first_fault: PlatformFault | None = None
        self._flow: EmbeddedFlow | None = None
        self._whereabouts: Whereabouts | None = None
        self._runtimes: Sequence[Runtime] | None = None
        try:
            self.capabilities = Capabilities(self.execute, settings["DEVIATIONS"])
            credentials = BackendCredentials.from_environment()
            if settings.kind is not TargetKind.BACKEND:
                self._flow = start_flow(through_pool=settings.through_pool, fault=settings["FAULT"])
                # Credentials are for the service that the environment names, not for ours.
                credentials = BackendCredentials()
            self.sends_credentials = bool(credentials)
            self.executor = BackendExecutor(
                self._flow.url if self._flow else settings["ENDPOINT"],
                credentials=credentials,
                deadline=settings["REQUEST_DEADLINE"],
                verify=settings["VERIFY_TLS"],
                ca_bundle=settings["CA_BUNDLE"] or None,
            )
        except ValueError as error:
            self._stop_flow()
            raise SettingsError(str(error)) from error
        self._breaker = Breaker(self._check)

    @property
    def name(self) -> str:
        """The flow under test with its address, for people."""
        flows = {
            TargetKind.EMBEDDED: "embedded backend → session pool → sandboxed process"
            if self.settings.through_pool
            else "embedded backend → sandboxed process",
            TargetKind.LOCAL: "local executor: embedded backend → sandboxed process",
            TargetKind.BACKEND: "backend",
        }
        return f"{flows[self.settings.kind]} at {self.executor.base_url}"

    def open(self) -> None:
        """Execute a first program, whose latency is the cold start's.

        A first attempt that fails is repeated once, unless it took all its time: what fails at
        the second attempt, too, is no hiccup. The cold start then counts as failed.

        Raises:
            PlatformFault: The service did not answer as an execute API does.
        """
        start = time.perf_counter()
        try:
            self._try_once()
        except PlatformFault as fault:
            self.first_fault = fault
            if fault.kind is FaultKind.TIMEOUT:
                raise
            self._try_once()
        else:
            self.first_latency = time.perf_counter() - start

    def _try_once(self) -> None:
        try:
            self.record.note(self.executor.execute(control_request(new_nonce())))
        except RequestRefused:
            # Answered, and in time; which requests it takes is for the tests to judge.
            return
        except PlatformFault as fault:
            self.record.note_fault(fault)
            if not _worth_a_test(fault):
                raise

    def execute(
        self, request: ExecutionRequest, *, deadline: float | None = None
    ) -> ExecutionResult:
        """Run one program.

        Raises:
            RequestRefused: The service refused the request.
            PlatformFault: The service is out of order, or delivered a platform's error as a
                program's result.
        """
        self._breaker.before()
        try:
            result = self.executor.execute(request, deadline=deadline)
        except ExecutionError as error:
            self._note_error(error)
            raise
        self.record.note(result)
        disguised = platform_error_in(result, request)
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
            disguised = platform_error_in(outcome, request)
            if disguised is not None:
                self._note_error(disguised)
            outcomes.append(disguised or outcome)
        return outcomes

    def control(self, nonce: str) -> ExecutionResult | ExecutionError:
        """Run the control program that helps to explain a wrong result."""
        try:
            return self.executor.execute(control_request(nonce), deadline=CHECK_WITHIN)
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

    def close(self) -> None:
        """Close all connections, and end the service if it was started here."""
        self.executor.close()
        self._stop_flow()

    def _stop_flow(self) -> None:
        if self._flow is not None:
            self._flow.stop()

    def _check(self) -> None:
        if self._flow is not None and self._flow.ended:
            raise causes.fault(FaultKind.NOTHING_LISTENING, self._flow.ended)
        with contextlib.suppress(RequestRefused):
            self.executor.execute(control_request(new_nonce()), deadline=CHECK_WITHIN)

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
