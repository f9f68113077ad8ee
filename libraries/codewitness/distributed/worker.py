"""A worker's share of a load, and the callers who work it off."""

from __future__ import annotations

import time
from collections.abc import Callable

from codewitness.distributed.plan import LoadPlan
from codewitness.execution.endpoint import parse_endpoint
from codewitness.execution.http_client import HttpAnswer, HttpCall
from codewitness.execution.load import (
    LoadAnswer,
    LoadRequest,
    LoadRequests,
    call_of,
    failed_answer,
    judge_answer,
)
from codewitness.execution.model import ExecutionError
from codewitness.measuring.driving import sample_of
from codewitness.measuring.samples import Generator, Sample, watch_generator

Send = Callable[[HttpCall, float], HttpAnswer]
"""Sends a call once and returns its answer within so many seconds; raises a PlatformFault."""


class Worker:
    """Works off one worker's share of a plan; safe for callers in threads or greenlets.

    Args:
        plan: The whole load.
        index: Which share is this worker's, from 0.
        requests: Makes the requests.
        credentials: Which credentials are sent, without their values.
        on_sample: Called with every sample when it is complete; it must be quick.
        clock: Seconds by a clock that is never set.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        plan: LoadPlan,
        index: int,
        requests: LoadRequests,
        *,
        credentials: str = "none",
        on_sample: Callable[[Sample], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._plan = plan
        self._endpoint = parse_endpoint(plan.endpoint)
        self._requests = requests
        self._credentials = credentials
        self._on_sample = on_sample
        self._clock = clock
        self._sleep = sleep
        share = plan.share(index)
        self._count = len(share)
        self._left = iter(share)
        self._samples: list[Sample] = []
        self._dropped: list[float] = []
        self._handed_on = 0
        self.begin()

    @property
    def done(self) -> bool:
        """Whether the whole share is worked off."""
        return len(self._samples) + len(self._dropped) == self._count

    def begin(self) -> None:
        """Let the load begin now."""
        self._wall, self._cpu = time.time(), time.process_time()
        self._zero = self._clock()

    def call(self, send: Send) -> None:
        """Be one of the callers until no start is left.

        Args:
            send: Sends over this caller's own connection.
        """
        for number, planned in self._left:
            # Made before it is due: a caller's own work is neither lag nor service time.
            wanted = self._requests(number)
            self._sleep(max(0.0, planned - self._now()))
            if self._now() - planned > self._plan.deadline:
                self._dropped.append(planned)
            else:
                self._one(number, planned, wanted, send)

    def take_samples(self) -> list[Sample]:
        """Return the samples that have come since they were last taken."""
        fresh = self._samples[self._handed_on :]
        self._handed_on += len(fresh)
        return fresh

    def generator(self) -> Generator:
        """Return how this worker fared so far."""
        seconds = self._now()
        return watch_generator(
            self._samples,
            sorted(self._dropped),
            cpu_seconds=time.process_time() - self._cpu,
            seconds=seconds,
            clock_shift=time.time() - self._wall - seconds,
        )

    def _one(self, number: int, planned: float, wanted: LoadRequest, send: Send) -> None:
        started = self._now()
        answered = self._attempt(wanted, send)
        ended = self._now()
        sample = sample_of(number, planned, started, ended, answered, self._plan.warm_up)
        self._samples.append(sample)
        if self._on_sample is not None:
            self._on_sample(sample)

    def _attempt(self, wanted: LoadRequest, send: Send) -> LoadAnswer:
        try:
            answer = send(call_of(wanted, self._endpoint), self._plan.deadline)
        except ExecutionError as error:
            return failed_answer(error)
        return judge_answer(answer, wanted, self._credentials)

    def _now(self) -> float:
        return self._clock() - self._zero
