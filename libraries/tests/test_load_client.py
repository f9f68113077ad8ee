"""The load client against real servers: every failure gets its name, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.load import (
    CUT,
    FAILED,
    OK,
    REFUSED,
    SWAPPED,
    TIMED_OUT,
    WRONG,
    LoadClient,
    echo_requests,
)
from codewitness.execution.model import PlatformFault
from codewitness.measuring.driving import drive
from codewitness.measuring.overlap import Interval, measure_overlap
from codewitness.measuring.samples import (
    Run,
    SampleWriter,
    Warmth,
    count_outcomes,
    read_run,
)
from codewitness.measuring.schedules import ClosedModel, burst, constant_arrivals
from codewitness.measuring.statistics import percentile
from tests.load_server import Behaviour, echo, load_server, printed
from tests.scripted_server import Connection, ScriptedServer, always, answer, good


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "BACKEND_AUTHORIZATION"):
        monkeypatch.delenv(name, raising=False)


def run_load(
    url: str, schedule: Any, *, deadline: float = 20.0, seconds: float = 0.0, **options: Any
) -> Run:
    with LoadClient(url, **options) as client:
        return client.run(drive(client.sender(echo_requests(seconds), deadline), schedule), 60)


@contextmanager
def scripted(script: Callable[[Connection], None]) -> Iterator[str]:
    server = ScriptedServer(script)
    try:
        yield server.url
    finally:
        server.stop()


def test_requests_get_their_own_answers_over_kept_connections() -> None:
    with load_server(echo) as url:
        run = run_load(url, ClosedModel(4, 60))
    assert count_outcomes(run.samples) == {OK: 60}
    assert sum(not sample.connection_reused for sample in run.samples) == 4
    assert {sample.status for sample in run.samples} == {200}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(429, REFUSED), (503, REFUSED), (504, TIMED_OUT), (500, FAILED), (400, FAILED), (404, FAILED)],
)
def test_status_is_named_and_never_tried_again(status: int, outcome: str) -> None:
    seen = []

    async def refuse(number: int, _body: object) -> web.StreamResponse:
        seen.append(number)
        return web.json_response({"message": "no"}, status=status, headers={"Retry-After": "0"})

    with load_server(refuse) as url:
        run = run_load(url, burst(3))
    assert {(it.outcome, it.error, it.status) for it in run.samples} == {
        (outcome, f"HTTP {status}", status)
    }
    assert len(seen) == 3


def test_no_answer_in_time_is_named() -> None:
    async def late(_number: int, _body: object) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    with load_server(late) as url:
        run = run_load(url, burst(2), deadline=0.5)
    assert {(it.outcome, it.error) for it in run.samples} == {(TIMED_OUT, "no answer in time")}
    assert all(sample.service_time >= 0.5 for sample in run.samples)
    assert "0.5 s" in run.samples[0].detail


def test_cut_connection_is_named() -> None:
    def cut(connection: Connection) -> None:
        connection.read()
        connection.reset()

    with scripted(cut) as url:
        run = run_load(url, burst(2))
    assert {(it.outcome, it.error) for it in run.samples} == {(CUT, "connection cut")}


def test_connection_cut_within_the_answer_is_named() -> None:
    def half(connection: Connection) -> None:
        connection.read()
        connection.send(answer(body="x" * 100)[:-50])

    with scripted(half) as url:
        run = run_load(url, burst(1))
    assert [(it.outcome, it.error) for it in run.samples] == [(CUT, "connection cut")]


def test_nobody_listening_is_named_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        run = run_load(f"http://127.0.0.1:{unused.getsockname()[1]}", burst(2))
    assert {(it.outcome, it.error) for it in run.samples} == {(CUT, "nothing listening")}


def answers_of(behaviour: Behaviour, schedule: Any) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    with load_server(behaviour) as url:
        for sample in run_load(url, schedule).samples:
            key = (sample.outcome, sample.error)
            counts[key] = counts.get(key, 0) + 1
    return counts


def test_two_swapped_answers_are_found() -> None:
    waiting: list[tuple[str, asyncio.Future[str]]] = []

    async def swap(number: int, body: dict[str, Any]) -> web.StreamResponse:
        if number not in (10, 11):
            await asyncio.sleep(0.05)
            return printed(body["stdin"])
        if not waiting:
            other: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            waiting.append((body["stdin"], other))
            return printed(await other)
        mine, future = waiting.pop()
        future.set_result(body["stdin"])
        return printed(mine)

    assert answers_of(swap, ClosedModel(4, 40)) == {(OK, ""): 38, (WRONG, SWAPPED): 2}


def test_one_failure_in_fifty_is_found() -> None:
    async def fail(number: int, body: dict[str, Any]) -> web.StreamResponse:
        if number % 50 == 49:
            return web.json_response({"message": "oops"}, status=500)
        return printed(body["stdin"])

    assert answers_of(fail, ClosedModel(4, 200)) == {(OK, ""): 196, (FAILED, "HTTP 500"): 4}


@pytest.mark.parametrize(
    ("stdout", "code", "expected"),
    [
        ("something else\n", 0, (WRONG, "wrong stdout")),
        ("", 0, (WRONG, "wrong stdout")),
        ("", 1, (FAILED, "program: exit code 1")),
    ],
)
def test_wrong_results_are_named(stdout: str, code: int, expected: tuple[str, str]) -> None:
    async def answer_wrongly(_number: int, _body: object) -> web.StreamResponse:
        return printed(stdout, code)

    assert answers_of(answer_wrongly, burst(1)) == {expected: 1}


def test_answer_of_another_shape_is_named() -> None:
    async def other(_number: int, _body: object) -> web.StreamResponse:
        return web.json_response({"output": "hi"})

    assert answers_of(other, burst(1)) == {(FAILED, "answer breaks the contract"): 1}


def test_credentials_are_sent_and_never_kept() -> None:
    seen = []

    def note(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            seen.append(request)
            connection.send(
                answer("401 Unauthorized", b'{"message": "not Bearer s3cr3t-v4lue-0123456789"}')
            )

    with scripted(note) as url:
        credentials = BackendCredentials(authorization="Bearer s3cr3t-v4lue-0123456789")
        run = run_load(url, burst(1), credentials=credentials)
    assert b"Bearer s3cr3t-v4lue-0123456789" in seen[0]
    assert "s3cr3t" not in repr(run)
    assert run.samples[0].error == "HTTP 401"


def test_token_is_fetched_once_before_the_load() -> None:
    scopes = []

    class Token:
        token = "t0k3n-0123456789"
        expires_on = int(time.time()) + 3600

    def fetch(scope: str) -> Token:
        scopes.append(scope)
        time.sleep(0.5)
        return Token()

    with load_server(echo) as url:
        credentials = BackendCredentials(scope="api://x/.default", token_source=fetch)
        run = run_load(url, burst(5), credentials=credentials)
    assert scopes == ["api://x/.default"]
    assert count_outcomes(run.samples) == {OK: 5}


def test_missing_token_ends_the_load_before_it_begins() -> None:
    def fail(_scope: str) -> Any:
        raise RuntimeError("no identity here")

    credentials = BackendCredentials(scope="api://x", token_source=fail)
    with load_server(echo) as url, pytest.raises(PlatformFault, match="no token for api://x"):
        run_load(url, burst(1), credentials=credentials)


def test_certificate_is_checked_with_the_given_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    server = ScriptedServer(always(good(run={"stdout": "x", "stderr": "", "code": 0})), context)
    try:
        trusted = run_load(server.url, ClosedModel(1, 2), ca_bundle=str(bundle))
        distrusted = run_load(server.url, burst(1))
    finally:
        server.stop()
    assert [(it.error, it.connection_reused) for it in trusted.samples] == [
        ("wrong stdout", False),
        ("wrong stdout", True),
    ]
    assert [(it.outcome, it.error) for it in distrusted.samples] == [(FAILED, "TLS failure")]


def test_session_that_the_answer_names_labels_the_sample() -> None:
    async def name(number: int, body: dict[str, Any]) -> web.StreamResponse:
        told = {"executor": "session-pool", "session": "s7", "session_new": number == 0}
        return printed(body["stdin"], X_Execution_Provenance=json.dumps(told))

    with load_server(name) as url:
        run = run_load(url, ClosedModel(1, 2))
    assert [(it.warmth, it.session) for it in run.samples] == [
        (Warmth.COLD, "s7"),
        (Warmth.WARM, "s7"),
    ]


def test_programs_tell_when_they_ran() -> None:
    free = asyncio.Semaphore(2)

    async def two_at_a_time(_number: int, body: dict[str, Any]) -> web.StreamResponse:
        assert "sleep(0.2)" in body["files"][0]["content"]
        async with free:
            start = time.time()
            await asyncio.sleep(0.2)
            return printed(f"{body['stdin']}ran {start!r} {time.time()!r}\n")

    with load_server(two_at_a_time) as url:
        run = run_load(url, burst(6), seconds=0.2)
    assert count_outcomes(run.samples) == {OK: 6}
    overlap = measure_overlap(
        Interval(it.ran_from, it.ran_until)
        for it in run.samples
        if it.ran_from is not None and it.ran_until is not None
    )
    assert (overlap.count, overlap.peak) == (6, 2)


def test_stall_shows_in_the_open_model_over_real_connections() -> None:
    """A server of 10 ms that answers nothing for 1.5 s."""
    began: list[float] = []

    async def stall(_number: int, body: dict[str, Any]) -> web.StreamResponse:
        now = time.perf_counter()
        if not began:
            began.append(now)
        since = now - began[0]
        await asyncio.sleep(2.0 - since if 0.5 <= since < 2.0 else 0.01)
        return printed(body["stdin"])

    with load_server(stall) as url:
        opened = run_load(url, constant_arrivals(50, 4))
    began.clear()
    with load_server(stall) as url:
        closed = run_load(url, ClosedModel(1, 100))
    assert percentile([it.response_time for it in opened.samples], 0.95) > 0.75
    assert sum(it.response_time > 0.2 for it in opened.samples) >= 50
    assert sum(it.response_time > 1.0 for it in closed.samples) == 1


def test_close_breaks_the_load_off_and_leaves_its_samples(tmp_path: Path) -> None:
    async def hang_later(number: int, body: dict[str, Any]) -> web.StreamResponse:
        if number >= 3:
            await asyncio.sleep(30)
        return printed(body["stdin"])

    path = tmp_path / "samples.jsonl"
    with load_server(hang_later) as url:
        client = LoadClient(url)
        began = time.perf_counter()
        threading.Timer(1.0, client.close).start()
        with SampleWriter(path, {"target": url}) as writer:
            load = drive(
                client.sender(echo_requests(), 25), ClosedModel(1, 100), on_sample=writer.add
            )
            with pytest.raises(RuntimeError, match="closed during the call"):
                client.run(load, 60)
        assert time.perf_counter() - began < 15
    run = read_run(path)
    assert len(run.samples) == 3
    assert run.objection() == "the load was broken off"
