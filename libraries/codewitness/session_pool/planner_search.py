"""The smallest pool that keeps a promise to a contest, found by trying pools in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from codewitness.session_pool.lifecycle import PoolRules, Timed
from codewitness.session_pool.planner import AT_ONCE, Contest, Outcome, Times, simulate

COOLDOWNS = (300.0, 600.0, 1800.0, 3600.0)
"""Cooldowns that are tried where none is given, in seconds: from Azure's least to its greatest."""

WORTH_A_COOLDOWN = 0.01
"""Least share of executions that a longer cooldown must spare the opening of a session."""

LEAST_READY = 1
"""A custom-container pool is not allowed to keep fewer instances ready."""

LEAST_SESSIONS = 2
"""A custom-container pool keeps fewer ready than its maximum."""


@dataclass(frozen=True)
class Promise:
    """What a contest is promised.

    Attributes:
        wait: Seconds from sending a program to its being served.
        share: Share of all executions that wait no longer than that.
        refused: Greatest share of executions that may be refused.
    """

    wait: float
    share: float = 0.95
    refused: float = 0.0

    def __post_init__(self) -> None:
        if not self.wait >= 0:
            raise ValueError(f"a wait is a number of seconds from 0, not {self.wait:g}")
        if not 0 < self.share <= 1 or not 0 <= self.refused <= 1:
            raise ValueError("a share lies above 0 and is at most 1")

    def is_kept(self, outcome: Outcome) -> bool:
        """Tell whether a contest went as promised."""
        return (
            outcome.refused <= self.refused * outcome.executions
            and outcome.share_within(self.wait) >= self.share
        )


@dataclass(frozen=True)
class Trial:
    """One pool, and what the contest was like on it in the worst of several runs.

    Attributes:
        maximum: Most instances at one time.
        ready: Instances kept ready.
        cooldown: Seconds.
        kept: Whether the promise was kept in every run.
        wait: Seconds that the promised share of executions did not exceed; infinity where fewer
            were served.
        longest_wait: Longest wait in seconds of an execution that was served.
        share: Share of executions that waited no longer than promised.
        refused: Share of executions that were refused.
        new_sessions: Share of executions that a session was allocated for.
        peak_sessions: Most sessions at one time.
        instance_seconds: Seconds that instances existed, summed over all; mean of the runs.
        runs: Contests simulated; after the first that breaks the promise there is no other.
    """

    maximum: int
    ready: int
    cooldown: float
    kept: bool
    wait: float
    longest_wait: float
    share: float
    refused: float
    new_sessions: float
    peak_sessions: int
    instance_seconds: float
    runs: int


@dataclass(frozen=True)
class Given:
    """Settings that are not open to the search.

    Attributes:
        maximum: Most instances at one time, ``None`` to find it.
        ready: Instances kept ready, ``None`` to find it.
        cooldown: Seconds, ``None`` to try :data:`COOLDOWNS`.
    """

    maximum: int | None = None
    ready: int | None = None
    cooldown: float | None = None


@dataclass(frozen=True)
class Plan:
    """The pool to have for a contest, and how it was found.

    Attributes:
        contest: Who sends how much, when, and how.
        promise: What they are promised.
        rules: What is the same of every pool tried: time of allocation, behaviour while warming.
        start_time: How long an instance takes to start.
        chosen: The pool that keeps the promise for the fewest instance-seconds, of those
            with the fewest sessions for their cooldown; ``None`` where no pool tried keeps it.
        trials: Every pool tried, in order.
        obstacle: Why no pool keeps the promise, or empty.
        cut_short: Whether the search was ended by its greatest number of trials.
    """

    contest: Contest
    promise: Promise
    rules: PoolRules
    start_time: Times
    chosen: Trial | None
    trials: Sequence[Trial] = field(repr=False)
    obstacle: str = ""
    cut_short: bool = False


def recommend(
    contest: Contest,
    promise: Promise,
    given: Given | None = None,
    *,
    rules: PoolRules | None = None,
    start_time: Times = AT_ONCE,
    greatest_maximum: int | None = None,
    seeds: Sequence[int] = (1, 2, 3),
    most_trials: int = 80,
) -> Plan:
    """Find the pool to have for a contest.

    For each cooldown the least maximum is found that keeps the promise with as many instances
    ready as are allowed, and then, for that maximum, the least ready stock, both by halving:
    a larger pool is taken to serve no worse. A longer cooldown than the shortest is looked at
    only as far as it spares executions the opening of a session, since it holds every session
    longer. Of the cooldowns the cheapest is chosen. There is no margin in the result for what the
    model does not know.

    Args:
        contest: Who sends how much, when, and how.
        promise: What they are promised, in the contest of every seed.
        given: Settings that are not open to the search; all are by default.
        rules: What else pools are configured like; its sizes and cooldown play no part.
        start_time: How long an instance takes to start.
        greatest_maximum: Where the search for a maximum ends; as many as the contest has
            identifiers by default.
        seeds: One simulated contest each.
        most_trials: Number of pools after which the search ends with the best found so far.

    Raises:
        ValueError: The settings given contradict each other, or nothing may be tried.
    """
    if not seeds or most_trials < 1:
        raise ValueError("a search needs a seed and a trial")
    search = _Search(contest, promise, rules or PoolRules(), start_time, tuple(seeds), most_trials)
    return search.plan(given or Given(), greatest_maximum)


class _OutOfTrials(Exception):
    """So many pools were tried as may be."""


class _Search:
    def __init__(
        self,
        contest: Contest,
        promise: Promise,
        rules: PoolRules,
        start_time: Times,
        seeds: tuple[int, ...],
        most_trials: int,
    ) -> None:
        self._contest = contest
        self._promise = promise
        self._rules = rules
        self._start_time = start_time
        self._seeds = seeds
        self._most_trials = most_trials
        self._searched: list[float] = []
        self._trials: dict[tuple[int, int, float], Trial] = {}

    def plan(self, given: Given, greatest_maximum: int | None) -> Plan:
        contest = self._contest
        identifiers = contest.executions if contest.identifiers == "per-call" else contest.students
        # One more than all could ever need, since fewer are kept ready than that.
        top = given.maximum or max(
            LEAST_SESSIONS, min(greatest_maximum or identifiers + 1, identifiers + 1)
        )
        if given.ready is not None and given.ready > top:
            raise ValueError(f"{given.ready} of {top} instances can't be kept ready")
        cooldowns = COOLDOWNS if given.cooldown is None else (given.cooldown,)
        generous: list[Trial] = []
        cut_short = False
        try:
            for cooldown in cooldowns:
                trial = self._try(top, _most_ready(top, given), cooldown)
                generous.append(trial)
                spared = generous[0].new_sessions - trial.new_sessions
                if trial.kept and (trial is generous[0] or spared >= WORTH_A_COOLDOWN):
                    self._searched.append(cooldown)
                    self._smallest(trial, given)
        except _OutOfTrials:
            cut_short = True
        return Plan(
            contest=contest,
            promise=self._promise,
            rules=self._rules,
            start_time=self._start_time,
            chosen=self._best(),
            trials=tuple(self._trials.values()),
            obstacle="" if any(it.kept for it in generous) else self._obstacle(generous),
            cut_short=cut_short,
        )

    def _smallest(self, generous: Trial, given: Given) -> None:
        cooldown = generous.cooldown
        maximum = generous.maximum
        if given.maximum is None:
            least = max(LEAST_SESSIONS, (given.ready or 0) + 1)
            maximum = _least(
                least,
                maximum,
                lambda it: self._try(it, _most_ready(it, given), cooldown).kept,
                # As many as were in use are often enough, and then seldom more than enough.
                guess=generous.peak_sessions + 1,
            )
        if given.ready is None:
            _least(
                LEAST_READY,
                _most_ready(maximum, given),
                lambda it: self._try(maximum, it, cooldown).kept,
            )

    def _try(self, maximum: int, ready: int, cooldown: float) -> Trial:
        known = self._trials.get((maximum, ready, cooldown))
        if known is not None:
            return known
        if len(self._trials) >= self._most_trials:
            raise _OutOfTrials
        rules = replace(self._rules, maximum=maximum, ready=ready, lifecycle=Timed(cooldown))
        outcomes: list[Outcome] = []
        for seed in self._seeds:
            outcomes.append(simulate(self._contest, rules, start_time=self._start_time, seed=seed))
            if not self._promise.is_kept(outcomes[-1]):
                break
        trial = self._judge(rules, cooldown, outcomes)
        self._trials[maximum, ready, cooldown] = trial
        return trial

    def _judge(self, rules: PoolRules, cooldown: float, outcomes: Sequence[Outcome]) -> Trial:
        count = self._contest.executions
        return Trial(
            maximum=rules.maximum,
            ready=rules.ready,
            cooldown=cooldown,
            kept=all(map(self._promise.is_kept, outcomes)),
            wait=max(it.wait_at(self._promise.share) for it in outcomes),
            longest_wait=max(it.waits[-1] if it.waits else 0.0 for it in outcomes),
            share=min(it.share_within(self._promise.wait) for it in outcomes),
            refused=max(it.refused for it in outcomes) / count,
            new_sessions=max(it.new_sessions for it in outcomes) / count,
            peak_sessions=max(it.peak_sessions for it in outcomes),
            instance_seconds=sum(it.instance_seconds for it in outcomes) / len(outcomes),
            runs=len(outcomes),
        )

    def _best(self) -> Trial | None:
        """Return the cheapest of the pools that are the smallest for their cooldown."""
        smallest: dict[float, Trial] = {}
        for trial in self._trials.values():
            if trial.kept and trial.cooldown in self._searched:
                best = smallest.setdefault(trial.cooldown, trial)
                if (trial.maximum, trial.ready) < (best.maximum, best.ready):
                    smallest[trial.cooldown] = trial
        return min(
            smallest.values(), key=lambda it: (it.instance_seconds, it.maximum), default=None
        )

    def _obstacle(self, generous: Sequence[Trial]) -> str:
        """Say why not even the most generous pools keep the promise."""
        best = max(generous, key=lambda it: (it.share, -it.refused))
        if best.refused > self._promise.refused:
            why = f"a pool of at most {best.maximum} refuses {best.refused:.1%} of the executions"
            if self._contest.identifiers == "per-call":
                why += (
                    "; every call opens a session that is kept for the whole cooldown, so use one "
                    "identifier per student, or stop each session after its call"
                )
            return why
        why = (
            f"with at most {best.maximum} instances, {best.ready} of them ready, {best.share:.1%} "
            f"of the executions are served within {self._promise.wait:g} s"
        )
        if self._rules.allocation_time > self._promise.wait:
            why += (
                f"; {best.new_sessions:.1%} of them open a session, which alone takes "
                f"{self._rules.allocation_time:g} s"
            )
        return why


def _most_ready(maximum: int, given: Given) -> int:
    return maximum - 1 if given.ready is None else given.ready


def _least(low: int, high: int, is_enough: Callable[[int], bool], guess: int | None = None) -> int:
    """Return the least number that is enough, from ``low`` to ``high``, which is."""
    if guess is not None and low < guess < high:
        if is_enough(guess):
            high = guess
        else:
            low = guess + 1
    while low < high:
        middle = (low + high) // 2
        if is_enough(middle):
            high = middle
        else:
            low = middle + 1
    return high
