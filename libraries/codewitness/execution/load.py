"""Many executions through one client: each attempt says how it went, none is hidden or repeated.

The requests are those of :class:`codewitness.execution.backend.BackendExecutor`. When they start
is somebody else's business; this is what one of them does.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from codewitness.execution.answers import read_result
from codewitness.execution.backend import encode_body
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.endpoint import Endpoint, parse_endpoint
from codewitness.execution.http_client import HttpAnswer, HttpCall, HttpClient
from codewitness.execution.http_executor import SENDING
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
    SourceFile,
    Stage,
)
from codewitness.execution.piston import request_to_json
from codewitness.execution.redaction import redact

T = TypeVar("T")

OK = "ok"
"""The request got its own, right answer."""

REFUSED = "refused"
"""The service said that it has no capacity now: HTTP 429 or 503."""

TIMED_OUT = "timed out"
"""No whole answer within the deadline, or the service said that its own was over."""

CUT = "connection cut"
"""The connection was refused, or broken off before the whole answer was there."""

WRONG = "wrong answer"
"""The answer is well formed, and not what this request's program prints."""

FAILED = "failed"
"""Anything else: an error of the server, no answer of this API, a program that failed."""

SWAPPED = "another request's answer"
"""Error of a wrong answer that holds the token of another request."""

_OUTCOMES = {
    FaultKind.CAPACITY: REFUSED,
    FaultKind.TIMEOUT: TIMED_OUT,
    FaultKind.CONNECTION_CUT: CUT,
    FaultKind.NOTHING_LISTENING: CUT,
}
_TOKEN = re.compile(rb"token-[0-9a-f]{8}-[0-9]+")
_LONGEST_DETAIL = 300
_TOKEN_WITHIN = 30.0
_ECHO = b"print(input())"
_TIMED = """\
import time
start = time.time()
print(input())
time.sleep({seconds})
print("ran", repr(start), repr(time.time()))
"""
_RAN = re.compile(rb"\s*ran ([0-9.]+) ([0-9.]+)$")


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A request with what its program must print.

    Attributes:
        request: What to execute.
        expected: What stdout must hold, less trailing white space. After it the program may
            print a line ``ran <start> <end>`` with its own times in seconds since the epoch.
        path: Route relative to the API's root; a session pool's has an identifier.
        headers: Headers beside those of every request, such as one that names the user.
        check: Judges the result in place of ``expected``: returns the name of what is wrong and
            what was observed, both empty when nothing is.
    """

    request: ExecutionRequest
    expected: bytes
    path: str = "execute"
    headers: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[ExecutionResult], tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """How one attempt went.

    Attributes:
        outcome: :data:`OK`, :data:`REFUSED`, :data:`TIMED_OUT`, :data:`CUT`, :data:`WRONG` or
            :data:`FAILED`.
        error: Name of the failure, such as ``HTTP 429`` or ``no answer in time``; empty when
            there was none.
        detail: What was observed of the failure, free of secrets.
        status: HTTP status, when an answer arrived.
        session: Session that the answer names.
        session_new: Whether that session was allocated for this request, where it is said.
        connection_reused: Whether the connection had served earlier requests, where known.
        ran_from: When the program started by its own clock, in seconds since the epoch, where
            it said so.
        ran_until: When it ended.
    """

    outcome: str
    error: str = ""
    detail: str = ""
    status: int | None = None
    session: str | None = None
    session_new: bool | None = None
    connection_reused: bool | None = None
    ran_from: float | None = None
    ran_until: float | None = None


LoadRequests = Callable[[int], LoadRequest]
"""Makes the request with a number; called when the request is due."""


class LoadClient:
    """Sends the requests of a load to one endpoint; a context manager that closes it.

    Connections are kept and shared as a browser's or a backend's are, as many as requests are
    under way. Nothing is sent twice: no status and no failed connection is tried again.

    Args:
        endpoint: Base URL, URL with a path prefix, or full URL of the execute route.
        credentials: What the service wants to see; nothing by default.
        verify: Whether the server's certificate is checked.
        ca_bundle: See :class:`codewitness.execution.http_client.HttpClient`.

    Raises:
        ValueError: The endpoint, the CA bundle or the proxy can't be used.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        credentials: BackendCredentials | None = None,
        verify: bool = True,
        ca_bundle: str | None = None,
    ) -> None:
        self._endpoint = parse_endpoint(endpoint)
        self._client = HttpClient(
            self._endpoint,
            credentials=credentials,
            verify=verify,
            ca_bundle=ca_bundle,
            traced=False,
        )

    def sender(
        self, requests: LoadRequests, deadline: float
    ) -> Callable[[int], Awaitable[LoadAnswer]]:
        """Return the attempt to give to what drives a load.

        Args:
            requests: Makes the requests.
            deadline: Seconds that each may take in all, from when it is sent.
        """

        async def attempt(number: int) -> LoadAnswer:
            return await self._send(requests(number), deadline)

        return attempt

    async def execute(self, wanted: LoadRequest, deadline: float) -> ExecutionResult:
        """Run one program outside of any load, whatever it prints.

        Args:
            wanted: The request; what is expected of it plays no part.
            deadline: Seconds that it may take in all.

        Raises:
            RequestRefused: The service refused the request.
            PlatformFault: There was no answer of an execute API.
        """
        return self._read(await self._exchange(wanted, deadline))

    def run(self, load: Coroutine[Any, Any, T], patience: float) -> T:
        """Drive a load in the event loop of this client and return what it returns.

        A token that requests need is fetched before, so that none of them waits for it.

        Args:
            load: Coroutine that awaits attempts of :meth:`sender`.
            patience: Seconds within which it ends by itself.

        Raises:
            PlatformFault: There is no token.
            RuntimeError: The client is closed, or was closed meanwhile.
        """
        try:
            self._client.authenticate(_TOKEN_WITHIN)
        except BaseException:
            load.close()
            raise
        return self._client.run(load, patience)

    def close(self) -> None:
        """Break off a load under way and close all connections."""
        self._client.close()

    def __enter__(self) -> LoadClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def _send(self, wanted: LoadRequest, deadline: float) -> LoadAnswer:
        try:
            answer = await self._exchange(wanted, deadline)
        except PlatformFault as fault:
            return failed_answer(fault)
        return judge_answer(answer, wanted, self._client.credentials)

    async def _exchange(self, wanted: LoadRequest, deadline: float) -> HttpAnswer:
        return await self._client.exchange(call_of(wanted, self._endpoint), deadline)

    def _read(self, answer: HttpAnswer) -> ExecutionResult:
        return read_result(answer, executor="backend", credentials=self._client.credentials)


def call_of(wanted: LoadRequest, endpoint: Endpoint) -> HttpCall:
    """Return what is sent for a request, to be sent once."""
    return HttpCall(
        "POST",
        endpoint.url(wanted.path),
        encode_body(request_to_json(wanted.request)),
        {**SENDING, **wanted.headers},
        reconnect=False,
    )


def judge_answer(answer: HttpAnswer, wanted: LoadRequest, credentials: str = "none") -> LoadAnswer:
    """Return how an attempt went that was answered.

    Args:
        answer: The answer, whatever its status.
        wanted: The request.
        credentials: Which credentials were sent, without their values.
    """
    reused = answer.connection_reused
    try:
        result = read_result(answer, executor="backend", credentials=credentials)
    except ExecutionError as error:
        return failed_answer(error, reused)
    return _judge(result, wanted, reused)


def echo_requests(seconds: float = 0.0) -> LoadRequests:
    """Return requests whose Python program prints the token that it reads, a new one each.

    Args:
        seconds: How long each program takes; those of more than 0 also print when they ran.
    """
    return token_requests(_TIMED.format(seconds=seconds).encode() if seconds else _ECHO)


def token_requests(program: bytes) -> LoadRequests:
    """Return requests that each give a token of their own to the same Python program.

    Args:
        program: Prints the line that it reads, and nothing but that and when it ran.
    """
    # The name of the load, so that tokens of two loads at one service differ.
    load = secrets.token_hex(4)

    def make(number: int) -> LoadRequest:
        token = f"token-{load}-{number}".encode()
        files = (SourceFile(program),)
        return LoadRequest(ExecutionRequest("python", files, stdin=token + b"\n"), token)

    return make


def _judge(result: ExecutionResult, wanted: LoadRequest, reused: bool | None) -> LoadAnswer:
    run = result.run
    stdout = run.stdout.rstrip()
    ran = _RAN.search(stdout)
    if ran is not None:
        stdout = stdout[: ran.start()]
    outcome, error, detail = OK, "", ""
    if wanted.check is not None:
        error, detail = wanted.check(result)
        outcome = WRONG if error else OK
    elif stdout != wanted.expected or not run.exited(0):
        outcome, error, detail = _explain(run, stdout, wanted.expected)
    return LoadAnswer(
        outcome,
        error,
        detail,
        status=200,
        session=result.provenance.session,
        session_new=result.provenance.session_new,
        connection_reused=reused,
        ran_from=None if ran is None else float(ran[1]),
        ran_until=None if ran is None else float(ran[2]),
    )


def _explain(run: Stage, stdout: bytes, expected: bytes) -> tuple[str, str, str]:
    """Return outcome, error and detail of a result that is not the expected one."""
    detail = f"stdout {_show(stdout[:_LONGEST_DETAIL])!r} instead of {_show(expected)!r}"
    if not set(_TOKEN.findall(stdout)) <= set(_TOKEN.findall(expected)):
        return WRONG, SWAPPED, detail
    if not run.exited(0):
        return FAILED, f"program: {run.ending}", _show(run.stderr[-_LONGEST_DETAIL:])
    return WRONG, "wrong stdout", detail


def _show(output: bytes) -> str:
    return redact(output.decode("utf-8", "replace"))


def failed_answer(error: ExecutionError, reused: bool | None = None) -> LoadAnswer:
    """Return how an attempt went that came to no result.

    Args:
        error: What came of it.
        reused: Whether its connection had served earlier requests, where known.
    """
    outcome, name, status = FAILED, type(error).__name__, None
    if isinstance(error, RequestRefused):
        status = error.status
    elif isinstance(error, PlatformFault):
        status = error.status
        outcome, name = _OUTCOMES.get(error.kind, FAILED), error.kind.value
    if status not in (None, 200):
        name = f"HTTP {status}"
    detail = str(error)[:_LONGEST_DETAIL]
    return LoadAnswer(outcome, name, detail, status, connection_reused=reused)
