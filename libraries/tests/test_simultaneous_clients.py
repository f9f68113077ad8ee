from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    Provenance,
    Stage,
)
from codewitness.reporting.card import Mismatch
from codewitness.target.simultaneous_clients import (
    FIRST_ROUND,
    LONGER_ROUND,
    Report,
    ask_all,
    describe,
    mismatch_of_answers,
    mismatch_of_files,
    mismatch_of_overlap,
    mismatch_of_own,
    next_round,
    overlap_of,
    picture_of,
)

DEADLINE = 30.0


def report(number: int, start: float = 0.0, end: float = 1.0, **changes: object) -> Report:
    token = f"token-{number}"
    values: dict[str, object] = {
        "number": number,
        "token": token,
        "sent": 100.0,
        "received": 102.0,
        "words": (token, token, repr(100.0 + start), repr(100.0 + end)),
    }
    return Report(**{**values, **changes})  # type: ignore[arg-type]


def queued(count: int, at_once: int, seconds: float = 1.0) -> list[Report]:
    starts = [number // at_once * seconds for number in range(count)]
    return [report(it + 1, start, start + seconds) for it, start in enumerate(starts)]


def run_unsandboxed(request: ExecutionRequest) -> ExecutionResult:
    done = subprocess.run(
        [sys.executable, "-c", request.files[0].content.decode()],
        input=request.stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    run = Stage(done.stdout, done.stderr, code=done.returncode)
    return ExecutionResult("python", "3", run, Provenance("nothing"))


def test_programs_in_sandboxes_overlap_and_meet_nothing() -> None:
    with closing(LocalExecutor()) as local:
        clients = ask_all(4, "meeting", 0.8, local.execute)
    reports = [client.report for client in clients]
    for client in clients:
        assert isinstance(client.outcome, ExecutionResult)
        assert mismatch_of_own(client.report, client.outcome, reports) is None
    assert mismatch_of_answers(reports) is None
    assert mismatch_of_files(reports) is None
    assert mismatch_of_overlap(reports, at_least=2) is None
    assert "4 right answers, 0 wrong ones, 0 failures" in describe(reports)


def test_programs_that_share_folders_meet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    reports = [it.report for it in ask_all(2, "meeting", 1.5, run_unsandboxed)]
    found = mismatch_of_files(reports)
    assert found is not None
    # Whoever looks after the other has begun and before it ends.
    assert re.search("the program of client . found what . had left", str(found.received))
    assert not list(tmp_path.iterdir())


def test_service_that_serialises_is_named() -> None:
    one = threading.Lock()

    def serialise(request: ExecutionRequest) -> ExecutionResult:
        with one:
            return run_unsandboxed(request)

    reports = [it.report for it in ask_all(3, "meeting", 0.1, serialise)]
    found = mismatch_of_overlap(reports, at_least=3)
    assert found is not None
    assert "one after the other" in found.detail
    assert "greatest overlap 1 of 3" in str(found.received)


@pytest.mark.parametrize(
    ("at_once", "named"),
    [(1, "one after the other"), (2, "at most 2 at a time"), (9, "at most 9 at a time")],
)
def test_limit_of_programs_at_once_is_named(at_once: int, named: str) -> None:
    found = mismatch_of_overlap(queued(10, at_once), at_least=10)
    assert found is not None
    assert named in found.detail


def test_ten_at_once_are_enough() -> None:
    assert mismatch_of_overlap(queued(10, 10), at_least=10) is None


def test_failed_clients_leave_the_others_to_be_judged() -> None:
    failed = report(10, words=(), failure="no answer in time")
    assert mismatch_of_overlap([*queued(9, 9), failed], at_least=10) is None
    assert mismatch_of_overlap([*queued(9, 3), failed], at_least=10) is not None
    assert "9 right answers, 0 wrong ones, 1 failures" in describe([*queued(9, 9), failed])
    found = mismatch_of_overlap([failed], at_least=10)
    assert found is not None
    assert found.detail == "no program told its times"


def test_one_program_alone_proves_no_overlap() -> None:
    assert mismatch_of_overlap([report(1)], at_least=10) is not None


def test_second_round_tells_a_slow_start_from_a_queue() -> None:
    slow = [report(it, 0.3 * it, 0.3 * it + 0.8) for it in range(1, 11)]
    assert next_round(slow, DEADLINE) == LONGER_ROUND
    assert next_round(queued(10, 10), DEADLINE) is None
    # The longer one could last longer than a request may; sessions that are there by now tell, too.
    assert next_round(queued(10, 1), DEADLINE) == FIRST_ROUND
    assert next_round(queued(10, 1), DEADLINE / 2) is None
    assert next_round([report(1, words=())], DEADLINE) is None


def swap(reports: list[Report], one: int, other: int) -> list[Report]:
    words = {one: reports[other - 1].words, other: reports[one - 1].words}
    return [
        report(it.number, words=words[it.number]) if it.number in words else it for it in reports
    ]


def as_result(it: Report, code: int = 0) -> ExecutionResult:
    run = Stage(" ".join(it.words).encode(), b"", code=code)
    return ExecutionResult("python", "3", run, Provenance("nothing"))


def own_mismatches(reports: list[Report]) -> dict[int, Mismatch]:
    found = {it.number: mismatch_of_own(it, as_result(it), reports) for it in reports}
    return {number: it for number, it in found.items() if it is not None}


def test_swapped_answers_fail_these_two_clients_and_no_others() -> None:
    reports = swap(queued(10, 10), 3, 7)
    own = own_mismatches(reports)
    assert set(own) == {3, 7}
    assert own[3].detail == "this is the answer to the question of client 7"
    found = mismatch_of_answers(reports)
    assert found is not None
    assert found.received == (
        "client 3 got the answer of client 7; client 7 got the answer of client 3"
    )


def test_answer_that_is_given_twice_is_found() -> None:
    reports = queued(3, 3)
    reports[2] = report(3, words=reports[0].words)
    found = mismatch_of_answers(reports)
    assert found is not None
    assert "client 3 got the answer of client 1" in str(found.received)
    assert "2 clients got one and the same answer" in str(found.received)
    assert set(own_mismatches(reports)) == {3}


@pytest.mark.parametrize("words", [(), ("token-2",), ("token-2", "token-9", "1", "2")])
def test_mixed_or_missing_tokens_fail_their_client(words: tuple[str, ...]) -> None:
    reports = [report(1), report(2, words=words)]
    assert set(own_mismatches(reports)) == {2}


def test_times_that_are_none_fail_their_client() -> None:
    reports = [report(1), report(2, words=("token-2", "token-2", "now", "later"))]
    assert set(own_mismatches(reports)) == {2}


def test_exit_code_counts() -> None:
    found = mismatch_of_own(report(1), as_result(report(1), code=3), [report(1)])
    assert found is not None
    assert found.subject == "exit code"


def test_failure_is_reported_as_one() -> None:
    def refuse(_: ExecutionRequest) -> ExecutionResult:
        raise PlatformFault(FaultKind.CAPACITY, "full")

    (client,) = ask_all(1, "meeting", 0, refuse)
    assert isinstance(client.outcome, PlatformFault)
    assert client.report.failure == "out of capacity: full"
    assert overlap_of([client.report]) is None


def test_reports_travel_as_json() -> None:
    told = json.dumps(report(1).as_json)
    assert Report.from_json(json.loads(told)) == report(1)


@pytest.mark.parametrize(("one_clock", "explained"), [(True, "request to answer"), (False, "")])
def test_picture_shows_every_client(one_clock: bool, explained: str) -> None:
    picture = picture_of(queued(10, 10), one_clock=one_clock)
    assert picture.startswith("<svg")
    assert all(f">client {number}<" in picture for number in range(1, 11))
    assert "10 of 10 programs ran at one moment" in picture
    assert explained in picture


def test_nothing_is_drawn_of_nothing() -> None:
    assert picture_of([report(1, words=())], one_clock=True) == ""
