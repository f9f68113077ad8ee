"""The embedded flow: our own services, composed as the flow under test is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codewitness.embedded.service import RunningService, start_service, without_secrets
from codewitness.session_pool.credentials import client_environment

POOL_SESSIONS = 20
"""Sessions that the embedded pool holds at one time."""


@dataclass(frozen=True)
class EmbeddedFlow:
    """Services that were started here; the last one is the backend.

    Attributes:
        services: In the order in which they were started.
    """

    services: Sequence[RunningService]

    @property
    def url(self) -> str:
        """URL of the backend."""
        return self.services[-1].url

    @property
    def pool(self) -> RunningService | None:
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


def start_flow(*, through_pool: bool, fault: str = "") -> EmbeddedFlow:
    """Start backend → session pool → sandboxed process, or the same without the pool.

    Args:
        through_pool: Whether the backend executes in an embedded session pool.
        fault: Fault to build into the backend; none when empty.

    Raises:
        ServiceNotStarted: One of the services did not become ready.
    """
    started: list[RunningService] = []
    arguments = ["backend", "--port", "0", *(["--fault", fault] if fault else [])]
    environment = None
    try:
        if through_pool:
            pool = start_service(
                ["session-pool", "--port", "0", "--max-sessions", str(POOL_SESSIONS)]
            )
            started.append(pool)
            environment = client_environment(pool.details["environment"], without_secrets())
            arguments += ["--pool", pool.url, "--pool-sessions", str(POOL_SESSIONS)]
        started.append(start_service(arguments, environment=environment))
    except BaseException:
        EmbeddedFlow(started).stop()
        raise
    return EmbeddedFlow(started)
