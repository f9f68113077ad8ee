"""When the requests of a load start, fixed before the load begins.

In the open model requests start when they are planned, whatever the service does, as students
do who know nothing of each other. In the closed model a request starts when an earlier one is
done: the service is asked less when it is slow, so its stalls hardly show; that model is for
"N at once" and for capacity.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class OpenModel:
    """Planned arrivals.

    Attributes:
        starts: Planned starts in seconds since the load begins, in ascending order.
        description: What makes this schedule again, for the header of a sample file.
    """

    starts: tuple[float, ...]
    description: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(later < earlier for earlier, later in itertools.pairwise(self.starts)):
            raise ValueError("planned starts come in ascending order")


@dataclass(frozen=True)
class ClosedModel:
    """Callers of whom each sends its next request when its last one is answered.

    Attributes:
        at_once: Number of callers, who begin together.
        most: Number of requests in all, at most.
        seconds: No request starts later than this after the load begins.
    """

    at_once: int
    most: int
    seconds: float = math.inf

    def __post_init__(self) -> None:
        if self.at_once < 1 or self.most < 1 or not self.seconds > 0:
            raise ValueError(
                "a closed model needs a caller, a request and some time, not "
                f"{self.at_once} callers, {self.most} requests and {self.seconds} s"
            )

    @property
    def description(self) -> Mapping[str, Any]:
        """What makes this schedule again, for the header of a sample file."""
        told: dict[str, Any] = {"model": "closed", "at_once": self.at_once, "most": self.most}
        return told if math.isinf(self.seconds) else told | {"seconds": self.seconds}


Schedule = OpenModel | ClosedModel


def constant_arrivals(rate: float, seconds: float) -> OpenModel:
    """Return arrivals at equal distances.

    Args:
        rate: Arrivals a second.
        seconds: Length of the load; the first arrival is at 0, none is at its end or later.
    """
    _check(rate, seconds)
    count = math.ceil(round(rate * seconds, 9))
    return OpenModel(
        tuple(number / rate for number in range(count)),
        {"model": "open", "arrivals": "constant", "rate": rate, "seconds": seconds},
    )


def poisson_arrivals(rate: float, seconds: float, seed: int) -> OpenModel:
    """Return arrivals of callers who know nothing of each other.

    Args:
        rate: Arrivals a second, on average.
        seconds: Length of the load.
        seed: Makes the same arrivals again.
    """
    _check(rate, seconds)
    choose = random.Random(seed)
    starts: list[float] = []
    moment = choose.expovariate(rate)
    while moment < seconds:
        starts.append(moment)
        moment += choose.expovariate(rate)
    return OpenModel(
        tuple(starts),
        {"model": "open", "arrivals": "poisson", "rate": rate, "seconds": seconds, "seed": seed},
    )


def ramp_arrivals(first_rate: float, last_rate: float, seconds: float) -> OpenModel:
    """Return arrivals whose rate changes evenly from one value to another.

    Args:
        first_rate: Arrivals a second at the beginning; may be 0.
        last_rate: Arrivals a second at the end; may be 0.
        seconds: Length of the load.
    """
    _check(max(first_rate, last_rate), seconds)
    if min(first_rate, last_rate) < 0:
        raise ValueError("a rate is not negative")
    count = math.ceil(round((first_rate + last_rate) / 2 * seconds, 9))
    change = (last_rate - first_rate) / seconds
    return OpenModel(
        tuple(_ramp_time(number, first_rate, change) for number in range(count)),
        {
            "model": "open",
            "arrivals": "ramp",
            "first_rate": first_rate,
            "last_rate": last_rate,
            "seconds": seconds,
        },
    )


def burst(count: int) -> OpenModel:
    """Return arrivals all at one moment, the beginning."""
    if count < 1:
        raise ValueError(f"a burst needs at least one arrival, not {count}")
    return OpenModel((0.0,) * count, {"model": "open", "arrivals": "burst", "count": count})


def _check(rate: float, seconds: float) -> None:
    if not (rate > 0 and seconds > 0 and math.isfinite(rate * seconds)):
        raise ValueError(
            f"a schedule needs a rate and a length above 0, not {rate} a second for {seconds} s"
        )


def _ramp_time(number: int, first_rate: float, change: float) -> float:
    # Arrivals until t are first_rate * t + change / 2 * t^2; solved for t in the form that does
    # not divide by a change of 0.
    root = math.sqrt(max(0.0, first_rate * first_rate + 2 * change * number))
    return 2 * number / (first_rate + root) if number else 0.0
