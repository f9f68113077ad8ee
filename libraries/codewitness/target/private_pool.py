"""A session pool of a test's own, seen from both sides: as its caller and as its operator.

The caller has what Azure's contract gives: calls with an identifier, management, a token from
azure-identity. The operator has the control port: time moves, and what the pool holds is seen.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from codewitness.embedded.identity import IdentityConfig
from codewitness.embedded.service import RunningService, start_service, without_secrets
from codewitness.execution.answers import error_in, read_result
from codewitness.execution.backend import BackendExecutor, encode_body
from codewitness.execution.causes import fault
from codewitness.execution.credentials import AccessToken, BackendCredentials
from codewitness.execution.endpoint import parse_endpoint
from codewitness.execution.http_client import HttpAnswer, HttpCall, HttpClient
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    Provenance,
    SourceFile,
    Stage,
)
from codewitness.execution.piston import request_to_json
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.client import API_VERSION, SessionPoolExecutor
from codewitness.session_pool.contract import GENERATION_A, Kind
from codewitness.session_pool.credentials import SCOPE, client_environment

CALL_WITHIN = 20.0
"""Seconds that one call of a private pool may take."""

_CALLERS = 16
_LOOK_AGAIN_AFTER = 0.02
_GO_ON = b"HTTP/1.1 100"

_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


@dataclass(frozen=True)
class PoolState:
    """What a pool holds, as its control port tells.

    Attributes:
        ready: Instances that wait for an identifier.
        starting: Instances that will be ready.
        instances: Number of the instance that serves an identifier, by identifier.
        active: Identifiers whose sessions serve a request.
        containers: URL of the container that serves an identifier, by identifier; an interpreter
            has none.
        received: Names, in lower case, of all headers that this container was sent.
    """

    ready: int
    starting: int
    instances: Mapping[str, int]
    active: frozenset[str]
    containers: Mapping[str, str]
    received: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class FetchedToken:
    """A token that the caller got, without the token itself.

    Attributes:
        fetched: When, in seconds since the epoch.
        expires: When it expires.
    """

    fetched: float
    expires: float

    def age(self, part: float) -> float:
        """Return the moment at which this part of the token's life is over."""
        return self.fetched + part * (self.expires - self.fetched)


@dataclass(frozen=True)
class SessionCall:
    """One call of a session.

    Attributes:
        identifier: Whose session was called.
        request: What was to be executed.
        answer: What came, whatever its status.
        before: What the pool held before.
        after: What it held afterwards.
    """

    identifier: str
    request: ExecutionRequest
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


@dataclass(frozen=True)
class ToldSession:
    """What one operation of management says of a session.

    Attributes:
        operation: Name of the operation.
        session: The session's part of the answer, as it came; empty where there is none.
        answer: The whole answer.
    """

    operation: str
    session: Mapping[str, Any]
    answer: HttpAnswer


class PrivatePool:
    """A session pool in a process of its own, which ends with its owner.

    Args:
        options: Command line after ``session-pool --port 0``.
        kind: Containers with a Piston server, or the built-in Python interpreter.
        environment: Variables that the pool's process has besides those of this one.

    Attributes:
        kind: As given.
        url: Base URL.
        client: Calls the pool as any caller does.
        tokens: Tokens that this caller got, in order.

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
        # Nobody learns anything from waiting, unless the options ask for it.
        quick = ("--allocation-time", "0")
        arguments = ["session-pool", "--port", "0", "--kind", kind, *quick, *options]
        # Credentials for other services are none of its business.
        own = client_environment({}, without_secrets())
        self._service: RunningService = start_service(
            arguments, environment={**own, **(environment or {})}
        )
        told = self._service.details
        self.url = self._service.url
        self._callers = ThreadPoolExecutor(_CALLERS, "session")
        self._control = HttpClient(parse_endpoint(told["control_url"]))
        self._control_endpoint = parse_endpoint(told["control_url"])
        self._begin_caller(0)

    def _begin_caller(self, earlier_requests: int) -> None:
        self.tokens: list[FetchedToken] = []
        self._earlier_requests = earlier_requests
        self._fetch_token = token_source_of(self._service.details["environment"])
        self._credentials = BackendCredentials(scope=SCOPE, token_source=self._fetch)
        self.client = SessionPoolExecutor(
            self.url, credentials=self._credentials, deadline=CALL_WITHIN
        )

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

    def call(
        self, identifier: str, code: str, stdin: str = "", time_limit: int | None = None
    ) -> SessionCall:
        """Run a Python program in the session of an identifier.

        Args:
            identifier: Whose session it is.
            code: Source of the program.
            stdin: What the program can read; an interpreter gives it nothing.
            time_limit: Seconds that an interpreter shall let it run; its own limit if ``None``.

        Raises:
            PlatformFault: There was no complete answer.
        """
        return self.begin_call(identifier, code, stdin, time_limit).result()

    def begin_call(
        self, identifier: str, code: str, stdin: str = "", time_limit: int | None = None
    ) -> Future[SessionCall]:
        """Run a Python program without waiting for its end; arguments and errors as above."""
        request = _request(code, stdin)
        before = self.state()

        def call() -> SessionCall:
            answer = self._send(identifier, request, time_limit)
            return SessionCall(identifier, request, answer, before, self.state())

        return self._callers.submit(call)

    def call_together(self, programs: Mapping[str, str]) -> list[SessionCall]:
        """Run one Python program for each identifier, all at once.

        Raises:
            PlatformFault: There was no complete answer to one of them.
        """
        requests = {identifier: _request(code) for identifier, code in programs.items()}
        before = self.state()
        answers = list(self._callers.map(self._send, requests, requests.values()))
        after = self.state()
        return [
            SessionCall(identifier, request, answer, before, after)
            for (identifier, request), answer in zip(requests.items(), answers, strict=True)
        ]

    def stop_session(self, identifier: str) -> HttpAnswer:
        """Ask the pool to end a session and return the answer, whatever it is."""
        if self.kind == "python":
            return self.operate("DELETE", "session", identifier)
        return self._manage("stopSession", identifier)

    def try_without_token(self, identifier: str) -> dict[str, HttpAnswer]:
        """Use a session in every way that callers may, without a token, and return the answers.

        Raises:
            PlatformFault: There was no complete answer.
        """
        query = urlencode({"identifier": identifier, "api-version": API_VERSION})
        program = encode_body(request_to_json(_request("print(1)")))
        calls = {"execute": (f"execute?identifier={quote(identifier, safe='')}", program)}
        for operation in ("getSession", "listSessions", "stopSession"):
            calls[operation] = f"/.management/{operation}?{query}", b""
        with BackendExecutor(self.url, deadline=CALL_WITHIN) as nobody:
            return {
                operation: nobody.exchange("POST", path, body=body, headers=_JSON)
                for operation, (path, body) in calls.items()
            }

    def describe_session(self, identifier: str) -> list[ToldSession]:
        """Return what the description of one session and the list of all say of it, as they came.

        Raises:
            PlatformFault: There was no complete answer.
        """
        if self.kind == "python":
            one = self.operate("GET", "session", identifier)
            every = self.operate("GET", "listSessions", identifier)
        else:
            one = self._manage("getSession", identifier)
            every = self._manage("listSessions", identifier)
        told = _read_object(every)
        listed = {it.get("identifier"): it for it in told.get("value", told.get("sessions", []))}
        return [
            ToldSession("the description of one session", _read_object(one), one),
            ToldSession("the list of sessions", listed.get(identifier, {}), every),
        ]

    def move_clock(self, seconds: float) -> PoolState:
        """Let time pass for the pool alone; what ends by it has ended afterwards."""
        return _read_state(self._order("clock", {"move": seconds}))

    def end_container(self, identifier: str) -> PoolState:
        """Have the container of a session exit."""
        return _read_state(self._order("exit", {"identifier": identifier}))

    def state(self) -> PoolState:
        """Return what the pool holds now."""
        return _read_state(self._ask(HttpCall("GET", self._control_endpoint.url("/state"))))

    def wait_until_ready(self, count: int, within: float) -> PoolState:
        """Return the state once so many instances are ready, or the last one when time is up."""
        return _read_state(self._order("wait", {"ready": count, "within": within}))

    def wait_until_active(self, identifier: str, within: float) -> PoolState:
        """Return the state once a session serves a request, or the last one when time is up."""
        return _read_state(self._order("wait", {"active": identifier, "within": within}))

    def begin_caller(self, token_lifetime: float = IdentityConfig.lifetime) -> None:
        """Call the pool from here on as somebody new, who has no token yet.

        Args:
            token_lifetime: Seconds that the tokens live which the identity service gives from
                now on.
        """
        self.client.close()
        self._order("identity", {"lifetime": token_lifetime})
        self._begin_caller(self._count_token_requests())

    def count_token_requests(self) -> int:
        """Return how often the identity service was asked since this caller began."""
        return self._count_token_requests() - self._earlier_requests

    def _count_token_requests(self) -> int:
        answer = self._ask(HttpCall("GET", self._control_endpoint.url("/identity")))
        return len(json.loads(answer.body))

    def close(self) -> None:
        """End the pool with everything that runs in it."""
        # The sessions end with their pool, and calls that are still waited for with them.
        self._service.stop()
        self._callers.shutdown(cancel_futures=True)
        self._control.close()
        self.client.close()

    def operate(
        self,
        method: str,
        operation: str,
        identifier: str,
        body: bytes | None = None,
        *,
        version: str = API_VERSION,
        content_type: str = "application/json",
    ) -> HttpAnswer:
        """Call an operation of a built-in pool and return the answer, whatever it is.

        Args:
            method: HTTP method.
            operation: Path below the pool's, percent-encoded, such as ``files/a%20b/content``;
                it may have a query.
            identifier: Whose session it is about.
            body: Body of the request, or ``None`` for none.
            version: API version of the operation.
            content_type: Media type of the body.

        Raises:
            PlatformFault: There was no complete answer.
        """
        headers = {"Content-Type": content_type} if body is not None else {}
        path = self._operation_path(operation, identifier, version)
        return self.client.exchange(method, path, body=body, headers=headers)

    def execute_wrapped(self, identifier: str, code: str) -> HttpAnswer:
        """Run a Python program in a built-in pool by the operation of generation A.

        Args:
            identifier: Whose session it is.
            code: Source of the program.

        Raises:
            PlatformFault: There was no complete answer.
        """
        kinds = {"codeInputType": "inline", "executionType": "synchronous"}
        body = json.dumps({"properties": {**kinds, "code": code}}).encode()
        return self.operate("POST", "code/execute", identifier, body, version=GENERATION_A[0])

    def announce(
        self, operation: str, identifier: str, length: int, *, version: str, content_type: str
    ) -> HttpAnswer:
        """Announce a POST with a body of some length, and return the answer before it is sent.

        The request says ``Expect: 100-continue``, so the pool may refuse it before the body.
        Status 100 says that it wants the body.

        Raises:
            PlatformFault: There was no answer.
        """
        address = urlsplit(self.url)
        path = self._operation_path(operation, identifier, version)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=CALL_WITHIN
        )
        call = HttpCall("POST", f"{address.scheme}://{address.netloc}{path}")
        started = time.perf_counter()
        try:
            connection.putrequest("POST", path)
            for name, value in {
                **self._credentials.fetch_headers(),
                "Content-Type": content_type,
                "Content-Length": str(length),
                "Expect": "100-continue",
            }.items():
                connection.putheader(name, value)
            connection.endheaders()
            # http.client would skip this answer and wait for the one to the body.
            if connection.sock.recv(len(_GO_ON), socket.MSG_PEEK) == _GO_ON:
                return HttpAnswer(100, "Continue", {}, b"", time.perf_counter() - started, call)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            elapsed = time.perf_counter() - started
            detail = f"no answer to the announcement of {length} bytes: {error}"
            raise fault(FaultKind.TIMEOUT, detail, elapsed=elapsed) from error
        finally:
            connection.close()
        elapsed = time.perf_counter() - started
        headers = cast("Mapping[str, str]", answer.headers)
        return HttpAnswer(answer.status, answer.reason, headers, body, elapsed, call)

    def _manage(self, operation: str, identifier: str) -> HttpAnswer:
        query = urlencode({"api-version": API_VERSION, "identifier": identifier})
        return self.client.exchange("POST", f"/.management/{operation}?{query}", body=b"")

    def _operation_path(self, operation: str, identifier: str, version: str) -> str:
        query = urlencode({"api-version": version, "identifier": identifier})
        joint = "&" if "?" in operation else "?"
        return f"{urlsplit(self.url).path}/{operation}{joint}{query}"

    def _send(
        self, identifier: str, request: ExecutionRequest, time_limit: int | None = None
    ) -> HttpAnswer:
        if self.kind == "python":
            code = request.files[0].content.decode()
            body: dict[str, Any] = {"code": code, "codeInputType": "Inline"}
            body["executionType"] = "Synchronous"
            if time_limit is not None:
                body["timeoutInSeconds"] = time_limit
            return self.operate("POST", "executions", identifier, json.dumps(body).encode())
        return self.client.exchange(
            "POST",
            f"execute?identifier={quote(identifier, safe='')}",
            body=encode_body(request_to_json(request)),
            headers=_JSON,
        )

    def _fetch(self, scope: str) -> AccessToken:
        token = self._fetch_token(scope)
        self.tokens.append(FetchedToken(time.time(), token.expires_on))
        return token

    def _order(self, what: str, body: Mapping[str, Any]) -> HttpAnswer:
        url = self._control_endpoint.url(f"/{what}")
        return self._ask(HttpCall("POST", url, json.dumps(body).encode(), _JSON))

    def _ask(self, call: HttpCall) -> HttpAnswer:
        answer = self._control.send(call, CALL_WITHIN)
        error = error_in(answer)
        if error is not None:
            raise error
        return answer


def wait_until_deaf(url: str, within: float) -> bool:
    """Tell whether nothing listens at an address of this machine, at the latest after some time.

    Args:
        url: Where something listened.
        within: Seconds to wait.
    """
    address = urlsplit(url)
    deadline = time.monotonic() + within
    while True:
        try:
            socket.create_connection((address.hostname, address.port or 0), CALL_WITHIN).close()
        except OSError:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_AGAIN_AFTER)


def result_of(answer: HttpAnswer, kind: Kind) -> ExecutionResult:
    """Return what an answer says about a program.

    An interpreter has no exit codes; 1 stands for a call that failed.

    Raises:
        ExecutionError: The answer is not a program's result.
    """
    if kind == "custom-container":
        return read_result(answer, executor="session pool", credentials="a token")
    error: ExecutionError | None = error_in(answer)
    if error is not None:
        raise error
    told = json.loads(answer.body)
    code = {"Succeeded": 0, "Failed": 1}.get(told["status"])
    if code is None:
        detail = f"the execution is {told['status']}, neither Succeeded nor Failed"
        raise fault(FaultKind.BAD_ANSWER, detail, status=answer.status, body=answer.text[:2000])
    stdout, stderr = (told["result"][name].encode() for name in ("stdout", "stderr"))
    run = Stage(stdout, stderr, code=code)
    return ExecutionResult("python", "3", run, provenance=Provenance("session pool"))


def properties_of(answer: HttpAnswer) -> Mapping[str, Any]:
    """Return the ``properties`` of an answer of generation A; empty where there are none.

    Raises:
        ExecutionError: The answer is an error.
    """
    told = _read_object(answer).get("properties")
    return told if isinstance(told, Mapping) else {}


def output_of(answer: HttpAnswer, kind: Kind) -> str:
    """Return what a program wrote to stdout, followed by its stderr if it failed.

    Raises:
        ExecutionError: The answer is not a program's result.
    """
    run = result_of(answer, kind).run
    return (run.stdout + (run.stderr if run.code else b"")).decode("utf-8", "replace")


def _request(code: str, stdin: str = "") -> ExecutionRequest:
    return ExecutionRequest("python", (SourceFile(code.encode()),), stdin=stdin.encode())


def _read_object(answer: HttpAnswer) -> Mapping[str, Any]:
    error = error_in(answer)
    if error is not None:
        raise error
    told = json.loads(answer.body)
    return told if isinstance(told, Mapping) else {}


def _read_state(answer: HttpAnswer) -> PoolState:
    told = json.loads(answer.body)
    return PoolState(
        ready=told["instances"]["ready"],
        starting=told["instances"]["starting"],
        instances={it["identifier"]: it["instance"] for it in told["sessions"]},
        active=frozenset(it["identifier"] for it in told["sessions"] if it["state"] == "active"),
        containers={
            it["identifier"]: it["container"] for it in told["sessions"] if it["container"]
        },
        received={it["identifier"]: frozenset(it["received"]) for it in told["sessions"]},
    )
