"""The kill matrix on the command line."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codewitness.embedded.arguments import bounded_number
from codewitness.embedded.cli import CommandError, UsageError

if TYPE_CHECKING:
    from codewitness.kill_matrix.catalogues import TriedFault
    from codewitness.kill_matrix.matrix import Journal
    from codewitness.kill_matrix.runs import Tried

_DESCRIPTION = (
    "Run the suites against every fault of the catalogues, and write which test notices which: "
    "kill-matrix.jsonl line by line, kill-matrix.html at the end. What is in the folder already is "
    "not run again. Exit code 0: every fault makes the test fail that claims it, with the words "
    "that it promises, and no healthy run fails; 1: not so; 2: wrong usage."
)


def add_kill_matrix(commands: Any) -> None:
    """Add the command ``kill-matrix`` to the others."""
    parser = commands.add_parser(
        "kill-matrix",
        help="run the suites against every fault and write which test notices which",
        description=_DESCRIPTION,
    )
    parser.set_defaults(command=_kill_matrix)
    parser.add_argument(
        "--fault", action="append", metavar="NAME", help="only this one; may be repeated"
    )
    parser.add_argument(
        "--tests",
        choices=("claims", "sentinels", "all"),
        default="sentinels",
        help="against each fault: the tests that claim it, a few fixed ones, too (default), or all "
        "that could notice it, which takes a night",
    )
    parser.add_argument(
        "--healthy",
        type=_count,
        default=0,
        metavar="N",
        help="also run everything N times without a fault: nothing may fail (default 0)",
    )
    parser.add_argument(
        "--jobs", type=_jobs, default=2, metavar="N", help="runs at one time (default 2)"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="where the matrix goes"
    )


def _count(text: str) -> int:
    return int(bounded_number(text, "a whole number from 0", int, 0))


def _jobs(text: str) -> int:
    return int(bounded_number(text, "a whole number from 1", int, 1))


def _kill_matrix(options: argparse.Namespace) -> None:
    # Imported here: a service must not wait for what only this command needs.
    from codewitness.kill_matrix.matrix import Journal, Matrix
    from codewitness.kill_matrix.page import to_page
    from codewitness.kill_matrix.runs import run_healthy, try_fault

    faults = _chosen(options.fault)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"can't write to {options.output}: {error.strerror}") from None
    journal = Journal(options.output / "kill-matrix.jsonl", options.tests)
    done = journal.faults()
    work = [partial(try_fault, it, options.tests) for it in faults if it.name not in done]
    by_name = {fault.name: fault for fault in faults}
    _do(work, options.jobs, journal, by_name)
    # Not beside others: what a busy machine makes late would be a false alarm.
    healthy = options.healthy - len(journal.healthy())
    _do([run_healthy] * healthy, 1, journal, by_name)
    done = journal.faults()
    matrix = Matrix([(it, done[it.name]) for it in faults], journal.healthy())
    page = options.output / "kill-matrix.html"
    page.write_text(to_page(matrix), encoding="utf-8")
    print(f"{matrix.summary}. {page}")
    if options.tests == "all":
        print(f"No fault made these fail: {', '.join(matrix.never_failing()) or 'none'}")
    if matrix.complaints:
        raise CommandError("; ".join(matrix.complaints))


def _chosen(names: list[str] | None) -> list[TriedFault]:
    from codewitness.kill_matrix.catalogues import every_fault

    faults = every_fault()
    known = {fault.name: fault for fault in faults}
    if names is None:
        return faults
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise UsageError(f"no fault is called {name!r}{hint}")
    return [known[name] for name in dict.fromkeys(names)]


def _do(
    work: Sequence[Callable[[], Tried]],
    jobs: int,
    journal: Journal,
    faults: Mapping[str, TriedFault],
) -> None:
    with ThreadPoolExecutor(jobs) as threads:
        for number, future in enumerate(as_completed(map(threads.submit, work)), 1):
            tried = future.result()
            journal.add(tried)
            if tried.fault:
                verdict = tried.complaint(faults[tried.fault]) or "as claimed"
            else:
                verdict = ", ".join(tried.failed) or f"exit code {tried.exit_code}"
            name = tried.fault or "healthy"
            print(f"{number}/{len(work)} {name} ({tried.seconds:g} s): {verdict}", flush=True)
