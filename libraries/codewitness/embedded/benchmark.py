"""What the sandbox, the embedded services and a keyword cost, as ratios measured in one run.

The machine's own speed and its other work cancel out of a ratio, so the figures of two
machines, or of one machine in two years, can be laid side by side.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

from codewitness.embedded.service import ask_control, start_service
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import ExecutionRequest, ExecutionResult, Executor, SourceFile
from codewitness.execution.piston import request_to_json
from codewitness.execution.sandbox import interpreter
from codewitness.measuring.benchmark import Comparison, compare, format_comparisons
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import SCOPE

PROGRAMS = {
    "empty program": "pass",
    "many imports": "import asyncio, decimal, email.message, http.client, json, unittest",
    "busy program": "print(sum(number * number % 7 for number in range(3_000_000)))",
}


class NotMeasured(Exception):
    """A program or the keyword failed, so that nothing can be compared."""


# What robot runs to call the keyword as any suite would, in a process of its own.
PROJECT = Path(__file__).resolve().parents[3]
KEYWORD = "Execute Python"
_IDENTIFIER = "benchmark"
SUITE = """\
*** Settings ***
Resource    {resource}


*** Test Cases ***
Keyword
    FOR    ${{round}}    IN RANGE    {rounds}
        {keyword}    {program}
    END
"""


def measure(rounds: int) -> str:
    """Return the table of what each layer costs.

    Args:
        rounds: Samples of each side of a comparison; an interval needs 6.

    Raises:
        NotMeasured: A program or the keyword failed.
    """
    with closing(LocalExecutor()) as local:
        comparisons = _sandbox(local, rounds)
        service = start_service(["backend"])
        try:
            with closing(BackendExecutor(service.url)) as backend:
                comparisons.append(_backend(backend, local, rounds))
                comparisons.append(_keyword(backend, rounds))
        finally:
            service.stop()
    comparisons.append(_pool(rounds))
    return format_comparisons(comparisons)


def _sandbox(local: Executor, rounds: int) -> list[Comparison]:
    sandbox = _run(local, "pass").provenance.sandbox
    return [
        compare(
            f"{sandbox} / bare process, {title}",
            partial(_run, local, program),
            partial(_run_bare, program),
            rounds=rounds,
        )
        for title, program in PROGRAMS.items()
    ]


def _backend(backend: Executor, local: Executor, rounds: int) -> Comparison:
    program = PROGRAMS["empty program"]
    return compare(
        "embedded backend / its executor",
        partial(_run, backend, program),
        partial(_run, local, program),
        rounds=rounds,
    )


def _pool(rounds: int) -> Comparison:
    """Compare a warm execution in the pool with one in its container, called directly."""
    service = start_service(["session-pool", "--allocation-time", "0"])
    try:
        credentials = BackendCredentials(
            scope=SCOPE, token_source=token_source_of(service.details["environment"])
        )
        with closing(SessionPoolExecutor(service.url, credentials=credentials)) as pool:
            execute = f"execute?identifier={_IDENTIFIER}"
            _exchange(pool, execute)
            with closing(BackendExecutor(_container(service.details["control_url"]))) as direct:
                return compare(
                    "embedded session pool / its container",
                    partial(_exchange, pool, execute),
                    partial(_exchange, direct, "execute"),
                    rounds=rounds,
                )
    finally:
        service.stop()


def _container(control_url: str) -> str:
    """Return the address of the container that serves the one session of a pool."""
    (session,) = ask_control(f"{control_url}/state")["sessions"]
    url: str = session["container"]
    return url


def _exchange(executor: SessionPoolExecutor | BackendExecutor, path: str) -> None:
    answer = executor.exchange(
        "POST",
        path,
        body=json.dumps(request_to_json(_request(PROGRAMS["empty program"]))).encode(),
        headers={"Content-Type": "application/json"},
    )
    if answer.status != 200 or json.loads(answer.body)["run"]["code"] != 0:
        raise NotMeasured(f"{answer!r}: {answer.text[:200]}")


def _keyword(backend: BackendExecutor, rounds: int) -> Comparison:
    warm_up = 2
    program = PROGRAMS["empty program"]
    with tempfile.TemporaryDirectory(prefix="codewitness-benchmark-") as name:
        folder = Path(name)
        suite, body, samples = folder / "keyword.robot", folder / "body.json", folder / "pairs.json"
        resource = PROJECT / "resources" / "execution.resource"
        suite.write_text(
            SUITE.format(
                resource=resource.as_posix(),
                rounds=rounds + warm_up,
                keyword=KEYWORD,
                program=program,
            ),
            encoding="utf-8",
        )
        body.write_text(json.dumps(request_to_json(_request(program))), encoding="utf-8")
        listener = ";".join(
            [
                "codewitness.embedded.keyword_timer.KeywordTimer",
                *(KEYWORD, backend.execute_url, str(body), str(samples)),
            ]
        )
        robot = subprocess.run(
            [
                *(sys.executable, "-m", "robot"),
                *("--pythonpath", str(PROJECT / "libraries")),
                *("--listener", listener),
                *("--variable", f"ENDPOINT:{backend.base_url}"),
                *("--outputdir", str(folder), "--log", "NONE", "--report", "NONE"),
                str(suite),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        pairs = json.loads(samples.read_text(encoding="utf-8")) if samples.exists() else []
        if robot.returncode or len(pairs) != warm_up + rounds:
            raise NotMeasured(f"the keyword could not be measured:\n{robot.stdout}")
    return Comparison(
        "keyword / bare HTTP call",
        subject=tuple(keyword for keyword, _ in pairs[warm_up:]),
        baseline=tuple(call for _, call in pairs[warm_up:]),
    )


def _request(program: str) -> ExecutionRequest:
    return ExecutionRequest("python", (SourceFile(program.encode()),))


def _run(executor: Executor, program: str) -> ExecutionResult:
    result = executor.execute(_request(program))
    if result.run.code != 0:
        raise NotMeasured(f"exit code {result.run.code}: {result.run.stderr.decode()}")
    return result


def _run_bare(program: str) -> None:
    subprocess.run(
        [interpreter(), "-c", program],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
