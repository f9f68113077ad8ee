"""Driving a load: an attempt is started again and again by a schedule, and every one timed.

What an attempt does is not known here; it is any coroutine function that takes its number in
the plan and says how it went. The event loop that drives must have nothing else to do.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

from codewitness.measuring.samples import Run, Sample, label_session, watch_generator
from codewitness.measuring.schedules import OpenModel, Schedule


class Answered(Protocol):
    """How an attempt went; the fields are those of :class:`Sample`."""

    @property
    def outcome(self) -> str: ...  # noqa: D102
    @property
    def error(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> int | None: ...  # noqa: D102
    @property
    def session(self) -> str | None: ...  # noqa: D102
    @property
    def session_new(self) -> bool | None: ...  # noqa: D102
    @property
    def connection_reused(self) -> bool | None: ...  # noqa: D102
    @property
    def ran_from(self) -> float | None: ...  # noqa: D102
    @property
    def ran_until(self) -> float | None: ...  # noqa: D102


Attempt = Callable[[int], Awaitable[Answered]]


def sample_of(
    number: int,
    planned: float,
    started: float,
    ended: float,
    answered: Answered,
    warm_up: float = 0.0,
) -> Sample:
    """Return the sample of an attempt; times and arguments as those of :class:`Sample`.

    Args:
        number: Position in the plan.
        planned: When it was to start.
        started: When it was sent.
        ended: When its answer was there.
        answered: How it went.
        warm_up: Samples planned earlier are marked as warm-up.
    """
    warmth, evidence = label_session(answered.session, answered.session_new)
    return Sample(
        number=number,
        planned=planned,
        started=started,
        ended=ended,
        outcome=answered.outcome,
        error=answered.error,
        detail=answered.detail,
        warmth=warmth,
        evidence=evidence,
        status=answered.status,
        session=answered.session,
        connection_reused=answered.connection_reused,
        ran_from=answered.ran_from,
        ran_until=answered.ran_until,
        warm_up=planned < warm_up,
    )


async def drive(
    attempt: Attempt,
    schedule: Schedule,
    *,
    most_in_flight: int = 1000,
    warm_up: float = 0.0,
    header: Mapping[str, Any] | None = None,
    on_sample: Callable[[Sample], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Run:
    """Drive a load from its first start to its last answer.

    When this coroutine is cancelled, so are the attempts under way.

    Args:
        attempt: Makes one attempt. It must end by itself, and return failures, not raise them.
        schedule: When attempts start.
        most_in_flight: In the open model, a start that is due while so many are under way is
            dropped, which makes the run inconclusive.
        warm_up: Samples planned in the first so many seconds are marked as warm-up.
        header: What else the run's header shall tell: target, versions.
        on_sample: Called with every sample when it is complete, such as
            :meth:`SampleWriter.add`; it must be quick.
        clock: Seconds by a clock that is never set; the event loop must agree with it.

    Returns:
        The samples in the order of the plan, and how the generator fared.

    Raises:
        Exception: Whatever an attempt raised, after all others were given up.
    """
    load = _Load(attempt, most_in_flight, warm_up, on_sample, clock)
    wall, cpu = time.time(), time.process_time()
    began = clock()
    try:
        if isinstance(schedule, OpenModel):
            await load.open(schedule.starts)
        else:
            await load.closed(schedule.at_once, schedule.most, schedule.seconds)
    finally:
        await load.give_up()
    seconds = clock() - began
    samples = sorted(load.samples, key=lambda sample: sample.number)
    generator = watch_generator(
        samples,
        load.dropped,
        cpu_seconds=time.process_time() - cpu,
        seconds=seconds,
        clock_shift=time.time() - wall - seconds if clock is time.perf_counter else 0.0,
    )
    described = {"schedule": dict(schedule.description), "began": wall, "warm_up": warm_up}
    return Run(tuple(samples), generator, {**described, **(header or {})})


class _Load:
    def __init__(
        self,
        attempt: Attempt,
        most_in_flight: int,
        warm_up: float,
        on_sample: Callable[[Sample], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self.samples: list[Sample] = []
        self.dropped: list[float] = []
        self._attempt = attempt
        self._most_in_flight = most_in_flight
        self._warm_up = warm_up
        self._on_sample = on_sample
        self._clock = clock
        self._zero = clock()
        self._under_way: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def open(self, starts: tuple[float, ...]) -> None:
        self._zero = self._clock()
        for number, planned in enumerate(starts):
            # Also when it is late, so that answers are noticed before the next start.
            await asyncio.sleep(max(0.0, planned - self._now()))
            if self._failure is not None:
                break
            if len(self._under_way) >= self._most_in_flight:
                self.dropped.append(planned)
            else:
                self._start(self._one(number, planned))
        await self._finish()

    async def closed(self, at_once: int, most: int, seconds: float) -> None:
        numbers = itertools.count()

        async def caller() -> None:
            free_since = 0.0
            while free_since < seconds and (number := next(numbers)) < most:
                await self._one(number, free_since)
                free_since = self._now()

        self._zero = self._clock()
        for _ in range(min(at_once, most)):
            self._start(caller())
        await self._finish()

    async def give_up(self) -> None:
        """Cancel what is under way and wait until it is gone."""
        left = list(self._under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _one(self, number: int, planned: float) -> None:
        started = self._now()
        answered = await self._attempt(number)
        ended = self._now()
        sample = sample_of(number, planned, started, ended, answered, self._warm_up)
        self.samples.append(sample)
        if self._on_sample is not None:
            self._on_sample(sample)

    def _now(self) -> float:
        return self._clock() - self._zero

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._under_way.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()

    async def _finish(self) -> None:
        while self._under_way and self._failure is None:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_EXCEPTION)
            # The callbacks of tasks that are done run before this goes on.
            await asyncio.sleep(0)
        if self._failure is not None:
            raise self._failure
