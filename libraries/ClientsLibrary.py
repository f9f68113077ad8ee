"""Keywords for clients that ask at the same moment, each with a test of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

import run_context
from codewitness import __version__
from codewitness.execution.model import ExecutionError
from codewitness.reporting.card import Mismatch
from codewitness.target.rendezvous import NotTogether, RendezvousLost
from codewitness.target.simultaneous_clients import (
    FIRST_ROUND,
    Client,
    Report,
    ask,
    ask_all,
    describe,
    mismatch_of_answers,
    mismatch_of_files,
    mismatch_of_overlap,
    mismatch_of_own,
    next_round,
    picture_of,
)

_SLACK = 15.0


@library(scope="GLOBAL", version=__version__, listener="SELF", auto_keywords=False)
class ClientsLibrary:
    """Keywords for clients that ask at the same moment, each with a test of its own.

    Where pabot gives each of these tests a process of its own (``--testlevelsplit``), that
    process is the client: all meet at a barrier, send their requests together, and learn what
    came of the others'. Otherwise the first of these tests drives all clients from this process,
    and the others report what their own one got.

    Each client sends a token of its own twice, on stdin and within its program, which gives back
    both and says when it ran. While it runs, a folder with its token as its name lies in its
    working directory, its home folder and /tmp, and it looks there for those of the others.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self._tests_here = 0
        self._clients: dict[int, Client] = {}
        self._reports: Sequence[Report] = ()
        self._given_up: str | None = None

    @keyword(tags=["concurrency"])
    def client_should_get_its_own_result(
        self, number: int, of: int = 10, within: float = 60
    ) -> None:
        """Fails unless the client ``number`` of so many simultaneous ones gets its own result.

        Where each client is a process, the test fails, too, if not all of them have come
        ``within`` so many seconds after the first.
        """
        if not self._reports and self._given_up is None:
            self._run(number, of, within)
        if self._given_up is not None:
            raise AssertionError(self._given_up)
        logger.info(describe(self._reports))
        client = self._clients[number]
        outcome = client.outcome
        if isinstance(outcome, ExecutionError):
            expected = f"a result for client {number} of {of} at once"
            run_context.fail_with(outcome, client.request, expected)
        if mismatch := mismatch_of_own(client.report, outcome, self._reports):
            run_context.fail(mismatch, client.request, outcome)

    @keyword(tags=["concurrency"])
    def show_all_clients(self) -> None:
        """Shows when the programs of all clients ran: in the log, and at the top of the report."""
        if not self._have_asked():
            return
        one_clock = run_context.service().whereabouts.on_this_machine is True
        if picture := picture_of(self._reports, one_clock=one_clock):
            logger.info(picture, html=True)
        by = "a process each" if self._is_one_of_many() else "from one process"
        run_context.set_metadata(
            {f"{len(self._reports)} clients at once": f"{by}: {describe(self._reports)}"}
        )

    @keyword(tags=["concurrency"])
    def no_client_should_have_got_the_answer_of_another(self) -> None:
        """Fails if an answer belongs to another client, or one was given to several."""
        if self._have_asked():
            _fail_if(mismatch_of_answers(self._reports))

    @keyword(tags=["concurrency"])
    def no_client_should_have_met_files_of_another(self) -> None:
        """Fails if a program found a file of one that ran at the same time."""
        if self._have_asked():
            _fail_if(mismatch_of_files(self._reports))

    @keyword(tags=["concurrency"])
    def all_clients_should_have_run_at_once(self, at_least: int = 10) -> None:
        """Fails unless ``at_least`` programs ran at one moment, by their own clocks.

        A service that starts programs or sessions slowly is told from one that queues them by a
        second round, of longer programs where there is time, if the first one leaves that open.
        """
        if self._have_asked():
            _fail_if(mismatch_of_overlap(self._reports, at_least))

    # Listener

    def start_test(self, data: Any, _result: Any) -> None:
        """Learn whether this process is one client, or has to drive all of them."""
        self._tests_here = len(data.parent.tests)

    def _have_asked(self) -> bool:
        """Whether there is anything to judge; if not, `Client Should Get Its Own Result` failed."""
        return any(report.words for report in self._reports)

    def _is_one_of_many(self) -> bool:
        return self._tests_here == 1 and run_context.is_run_by_pabot()

    def _run(self, number: int, count: int, within: float) -> None:
        if not self._is_one_of_many():
            self._drive_all(count)
            return
        self._given_up = _too_few_processes(count)
        if self._given_up is not None:
            return
        try:
            self._be_one(number, count, within)
        except NotTogether as missed:
            self._given_up = _tell_missing(missed, count, within)
        except RendezvousLost as lost:
            self._given_up = str(lost)

    def _drive_all(self, count: int) -> None:
        target = run_context.service()

        def drive(name: str, seconds: float) -> Sequence[Report]:
            clients = ask_all(count, f"{_short(target.run_id)}-{name}", seconds, target.execute)
            self._clients = {it.report.number: it for it in clients}
            return [it.report for it in clients]

        self._rounds(drive)

    def _be_one(self, number: int, count: int, within: float) -> None:
        others = run_context.rendezvous()
        assert others is not None
        group = f"{count} clients"
        others.belong(group, number)
        target = run_context.service()
        patience = target.settings["REQUEST_DEADLINE"] + _SLACK

        def drive(name: str, seconds: float) -> Sequence[Report]:
            others.exchange(group, f"{name} start", number, count, None, within)
            client = ask(number, f"{_short(target.run_id)}-{name}", seconds, target.execute)
            self._clients = {number: client}
            told = others.exchange(
                group, f"{name} reports", number, count, client.report.as_json, patience
            )
            return [Report.from_json(told[it]) for it in sorted(told)]

        self._rounds(drive)

    def _rounds(self, drive: Callable[[str, float], Sequence[Report]]) -> None:
        reports = drive("first", FIRST_ROUND)
        longer = next_round(reports, run_context.settings()["REQUEST_DEADLINE"])
        if longer is not None:
            logger.info(f"{describe(reports)}. Once more, with programs of {longer:g} s.")
            reports = drive("second", longer)
        self._reports = reports


def _fail_if(mismatch: Mismatch | None) -> None:
    """Fail because of all clients together: no single request would show it again."""
    if mismatch is not None:
        run_context.fail(mismatch, None, None)


def _too_few_processes(count: int) -> str | None:
    given = int(BuiltIn().get_variable_value("${PABOTNUMBEROFPROCESSES}") or count)
    if given >= count:
        return None
    return (
        f"pabot runs {given} processes, and {count} clients with a process each can't meet there. "
        f"Run it with --processes {count}, or without --testlevelsplit."
    )


def _short(run_id: str) -> str:
    """Return the part of a run's id that no other run's has."""
    return run_id.rpartition("-")[2]


def _tell_missing(missed: NotTogether, count: int, within: float) -> str:
    named = ", ".join(map(str, missed.missing)) or "none"
    if missed.gone:
        ended = ", ".join(map(str, missed.gone))
        return (
            f"The {count} clients did not come together: the process of client {ended} has ended "
            "meanwhile. Look for its own failure, or for what has killed it, and run again."
        )
    return (
        f"The {count} clients did not come together within {within:g} s: client {named} did not "
        f"come. Run all {count} tests of this suite, with --processes {count} or more, while "
        "nothing else keeps this machine busy; or without --testlevelsplit."
    )
