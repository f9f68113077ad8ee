from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from codewitness.measuring.samples import Generator, Run, Sample, Warmth, write_run
from codewitness.reporting.capacity import plan_as_markdown, recommendation
from codewitness.session_pool.lifecycle import PoolRules, Timed
from codewitness.session_pool.planner import (
    Contest,
    Exponential,
    LastMinuteRush,
    Measured,
    Ramp,
    simulate,
)
from codewitness.session_pool.planner_samples import measured_times
from codewitness.session_pool.planner_search import (
    Given,
    Plan,
    Promise,
    Trial,
    recommend,
)

FOUR_SECONDS = Measured((4.2,))
SEEDS = (1, 2, 3)
AT_ONCE = Contest(200, Exponential(0.2))
RUSH = Contest(200, Exponential(0.2), tries=3, arrivals=LastMinuteRush(7200))


def is_kept(plan: Plan, maximum: int, ready: int, cooldown: float) -> bool:
    rules = PoolRules(maximum, ready, Timed(cooldown))
    return all(
        plan.promise.is_kept(simulate(plan.contest, rules, start_time=plan.start_time, seed=seed))
        for seed in SEEDS
    )


def chosen_of(plan: Plan) -> Trial:
    assert plan.chosen is not None, plan.obstacle
    return plan.chosen


@pytest.mark.parametrize(
    "contest",
    [AT_ONCE, RUSH, replace(RUSH, when_refused="wait in line")],
    ids=["at once", "rush", "rush in line"],
)
def test_smallest_pool_is_found(contest: Contest) -> None:
    plan = recommend(contest, Promise(2.0), start_time=FOUR_SECONDS, seeds=SEEDS)
    chosen = chosen_of(plan)
    assert not plan.cut_short
    assert chosen in plan.trials
    assert chosen.refused == 0
    assert chosen.share >= 0.95
    assert is_kept(plan, chosen.maximum, chosen.ready, chosen.cooldown)
    fewer = chosen.maximum - 1
    assert not is_kept(plan, fewer, fewer - 1, chosen.cooldown), "fewer sessions would do"
    if chosen.ready > 1:
        less = chosen.ready - 1
        assert not is_kept(plan, chosen.maximum, less, chosen.cooldown), "a smaller stock would do"


def test_all_at_once_needs_a_session_for_everybody_and_enough_of_them_ready() -> None:
    contest = Contest(200, Measured((0.2,)), think_time=Measured((60.0,)))
    chosen = chosen_of(recommend(contest, Promise(2.0), start_time=FOUR_SECONDS))
    # Half of the executions open a session; 20 of 400 may wait.
    assert (chosen.maximum, chosen.ready, chosen.cooldown) == (200, 180, 300)
    assert (chosen.wait, chosen.longest_wait) == (0.0, 4.2)


def test_longer_cooldown_is_chosen_where_it_spares_opening_sessions() -> None:
    contest = Contest(20, Measured((0.2,)), tries=10, think_time=Measured((400.0,)))
    rules = PoolRules(allocation_time=4.2)
    plan = recommend(contest, Promise(2.0, share=0.9), rules=rules)
    assert chosen_of(plan).cooldown == 600
    assert {trial.cooldown for trial in plan.trials if not trial.kept} >= {300}


def test_what_is_given_is_kept() -> None:
    given = Given(maximum=250, ready=190, cooldown=900)
    plan = recommend(AT_ONCE, Promise(2.0), given, start_time=FOUR_SECONDS)
    (trial,) = plan.trials
    assert plan.chosen == trial
    assert (trial.maximum, trial.ready, trial.cooldown) == (250, 190, 900)
    ready = recommend(AT_ONCE, Promise(2.0), Given(ready=195), start_time=FOUR_SECONDS)
    assert {trial.ready for trial in ready.trials} == {195}
    assert chosen_of(ready).maximum == 200
    with pytest.raises(ValueError, match="can't be kept ready"):
        recommend(AT_ONCE, Promise(2.0), Given(maximum=10, ready=11))


def test_why_no_pool_keeps_the_promise() -> None:
    small = recommend(AT_ONCE, Promise(2.0), greatest_maximum=50, start_time=FOUR_SECONDS)
    assert small.chosen is None
    assert "at most 50 refuses" in small.obstacle
    per_call = replace(RUSH, identifiers="per-call")
    held = recommend(per_call, Promise(2.0), greatest_maximum=50)
    assert "use one identifier per student" in held.obstacle
    slow = recommend(AT_ONCE, Promise(2.0), rules=PoolRules(allocation_time=4.2))
    assert slow.chosen is None
    assert "which alone takes 4.2 s" in slow.obstacle
    assert slow.obstacle in recommendation(slow)


def test_search_ends_after_its_greatest_number_of_trials() -> None:
    plan = recommend(AT_ONCE, Promise(2.0), start_time=FOUR_SECONDS, most_trials=5)
    assert len(plan.trials) == 5
    assert plan.cut_short
    assert chosen_of(plan).kept
    assert "ended early" in recommendation(plan)
    with pytest.raises(ValueError, match="a trial"):
        recommend(AT_ONCE, Promise(2.0), most_trials=0)


@pytest.mark.parametrize(
    "wrong", [{"wait": -1}, {"wait": 1, "share": 0}, {"wait": 1, "refused": 2}]
)
def test_impossible_promise(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"wait|share"):
        Promise(**wrong)


def sample(number: int, took: float, warmth: Warmth, outcome: str = "ok") -> Sample:
    return Sample(number, number, number, number + took, outcome, warmth=warmth)


SAMPLES = (
    sample(0, 4.5, Warmth.NEW_INSTANCE),
    sample(1, 0.5, Warmth.READY_INSTANCE),
    *(sample(2 + number, 0.2 + 0.01 * number, Warmth.WARM) for number in range(3)),
    sample(5, 3.0, Warmth.WARM, "timed out"),
    sample(6, 0.01, Warmth.WARM, "refused"),
    replace(sample(7, 9.0, Warmth.WARM), warm_up=True),
)


def test_times_are_taken_out_of_samples() -> None:
    times = measured_times(SAMPLES)
    assert times.service_time.samples == pytest.approx((0.2, 0.21, 0.22, 3.0))
    assert times.start_time is not None
    assert times.start_time.samples == pytest.approx((4.29,))
    assert times.allocation_time == pytest.approx(0.29)
    assert not times.assumption
    unknown = measured_times([sample(0, 0.2, Warmth.UNKNOWN)])
    assert "not known" in unknown.assumption
    assert (unknown.start_time, unknown.allocation_time) == (None, None)
    with pytest.raises(ValueError, match="no sample"):
        measured_times([sample(0, 0.2, Warmth.COLD)])


def test_plan_is_shown_with_what_it_stands_on_and_what_was_tried() -> None:
    contest = replace(AT_ONCE, service_time=Measured((0.1, 0.2, 0.3)), tries=1, questions=1)
    plan = recommend(contest, Promise(2.0), start_time=FOUR_SECONDS)
    shown = plan_as_markdown(plan)
    chosen = chosen_of(plan)
    assert f"max-sessions {chosen.maximum}, ready-sessions {chosen.ready}" in shown
    assert "95 % of the executions wait at most 2 s and none is refused" in shown
    assert "3 samples measured, median 0.2 s" in shown
    table = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(plan.trials)
    assert len({line.count("|") for line in table}) == 1
    assert len({len(line) for line in table}) == 1
    assert sum("chosen" in line for line in table) == 1
    assert "Pools tried" not in plan_as_markdown(plan, trials=False)


@pytest.mark.parametrize(
    ("contest", "words"),
    [
        (Contest(1, Exponential(1), 1, 3), "1 student, 1 question with 3 tries each"),
        (replace(AT_ONCE, arrivals=Ramp(60)), "one by one within 60 s"),
        (RUSH, "within 7200 s, 50 % of them in the last 300 s"),
        (replace(AT_ONCE, identifiers="per-call", stops_sessions=True), "one per call; a session"),
        (replace(AT_ONCE, when_refused="wait in line"), "held back until a session is free"),
    ],
)
def test_contest_in_words(contest: Contest, words: str) -> None:
    given = Given(maximum=300, ready=1, cooldown=300)
    assert words in plan_as_markdown(recommend(contest, Promise(2.0), given, seeds=(1,)))


def plan_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    folder = Path(__file__).resolve().parents[1] / "codewitness"
    command = [sys.executable, str(folder), "plan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_command_recommends_a_pool(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    write_run(file, Run(SAMPLES, Generator(8, (), 0.0, 0.1, 10.0), {"target": "none"}))
    told = plan_command(
        *("--students", "50", "--arrivals", "ramp", "--over", "600", "--service-times", str(file)),
        *("--promise-wait", "5", "--runs", "2"),
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "keeps the promise that 95 % of the executions wait at most 5 s" in told.stdout
    assert "1 sample measured" in told.stdout or "4.29 s" in told.stdout
    assert "| chosen |" in told.stdout


def test_command_fails_where_no_pool_keeps_the_promise() -> None:
    told = plan_command(
        *("--students", "50", "--service-time", "0.2", "--max-sessions", "10"),
        *("--ready-sessions", "2", "--cooldown", "300"),
    )
    assert told.returncode == 1
    assert "a pool of at most 10 refuses" in told.stdout
    assert told.stderr == "error: no pool that was tried keeps the promise\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--students", "0", "--service-time", "1"], "'0' is not a whole number from 1"),
        (["--students", "5"], "one of the arguments"),
        (["--students", "5", "--service-time", "0"], "mean time lies above 0"),
        (["--students", "5", "--service-times", "none.jsonl"], "none.jsonl"),
        (["--students", "5", "--service-time", "1", "--promise-share", "0"], "share"),
        (
            ["--students", "5", "--service-time", "1", "--arrivals", "rush", "--over", "60"],
            "does not fit",
        ),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: list[str], said: str) -> None:
    told = plan_command(*arguments)
    assert told.returncode == 2
    assert told.stderr.startswith("error: ")
    assert said in told.stderr
    assert told.stderr.count("\n") == 1
