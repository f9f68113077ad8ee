"""The pool to have for a contest, by the service times that a load has measured."""

from __future__ import annotations

from codewitness.session_pool.lifecycle import PoolRules
from codewitness.session_pool.planner import Contest, Exponential, LastMinuteRush, Measured
from codewitness.session_pool.planner_samples import MeasuredTimes
from codewitness.session_pool.planner_search import Plan, Promise, recommend
from codewitness.target.load_profile import LoadProfile

# What a custom container took in the pools that were reported on; used where none was measured.
_USUAL_START = Measured((4.2,))
_THINK_TIME = Exponential(60.0)


def plan_pool(times: MeasuredTimes, profile: LoadProfile) -> Plan:
    """Find the smallest pool that keeps the profile's promise to its contest.

    Args:
        times: What was measured; a start of an instance that was not is taken to be 4.2 s.
        profile: Has the contest and the promise.
    """
    contest = profile.contest
    return recommend(
        Contest(
            students=contest.students,
            service_time=times.service_time,
            questions=contest.questions,
            arrivals=LastMinuteRush(contest.over, contest.rush_within, contest.rush_share),
            think_time=_THINK_TIME,
        ),
        Promise(contest.wait, contest.share),
        rules=PoolRules(allocation_time=times.allocation_time or 0.0),
        start_time=times.start_time or _USUAL_START,
        seeds=range(1, profile.contest_runs + 1),
    )
