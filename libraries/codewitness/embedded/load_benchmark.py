"""What the load engine can do on this machine: its rate beside a bare client's, its punctuality."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import aiohttp

from codewitness.execution.load import LoadClient, echo_requests
from codewitness.execution.piston import request_to_json
from codewitness.measuring.benchmark import compare
from codewitness.measuring.driving import drive
from codewitness.measuring.samples import Run, count_outcomes
from codewitness.measuring.schedules import ClosedModel, Schedule, constant_arrivals
from codewitness.measuring.statistics import estimate_quantile

AT_ONCE = 16
"""Requests in flight, of either client, when rates are compared."""

RATE = 300.0
"""Planned requests a second when punctuality is measured."""

_STUB = Path(__file__).with_name("stub_server.py")
_PATIENCE = 300.0
_STRETCHES = 5
_DEADLINE = 30.0


class WrongAnswers(Exception):
    """The stub server answered other than it always does, so nothing was measured."""


def measure_load_engine(rounds: int, requests: int = 200, seconds: float = 2.0) -> str:
    """Return two lines for people: the engine's rate and its punctuality, with sample counts.

    Beside each stands what the machine gives to a client that does next to nothing. The rates
    of both clients suffer alike when the machine is busy; their processor times hardly do.

    Args:
        rounds: Samples of each client's rate; an interval needs 6.
        requests: Requests in a round.
        seconds: How long each of five stretches of punctuality is measured.

    Raises:
        WrongAnswers: A request did not get its answer.
    """
    own_cost, bare_cost = _ProcessorTime(), _ProcessorTime()
    with _stub_server() as url, LoadClient(url) as client, _bare_client(url) as send_bare:
        comparison = compare(
            "load engine / bare aiohttp client",
            own_cost.spent_by(partial(_run, client, ClosedModel(AT_ONCE, requests))),
            bare_cost.spent_by(partial(send_bare, requests)),
            rounds=rounds,
        )
        lags: list[float] = []
        idle_lags: list[float] = []
        for _ in range(_STRETCHES):
            schedule = constant_arrivals(RATE, seconds)
            lags += [sample.start_lag for sample in _run(client, schedule).samples]
            idle_lags += asyncio.run(_lags_of_sleep(schedule.starts))
    share = estimate_quantile(
        [bare / own for own, bare in zip(comparison.subject, comparison.baseline, strict=True)]
    )
    own, bare = (
        requests / estimate_quantile(durations).value
        for durations in (comparison.subject, comparison.baseline)
    )
    late, machine = (estimate_quantile(it, 0.99).scaled(1000) for it in (lags, idle_lags))
    return (
        f"load engine / bare aiohttp client, {AT_ONCE} at once: {share.format()} of the rate, "
        f"{own:.0f} / {bare:.0f} requests a second, processor time "
        f"{own_cost.median / requests:.3f} / {bare_cost.median / requests:.3f} ms a request "
        f"(n = {share.count} rounds of {requests})\n"
        f"load engine at {RATE:.0f} requests a second: starts late by {late.format()} ms at the "
        f"99th percentile, a loop that only sleeps by {machine.format()} ms (n = {late.count})"
    )


class _ProcessorTime:
    """Milliseconds of processor time that each of several calls took."""

    def __init__(self) -> None:
        self._times: list[float] = []

    @property
    def median(self) -> float:
        return estimate_quantile(self._times).value

    def spent_by(self, action: Callable[[], object]) -> Callable[[], None]:
        def call() -> None:
            before = time.process_time()
            action()
            self._times.append(1000 * (time.process_time() - before))

        return call


async def _lags_of_sleep(starts: Sequence[float]) -> list[float]:
    """Return how late this machine wakes a process that has nothing else to do."""
    zero = time.perf_counter()
    lags = []
    for planned in starts:
        await asyncio.sleep(max(0.0, planned - (time.perf_counter() - zero)))
        lags.append(time.perf_counter() - zero - planned)
    return lags


def _run(client: LoadClient, schedule: Schedule) -> Run:
    run = client.run(drive(client.sender(echo_requests(), _DEADLINE), schedule), _PATIENCE)
    if not all(sample.succeeded for sample in run.samples):
        raise WrongAnswers(f"the stub server's answers were {count_outcomes(run.samples)}")
    return run


@contextlib.contextmanager
def _bare_client(url: str) -> Iterator[Callable[[int], None]]:
    """Yield what sends so many requests with aiohttp, parses the answers and does no more."""
    loop = asyncio.new_event_loop()
    body = request_to_json(echo_requests()(0).request)
    url = f"{url}/api/v2/execute"

    async def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    session = loop.run_until_complete(open_session())

    async def caller(count: int) -> None:
        for _ in range(count):
            async with session.post(url, json=body) as answer:
                await answer.json()

    async def send(count: int) -> None:
        # So many each that the sum is right, as the engine's callers share theirs.
        shares = [len(range(number, count, AT_ONCE)) for number in range(AT_ONCE)]
        await asyncio.gather(*map(caller, shares))

    try:
        yield lambda count: loop.run_until_complete(send(count))
    finally:
        loop.run_until_complete(session.close())
        loop.close()


@contextlib.contextmanager
def _stub_server() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, str(_STUB)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
