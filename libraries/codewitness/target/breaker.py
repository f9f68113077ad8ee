"""Giving up on a service that is out of order, so that no test waits for it in vain."""

from __future__ import annotations

import time
from collections.abc import Callable

from codewitness.execution.model import FaultKind, PlatformFault

UNREACHABLE = frozenset(
    {
        FaultKind.NAME_NOT_RESOLVED,
        FaultKind.NOTHING_LISTENING,
        FaultKind.TLS,
        FaultKind.TIMEOUT,
        FaultKind.CONNECTION_CUT,
    }
)
"""Faults after which the next request is likely to wait in vain, too."""

PAUSE = 15.0
"""Seconds during which a service found out of order is not asked again."""


class ServiceDown(PlatformFault):
    """The service was found out of order before; this request was not sent."""


class Breaker:
    """Decides whether a request is worth sending.

    After a fault of the kinds in :data:`UNREACHABLE` the service is suspected. The next
    request is preceded by a quick check; while the check fails, and for :data:`PAUSE` seconds
    after it has, requests fail at once with what was found.

    Args:
        check: Asks the service something small, with a short deadline; raises the
            PlatformFault that it meets.
        clock: Seconds on a clock that never goes back.
    """

    def __init__(
        self, check: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._check = check
        self._clock = clock
        self._suspected = False
        self._found: PlatformFault | None = None
        self._closed_until = 0.0

    def before(self) -> None:
        """Let a request through, or stop it.

        Raises:
            ServiceDown: The service is still out of order.
        """
        if not self._suspected:
            return
        if self._found is None or self._clock() >= self._closed_until:
            try:
                self._check()
            except PlatformFault as fault:
                self._found = fault if fault.kind in UNREACHABLE else None
            else:
                self._found = None
            if self._found is None:
                self._suspected = False
                return
            self._closed_until = self._clock() + PAUSE
        raise _down(self._found)

    def failed(self, fault: PlatformFault) -> None:
        """Note how a request failed."""
        if fault.kind in UNREACHABLE and not isinstance(fault, ServiceDown):
            self._suspected = True


def _down(found: PlatformFault) -> ServiceDown:
    return ServiceDown(
        found.kind,
        f"not sent, because the service is out of order since an earlier test: {found.detail}",
        cause=found.cause,
        status=found.status,
        body=found.body,
    )
