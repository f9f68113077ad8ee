"""The planner's simulated pool against the embedded one, which is driven in real time."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from statistics import mean

import pytest

from codewitness.embedded.session_pool_service import PoolSettings
from codewitness.session_pool.lifecycle import PoolRules, Timed
from codewitness.session_pool.planner import Contest, Measured, Outcome, Ramp, simulate
from tests.session_pools import PoolClient, pool_of

PROGRAM = "import time; time.sleep(0.4)"
# More than an instance really takes on a busy machine: the emulator adds what is missing.
START_TIME = 2.0
SEED = 4
CONTEST = Contest(
    10,
    Measured((0.5,)),
    questions=2,
    tries=2,
    arrivals=Ramp(3.0),
    think_time=Measured((0.3,)),
)


class Student(threading.Thread):
    """Does in real time what a simulated student does.

    Args:
        pool: Where programs are sent.
        name: Identifier of the student's session.
        contest: What the student does.
        start: When to come, by the monotonic clock.
    """

    def __init__(self, pool: PoolClient, name: str, contest: Contest, start: float) -> None:
        super().__init__(name=name, daemon=True)
        self.answers: list[tuple[int, float]] = []
        self._pool = pool
        self._contest = contest
        self._start = start

    def run(self) -> None:
        assert isinstance(self._contest.think_time, Measured)
        (think_time,) = self._contest.think_time.samples
        time.sleep(max(0.0, self._start - time.monotonic()))
        for which in range(self._contest.executions_each):
            if which:
                time.sleep(think_time)
            sent = time.monotonic()
            answer = self._pool.run(PROGRAM, self.name)
            self.answers.append((answer.status, time.monotonic() - sent))


def hold(contest: Contest, rules: PoolRules) -> list[Student]:
    """Hold a contest on an embedded pool whose stock is ready."""
    settings = PoolSettings(rules=rules, checks_rules=False, start_time=START_TIME, identity=None)
    with pool_of(settings) as pool:
        pool.order("wait", {"ready": rules.ready, "within": 60})
        moments = contest.arrivals.moments(contest.students, random.Random(f"{SEED} arrive"))
        begin = time.monotonic() + 0.2
        students = [
            Student(pool, f"student-{number}", contest, begin + moment)
            for number, moment in enumerate(moments)
        ]
        for student in students:
            student.start()
        for student in students:
            student.join(120)
        return students


def planned(contest: Contest, rules: PoolRules) -> Outcome:
    return simulate(contest, rules, start_time=Measured((START_TIME,)), seed=SEED)


@pytest.mark.thorough
def test_waits_are_those_of_the_embedded_pool() -> None:
    rules = PoolRules(12, ready=2, lifecycle=Timed(60), allocation_time=0.2)
    students = hold(CONTEST, rules)
    assert all(status == 200 for student in students for status, _ in student.answers)
    firsts = [student.answers[0][1] for student in students]
    warm = [took for student in students for _, took in student.answers[1:]]
    outcome = planned(replace(CONTEST, service_time=Measured(tuple(warm))), rules)
    assert outcome.new_sessions == len(firsts) == 10
    observed = sum(took - mean(warm) for took in firsts) / CONTEST.executions
    print(f"\nmean wait: planned {outcome.mean_wait:.4f} s, observed {observed:.4f} s")
    assert observed == pytest.approx(outcome.mean_wait, rel=0.3)


def test_refusals_are_those_of_the_embedded_pool() -> None:
    rules = PoolRules(4, ready=2, lifecycle=Timed(60))
    contest = replace(CONTEST, questions=1, tries=1)
    students = hold(contest, rules)
    refused = sum(status == 429 for student in students for status, _ in student.answers)
    assert refused == planned(contest, rules).refused == 6
