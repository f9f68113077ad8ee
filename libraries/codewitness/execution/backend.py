"""Executing through ``POST /api/v2/execute`` of a backend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from codewitness.execution.answers import read_result, read_runtimes
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.http_client import HttpAnswer, HttpCall
from codewitness.execution.http_executor import ASKING, SENDING, HttpExecutor
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    PlatformFault,
    RequestRefused,
    Runtime,
)
from codewitness.execution.piston import request_to_json


class BackendExecutor(HttpExecutor):
    """Executes through a backend that speaks the Piston v2 API.

    Connections are kept alive between requests for 1.5 s, which is less than what servers
    usually grant. Requests in turn go over one connection, so that a service which tells its
    callers apart by connections sees one caller; those at once have connections of their own.
    A request is repeated, at most twice, only when it surely never ran: its connection could not
    be established, or the answer was 429 or 503 with a Retry-After that ends before the
    deadline. Every repetition is listed in ``retries`` of the result or fault.

    Statuses 400, 406, 409, 411, 413, 414, 415, 422 and 431 refuse the request
    (:class:`RequestRefused`), unless an HTML page shows that something else answered. Every
    other status but 200 is a :class:`PlatformFault`.

    Args:
        endpoint: Base URL, URL with a path prefix, or full URL of the execute route.
        credentials: What the backend wants to see; nothing by default.
        deadline: Seconds that one call may take in all.
        verify: Whether the server's certificate is checked.
        ca_bundle: PEM file with the certificate authorities to trust instead of the system's;
            see :class:`codewitness.execution.http_client.HttpClient` for what the environment
            says in its place, and for proxies.

    Raises:
        ValueError: The endpoint, the CA bundle or the proxy can't be used.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        credentials: BackendCredentials | None = None,
        deadline: float = 30.0,
        verify: bool = True,
        ca_bundle: str | None = None,
    ) -> None:
        super().__init__(
            endpoint,
            credentials=credentials,
            deadline=deadline,
            verify=verify,
            ca_bundle=ca_bundle,
        )
        self._name = f"backend {self.base_url}"
        self._for_many = self._new_client()

    @property
    def execute_url(self) -> str:
        """Full URL of the execute route."""
        return self._endpoint.execute_url

    def execute(
        self, request: ExecutionRequest, *, deadline: float | None = None
    ) -> ExecutionResult:
        """Run one program and wait for its end.

        Args:
            request: What to run.
            deadline: Seconds for this call, if not those of the executor.

        Raises:
            RequestRefused: The backend refused the request.
            PlatformFault: There was no answer of an execute API.
        """
        answer = self._client.send(self._execute_call(request), deadline or self._deadline)
        return self._read(answer)

    def execute_many(
        self, requests: Sequence[ExecutionRequest], *, deadline: float | None = None
    ) -> list[ExecutionResult | ExecutionError]:
        """Run programs all at once, each over a connection of its own, and wait for all.

        Args:
            requests: What to run.
            deadline: Seconds for each call, if not those of the executor.

        Returns:
            In the order of the requests, what :meth:`execute` would return or raise.
        """
        prepared = [self._prepare(request) for request in requests]
        calls = [it for it in prepared if isinstance(it, HttpCall)]
        answers = iter(self._for_many.send_all(calls, deadline or self._deadline))
        return [self._outcome(next(answers)) if isinstance(it, HttpCall) else it for it in prepared]

    def runtimes(self) -> Sequence[Runtime]:
        """Return the languages that the backend lists.

        Raises:
            PlatformFault: There was no such list.
        """
        call = HttpCall(
            "GET",
            self._endpoint.url("runtimes"),
            headers=ASKING,
            retry_when_told=True,
        )
        answer = self._client.send(call, self._deadline)
        return read_runtimes(answer, credentials=self._client.credentials)

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> HttpAnswer:
        """Send exactly this request; see :meth:`HttpExecutor.exchange`."""
        call = HttpCall(method, self._endpoint.url(path), body, headers or {})
        return self._client.send(call, deadline or self._deadline)

    def close(self) -> None:
        """Close all connections; calls in flight are given up."""
        super().close()
        self._for_many.close()

    def _execute_call(self, request: ExecutionRequest) -> HttpCall:
        return HttpCall(
            "POST",
            self._endpoint.execute_url,
            encode_body(request_to_json(request)),
            SENDING,
            retry_when_told=True,
        )

    def _prepare(self, request: ExecutionRequest) -> HttpCall | RequestRefused:
        try:
            return self._execute_call(request)
        except RequestRefused as refused:
            return refused

    def _outcome(self, answer: HttpAnswer | PlatformFault) -> ExecutionResult | ExecutionError:
        if isinstance(answer, PlatformFault):
            return answer
        try:
            return self._read(answer)
        except ExecutionError as error:
            return error

    def _read(self, answer: HttpAnswer) -> ExecutionResult:
        return read_result(answer, executor=self._name, credentials=self._client.credentials)


def encode_body(document: object) -> bytes:
    """Return a request's JSON document as the bytes of its body."""
    # Not escaped, as other clients send it and as it is shortest. Lone surrogates have no
    # UTF-8 and can only be escaped.
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":")).encode()
