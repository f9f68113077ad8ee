"""Measures what running test cases costs, and prints it: rate, processor time, memory, log size.

``.venv/bin/python .ci/benchmark_cases.py`` runs the suite of test cases against a service of 20 ms
that echoes its input, with 1,000 and with 10,000 cases, and against the embedded backend beside a
client that does nothing but send the same requests. On a busy machine only the ratios count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "libraries"))

from aiohttp import web  # noqa: E402
from robot.api import ExecutionResult  # noqa: E402

from codewitness.embedded.service import start_service, without_secrets  # noqa: E402
from codewitness.execution.backend import BackendExecutor  # noqa: E402
from codewitness.execution.model import ExecutionRequest, SourceFile  # noqa: E402

LATENCY = 0.02
AT_ONCE = 20
ROUNDS = 3
ECHO = "import sys\nsys.stdout.write(sys.stdin.read())\n"


@dataclass(frozen=True)
class Cost:
    """What one run of ``robot`` cost.

    Attributes:
        cases: Cases that passed.
        testing: Seconds of the tests, without start and end of the program.
        whole: Seconds of the whole program.
        processor: Seconds of processor time.
        memory: Most bytes of memory.
        log: Bytes of log.html.
    """

    cases: int
    testing: float
    whole: float
    processor: float
    memory: int
    log: int

    @property
    def rate(self) -> float:
        """Cases a second while testing."""
        return self.cases / self.testing


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a tenth of the cases, one round")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(_serve())
        return 0
    scale, rounds = (10, 1) if options.quick else (1, ROUNDS)
    with tempfile.TemporaryDirectory(prefix="cases-") as folder, _stub() as url:
        base = Path(folder)
        none, few, many = (
            _run(base / str(count), url, _echoes(count), AT_ONCE)
            for count in (1, 1000 // scale, 10_000 // scale)
        )
        _print_stub(none, few, many)
        _print_embedded(base, rounds, 300 // scale)
    return 0


def _print_stub(none: Cost, few: Cost, many: Cost) -> None:
    print(
        f"Service of {LATENCY * 1000:g} ms, {AT_ONCE} at once (most possible: "
        f"{AT_ONCE / LATENCY:,.0f} a second)"
    )
    for cost in (few, many):
        own = (cost.processor - none.processor) / cost.cases * 1000
        log = (cost.log - none.log) / cost.cases
        print(
            f"  {cost.cases:6,} cases: {cost.rate:5.0f} a second; robot's processor time "
            f"{own:.2f} ms a case; peak memory {cost.memory / 2**20:.0f} MiB; log.html "
            f"{cost.log / 2**20:.1f} MiB, {log:.0f} bytes a case; whole run {cost.whole:.1f} s"
        )
    print(
        f"  {many.cases:,} cases take {many.whole / few.whole:.1f} times as long as {few.cases:,}"
    )


def _print_embedded(base: Path, rounds: int, count: int) -> None:
    rates, client_rates = [], []
    for number in range(rounds):
        with start_service(["backend", "--port", "0"], environment=without_secrets()) as service:
            client_rates.append(_saturate(service.url, count))
            rates.append(_run(base / f"e{number}", service.url, _echoes(count), 4).rate)
    share = statistics.median(
        rate / client for rate, client in zip(rates, client_rates, strict=True)
    )
    print(
        f"Embedded backend, {count} cases, median of {rounds}: {statistics.median(rates):.1f} "
        f"cases a second; a client that only sends the same requests "
        f"{statistics.median(client_rates):.1f}; share {share:.0%}"
    )


def _saturate(url: str, count: int) -> float:
    requests = [
        ExecutionRequest("python", (SourceFile(ECHO.encode(), "main.py"),), stdin=text.encode())
        for text in _inputs(count)
    ]
    with BackendExecutor(url) as executor, ThreadPoolExecutor(4) as threads:
        executor.execute(requests[0])
        start = time.perf_counter()
        for request, result in zip(requests, threads.map(executor.execute, requests), strict=True):
            assert result.run.stdout == request.stdin
        return count / (time.perf_counter() - start)


def _inputs(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"case {number}\n" * 20


def _echoes(count: int) -> list[dict[str, str]]:
    return [
        {"name": f"{number:05}", "input": text, "expected_output": text}
        for number, text in enumerate(_inputs(count))
    ]


def _run(folder: Path, url: str, cases: Sequence[dict[str, str]], at_once: int) -> Cost:
    problem = folder / "cases" / "echo"
    problem.mkdir(parents=True)
    (problem / "main.py").write_text(ECHO, encoding="utf-8")
    (problem / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    output = folder / "results"
    command = [
        *(sys.executable, "-m", "robot", "--outputdir", str(output), "--console", "none"),
        *("-v", f"ENDPOINT:{url}", "-v", f"TEST_CASES:{folder / 'cases'}"),
        *("-v", f"CONCURRENCY:{at_once}", "--suite", "*.Test Cases", "--include", "T5.2"),
        str(PROJECT / "suites"),
    ]
    start = time.perf_counter()
    process = subprocess.Popen(command, env=without_secrets(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    whole = time.perf_counter() - start
    suite = ExecutionResult(output / "output.xml").suite
    statistics_ = suite.statistics
    # One test is about the collection, not about a case.
    if status or statistics_.passed != len(cases) + 1:
        raise SystemExit(f"the run failed: {statistics_.message}, status {status}; see {output}")
    return Cost(
        len(cases),
        suite.elapsed_time.total_seconds(),
        whole,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024,
        (output / "log.html").stat().st_size,
    )


@contextmanager
def _stub() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.kill()


async def _serve() -> None:
    async def execute(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        await asyncio.sleep(LATENCY)
        run = {"stdout": body.get("stdin", ""), "stderr": "", "code": 0, "signal": None}
        run["output"] = run["stdout"]
        return web.json_response({"language": "python", "version": "3.11.0", "run": run})

    async def runtimes(_request: web.Request) -> web.Response:
        return web.json_response([{"language": "python", "version": "3.11.0", "aliases": []}])

    app = web.Application()
    app.router.add_post("/api/v2/execute", execute)
    app.router.add_get("/api/v2/runtimes", runtimes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=256).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    await ended.wait()
    await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
