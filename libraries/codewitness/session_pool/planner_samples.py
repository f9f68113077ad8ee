"""What the samples of a load say about the times that a plan needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from codewitness.measuring.samples import OK, Sample, Warmth, select
from codewitness.measuring.statistics import percentile
from codewitness.session_pool.planner import Measured

_OCCUPIES = (OK, "timed out")


@dataclass(frozen=True)
class MeasuredTimes:
    """Times of a service.

    Attributes:
        service_time: How long a session serves an execution.
        start_time: How much longer it takes where an instance has to start; ``None`` where no
            sample is known to have met that.
        allocation_time: Seconds by which a ready instance makes it longer, at the median; ``None``
            as above.
        assumption: What of this was taken for granted, or empty.
    """

    service_time: Measured
    start_time: Measured | None
    allocation_time: float | None
    assumption: str = ""


def measured_times(samples: Iterable[Sample]) -> MeasuredTimes:
    """Take service, start and allocation times out of samples.

    Requests that were refused occupied no session and are left out; those that timed out are in
    with the time that they took. So are those of the warm-up left out.

    Raises:
        ValueError: No request is known to have been served.
    """
    served = [it for it in samples if it.outcome in _OCCUPIES and not it.warm_up]
    warm, assumption = select(served, Warmth.WARM), ""
    if not warm:
        warm = select(served, Warmth.UNKNOWN)
        assumption = "service times are those of requests of which it is not known whether a "
        assumption += "session was there for them"
    if not warm:
        raise ValueError("no sample is that of a request that a session was there for")
    service_time = Measured(tuple(it.service_time for it in warm))
    usual = percentile(service_time.samples, 0.5)

    def added(*met: Warmth) -> tuple[float, ...]:
        return tuple(max(0.0, it.service_time - usual) for it in select(served, *met))

    starting = added(Warmth.NEW_INSTANCE)
    allocating = added(Warmth.READY_INSTANCE)
    return MeasuredTimes(
        service_time,
        Measured(starting) if starting else None,
        percentile(allocating, 0.5) if allocating else None,
        assumption,
    )
