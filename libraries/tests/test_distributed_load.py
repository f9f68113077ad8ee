"""Load from several workers, as far as it needs no Locust: plan, shares, judging, one result."""

from __future__ import annotations

import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from codewitness.distributed.load_requests import OWN_CASES, case_requests, requests_of
from codewitness.distributed.plan import LoadPlan
from codewitness.distributed.worker import Worker
from codewitness.execution.causes import fault
from codewitness.execution.http_client import HttpAnswer, HttpCall
from codewitness.execution.load import SWAPPED
from codewitness.execution.model import FaultKind
from codewitness.measuring.merging import merge_runs
from codewitness.measuring.samples import (
    OK,
    Generator,
    Run,
    Sample,
    Warmth,
    count_outcomes,
    generator_from_json,
    sample_from_json,
    sample_to_json,
)
from codewitness.measuring.verdict import Verdict
from codewitness.target.locust_run import LoadBroken, find_locust, judge_warm, run_load
from tests.load_server import echo, load_server, printed

NOWHERE = "http://127.0.0.1:9"
QUIET = Generator(planned=100, dropped=(), lag=0.001, cpu_share=0.1, seconds=10.0)


def send(call: HttpCall, deadline: float) -> HttpAnswer:
    """Send a call as simply as possible."""
    began = time.perf_counter()
    request = urllib.request.Request(call.url, call.body, dict(call.headers))
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=deadline) as answer:
            read = answer.status, answer.reason, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        read = error.code, error.reason, error.headers, error.read()
    except OSError as error:
        raise fault(FaultKind.NOTHING_LISTENING, str(error)) from error
    status, reason, headers, body = read
    return HttpAnswer(status, reason, headers, body, time.perf_counter() - began, call)


def work_off(plan: LoadPlan, index: int = 0) -> tuple[Worker, list[Sample]]:
    """Let the callers of one worker, as threads, do its share."""
    worker = Worker(plan, index, requests_of(plan))
    callers = [threading.Thread(target=worker.call, args=(send,)) for _ in range(plan.callers)]
    worker.begin()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert worker.done
    return worker, worker.take_samples()


@given(
    rate=st.floats(0.5, 200),
    seconds=st.floats(0.1, 5),
    workers=st.integers(1, 7),
    callers=st.integers(1, 5),
    warm_up=st.sampled_from([0.0, 1.5]),
)
def test_shares_of_workers_are_the_plan(
    rate: float, seconds: float, workers: int, callers: int, warm_up: float
) -> None:
    plan = LoadPlan(NOWHERE, rate, seconds, workers=workers, callers=callers, warm_up=warm_up)
    shares = [plan.share(index) for index in range(workers)]
    assert sorted(it for share in shares for it in share) == list(enumerate(plan.schedule.starts))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    first = [sum(start < warm_up for _, start in share) for share in shares]
    assert first == [callers if warm_up else 0] * workers


def test_plan_travels_as_json() -> None:
    plan = LoadPlan(NOWHERE, 5, 2, cases=("queens",), ca_bundle="ca.pem", verify=False)
    assert LoadPlan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    "change", [{"rate": 0}, {"seconds": 0}, {"workers": 0}, {"callers": 0}, {"deadline": 0}]
)
def test_plan_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs"):
        LoadPlan(**{"endpoint": NOWHERE, "rate": 1, "seconds": 1, **change})


def test_worker_sends_its_share_as_planned() -> None:
    with load_server(echo) as url:
        plan = LoadPlan(url, 40, 1, workers=2, callers=2, warm_up=0.5)
        worker, samples = work_off(plan, index=1)
    assert {it.number: it.planned for it in samples} == dict(plan.share(1))
    assert count_outcomes(samples) == {OK: 22}
    assert all(it.started > it.planned - 0.02 for it in samples)
    assert {it.number for it in samples if it.warm_up} == {1, 3}
    assert not worker.take_samples()
    assert worker.generator().planned == 22


def test_answer_of_another_request_is_named() -> None:
    tokens: list[str] = []

    async def swap(_number: int, body: dict[str, Any]) -> web.StreamResponse:
        tokens.append(body["stdin"])
        return printed(tokens[-2] if len(tokens) == 5 else body["stdin"])

    with load_server(swap) as url:
        _, samples = work_off(LoadPlan(url, 40, 0.5, workers=1, warm_up=0))
    assert count_outcomes(samples) == {OK: 19, SWAPPED: 1}


def test_refusals_and_dead_ends_are_named() -> None:
    async def refuse(_number: int, _body: object) -> web.StreamResponse:
        return web.json_response({"message": "no"}, status=429)

    with load_server(refuse) as url:
        _, samples = work_off(LoadPlan(url, 20, 0.2, workers=1, warm_up=0))
    assert {(it.outcome, it.error) for it in samples} == {("refused", "HTTP 429")}
    _, samples = work_off(LoadPlan(NOWHERE, 20, 0.2, workers=1, warm_up=0))
    assert {(it.outcome, it.error) for it in samples} == {("connection cut", "nothing listening")}


def test_start_that_would_be_too_late_is_dropped() -> None:
    now = [0.0]

    def hang(call: HttpCall, deadline: float) -> HttpAnswer:
        now[0] += deadline
        raise fault(FaultKind.TIMEOUT, f"{call.method} was not answered")

    plan = LoadPlan(NOWHERE, 10, 1, workers=1, callers=1, warm_up=0, deadline=5)
    worker = Worker(plan, 0, requests_of(plan), clock=lambda: now[0], sleep=lambda _seconds: None)
    worker.call(hang)
    assert worker.done
    assert [it.planned for it in worker.take_samples()] == [0.0, 0.1]
    assert worker.generator().dropped == tuple(start for start in plan.schedule.starts[2:])
    assert now[0] <= plan.longest


def test_every_other_request_runs_a_test_case() -> None:
    make = requests_of(LoadPlan(NOWHERE, 1, 1, cases=("hello-n-times",)))
    echoed, case, _, next_case = (make(number) for number in range(4))
    assert echoed.check is None
    assert case.check is not None
    assert case.request.files == next_case.request.files
    assert case.request.stdin != next_case.request.stdin


def test_test_cases_are_judged_as_ever() -> None:
    async def wrong(_number: int, _body: object) -> web.StreamResponse:
        return printed("something else\n")

    with load_server(wrong) as url:
        plan = LoadPlan(url, 20, 0.2, workers=1, warm_up=0, cases=("hello-n-times",))
        _, samples = work_off(plan)
    of_cases = [it for it in samples if it.number % 2]
    assert {it.error for it in of_cases} == {"test case: wrong answer"}
    assert all(it.detail.startswith("hello-n-times/") for it in of_cases)


def test_patterns_that_name_no_case_are_refused() -> None:
    with pytest.raises(ValueError, match="names no test case"):
        case_requests(OWN_CASES, ["no-such-problem"])
    # Judged by a program of its own, which takes the generator's time.
    with pytest.raises(ValueError, match="names no test case"):
        case_requests(OWN_CASES, ["queens"])


def sample(number: int, service_time: float = 0.1, lag: float = 0.0, **fields: Any) -> Sample:
    planned = number / 10
    started = planned + lag
    given = {"warmth": Warmth.WARM, **fields}
    return Sample(number, planned, started, started + service_time, **given)


def test_samples_and_generators_travel_as_json() -> None:
    for each in (sample(1), sample(2, outcome="refused", error="HTTP 429", status=429)):
        assert sample_from_json(sample_to_json(each)) == each
    assert generator_from_json(vars(QUIET)) == QUIET


def test_merged_run_is_as_bad_as_the_worst_of_its_parts() -> None:
    busy = replace(QUIET, cpu_share=0.9, dropped=(0.5,), planned=3, seconds=11, clock_shift=-2)
    one = Run((sample(0), sample(2)), QUIET, {"worker": 1})
    other = Run((sample(1, lag=0.3), sample(3)), busy, {"worker": 2})
    merged = merge_runs([one, other], {"target": "there"})
    assert [it.number for it in merged.samples] == [0, 1, 2, 3]
    assert merged.header == {"target": "there", "workers": [{"worker": 1}, {"worker": 2}]}
    generator = merged.generator
    assert generator is not None
    assert (generator.planned, generator.dropped, generator.seconds) == (103, (0.5,), 11)
    assert (generator.cpu_share, generator.clock_shift) == (0.9, -2)
    assert generator.lag == pytest.approx(0.3, abs=0.02)


def test_run_of_a_lost_worker_is_broken_off() -> None:
    merged = merge_runs([Run((sample(0),), QUIET, {}), Run((sample(1),), None, {})], {})
    assert merged.objection() == "the load was broken off"


def test_number_sent_twice_is_no_run() -> None:
    run = Run((sample(0),), QUIET, {})
    with pytest.raises(ValueError, match="same number"):
        merge_runs([run, run], {})


def test_new_sessions_do_not_count_as_warm() -> None:
    samples = [sample(number) for number in range(80)]
    samples += [sample(number, 3, warmth=Warmth.COLD) for number in range(80, 100)]
    assert judge_warm(Run(tuple(samples), QUIET, {}), 1.0).verdict is Verdict.PASS


def test_failed_request_counts_as_never_answered() -> None:
    samples = [sample(number) for number in range(60)]
    samples += [sample(60 + n, outcome="refused", warmth=Warmth.UNKNOWN) for n in range(40)]
    assert judge_warm(Run(tuple(samples), QUIET, {}), 1.0).verdict is Verdict.FAIL


def test_slow_service_fails_though_its_callers_were_busy() -> None:
    late = replace(QUIET, lag=3.0)
    slow = Run(tuple(sample(number, 2.0, lag=3.0) for number in range(100)), late, {})
    assert judge_warm(slow, 1.0).verdict is Verdict.FAIL
    quick = Run(tuple(sample(number, 0.1, lag=3.0) for number in range(100)), late, {})
    assert judge_warm(quick, 1.0).verdict is Verdict.INCONCLUSIVE


def executable(path: Path, program: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{program}")
    path.chmod(0o755)
    return path


needs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="a script is no command there")


@needs_scripts
def test_locust_is_found_where_it_is_named_then_in_the_project_then_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_locust(project=tmp_path) is None
    on_path = executable(tmp_path / "bin" / "locust", "")
    assert find_locust(project=tmp_path) == on_path
    own = executable(tmp_path / ".locust" / "bin" / "locust", "")
    assert find_locust(project=tmp_path) == own
    named = executable(tmp_path / "elsewhere", "")
    assert find_locust(str(named), tmp_path) == named
    assert find_locust("none", tmp_path) is None
    with pytest.raises(LoadBroken, match="which is no command"):
        find_locust(str(tmp_path / "nothing"), tmp_path)


@needs_scripts
@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('error: no room here')", "no room here"),
        ("pass", "samples of a worker are missing"),
        ("import sys; '--worker' in sys.argv or sys.stdin.read(); sys.exit(3)", "exit code 3"),
    ],
)
def test_load_that_ends_early_says_why(tmp_path: Path, program: str, said: str) -> None:
    locust = executable(tmp_path / "locust", program)
    with pytest.raises(LoadBroken, match=said):
        run_load(LoadPlan(NOWHERE, 1, 1), locust, tmp_path / "out")


@needs_scripts
def test_no_credential_reaches_arguments_files_or_a_service_that_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKEND_API_KEY", "canary-of-the-load")
    monkeypatch.setenv("LOCUST_HOST", "http://elsewhere")
    seen = tmp_path / "seen"
    seen.mkdir()
    program = (
        "import json, os, pathlib, sys\n"
        f"place = pathlib.Path({str(seen)!r}) / str(os.getpid())\n"
        "place.write_text(json.dumps([sys.argv, dict(os.environ)]))"
    )
    locust = executable(tmp_path / "locust", program)

    def told() -> Callable[[str], bool]:
        with pytest.raises(LoadBroken):
            run_load(LoadPlan(NOWHERE, 1, 1), locust, tmp_path / "out")
        texts = [file.read_text() for file in seen.iterdir()]
        assert texts
        return lambda text: any(text in it for it in texts)

    assert not told()("canary-of-the-load")
    assert not told()("LOCUST_HOST")
