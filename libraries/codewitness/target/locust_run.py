"""Running a load with Locust: a master and workers as child processes that can't outlive this one.

Locust is never imported here. It lies in an environment of its own, and what it runs is
``distributed/locustfile.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from codewitness.distributed.plan import LoadPlan
from codewitness.embedded.service import (
    apart_from_this_process,
    end_process,
    last_line,
    without_secrets,
)
from codewitness.execution.redaction import redact
from codewitness.measuring.merging import merge_runs
from codewitness.measuring.samples import MOST_LAG, Run, Sample, Warmth, read_run, write_run
from codewitness.measuring.verdict import Judgement, Verdict, judge_latency

LOCUSTFILE = Path(__file__).resolve().parent.parent / "distributed" / "locustfile.py"
"""What master and workers run, on every machine."""

PORT = 5557
"""Port at which a master waits for workers of other machines, unless another one is given."""

INSTALL = "python3 -m venv .locust && .locust/bin/pip install -r requirements-locust.txt"
"""Command that makes the environment in which :func:`find_locust` looks."""

CONNECT_WITHIN = 60.0
"""Seconds that workers of this machine get to come to the master."""

_PROJECT = Path(__file__).resolve().parents[3]
_ANY_ADDRESS = ("0.0.0.0", "*", "::")
_WIND_UP = 15.0
_LOOK_EVERY = 0.05


class LoadBroken(RuntimeError):
    """A load did not come to its end; the message says why, and where its samples are."""


@dataclass(frozen=True)
class Workers:
    """Where the workers of a load run, and where their master waits for them.

    Attributes:
        remote: How many of the plan's workers are started on other machines, by hand.
        host: Address of this machine at which the master waits; the default is for workers of
            this machine alone. Whoever reaches it can take part: it is for a trusted network.
        port: Its TCP port; 0 takes a free one.
        connect_within: Seconds until all of them must have come.
    """

    remote: int = 0
    host: str = "127.0.0.1"
    port: int = 0
    connect_within: float = CONNECT_WITHIN


def find_locust(given: str = "", project: Path = _PROJECT) -> Path | None:
    """Return the command of Locust, or ``None`` where it is not installed.

    Args:
        given: Its path, when somebody named it, or ``none`` to do without; else it is looked for
            in the project's own environment ``.locust``, then on the path of commands.
        project: Folder of the project.

    Raises:
        LoadBroken: What was named is no command.
    """
    if given.lower() == "none":
        return None
    if given:
        named = shutil.which(given)
        if named is None:
            raise LoadBroken(f"LOCUST is '{given}', which is no command; install it by {INSTALL}")
        return Path(named)
    folder = project / ".locust" / ("Scripts" if sys.platform == "win32" else "bin")
    found = shutil.which("locust", path=str(folder)) or shutil.which("locust")
    return Path(found) if found else None


def run_load(
    plan: LoadPlan,
    locust: Path,
    folder: Path,
    *,
    with_credentials: bool = False,
    workers: Workers | None = None,
) -> Run:
    """Send a planned load and return what came of it.

    Args:
        plan: The load.
        locust: Command of Locust.
        folder: Folder for the samples: ``worker-1.jsonl`` and so on as they came, and all of them
            in ``all.jsonl``. Files of these names in it are replaced.
        with_credentials: Whether the workers of this machine get the credentials, and those of a
            proxy, that this process's environment holds.
        workers: Where the workers run; all on this machine by default.

    Returns:
        All samples. The generator's figures are the worst of the workers'.

    Raises:
        LoadBroken: A process ended early, a worker did not come or was lost, or the load was not
            done when the slowest possible one would have been.
    """
    where = workers or Workers()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("worker-*.jsonl"):
        file.unlink()
    environment = _environment(with_credentials)
    with contextlib.ExitStack() as stack:
        port = where.port or _free_port(where.host)
        master = _Locust(_master(plan, locust, where, port), folder, environment, plan)
        stack.callback(master.end)
        # A master that waits everywhere waits here, too.
        host = "127.0.0.1" if where.host in _ANY_ADDRESS else where.host
        local: list[_Locust] = []
        for _ in range(plan.workers - where.remote):
            local.append(_Locust(worker_command(locust, host, port), folder, environment))
            stack.callback(local[-1].end)
        _wait(master, local, where.connect_within + plan.longest + _WIND_UP)
    return _collect(plan, folder)


def judge_warm(run: Run, bar: float, *, q: float = 0.95, most_lag: float = MOST_LAG) -> Judgement:
    """Judge the response times of requests that met no new session, as far as that is known.

    Args:
        run: The load.
        bar: The bar in seconds.
        q: The quantile that must be below it.
        most_lag: Seconds by which starts may be late at the 99th percentile.
    """
    samples = _warm(run)
    objection = run.objection(bar, most_lag)
    judgement = judge_latency(samples, bar, q=q, objection=objection)
    if judgement.verdict is Verdict.INCONCLUSIVE:
        # Where all callers of a slow service are busy, starts are late. What each request took
        # once it was sent is the least that its user waits.
        least = judge_latency([replace(it, planned=it.started) for it in samples], bar, q=q)
        if least.verdict is Verdict.FAIL:
            return replace(least, found=f"without the wait for a caller, {least.found}")
    return judgement


def _warm(run: Run) -> list[Sample]:
    """Return the counted samples of used sessions, or of all where that is never told.

    Those that failed are among them.
    """
    told = any(sample.warmth is Warmth.WARM for sample in run.counted)
    wanted = Warmth.WARM if told else Warmth.UNKNOWN
    return [it for it in run.counted if it.warmth is wanted or not it.succeeded]


def worker_command(locust: Path, host: str, port: int = PORT) -> list[str]:
    """Return the command line of a worker.

    Args:
        locust: Command of Locust.
        host: Host name or address of the master.
        port: Its TCP port.
    """
    return [
        str(locust),
        *("-f", str(LOCUSTFILE)),
        "--worker",
        *("--master-host", host),
        *("--master-port", str(port)),
        *("--loglevel", "WARNING"),
    ]


def _master(plan: LoadPlan, locust: Path, where: Workers, port: int) -> list[str]:
    callers = plan.callers * plan.workers
    return [
        str(locust),
        *("-f", str(LOCUSTFILE)),
        "--headless",
        "--master",
        *("--master-bind-host", where.host),
        *("--master-bind-port", str(port)),
        *("--expect-workers", str(plan.workers)),
        *("--expect-workers-max-wait", str(int(where.connect_within))),
        *("--users", str(callers)),
        *("--spawn-rate", str(callers)),
        *("--loglevel", "WARNING"),
        "--only-summary",
        # Failed requests are judged from the samples.
        *("--exit-code-on-error", "0"),
    ]


class _Locust:
    """One process of Locust.

    Args:
        command: Its command line.
        folder: Its working directory, so that no configuration file of a project is read.
        environment: Its environment.
        plan: What a master shall do.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        plan: LoadPlan | None = None,
    ) -> None:
        told = {"plan": plan.to_json(), "folder": str(folder)} if plan else None
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed by end)
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, **({"CODEWITNESS_LOAD": json.dumps(told)} if told else {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                **apart_from_this_process(),
            )
        except OSError as error:
            self._said.close()
            raise LoadBroken(f"Locust could not be started: {error}") from error

    @property
    def exit_code(self) -> int | None:
        """Exit code, or ``None`` while it runs."""
        return self._process.poll()

    @property
    def last_words(self) -> str:
        """Why it ended, as far as it said so."""
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace")
        # Its tables come after the reason.
        reasons = re.findall(r"^error: (.+)$|/ERROR/[^:]*: (.+)$", said, re.M)
        return redact("".join(reasons[-1]) if reasons else last_line(self._said))

    def end(self) -> None:
        """End it and everything that it started."""
        end_process(self._process)
        self._said.close()


def _wait(master: _Locust, local: Sequence[_Locust], within: float) -> None:
    deadline = time.monotonic() + within
    while master.exit_code is None:
        for number, worker in enumerate(local, 1):
            if worker.exit_code:
                raise LoadBroken(
                    f"worker {number} of this machine ended with exit code {worker.exit_code}: "
                    f"{worker.last_words or 'it said nothing'}"
                )
        if time.monotonic() > deadline:
            raise LoadBroken(f"the load was not done after {within:g} s")
        time.sleep(_LOOK_EVERY)
    if master.exit_code:
        raise LoadBroken(f"the load was broken off: {master.last_words or 'nobody said why'}")


def _collect(plan: LoadPlan, folder: Path) -> Run:
    files = [folder / f"worker-{number}.jsonl" for number in range(1, plan.workers + 1)]
    header = {
        "schedule": dict(plan.schedule.description),
        "target": plan.endpoint,
        "cases": list(plan.cases),
    }
    try:
        run = merge_runs([read_run(file) for file in files], header)
    except (OSError, ValueError) as error:
        raise LoadBroken(f"the samples of a worker are missing: {error}") from error
    expected = len(plan.schedule.starts)
    kept = len(run.samples) + (len(run.generator.dropped) if run.generator else 0)
    if run.generator is None or kept != expected:
        raise LoadBroken(f"{kept} of {expected} samples came back; they are in {folder}")
    write_run(folder / "all.jsonl", run)
    return run


def _environment(with_credentials: bool) -> dict[str, str]:
    environment = dict(os.environ) if with_credentials else without_secrets()
    # Locust takes options from variables of such names.
    kept = {name: it for name, it in environment.items() if not name.startswith("LOCUST_")}
    return {**kept, "CODEWITNESS_UNTIL_STDIN_CLOSES": "1"}


def _free_port(host: str) -> int:
    address = "" if host in _ANY_ADDRESS else host
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as taken:
        taken.bind((address, 0))
        port: int = taken.getsockname()[1]
    return port
