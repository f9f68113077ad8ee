"""What executors have in common that reach a Piston v2 API over HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import TypeVar

from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.endpoint import parse_endpoint
from codewitness.execution.http_client import HttpAnswer, HttpClient

ASKING = {"Accept": "application/json", "User-Agent": "codewitness"}
"""Headers of a request without a body."""

SENDING = {**ASKING, "Content-Type": "application/json"}
"""Headers of a request with one."""

_Self = TypeVar("_Self", bound="HttpExecutor")


class HttpExecutor(ABC):
    """Holds the connections to one endpoint; a context manager that closes them.

    Args:
        endpoint: Base URL, URL with a path prefix, or full URL of the execute route.
        credentials: What the service wants to see; nothing by default.
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
        credentials: BackendCredentials | None,
        deadline: float,
        verify: bool,
        ca_bundle: str | None,
    ) -> None:
        self._endpoint = parse_endpoint(endpoint)
        self._deadline = deadline
        self._new_client = partial(
            HttpClient, self._endpoint, credentials=credentials, verify=verify, ca_bundle=ca_bundle
        )
        self._client = self._new_client()

    @property
    def base_url(self) -> str:
        """Root of the API, with a final slash."""
        return self._endpoint.base_url

    @property
    def curl_options(self) -> tuple[str, ...]:
        """Options, quoted for a POSIX shell, that let curl reach the service as this does."""
        return self._client.curl_options

    @abstractmethod
    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> HttpAnswer:
        """Send a request as it is given and return the answer, whatever its status.

        Nothing is added but what the class says, Host, Content-Length and the credentials,
        which a header given here replaces. Redirects are not followed, and no status is
        retried.

        Args:
            method: HTTP method.
            path: Relative to the API's root, or from the root of the host with a slash first.
            body: Bytes of the body, or ``None`` for none.
            headers: Headers; without Content-Type none is sent.
            deadline: Seconds for this call, if not those of the executor.

        Raises:
            PlatformFault: There was no complete answer.
        """

    def close(self) -> None:
        """Close all connections; calls in flight are given up."""
        self._client.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
