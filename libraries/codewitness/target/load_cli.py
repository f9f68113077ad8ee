"""Load from several processes and machines on the command line."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from codewitness.embedded.arguments import bounded_number
from codewitness.embedded.cli import CommandError, UsageError

_DESCRIPTION = (
    "Send a planned load to a backend from several worker processes, with Locust, and judge it. "
    "Every request has its own answer to expect, and every sample is kept. Credentials come from "
    "the environment, on each machine from its own. Exit code 0: every answer was right and the "
    "bar is kept; 1: one is not, or the load does not show it; 2: wrong usage."
)
_EPILOG = (
    "Example for two machines: python libraries/codewitness load --endpoint URL --rate 100 "
    "--seconds 60 --workers 4 --remote-workers 2 --bind 0.0.0.0, and on the other one twice: "
    "python libraries/codewitness load-worker --master HOST. Whoever reaches the port can take "
    "part: use it in a trusted network."
)


def add_load(commands: Any) -> None:
    """Add the commands ``load`` and ``load-worker`` to the others."""
    parser = commands.add_parser(
        "load",
        usage="%(prog)s --endpoint URL [OPTION ...]",
        help="load a backend from several processes and machines, with Locust",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(command=_load)
    _add_plan(parser)
    _add_workers(parser)
    _add_locust(parser)
    worker = commands.add_parser(
        "load-worker",
        usage="%(prog)s --master HOST [OPTION ...]",
        help="take part in a load whose master runs on another machine",
        description="Take part in one load of a master that `load` has started elsewhere.",
    )
    worker.set_defaults(command=_load_worker)
    worker.add_argument("--master", required=True, metavar="HOST", help="where `load` runs")
    worker.add_argument("--port", type=_port, default=5557, metavar="N", help="its port (5557)")
    _add_locust(worker)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--endpoint", required=True, metavar="URL", help="the backend")
    parser.add_argument(
        "--rate",
        type=_rate,
        default=10.0,
        metavar="N",
        help="requests a second of all workers together (default 10)",
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=10.0, metavar="S", help="how long (default 10)"
    )
    parser.add_argument(
        "--warm-up",
        type=_seconds,
        default=2.0,
        metavar="S",
        help="seconds before that, in which every caller sends one request (default 2)",
    )
    parser.add_argument(
        "--callers",
        type=_count,
        default=4,
        metavar="N",
        help="requests of one worker that can be under way at once (default 4)",
    )
    parser.add_argument(
        "--deadline", type=_seconds, default=20.0, metavar="S", help="of one request (default 20)"
    )
    parser.add_argument(
        "--cases",
        action="append",
        default=[],
        metavar="PATTERN",
        help="test cases that every other request runs, as the setting CASES; can be repeated",
    )
    parser.add_argument(
        "--case-folder", type=Path, metavar="FOLDER", help="where they are, on every machine"
    )
    parser.add_argument(
        "--bar",
        type=_seconds,
        default=1.0,
        metavar="S",
        help="response time that the 95th percentile must be below (default 1)",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="do not look at the server's certificate"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("results") / "load",
        metavar="FOLDER",
        help="for the samples, as JSON lines (default results/load)",
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=_count, default=2, metavar="N", help="workers in all (default 2)"
    )
    parser.add_argument(
        "--remote-workers",
        type=_whole,
        default=0,
        metavar="N",
        help="how many of them are started elsewhere, by `load-worker` (default 0)",
    )
    parser.add_argument(
        "--bind",
        default="127.0.0.1",
        metavar="HOST",
        help="address at which the master waits for them (default 127.0.0.1)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help="its port (default 5557 with remote workers, else a free one)",
    )
    parser.add_argument(
        "--connect-within",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="seconds until all workers must have come (default 60)",
    )


def _add_locust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--locust",
        default=os.environ.get("LOCUST", ""),
        metavar="PATH",
        help="command of Locust (default: LOCUST of the environment, else the one in .locust, else "
        "the one on PATH)",
    )


def _load(options: argparse.Namespace) -> None:
    # Imported here: a service must not wait for what only this command needs.
    from codewitness.distributed.plan import LoadPlan
    from codewitness.measuring.verdict import Verdict, judge_each
    from codewitness.target.locust_run import PORT, LoadBroken, Workers, judge_warm, run_load

    if options.remote_workers > options.workers:
        raise UsageError("there are more remote workers than workers in all")
    try:
        plan = LoadPlan(
            endpoint=options.endpoint,
            rate=options.rate,
            seconds=options.seconds,
            workers=options.workers,
            callers=options.callers,
            warm_up=options.warm_up,
            deadline=options.deadline,
            verify=not options.insecure,
            cases=tuple(options.cases),
            case_folder=str(options.case_folder.resolve()) if options.case_folder else "",
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    port = options.port if options.port is not None else PORT if options.remote_workers else 0
    where = Workers(options.remote_workers, options.bind, port, options.connect_within)
    try:
        run = run_load(plan, _locust(options), options.output, with_credentials=True, workers=where)
    except LoadBroken as error:
        raise CommandError(str(error)) from None
    # A twentieth of the bar is what the generator's own lag may be.
    judgements = (
        judge_each(run.samples),
        judge_warm(run, options.bar, most_lag=options.bar),
    )
    assert run.generator is not None
    print(run.generator.format())
    for judgement in judgements:
        print(judgement)
    if any(judgement.verdict is not Verdict.PASS for judgement in judgements):
        raise CommandError(f"not shown, or not so; the samples are in {options.output}")


def _load_worker(options: argparse.Namespace) -> None:
    import subprocess

    from codewitness.target.locust_run import worker_command

    command = worker_command(_locust(options), options.master, options.port)
    if code := subprocess.call(command):
        raise CommandError(f"the worker ended with exit code {code}")


def _locust(options: argparse.Namespace) -> Path:
    from codewitness.target.locust_run import INSTALL, LoadBroken, find_locust

    try:
        found = find_locust(options.locust)
    except LoadBroken as error:
        raise UsageError(str(error)) from None
    if found is None:
        raise UsageError(f"Locust is not installed; install it by {INSTALL}")
    return found


def _count(text: str) -> int:
    return int(bounded_number(text, "a whole number from 1 to 10,000", int, 1, 10_000))


def _whole(text: str) -> int:
    return int(bounded_number(text, "a whole number from 0 to 10,000", int, 0, 10_000))


def _port(text: str) -> int:
    return int(bounded_number(text, "a TCP port", int, 0, 65535))


def _rate(text: str) -> float:
    return bounded_number(text, "a number of requests a second up to 100,000", float, 0.01, 1e5)


def _seconds(text: str) -> float:
    return bounded_number(text, "a number of seconds from 0 to a million", float, 0, 1e6)
