"""The capacity planner on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codewitness.embedded.arguments import bounded_number
from codewitness.embedded.cli import CommandError, UsageError

if TYPE_CHECKING:
    from codewitness.session_pool.planner import Arrivals, Times
    from codewitness.session_pool.planner_samples import MeasuredTimes

_DESCRIPTION = (
    "Find the smallest session pool that keeps a promise to a contest, by simulating the contest "
    "on the embedded pool's own lifecycle. Prints Markdown: what to configure, what that stands "
    "on, and every pool that was tried. Exit code 0: a pool keeps the promise; 1: none does; 2: "
    "wrong usage."
)
_EPILOG = (
    "Example: python libraries/codewitness plan --students 500 --questions 2 --tries 3 --arrivals "
    "rush --over 7200 --service-times samples.jsonl --start-time 4.2 --promise-wait 2"
)


def add_plan(commands: Any) -> None:
    """Add the command ``plan`` to the others."""
    parser = commands.add_parser(
        "plan",
        usage="%(prog)s --students N (--service-times FILE | --service-time S) [OPTION ...]",
        help="find the session pool that keeps a promise to a contest",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(command=_plan)
    _add_contest(parser.add_argument_group("contest"))
    _add_times(parser.add_argument_group("times"))
    _add_promise(parser.add_argument_group("promise"))
    _add_pool(parser.add_argument_group("pool", "what is given is kept, what is not is searched"))
    _add_search(parser.add_argument_group("search"))


def _add_contest(group: Any) -> None:
    group.add_argument(
        "--students", type=_count, required=True, metavar="N", help="how many take part"
    )
    group.add_argument(
        "--questions", type=_count, default=2, metavar="N", help="questions of each (default 2)"
    )
    group.add_argument(
        "--tries", type=_count, default=1, metavar="N", help="executions a question (default 1)"
    )
    group.add_argument(
        "--arrivals",
        choices=("at-once", "ramp", "rush"),
        default="at-once",
        help="students send their first program all at once (default), at any moment of a window, "
        "or many of them shortly before its end",
    )
    group.add_argument(
        "--over",
        type=_seconds,
        default=7200.0,
        metavar="S",
        help="the window for ramp and rush, in seconds (default 7200)",
    )
    group.add_argument(
        "--rush-within",
        type=_seconds,
        default=300.0,
        metavar="S",
        help="seconds before the end in which the rush is (default 300)",
    )
    group.add_argument(
        "--rush-share",
        type=_share,
        default=0.5,
        metavar="SHARE",
        help="share of the students who come in the rush (default 0.5)",
    )
    group.add_argument(
        "--think-time",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="mean seconds from an answer to the student's next program, exponentially "
        "distributed (default 60)",
    )
    group.add_argument(
        "--identifiers",
        choices=("per-user", "per-call"),
        default="per-user",
        help="a session for each student (default) or for each call",
    )
    group.add_argument(
        "--stop-sessions",
        action="store_true",
        help="sessions are stopped when their identifier is not used any more",
    )
    group.add_argument(
        "--wait-in-line",
        action="store_true",
        help="what the pool refuses is held back until a session is free, instead of failing",
    )


def _add_times(group: Any) -> None:
    service = group.add_mutually_exclusive_group(required=True)
    service.add_argument(
        "--service-times",
        type=Path,
        metavar="FILE",
        help="samples of a load as the suite writes them (JSON lines); also for the other two "
        "times, where it has samples of them",
    )
    service.add_argument(
        "--service-time",
        type=_seconds,
        metavar="S",
        help="mean seconds of an execution in a session that is there, exponentially distributed",
    )
    group.add_argument(
        "--start-time",
        type=_seconds,
        metavar="S",
        help="seconds that an instance takes to start (default: as measured, else 4.2)",
    )
    group.add_argument(
        "--allocation-time",
        type=_seconds,
        metavar="S",
        help="seconds that a session's first request takes longer even on a ready instance "
        "(default: as measured, else 0)",
    )


def _add_promise(group: Any) -> None:
    group.add_argument(
        "--promise-wait",
        type=_seconds,
        default=2.0,
        metavar="S",
        help="seconds from sending a program to its being served (default 2)",
    )
    group.add_argument(
        "--promise-share",
        type=_share,
        default=0.95,
        metavar="SHARE",
        help="share of the executions that wait no longer (default 0.95)",
    )
    group.add_argument(
        "--promise-refused",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="greatest share of the executions that may be refused (default 0)",
    )


def _add_pool(group: Any) -> None:
    group.add_argument("--max-sessions", type=_count, metavar="N", help="instances at one time")
    group.add_argument("--ready-sessions", type=_whole, metavar="N", help="instances kept ready")
    group.add_argument(
        "--cooldown",
        type=_seconds,
        metavar="S",
        help="seconds from a session's last request to its end",
    )
    group.add_argument(
        "--refuse-while-warming",
        action="store_true",
        help="a new identifier is refused while no instance is ready, instead of waiting",
    )


def _add_search(group: Any) -> None:
    group.add_argument(
        "--greatest-max-sessions",
        type=_count,
        metavar="N",
        help="where the search for --max-sessions ends, such as 600 for a built-in pool",
    )
    group.add_argument(
        "--runs",
        type=_count,
        default=3,
        metavar="N",
        help="simulated contests in each of which the promise must be kept (default 3)",
    )
    group.add_argument(
        "--trials", type=_count, default=80, metavar="N", help="most pools to try (default 80)"
    )


def _plan(options: argparse.Namespace) -> None:
    # Imported here: a service must not wait for what only this command needs.
    from codewitness.reporting.capacity import plan_as_markdown
    from codewitness.session_pool.lifecycle import PoolRules
    from codewitness.session_pool.planner import Contest, Exponential, Measured
    from codewitness.session_pool.planner_search import Given, Promise, recommend

    measured = _measured(options.service_times)
    start_time: Times = Measured((4.2,))
    allocation_time = 0.0
    if measured is not None:
        start_time = measured.start_time or start_time
        allocation_time = measured.allocation_time or allocation_time
    if options.start_time is not None:
        start_time = Measured((options.start_time,))
    if options.allocation_time is not None:
        allocation_time = options.allocation_time
    try:
        plan = recommend(
            Contest(
                students=options.students,
                service_time=measured.service_time
                if measured
                else Exponential(options.service_time),
                questions=options.questions,
                tries=options.tries,
                arrivals=_arrivals(options),
                think_time=Exponential(options.think_time)
                if options.think_time
                else Measured((0.0,)),
                identifiers=options.identifiers,
                stops_sessions=options.stop_sessions,
                when_refused="wait in line" if options.wait_in_line else "give up",
            ),
            Promise(options.promise_wait, options.promise_share, options.promise_refused),
            Given(options.max_sessions, options.ready_sessions, options.cooldown),
            rules=PoolRules(
                allocation_time=allocation_time,
                waits_for_start=not options.refuse_while_warming,
            ),
            start_time=start_time,
            greatest_maximum=options.greatest_max_sessions,
            seeds=range(1, options.runs + 1),
            most_trials=options.trials,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(plan_as_markdown(plan))
    if measured is not None and measured.assumption:
        print(f"\nTaken for granted: {measured.assumption}.")
    if plan.chosen is None:
        raise CommandError("no pool that was tried keeps the promise")


def _measured(path: Path | None) -> MeasuredTimes | None:
    from codewitness.measuring.samples import read_run
    from codewitness.session_pool.planner_samples import measured_times

    if path is None:
        return None
    try:
        return measured_times(read_run(path).samples)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from None


def _arrivals(options: argparse.Namespace) -> Arrivals:
    from codewitness.session_pool.planner import AllAtOnce, LastMinuteRush, Ramp

    if options.arrivals == "at-once":
        return AllAtOnce()
    if options.arrivals == "ramp":
        return Ramp(options.over)
    return LastMinuteRush(options.over, options.rush_within, options.rush_share)


def _count(text: str) -> int:
    return int(bounded_number(text, "a whole number from 1", int, 1))


def _whole(text: str) -> int:
    return int(bounded_number(text, "a whole number from 0", int, 0))


def _seconds(text: str) -> float:
    return bounded_number(text, "a number of seconds from 0 to a million", float, 0, 1e6)


def _share(text: str) -> float:
    return bounded_number(text, "a share from 0 to 1", float, 0, 1)
