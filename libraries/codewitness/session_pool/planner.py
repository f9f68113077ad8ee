"""Contests on a session pool in simulated time: who waits how long, who is refused, what it costs.

A contest is students who come, send a program, wait for the answer, think and send the next. The
pool is :class:`~codewitness.session_pool.lifecycle.Pool` itself, the one that the embedded pool
runs on; only time, callers and instances are simulated. Not modelled: executions that slow each
other down (measure service times under the load that is meant), and instances that do not start.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from codewitness.measuring.statistics import percentile
from codewitness.session_pool.lifecycle import (
    Action,
    Pool,
    PoolRules,
    Serve,
    Start,
    Stop,
    Timed,
)


@dataclass(frozen=True)
class Measured:
    """Times that are drawn from samples; a single one is a constant.

    Attributes:
        samples: Seconds, in any order.
    """

    samples: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError("times need at least one sample")
        if not all(0 <= sample < math.inf for sample in self.samples):
            raise ValueError("a time is a number of seconds from 0")

    def draw(self, chance: random.Random, count: int) -> Sequence[float]:
        """Return so many times, in seconds, each independent of the others."""
        return chance.choices(self.samples, k=count)


@dataclass(frozen=True)
class Exponential:
    """Times as they are between events that know nothing of each other: many short, few long.

    Attributes:
        mean: Seconds.
    """

    mean: float

    def __post_init__(self) -> None:
        if not 0 < self.mean < math.inf:
            raise ValueError(f"a mean time lies above 0 s, not at {self.mean:g} s")

    def draw(self, chance: random.Random, count: int) -> Sequence[float]:
        """Return so many times, in seconds, each independent of the others."""
        rate = 1 / self.mean
        return [chance.expovariate(rate) for _ in range(count)]


Times = Measured | Exponential
"""How long something takes."""

AT_ONCE = Measured((0.0,))
"""What takes no time."""


@dataclass(frozen=True)
class AllAtOnce:
    """Every student comes at the same moment."""

    @property
    def over(self) -> float:
        """Seconds in which students come."""
        return 0.0

    def moments(self, students: int, chance: random.Random) -> list[float]:
        """Return when each student comes, in seconds from the beginning."""
        del chance
        return [0.0] * students


@dataclass(frozen=True)
class Ramp:
    """Students come one by one, at any moment as likely as at any other.

    Attributes:
        over: Seconds in which they come.
    """

    over: float

    def moments(self, students: int, chance: random.Random) -> list[float]:
        """Return when each student comes, in seconds from the beginning."""
        return [chance.uniform(0, self.over) for _ in range(students)]


@dataclass(frozen=True)
class LastMinuteRush:
    """Many students come shortly before the end, the others at any moment before.

    Attributes:
        over: Seconds in which students come.
        within: Seconds before the end in which the rush is.
        share: Share of the students who come in the rush.
    """

    over: float
    within: float = 300.0
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.within <= self.over:
            raise ValueError(f"a rush of {self.within:g} s does not fit into {self.over:g} s")
        if not 0 <= self.share <= 1:
            raise ValueError(f"a share lies from 0 to 1, not at {self.share:g}")

    def moments(self, students: int, chance: random.Random) -> list[float]:
        """Return when each student comes, in seconds from the beginning."""
        begin = self.over - self.within
        late = round(students * self.share)
        rush = [chance.uniform(begin, self.over) for _ in range(late)]
        return rush + [chance.uniform(0, begin) for _ in range(students - late)]


Arrivals = AllAtOnce | Ramp | LastMinuteRush
"""When students come."""

IdentifierPolicy = Literal["per-user", "per-call"]
"""Whether a student keeps one session, or every call opens another."""

WhenRefused = Literal["give up", "wait in line"]
"""What becomes of a call that the pool refuses: its caller is told so (429), or what stands
before the pool holds it back until a session is free, first come, first served."""


@dataclass(frozen=True)
class Contest:
    """Who sends how much, when, and how.

    Attributes:
        students: How many take part.
        service_time: How long an execution takes once a session serves it.
        questions: Questions that each of them answers.
        tries: Executions for each question.
        arrivals: When students send their first program.
        think_time: How long a student takes from an answer, or a refusal, to the next program.
        identifiers: Whose session a call uses.
        stops_sessions: Whether a session is stopped when its identifier is not used any more,
            instead of being left to cool down.
        when_refused: What becomes of a call that is refused.
    """

    students: int
    service_time: Times
    questions: int = 2
    tries: int = 1
    arrivals: Arrivals = field(default_factory=AllAtOnce)
    think_time: Times = field(default_factory=lambda: Exponential(60.0))
    identifiers: IdentifierPolicy = "per-user"
    stops_sessions: bool = False
    when_refused: WhenRefused = "give up"

    def __post_init__(self) -> None:
        if min(self.students, self.questions, self.tries) < 1:
            raise ValueError("a contest has at least one student, one question and one try")

    @property
    def executions_each(self) -> int:
        """Executions of one student."""
        return self.questions * self.tries

    @property
    def executions(self) -> int:
        """Executions of all students."""
        return self.students * self.executions_each


@dataclass(frozen=True)
class Outcome:
    """What became of a contest.

    Attributes:
        waits: Seconds from sending to being served, of every execution that was, least first.
        refused: Executions that were refused.
        new_sessions: Executions that a session was allocated for.
        peak_sessions: Most sessions at one time.
        peak_instances: Most instances at one time: sessions, the ready stock, those starting.
        instance_seconds: Seconds that instances existed, starting included, summed over all: of
            the ready stock as long as the contest lasts, of sessions until they cooled down.
        duration: Seconds from the beginning to the last answer, or to the end of the arrivals.
    """

    waits: Sequence[float] = field(repr=False)
    refused: int
    new_sessions: int
    peak_sessions: int
    peak_instances: int
    instance_seconds: float
    duration: float

    @property
    def executions(self) -> int:
        """Executions that were asked for."""
        return len(self.waits) + self.refused

    @property
    def mean_wait(self) -> float:
        """Mean wait in seconds of those that were served; NaN where none was."""
        return math.fsum(self.waits) / len(self.waits) if self.waits else math.nan

    def share_within(self, seconds: float) -> float:
        """Return the share of all executions that were served after at most so many seconds."""
        return bisect_right(self.waits, seconds) / self.executions

    def wait_at(self, share: float) -> float:
        """Return the wait in seconds that this share of all executions does not exceed.

        Returns:
            Infinity where fewer were served.
        """
        refused = itertools.repeat(math.inf, self.refused)
        return percentile([*self.waits, *refused] if self.refused else self.waits, share)


def simulate(
    contest: Contest, rules: PoolRules, *, start_time: Times = AT_ONCE, seed: int = 1
) -> Outcome:
    """Hold a contest on a pool in simulated time.

    The ready stock stands at the beginning. Equal arguments give an equal outcome, and contests
    of one seed differ in nothing but in what the rules make of them: the same students come, and
    the same execution takes the same time.

    Args:
        contest: Who sends how much, when, and how.
        rules: How the pool is configured; its sessions end by cooldown.
        start_time: How long an instance takes to start.
        seed: Number from which everything follows that is left to chance.

    Raises:
        ValueError: The sessions of the pool do not end by cooldown.
    """
    if not isinstance(rules.lifecycle, Timed):
        raise ValueError("only pools whose sessions end by cooldown can be planned")
    return _Simulation(contest, rules, start_time, seed).run()


_SUBMITTED, _STARTED, _ANSWERED = range(3)


class _Simulation:
    def __init__(self, contest: Contest, rules: PoolRules, start_time: Times, seed: int) -> None:
        self._contest = contest
        self._pool = Pool(rules)
        # One source each, so that a different number of draws of one kind changes no other.
        arriving, serving, thinking, starting = (
            random.Random(f"{seed} {kind}") for kind in ("arrive", "serve", "think", "start")
        )
        # An execution's number: its student's, times executions of each, plus which of them it is.
        self._each = contest.executions_each
        self._per_call = contest.identifiers == "per-call"
        self._unanswered = contest.executions
        self._service_times = array("d", contest.service_time.draw(serving, self._unanswered))
        self._think_times = array("d", contest.think_time.draw(thinking, self._unanswered))
        self._start_times = _endless(start_time, starting)
        self._order = itertools.count()
        self._events: list[tuple[float, int, int, int]] = []
        moments = contest.arrivals.moments(contest.students, arriving)
        self._arrivals = iter(sorted(zip(moments, range(contest.students), strict=True)))
        self._submitted = array("d", bytes(8 * self._unanswered))
        self._waits = array("d")
        self._line: deque[int] = deque()
        self._freed = False
        self._refused = self._new_sessions = self._peak_sessions = 0
        self._instances = self._peak_instances = 0
        self._instance_seconds = 0.0

    def run(self) -> Outcome:
        pool, events = self._pool, self._events
        now = 0.0
        self._fill_stock()
        self._let_come()
        while self._unanswered:
            due = pool.next_deadline
            if due is not None and (not events or due <= events[0][0]):
                now = due
                self._do(pool.advance(now), now)
            elif events:
                now, _, kind, number = heapq.heappop(events)
                if kind == _SUBMITTED:
                    self._submit(number, now)
                elif kind == _ANSWERED:
                    self._answered(number, now)
                else:
                    self._do(pool.started(number, now), now)
                    self._freed = True
            else:
                # The pool will never serve those who still stand in line.
                self._refused += self._unanswered
                break
            if self._freed:
                self._serve_line(now)
        return self._outcome(max(now, self._contest.arrivals.over))

    def _fill_stock(self) -> None:
        for action in self._pool.advance(0.0):
            if isinstance(action, Start):
                self._count_start(0.0)
                self._pool.started(action.instance, 0.0)

    def _count_start(self, now: float) -> None:
        self._instances += 1
        self._peak_instances = max(self._peak_instances, self._instances)
        self._instance_seconds -= now

    def _let_come(self) -> None:
        """Have the next student come; one at a time, since few events are faster to keep."""
        arrival = next(self._arrivals, None)
        if arrival is not None:
            moment, student = arrival
            # Who comes, comes before whatever else happens at the same moment.
            order = student - self._contest.students
            heapq.heappush(self._events, (moment, order, _SUBMITTED, student * self._each))

    def _happen(self, moment: float, kind: int, number: int) -> None:
        heapq.heappush(self._events, (moment, next(self._order), kind, number))

    def _submit(self, number: int, now: float) -> None:
        if number % self._each == 0:
            self._let_come()
        self._submitted[number] = now
        if self._line and self._pool.find(self._identifier(number)) is None:
            self._line.append(number)
        else:
            self._ask(number, now)

    def _identifier(self, number: int) -> str:
        return str(number if self._per_call else number // self._each)

    def _ask(self, number: int, now: float) -> None:
        self._do(self._pool.request(number, self._identifier(number), now), now)
        held = self._pool.held
        if held > self._peak_sessions:
            self._peak_sessions = held

    def _serve_line(self, now: float) -> None:
        while self._line:
            number = self._line.popleft()
            self._ask(number, now)
            if self._line and self._line[0] == number:
                break
        self._freed = False

    def _answered(self, number: int, now: float) -> None:
        self._do(self._pool.finished(number, now), now)
        last = (number + 1) % self._each == 0
        if self._contest.stops_sessions and (last or self._per_call):
            self._do(self._pool.stop(self._identifier(number), now), now)
        self._over(number, now)

    def _over(self, number: int, now: float) -> None:
        self._unanswered -= 1
        if (number + 1) % self._each:
            self._happen(now + self._think_times[number], _SUBMITTED, number + 1)

    def _do(self, actions: Sequence[Action], now: float) -> None:
        for action in actions:
            if isinstance(action, Serve):
                number = action.request
                self._waits.append(now - self._submitted[number])
                self._new_sessions += action.new
                self._happen(now + self._service_times[number], _ANSWERED, number)
            elif isinstance(action, Start):
                self._count_start(now)
                self._happen(now + next(self._start_times), _STARTED, action.instance)
            elif isinstance(action, Stop):
                self._instances -= 1
                self._instance_seconds += now
                self._freed = True
            elif self._contest.when_refused == "wait in line":
                self._line.appendleft(action.request)
            else:
                self._refused += 1
                self._over(action.request, now)

    def _outcome(self, duration: float) -> Outcome:
        cooling = math.fsum(view.expires - duration for view in self._pool.sessions())
        return Outcome(
            waits=array("d", sorted(self._waits)),
            refused=self._refused,
            new_sessions=self._new_sessions,
            peak_sessions=self._peak_sessions,
            peak_instances=self._peak_instances,
            instance_seconds=self._instance_seconds + self._instances * duration + cooling,
            duration=duration,
        )


def _endless(times: Times, chance: random.Random) -> Iterator[float]:
    while True:
        yield from times.draw(chance, 1000)
