"""The embedded flow: our own services, composed as the flow under test is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from codewitness.embedded.service import POOL_FAULT, RunningService, start_service, without_secrets
from codewitness.session_pool.credentials import client_environment

POOL_SESSIONS = 20
"""Sessions that the embedded pool holds at one time."""


class FlowService(Protocol):
    """A service of the flow, whichever process has started it."""

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""

    @property
    def pid(self) -> int:
        """Process identifier of the service."""

    @property
    def details(self) -> Mapping[str, Any]:
        """Everything that the service told about itself."""

    @property
    def running(self) -> bool:
        """Whether the process is still there."""

    def stop(self) -> None:
        """End the service, if it was started here."""


@dataclass(frozen=True)
class EmbeddedFlow:
    """Services of this machine; the last one is the backend.

    Attributes:
        services: In the order in which they were started.
    """

    services: Sequence[FlowService]

    @property
    def url(self) -> str:
        """URL of the backend."""
        return self.services[-1].url

    @property
    def pool(self) -> FlowService | None:
        """The session pool in this flow, if there is one."""
        return self.services[0] if len(self.services) > 1 else None

    @property
    def added_cold_start(self) -> float:
        """Seconds that the pool adds to the first request of a session; 0 without a pool."""
        return 0.0 if self.pool is None else float(self.pool.details["allocation_time"])

    @property
    def ended(self) -> str | None:
        """Which service has ended by itself, in words, or ``None``."""
        for service in self.services:
            if not service.running:
                return f"the embedded {service.details['service']} (pid {service.pid}) has ended"
        return None

    def stop(self) -> None:
        """End all services, the backend first, so that it can stop its sessions."""
        for service in reversed(self.services):
            service.stop()


def start_flow(
    *, through_pool: bool, fault: str = "", sessions: int = POOL_SESSIONS
) -> EmbeddedFlow:
    """Start backend → session pool → sandboxed process, or the same without the pool.

    Args:
        through_pool: Whether the backend executes in an embedded session pool.
        fault: Fault to build into the backend, or into the pool if it is one of a pool's; none
            when empty.
        sessions: Sessions that the pool holds at one time.

    Raises:
        ServiceNotStarted: One of the services did not become ready.
    """
    started: list[RunningService] = []
    broken = ["--fault", fault] if fault else []
    pool_broken = broken if fault.startswith(POOL_FAULT) else []
    arguments = ["backend", "--port", "0", *([] if pool_broken else broken)]
    environment = None
    try:
        if through_pool:
            pool = start_service(
                ["session-pool", "--port", "0", "--max-sessions", str(sessions), *pool_broken]
            )
            started.append(pool)
            environment = client_environment(pool.details["environment"], without_secrets())
            arguments += ["--pool", pool.url, "--pool-sessions", str(sessions)]
        started.append(start_service(arguments, environment=environment))
    except BaseException:
        EmbeddedFlow(started).stop()
        raise
    return EmbeddedFlow(started)
