"""Broken deployments of a suite's own, what is asked of them, and what a report would say.

The deployments are :mod:`codewitness.embedded.broken_deployments`; the diagnosis is the one that
every failure of the suite gets.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from codewitness.embedded.identity import IdentityConfig
from codewitness.embedded.service import (
    RunningService,
    ask_control,
    start_service,
    without_secrets,
)
from codewitness.execution.answers import error_in
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.causes import Diagnosis
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    SourceFile,
)
from codewitness.reporting.card import Mismatch, fault_card, mismatch_card
from codewitness.reporting.diagnosis import (
    control_request,
    diagnose_mismatch,
    explain,
    new_nonce,
    platform_error_in,
)
from codewitness.reporting.series import (
    Outcome,
    diagnose_full_pool,
    diagnose_load,
    diagnose_paths,
    diagnose_repeats,
)
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import EXECUTOR_ROLE, SCOPE, client_environment

CALL_WITHIN = 20.0
"""Seconds that a call of a broken deployment may take, if it is not to hang."""

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_PAUSE = 0.1
# Read by a container as a request of Piston's, by an interpreter as one of its own.
_EITHER_BODY = json.dumps(
    {"language": "python", "version": "*", "files": [{"content": "1"}], "code": "1"}
)
# Beyond any cooldown that Azure allows.
_LONG = 4000

Client = BackendExecutor | SessionPoolExecutor


@dataclass(frozen=True)
class Reported:
    """What a report says of something that went wrong.

    Attributes:
        diagnosis: The likely cause; ``None`` where none was found.
        card: The whole failure card.
    """

    diagnosis: Diagnosis | None
    card: str


class NothingWrong(Exception):
    """A deployment that should be broken gave what a sound one gives."""


class NotServed(Exception):
    """A deployment can't be had on this machine."""


class BrokenDeployment:
    """One deployment, as its client sees it, and its operator.

    Args:
        name: Which one.
        details: What the service that has it told.
    """

    def __init__(self, name: str, details: Mapping[str, Any]) -> None:
        self._name = name
        self._url: str = details["deployments"][name]
        self._pool: Mapping[str, Any] | None = details["pools"].get(name)
        self._later: list[threading.Thread] = []
        self._changed = False

    @property
    def where(self) -> str:
        """What it is and where, for people."""
        kind = "backend" if self._pool is None else "session pool"
        return f"broken deployment {self._name} ({kind} at {self._url})"

    def execute(self, request: ExecutionRequest, expected: bytes) -> Reported:
        """Report on a program whose stdout is known.

        Raises:
            NothingWrong: It gave that stdout.
        """
        with self._client() as client:
            outcome = _outcome(client, request)
            if isinstance(outcome, ExecutionError):
                return self._of_error(outcome, request, explain(outcome))
            control = _outcome(client, control_request(new_nonce()))
        return self._of_result(outcome, request, control, expected)

    def repeat(self, times: int, within: float, until_it_works: bool) -> Reported:
        """Report on a program that is sent again and again.

        Args:
            times: How often, at most.
            within: Seconds, at most.
            until_it_works: Whether to stop at the first success.

        Raises:
            NothingWrong: Nothing failed, and nothing was slow at first.
        """
        request, outcomes = _simple_request(), list[Outcome]()
        start = time.monotonic()
        with self._client() as client:
            while len(outcomes) < times and time.monotonic() - start < within:
                if outcomes and until_it_works:
                    time.sleep(_PAUSE)
                # Another one, should the identity give it other rights meanwhile.
                outcomes.append(
                    self._once(request) if self._is_guarded else _outcome(client, request)
                )
                if until_it_works and _worked(outcomes[-1]):
                    break
        diagnosis = diagnose_repeats(outcomes, time.monotonic() - start)
        return self._of_series(outcomes, request, diagnosis)

    def execute_at_once(self, levels: Sequence[int], program: str, deadline: float) -> Reported:
        """Report on a program that is sent several times at once, by how often.

        Args:
            levels: How many at a time.
            program: Python source; it should take a moment.
            deadline: Seconds after which an answer is not waited for any longer.

        Raises:
            NothingWrong: All were answered.
        """
        request = _python(program)
        with self._client(deadline) as client:
            outcomes = {level: client.execute_many([request] * level) for level in levels}
        everything = [outcome for level in levels for outcome in outcomes[level]]
        return self._of_series(everything, request, diagnose_load(outcomes))

    def ask(self, method: str, path: str, body: str = "") -> Reported:
        """Report on a request that is sent as it is.

        Args:
            method: HTTP method.
            path: Path below the deployment's URL, with a slash first.
            body: JSON.

        Raises:
            NothingWrong: It was answered with 200.
        """
        error = error_in(self._exchange(method, path, body))
        if error is None:
            raise NothingWrong(f"{method} {path} was answered with 200")
        return self._of_error(error, None, explain(error))

    def ask_paths(self, paths: Sequence[str]) -> Reported:
        """Report on requests for an execution that differ in their path alone; see :meth:`ask`."""
        errors = {path: error_in(self._exchange("POST", path, _EITHER_BODY)) for path in paths}
        failed = [error for error in errors.values() if error is not None]
        if not failed:
            raise NothingWrong(f"every path was answered with 200: {', '.join(paths)}")
        return self._of_error(failed[0], None, diagnose_paths(errors))

    def call_as(self, identifiers: Sequence[str]) -> Reported:
        """Report on a pool that is called once for each identifier, until it refuses one.

        Raises:
            NothingWrong: It refused none.
        """
        held, run = list[int](), new_nonce()
        # Nobody's session is left over.
        self._operate("/clock", {"move": _LONG})
        for identifier in identifiers:
            path = f"/api/v2/execute?identifier={identifier}-{run}"
            error = error_in(self._exchange("POST", path, _EITHER_BODY))
            held.append(len(self._operate("/state")["sessions"]))
            if error is not None:
                diagnosis = diagnose_full_pool(identifiers[: len(held)], held)
                return self._of_error(error, None, diagnosis)
        raise NothingWrong(f"the pool served all of {', '.join(identifiers)}")

    def take_ready_instance(self) -> None:
        """Have the pool's ready instance given away, so that it must start another one."""
        deadline = time.monotonic() + CALL_WITHIN
        while not self._operate("/state")["instances"]["ready"] and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        with self._client() as client:
            client.exchange("GET", f"/?identifier=first-{new_nonce()}")

    def configure_identity(self, **changes: Any) -> None:
        """Change what the identity of the pool's callers is; see ``IdentityConfig``."""
        self._changed = True
        self._operate("/identity", changes)

    def reset_identity(self) -> None:
        """Take back what was changed."""
        self.close()
        if self._changed:
            self._operate("/identity", asdict(IdentityConfig()))
            self._changed = False

    def give_role_after(self, seconds: float) -> None:
        """Take the role from the pool's identity, and give it back after its next token."""
        self.configure_identity(roles=[])
        given = len(self._operate("/identity"))

        def give_role() -> None:
            deadline = time.monotonic() + CALL_WITHIN
            while len(self._operate("/identity")) == given and time.monotonic() < deadline:
                time.sleep(_PAUSE)
            time.sleep(seconds)
            self.configure_identity(roles=[EXECUTOR_ROLE])

        later = threading.Thread(target=give_role, daemon=True)
        later.start()
        self._later.append(later)

    def close(self) -> None:
        """Wait for what was to be done later."""
        for later in self._later:
            later.join()
        self._later.clear()

    # Within

    @property
    def _is_guarded(self) -> bool:
        return self._pool is not None and "IDENTITY_ENDPOINT" in self._pool["environment"]

    def _client(self, deadline: float = CALL_WITHIN) -> AbstractContextManager[Client]:
        if self._pool is None:
            return BackendExecutor(self._url, deadline=deadline)
        # A pool without an identity lets everybody in, but nobody comes without a credential.
        credentials = BackendCredentials(authorization="Bearer anybody")
        if self._is_guarded:
            source = token_source_of(self._pool["environment"])
            credentials = BackendCredentials(scope=SCOPE, token_source=source)
        return SessionPoolExecutor(
            self._url, credentials=credentials, prove_sessions=False, deadline=deadline
        )

    def _once(self, request: ExecutionRequest) -> Outcome:
        with self._client() as client:
            return _outcome(client, request)

    def _exchange(self, method: str, path: str, body: str) -> HttpAnswer:
        with BackendExecutor(self._url, deadline=CALL_WITHIN) as client:
            return client.exchange(
                method,
                urlsplit(self._url).path + path,
                body=body.encode() or None,
                headers=_JSON if body else {},
            )

    def _operate(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        assert self._pool is not None
        return ask_control(self._pool["control_url"] + path, body)

    def _of_error(
        self, error: ExecutionError, request: ExecutionRequest | None, diagnosis: Diagnosis | None
    ) -> Reported:
        card = fault_card(
            error,
            request,
            expected="what a sound deployment answers",
            diagnosis=diagnosis or explain(error),
            where=self.where,
        )
        return Reported(diagnosis, card)

    def _of_result(
        self,
        result: ExecutionResult,
        request: ExecutionRequest,
        control: Outcome,
        expected: bytes,
    ) -> Reported:
        run = result.run
        if run.stdout == expected and run.code == 0:
            raise NothingWrong(f"the program gave exit code 0 and {expected!r}")
        mismatch = Mismatch("stdout", "equals", expected, run.stdout)
        if run.stdout == expected:
            mismatch = Mismatch("exit code", "equals", "0", str(run.code))
        diagnosis = diagnose_mismatch(request, result, control, expected_stdout=expected)
        card = mismatch_card(mismatch, request, result, diagnosis=diagnosis, where=self.where)
        return Reported(diagnosis, card)

    def _of_series(
        self, outcomes: Sequence[Outcome], request: ExecutionRequest, diagnosis: Diagnosis | None
    ) -> Reported:
        if diagnosis is None:
            raise NothingWrong(f"all of {len(outcomes)} executions worked alike")
        error = next(filter(None, map(_error_of, outcomes)), None)
        if error is not None:
            return self._of_error(error, request, diagnosis)
        first = outcomes[0]
        assert isinstance(first, ExecutionResult)
        mismatch = Mismatch(
            "time of the first call", "equals", "that of the others", f"{first.elapsed:.2f} s"
        )
        card = mismatch_card(mismatch, request, first, diagnosis=diagnosis, where=self.where)
        return Reported(diagnosis, card)


class BrokenDeployments:
    """All broken deployments, in one process that is started when the first is needed."""

    def __init__(self) -> None:
        self._service: RunningService | None = None
        self._known: dict[str, BrokenDeployment] = {}

    def find(self, name: str) -> BrokenDeployment:
        """Return a deployment.

        Raises:
            NotServed: There is none of this name here.
            ServiceNotStarted: The process did not become ready.
        """
        if self._service is None:
            environment = client_environment({}, without_secrets())
            self._service = start_service(
                ["broken-deployments"], environment=environment, ready_within=60
            )
        served = self._service.details["deployments"]
        if name not in served:
            raise NotServed(f"no deployment {name} is served here, but {', '.join(sorted(served))}")
        return self._known.setdefault(name, BrokenDeployment(name, self._service.details))

    @property
    def address(self) -> str:
        """Host and port, with a space between, of the process."""
        assert self._service is not None
        parts = urlsplit(self._service.url)
        return f"{parts.hostname} {parts.port}"

    def languages(self) -> set[str]:
        """Return the languages that programs here may have."""
        assert self._service is not None
        with BackendExecutor(self._service.details["deployments"]["sound"]) as client:
            return {runtime.language for runtime in client.runtimes()}

    def close(self) -> None:
        """End all."""
        for deployment in self._known.values():
            deployment.close()
        if self._service is not None:
            self._service.stop()
            self._service = None
        self._known.clear()


def _python(source: str) -> ExecutionRequest:
    return ExecutionRequest("python", (SourceFile(source.encode()),))


def _simple_request() -> ExecutionRequest:
    return _python(f"print('{new_nonce()}')")


def _outcome(client: Client, request: ExecutionRequest) -> Outcome:
    try:
        return client.execute(request)
    except ExecutionError as error:
        return error


def _error_of(outcome: Outcome) -> ExecutionError | None:
    return platform_error_in(outcome) if isinstance(outcome, ExecutionResult) else outcome


def _worked(outcome: Outcome) -> bool:
    return _error_of(outcome) is None
