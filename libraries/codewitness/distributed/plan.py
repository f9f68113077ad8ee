"""What a load from several workers is: the whole of it, and the part of each worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from codewitness.measuring.schedules import OpenModel, constant_arrivals


@dataclass(frozen=True)
class LoadPlan:
    """A load at a constant rate, shared evenly by workers.

    Attributes:
        endpoint: Base URL of the backend, URL with a path prefix, or full URL of the execute route.
        rate: Requests a second that all workers together send.
        seconds: How long they send them.
        workers: Number of workers.
        callers: Callers of each worker, each with a connection of its own; so many requests of a
            worker can be under way at once.
        warm_up: Seconds before that in which every caller sends one request, which may have to
            wait for a session. Their samples are marked as warm-up.
        deadline: Seconds that a request may take in all. A start that would be later than that is
            dropped.
        verify: Whether the server's certificate is checked.
        ca_bundle: PEM file with the certificate authorities to trust; empty for what the
            environment of each worker says.
        program_seconds: How long the programs take that print the token of their request.
        cases: Patterns of test cases that every other request runs; empty for none.
        case_folder: Folder of the test cases; empty for that of each worker's own project.
    """

    endpoint: str
    rate: float
    seconds: float
    workers: int = 2
    callers: int = 4
    warm_up: float = 2.0
    deadline: float = 20.0
    verify: bool = True
    ca_bundle: str = ""
    program_seconds: float = 0.0
    cases: tuple[str, ...] = ()
    case_folder: str = ""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.callers < 1 or self.warm_up < 0 or not self.deadline > 0:
            raise ValueError(
                "a load needs a worker, a caller and a deadline, not "
                f"{self.workers} workers, {self.callers} callers and {self.deadline} s"
            )
        # Refuses a rate and a length that make no schedule.
        constant_arrivals(self.rate, self.seconds)

    @property
    def schedule(self) -> OpenModel:
        """All planned starts: one of each caller at the beginning, the others after the warm-up."""
        first = self.callers * self.workers if self.warm_up else 0
        paced = constant_arrivals(self.rate, self.seconds)
        return OpenModel(
            (0.0,) * first + tuple(self.warm_up + start for start in paced.starts),
            {**paced.description, "first": first, "after": self.warm_up},
        )

    @property
    def longest(self) -> float:
        """Seconds from the beginning within which the last request has ended, whatever happens."""
        return self.warm_up + self.seconds + 2 * self.deadline

    def share(self, index: int) -> list[tuple[int, float]]:
        """Return numbers and planned starts of the worker with an index, from 0."""
        return list(enumerate(self.schedule.starts))[index :: self.workers]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as an object; it holds no secret."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> LoadPlan:
        """Return the plan that an object tells.

        Raises:
            TypeError: It is none of this version.
            ValueError: It can't be carried out.
        """
        return cls(**{**told, "cases": tuple(told["cases"])})
