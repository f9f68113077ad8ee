"""Embedded services that one suite has for itself, to break, stop and start as it likes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from codewitness.embedded.identity import IdentityConfig
from codewitness.embedded.service import (
    RunningService,
    ask_control,
    start_service,
    without_secrets,
)
from codewitness.execution.answers import read_result
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.credentials import AccessToken, BackendCredentials, KeptTokens
from codewitness.execution.model import ExecutionRequest, ExecutionResult
from codewitness.execution.piston import request_to_json
from codewitness.execution.redaction import SECRET_VARIABLES
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.client import PoolSession, SessionPoolExecutor
from codewitness.session_pool.credentials import SCOPE, client_environment, fetch_token

DEADLINE = 20.0
"""Seconds that one call of a private service may take in all."""

_FEDERATED_TOKEN_FILE = "AZURE_FEDERATED_TOKEN_FILE"


class RestartablePool:
    """A session pool that may be stopped and started, and the identity service of its callers.

    What happens within one is for :class:`codewitness.target.private_pool.PrivatePool`.

    Args:
        options: Options of the command ``session-pool``.
        identity: Pool whose identity service gives the tokens, when it is not the pool's own.

    Raises:
        ServiceNotStarted: It did not become ready.
    """

    def __init__(
        self, options: Sequence[str] = (), identity: RestartablePool | None = None
    ) -> None:
        self._options = tuple(options)
        self._identity = identity
        self._secrets: set[str] = set()
        self._changed = False
        self._service = self._start(0)

    @property
    def name(self) -> str:
        """The pool with its address, for people."""
        return f"private session pool at {self.url}"

    @property
    def url(self) -> str:
        """Base URL, which stays the same when the pool is started again."""
        return self._service.url

    @property
    def pid(self) -> int:
        """Process identifier."""
        return self._service.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._service.running

    @property
    def identity(self) -> Mapping[str, str]:
        """Variables that lead a caller's azure-identity to the tokens for this pool."""
        if self._identity is not None:
            return self._identity.identity
        variables: Mapping[str, str] = self._service.details["environment"]
        return variables

    @property
    def secrets(self) -> frozenset[str]:
        """Everything that no report may show: credentials, and tokens issued to this process."""
        return frozenset(self._secrets)

    def stop(self) -> None:
        """End the pool and all its sessions."""
        self._service.stop()

    def start_again(self) -> None:
        """Start the pool anew, empty, at the port that it had; nothing where it still runs."""
        if not self.running:
            self._service = self._start(urlsplit(self.url).port or 0)

    def configure_identity(self, **changes: Any) -> None:
        """Change what the identity service does.

        Args:
            changes: Values by the names of :class:`codewitness.embedded.identity.IdentityConfig`.
        """
        self._changed = True
        self._configure(changes)

    def reset_identity(self) -> None:
        """Take back what was changed."""
        if self._changed:
            self._configure(asdict(IdentityConfig()))
            self._changed = False

    def _configure(self, changes: Mapping[str, Any]) -> None:
        ask_control(f"{self._service.details['control_url']}/identity", changes)

    def fetch_token(self) -> AccessToken:
        """Get a new token for the pool, as a service with its identity does.

        Raises:
            PlatformFault: There is none.
        """
        return fetch_token(tokens=KeptTokens(self._fetch))

    def client(self, scope: str = SCOPE) -> SessionPoolExecutor:
        """Return a client with a credential of its own, which asks for a token for ``scope``."""
        return SessionPoolExecutor(
            self.url,
            run_id=f"private-{os.getpid()}",
            credentials=BackendCredentials(scope=scope, token_source=self._fetch),
            deadline=DEADLINE,
        )

    def execute_without_token(self, request: ExecutionRequest) -> ExecutionResult:
        """Run one program as a caller that has no token.

        Raises:
            ExecutionError: As :meth:`SessionPoolExecutor.execute`.
        """
        with BackendExecutor(self.url, deadline=DEADLINE) as caller:
            return self._execute_in(f"private-{os.getpid()}-nobody", request, caller, "none")

    def execute_in(self, identifier: str, request: ExecutionRequest) -> ExecutionResult:
        """Run one program in the session of an identifier that is known.

        Raises:
            ExecutionError: As :meth:`SessionPoolExecutor.execute`.
        """
        with self.client() as caller:
            return self._execute_in(identifier, request, caller, "token")

    def _execute_in(
        self,
        identifier: str,
        request: ExecutionRequest,
        caller: BackendExecutor | SessionPoolExecutor,
        credentials: str,
    ) -> ExecutionResult:
        answer = caller.exchange(
            "POST",
            f"execute?identifier={identifier}",
            body=json.dumps(request_to_json(request)).encode(),
            headers={"Content-Type": "application/json"},
        )
        return read_result(answer, executor=self.name, credentials=credentials)

    def sessions(self) -> dict[str, PoolSession]:
        """Return what the pool lists, by identifier.

        Raises:
            PlatformFault: It gave no list.
        """
        with self.client() as client:
            return {session.identifier: session for session in client.list_sessions()}

    def _fetch(self, scope: str) -> AccessToken:
        token = token_source_of(self.identity)(scope)
        # Its payload and its signature are as secret as the whole.
        self._secrets |= {token.token, *token.token.split(".")[1:]}
        return token

    def _start(self, port: int) -> RunningService:
        # Nobody learns anything from waiting, unless the options ask for it.
        quick = ("--allocation-time", "0")
        service = start_service(["session-pool", "--port", str(port), *quick, *self._options])
        variables = service.details["environment"]
        self._secrets |= {variables[name] for name in variables.keys() & set(SECRET_VARIABLES)}
        if _FEDERATED_TOKEN_FILE in variables:
            file = Path(variables[_FEDERATED_TOKEN_FILE])
            self._secrets.add(file.read_text(encoding="ascii"))
        return service


def start_backend(pool: RestartablePool | None, *, fallback: bool = False) -> RunningService:
    """Start a backend in front of a pool, with the identity that the pool's callers have.

    Args:
        pool: Where it shall execute; ``None`` for a backend that executes on this machine.
        fallback: Whether it may execute on this machine while the pool is out of order.

    Raises:
        ServiceNotStarted: It did not become ready.
    """
    if pool is None:
        return start_service(["backend"])
    arguments = ["backend", "--pool", pool.url, *(["--fallback"] if fallback else [])]
    environment = client_environment(pool.identity, without_secrets())
    return start_service(arguments, environment=environment)
