"""A session pool of a test's own, seen from both sides: as its caller and as its operator.

The caller has what Azure's contract gives: calls with an identifier, management, a token from
azure-identity. The operator has the control port: time moves, and what the pool holds is seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from codewitness.embedded.service import RunningService, start_service, without_secrets
from codewitness.execution.answers import error_in, read_result
from codewitness.execution.backend import encode_body
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.endpoint import parse_endpoint
from codewitness.execution.http_client import HttpAnswer, HttpCall, HttpClient
from codewitness.execution.model import ExecutionError, ExecutionRequest, SourceFile
from codewitness.execution.piston import request_to_json
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.client import API_VERSION, SessionPoolExecutor
from codewitness.session_pool.contract import Kind
from codewitness.session_pool.credentials import SCOPE, client_environment

CALL_WITHIN = 20.0
"""Seconds that one call of a private pool may take."""

_JSON = {"Accept": "application/json", "Content-Type": "application/json"}
_LOOK_AGAIN_AFTER = 0.02


@dataclass(frozen=True)
class PoolState:
    """What a pool holds, as its control port tells.

    Attributes:
        ready: Instances that wait for an identifier.
        starting: Instances that will be ready.
        instances: Number of the instance that serves an identifier, by identifier.
    """

    ready: int
    starting: int
    instances: Mapping[str, int]


@dataclass(frozen=True)
class SessionCall:
    """One call of a session.

    Attributes:
        identifier: Whose session was called.
        answer: What came, whatever its status.
        before: What the pool held before.
        after: What it held afterwards.
    """

    identifier: str
    answer: HttpAnswer
    before: PoolState
    after: PoolState

    @property
    def instance(self) -> int | None:
        """Number of the instance that serves the identifier now; ``None`` if none does."""
        return self.after.instances.get(self.identifier)

    @property
    def instance_before(self) -> int | None:
        """Number of the instance that served it before the call."""
        return self.before.instances.get(self.identifier)


class PrivatePool:
    """A session pool in a process of its own, which ends with its owner.

    Args:
        options: Command line after ``session-pool --port 0``.
        kind: Containers with a Piston server, or the built-in Python interpreter.
        environment: Variables that the pool's process has besides those of this one.

    Raises:
        ServiceNotStarted: It did not become ready.
    """

    def __init__(
        self,
        options: Sequence[str] = (),
        *,
        kind: Kind = "custom-container",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        arguments = ["session-pool", "--port", "0", "--kind", kind, *options]
        # Credentials for other services are none of its business.
        own = client_environment({}, without_secrets())
        self._service: RunningService = start_service(
            arguments, environment={**own, **(environment or {})}
        )
        told = self._service.details
        self.url = self._service.url
        self.client = SessionPoolExecutor(
            self.url,
            credentials=BackendCredentials(
                scope=SCOPE, token_source=token_source_of(told["environment"])
            ),
            deadline=CALL_WITHIN,
        )
        self._control = HttpClient(parse_endpoint(told["control_url"]))
        self._control_endpoint = parse_endpoint(told["control_url"])

    @property
    def name(self) -> str:
        """What it is and where, for people."""
        return f"private session pool ({self.kind}) at {self.url}"

    @property
    def addresses(self) -> list[str]:
        """Host and port, with a space between, of everything that listens for this pool."""
        told = self._service.details
        urls = [self.url, told["control_url"], told["environment"]["IDENTITY_ENDPOINT"]]
        return [f"{urlsplit(url).hostname} {urlsplit(url).port}" for url in urls]

    def call(self, identifier: str, code: str, stdin: str = "") -> SessionCall:
        """Run a Python program in the session of an identifier.

        Raises:
            PlatformFault: There was no complete answer.
        """
        before = self.state()
        answer = self._send(identifier, code, stdin)
        return SessionCall(identifier, answer, before, self.state())

    def call_together(self, programs: Mapping[str, str]) -> list[SessionCall]:
        """Run one Python program for each identifier, all at once.

        Raises:
            PlatformFault: There was no complete answer to one of them.
        """
        before = self.state()
        with ThreadPoolExecutor(max(1, len(programs)), "session") as threads:
            answers = list(threads.map(self._send, programs, programs.values()))
        after = self.state()
        return [
            SessionCall(identifier, answer, before, after)
            for identifier, answer in zip(programs, answers, strict=True)
        ]

    def stop_session(self, identifier: str) -> HttpAnswer:
        """Ask the pool to end a session and return the answer, whatever it is."""
        if self.kind == "python":
            return self._operate("DELETE", "session", identifier)
        query = urlencode({"api-version": API_VERSION, "identifier": identifier})
        return self.client.exchange("POST", f"/.management/stopSession?{query}", body=b"")

    def move_clock(self, seconds: float) -> PoolState:
        """Let time pass for the pool alone; what ends by it has ended afterwards."""
        return _read_state(self._order("clock", {"move": seconds}))

    def end_container(self, identifier: str) -> PoolState:
        """Have the container of a session exit."""
        return _read_state(self._order("exit", {"identifier": identifier}))

    def state(self) -> PoolState:
        """Return what the pool holds now."""
        return _read_state(self._ask(HttpCall("GET", self._control_endpoint.url("/state"))))

    def wait_for(self, holds: Callable[[PoolState], bool], within: float) -> PoolState:
        """Return the state as soon as something holds, or the last one after ``within`` seconds."""
        deadline = time.monotonic() + within
        while not holds(state := self.state()) and time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN_AFTER)
        return state

    def close(self) -> None:
        """End the pool with everything that runs in it."""
        # The sessions end with their pool.
        self._control.close()
        self.client.close()
        self._service.stop()

    def _send(self, identifier: str, code: str, stdin: str = "") -> HttpAnswer:
        if self.kind == "python":
            body = {"codeInputType": "Inline", "executionType": "Synchronous", "code": code}
            return self._operate("POST", "executions", identifier, json.dumps(body).encode())
        files = (SourceFile(code.encode()),)
        request = ExecutionRequest("python", files, stdin=stdin.encode())
        return self.client.exchange(
            "POST",
            f"execute?identifier={quote(identifier, safe='')}",
            body=encode_body(request_to_json(request)),
            headers=_JSON,
        )

    def _operate(
        self, method: str, operation: str, identifier: str, body: bytes | None = None
    ) -> HttpAnswer:
        query = urlencode({"api-version": API_VERSION, "identifier": identifier})
        path = f"{urlsplit(self.url).path}/{operation}?{query}"
        return self.client.exchange(method, path, body=body, headers=_JSON if body else {})

    def _order(self, what: str, body: Mapping[str, Any]) -> HttpAnswer:
        url = self._control_endpoint.url(f"/{what}")
        return self._ask(HttpCall("POST", url, json.dumps(body).encode(), _JSON))

    def _ask(self, call: HttpCall) -> HttpAnswer:
        answer = self._control.send(call, CALL_WITHIN)
        error = error_in(answer)
        if error is not None:
            raise error
        return answer


def output_of(answer: HttpAnswer, kind: Kind) -> str:
    """Return what a program wrote to stdout, followed by its stderr if it failed.

    Raises:
        ExecutionError: The answer is not a program's result.
    """
    if kind == "custom-container":
        run = read_result(answer, executor="session pool", credentials="a token").run
        failed = run.stderr if run.code else b""
        return (run.stdout + failed).decode("utf-8", "replace")
    error: ExecutionError | None = error_in(answer)
    if error is not None:
        raise error
    result = json.loads(answer.body)["result"]
    return f"{result['stdout']}{result['stderr']}"


def _read_state(answer: HttpAnswer) -> PoolState:
    told = json.loads(answer.body)
    return PoolState(
        ready=told["instances"]["ready"],
        starting=told["instances"]["starting"],
        instances={it["identifier"]: it["instance"] for it in told["sessions"]},
    )
