"""The loads of the performance section, each measured when its figures are first asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from codewitness.execution.load import REFUSED, TIMED_OUT, echo_requests
from codewitness.measuring.overlap import Interval, measure_overlap
from codewitness.measuring.samples import Run, Sample
from codewitness.measuring.schedules import ClosedModel
from codewitness.measuring.throughput import Knee, Level, find_knee, measure_level
from codewitness.target.load_profile import LoadProfile
from codewitness.target.load_target import LoadTarget
from codewitness.target.soak import Soak, soak

T = TypeVar("T")


@dataclass(frozen=True)
class LevelRun:
    """The load of one level of concurrency.

    Attributes:
        at_once: Requests at once.
        run: The load.
    """

    at_once: int
    run: Run

    @property
    def overlap(self) -> int:
        """Greatest number of programs that ran at one moment, by their own clocks."""
        ran = [
            Interval(it.ran_from, it.ran_until)
            for it in self.run.samples
            if it.ran_from is not None and it.ran_until is not None and it.ran_from < it.ran_until
        ]
        return measure_overlap(ran).peak if ran else 0


@dataclass(frozen=True)
class Throughput:
    """Throughput against concurrency.

    Attributes:
        runs: The load of each level, in ascending order.
        levels: What each of them shows.
        knee: Where the throughput stops growing.
    """

    runs: tuple[LevelRun, ...]
    levels: tuple[Level, ...]
    knee: Knee


@dataclass(frozen=True)
class Overload:
    """More than a service is meant to serve, and requests in turn after it.

    Attributes:
        load: The overload.
        recovery: What came after a rest.
    """

    load: Run
    recovery: Run


class LoadRuns:
    """Measures each load once, unless it is forgotten.

    All of them follow on :attr:`new_sessions`, which leaves a session to every caller.

    Args:
        target: Where the loads go.
        profile: Their sizes.
        most_lag: Seconds by which starts may be late at the 99th percentile.
    """

    def __init__(self, target: LoadTarget, profile: LoadProfile, most_lag: float) -> None:
        self.target = target
        self.profile = profile
        self.most_lag = most_lag
        self._new_sessions: Run | None = None
        self._measured: dict[str, object] = {}

    @property
    def new_sessions(self) -> Run:
        """The first request of every caller, all at once."""
        if self._new_sessions is None:
            self._new_sessions = self.target.meet(echo_requests(), "new sessions")
        return self._new_sessions

    @property
    def warm(self) -> Run:
        """Requests in turn, in a session that is there."""
        return self._once("warm", lambda: self._in_turn(self.profile.warm_requests, "warm"))

    @property
    def warm_at_once(self) -> Run:
        """As many requests at once as first ones came, in sessions that are there."""
        count = max(1, self.target.at_once)
        return self._once(
            "warm at once",
            lambda: self.target.run(self._closed(count, count), echo_requests(), "warm at once"),
        )

    @property
    def throughput(self) -> Throughput:
        """Requests at once, level by level."""
        return self._once("throughput", self._measure_throughput)

    @property
    def overload(self) -> Overload:
        """More at once than is meant to be served, from one caller where callers have sessions."""
        return self._once("overload", self._measure_overload)

    @property
    def soak(self) -> Soak:
        """Load, rest, probe again."""
        return self._once("soak", lambda: soak(self.target, self.profile))

    def forget(self, name: str) -> None:
        """Let a load be measured again."""
        self._measured.pop(name, None)

    def _once(self, name: str, measure: Callable[[], T]) -> T:
        if name not in self._measured:
            # Whatever is measured alone needs the callers, too.
            _ = self.new_sessions
            self._measured[name] = measure()
        return self._measured[name]  # type: ignore[return-value]

    def _in_turn(self, count: int, name: str) -> Run:
        return self.target.run(self._closed(1, count), echo_requests(), name)

    def _closed(self, at_once: int, most: int) -> ClosedModel:
        return ClosedModel(at_once, most, self.profile.load_seconds)

    def _measure_throughput(self) -> Throughput:
        profile = self.profile
        runs = tuple(
            LevelRun(at_once, self._level(at_once))
            for at_once in profile.levels
            if at_once <= max(1, self.target.at_once)
        )
        levels = tuple(
            measure_level(it.at_once, it.run.samples, it.run.objection(most_lag=self.most_lag))
            for it in runs
        )
        return Throughput(runs, levels, find_knee(levels))

    def _level(self, at_once: int) -> Run:
        schedule = self._closed(at_once, self.profile.requests_of(at_once))
        requests = echo_requests(self.profile.level_seconds)
        return self.target.run(schedule, requests, f"{at_once} at once")

    def _measure_overload(self) -> Overload:
        profile = self.profile
        schedule = self._closed(profile.overload_at_once, profile.overload_requests)
        load = self.target.run(schedule, echo_requests(), "overload", one_caller=True)
        time.sleep(profile.rest_seconds)
        return Overload(load, self._in_turn(profile.recovery_requests, "recovery"))


def answered_properly(sample: Sample) -> bool:
    """Tell whether a request of an overload was served, or was told that it is not.

    A service that says that it has no capacity, or that its own time was over, is in order. No
    answer at all is not, nor is an error of the server's or a wrong answer.
    """
    told = sample.outcome in (REFUSED, TIMED_OUT) and sample.status is not None
    return sample.succeeded or told


def all_samples(runs: Sequence[Run]) -> list[Sample]:
    """Return the samples of several loads."""
    return [sample for run in runs for sample in run.samples]
