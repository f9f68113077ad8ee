"""The loads of the performance section tell a healthy service from broken ones.

The sizes are small: what is looked at is that each figure comes out of what it should.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from codewitness.measuring.samples import Warmth, count_outcomes, read_run, select
from codewitness.measuring.verdict import Verdict, judge_each
from codewitness.session_pool.planner_samples import measured_times
from codewitness.target.load_profile import LoadProfile, read_profile
from codewitness.target.load_runs import LoadRuns, answered_properly
from codewitness.target.load_target import SAMPLES, LoadTarget
from codewitness.target.own_resources import look_at
from codewitness.target.pool_plan import plan_pool
from codewitness.target.settings import SettingsError, resolve
from codewitness.target.soak import Footprint, Soak, growth, left
from tests.load_server import Behaviour, echo, load_server, printed
from tests.robot_runs import PROJECT

PROFILES = PROJECT / "variables" / "load_profiles.yaml"
SMALL = replace(
    read_profile(PROFILES, "short"),
    sessions=2,
    warm_requests=6,
    levels=(1, 2),
    level_requests=8,
    soak_seconds=1.0,
    rest_seconds=0.1,
    overload_requests=24,
    recovery_requests=2,
)


@contextmanager
def loads(folder: Path, profile: LoadProfile = SMALL, **values: str) -> Iterator[LoadRuns]:
    """Yield the loads of a target that these settings choose."""
    target = LoadTarget(resolve(values.get, {}), profile, folder)
    try:
        yield LoadRuns(target, profile, most_lag=10.0)
    finally:
        target.close()


@contextmanager
def served(folder: Path, behaviour: Behaviour, profile: LoadProfile = SMALL) -> Iterator[LoadRuns]:
    """Yield the loads of a server that behaves so."""
    with load_server(behaviour) as url, loads(folder, profile, ENDPOINT=url) as runs:
        yield runs


def few_at_a_time(count: int, seconds: float) -> Behaviour:
    """Return a server's behaviour that serves so many at a time, each so long."""
    free = asyncio.Semaphore(count)

    async def behave(number: int, body: dict[str, Any]) -> web.StreamResponse:
        async with free:
            await asyncio.sleep(seconds)
            return await echo(number, body)

    return behave


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LoadRuns, Path]]:
    """The loads of an embedded flow with a session pool, and where their samples are."""
    folder = tmp_path_factory.mktemp("flow")
    with loads(folder) as runs:
        yield runs, folder


def test_first_requests_are_labelled_by_what_the_pool_had_ready(flow: Any) -> None:
    runs, folder = flow
    first = runs.new_sessions
    assert [
        len(select(first.samples, it)) for it in (Warmth.READY_INSTANCE, Warmth.NEW_INSTANCE)
    ] == [1, 1]
    assert min(it.response_time for it in first.samples) > 1
    kept = read_run(folder / SAMPLES / "new-sessions.jsonl")
    assert kept.samples == first.samples
    assert kept.header["load"] == "new sessions"


def test_requests_that_follow_are_warm(flow: Any) -> None:
    runs, _ = flow
    assert {it.warmth for it in runs.warm.samples} == {Warmth.WARM}
    assert {it.warmth for level in runs.throughput.runs for it in level.run.samples} == {
        Warmth.WARM
    }
    assert [it.overlap for it in runs.throughput.runs] == [1, 2]


def test_pool_is_recommended_by_what_was_measured(flow: Any) -> None:
    runs, _ = flow
    # No promise that a busy machine can't keep.
    profile = replace(SMALL, contest=replace(SMALL.contest, wait=60))
    plan = plan_pool(measured_times([*runs.new_sessions.samples, *runs.warm.samples]), profile)
    assert plan.chosen is not None
    assert plan.rules.allocation_time > 0.5


def test_overload_of_one_user_is_refused_and_over_at_once(flow: Any) -> None:
    runs, _ = flow
    outcomes = count_outcomes(runs.overload.load.samples)
    assert outcomes.keys() == {"ok", "HTTP 429"}, outcomes
    assert judge_each(runs.overload.load.samples, right=answered_properly).verdict is Verdict.PASS
    assert all(it.succeeded for it in runs.overload.recovery.samples)


def test_healthy_flow_keeps_nothing_of_a_soak(flow: Any) -> None:
    runs, _ = flow
    soak = runs.soak
    assert all(it.succeeded for it in soak.samples), count_outcomes(soak.samples)
    assert [it.number for it in soak.samples] == list(range(len(soak.samples)))
    assert soak.samples[-1].started > SMALL.soak_seconds
    assert {it.files for it in soak.after} <= {it.files for it in soak.before}
    memory, handles = growth(soak.services)
    assert memory < 5
    assert handles <= 5


def test_service_that_keeps_all_it_ever_allocated_is_recognised(tmp_path: Path) -> None:
    with loads(tmp_path, FAULT="memory-leaked") as runs:
        memory, _ = growth(runs.soak.services)
    assert memory > 5


def test_knee_is_where_a_service_stops_doing_more_at_once(tmp_path: Path) -> None:
    profile = replace(SMALL, sessions=4, levels=(1, 2, 4), level_requests=20)
    with served(tmp_path, few_at_a_time(2, 0.1), profile) as runs:
        knee = runs.throughput.knee
    assert knee.level is not None
    assert knee.level.at_once == 2, knee.reason


def test_levels_go_no_further_than_there_are_callers(tmp_path: Path) -> None:
    with served(tmp_path, echo, replace(SMALL, levels=(1, 2, 8))) as runs:
        assert [it.at_once for it in runs.throughput.levels] == [1, 2]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(429, Verdict.PASS), (503, Verdict.PASS), (504, Verdict.PASS), (500, Verdict.FAIL)],
)
def test_what_comes_of_an_overload_is_named(tmp_path: Path, status: int, verdict: Verdict) -> None:
    under_way = 0

    async def behave(number: int, body: dict[str, Any]) -> web.StreamResponse:
        nonlocal under_way
        under_way += 1
        try:
            if under_way > 4:
                return web.json_response({"message": "busy"}, status=status)
            await asyncio.sleep(0.05)
            return await echo(number, body)
        finally:
            under_way -= 1

    with served(tmp_path, behave) as runs:
        overload = runs.overload
    assert f"HTTP {status}" in count_outcomes(overload.load.samples)
    assert judge_each(overload.load.samples, right=answered_properly).verdict is verdict
    assert all(it.succeeded for it in overload.recovery.samples)


def test_what_programs_find_in_a_session_is_compared(tmp_path: Path) -> None:
    files = 0

    async def behave(number: int, body: dict[str, Any]) -> web.StreamResponse:
        nonlocal files
        if "json.dumps" in body["files"][0]["content"]:
            return printed(json.dumps([files, 3, 64 * 1024 * 1024]))
        files += 1
        return await echo(number, body)

    with served(tmp_path, behave) as runs:
        soak = runs.soak
    assert soak.services == ()
    assert (soak.before[0].processes, soak.before[0].memory) == (3, 64.0)
    assert soak.after[0].files - soak.before[0].files == len(soak.samples)


def test_load_measured_again_keeps_the_samples_of_both(tmp_path: Path) -> None:
    with served(tmp_path, echo) as runs:
        first = runs.warm
        assert runs.warm is first
        runs.forget("warm")
        assert runs.warm is not first
    names = sorted(path.name for path in (tmp_path / SAMPLES).iterdir())
    assert names == ["new-sessions.jsonl", "warm-2.jsonl", "warm.jsonl"]


def test_own_process_is_seen() -> None:
    held = look_at([os.getpid()])
    assert held.memory > 5
    assert held.threads >= 1
    with (PROJECT / "README.md").open("rb"):
        assert look_at([os.getpid()]).descriptors == held.descriptors + 1


@pytest.mark.parametrize("name", ["short", "sharp"])
def test_profiles_can_be_read(name: str) -> None:
    profile = read_profile(PROFILES, name)
    assert max(profile.levels) <= profile.sessions
    assert list(profile.levels) == sorted(profile.levels)


def test_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"LOAD_PROFILE is 'huge'; .* has short, sharp"):
        read_profile(PROFILES, "huge")


@pytest.mark.parametrize("text", ["short: {sessions: 8}", "short: 3", "short: [", "just text"])
def test_file_that_holds_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "profiles.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match="profile"):
        read_profile(file, "short")


@pytest.mark.parametrize(
    ("size", "wrong"),
    [
        ("sessions: 8", "sessions: 0"),
        ("sessions: 8", "sessions: eight"),
        ("warm_share: 0.9", "warm_share: 2"),
        ("soak_rate: 6", "soak_rate: 0"),
        ("soak_seconds: 3.5", "soak_seconds: .inf"),
        ("levels: [1, 2, 4, 8]", "levels: []"),
        ("levels: [1, 2, 4, 8]", "levels: [8, 1]"),
        ("students: 500", "students: 0"),
    ],
)
def test_size_that_makes_no_load_is_named(tmp_path: Path, size: str, wrong: str) -> None:
    file = tmp_path / "profiles.yaml"
    file.write_text(PROFILES.read_text().replace(size, wrong, 1))
    name = wrong.partition(":")[0]
    with pytest.raises(SettingsError, match=rf"the profile 'short' is none \({name} is "):
        read_profile(file, "short")


def test_what_is_left_is_what_all_later_probes_of_a_caller_find() -> None:
    def probes(*found: tuple[int, int]) -> tuple[Footprint, ...]:
        return tuple(Footprint(files, None, None, 0.1, caller) for caller, files in found)

    def soak(*after: tuple[int, int]) -> Soak:
        return Soak((), probes((0, 5), (1, 2), (0, 6), (1, 2)), probes(*after), (), (), 1.0)

    def files(probe: Footprint) -> float:
        return probe.files

    assert left(soak((0, 5), (1, 2), (0, 9), (1, 2)), files) == 0
    assert left(soak((0, 5), (1, 3), (0, 6), (1, 4)), files) == 1
