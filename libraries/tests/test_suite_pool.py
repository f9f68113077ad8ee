"""The suite against a session pool: alone, behind a backend, and where code does not run in it."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from codewitness.embedded.service import RunningService, start_service, without_secrets
from codewitness.session_pool.credentials import client_environment
from tests.front_door import Call, FrontDoor, Reply
from tests.robot_runs import RobotRun, environment, run_robot
from tests.session_pools import send

ABOUT_TARGET = ("--suite", "*.Where It Ran", "--exclude", "rehearsal")
ONE_TEST = ("--include", "T2.2")
LISTED = "Pool Lists The Session That Ran The Program"
AGREE = "Backend And Pool Agree On Where Code Runs"
NO_FALLBACK = "No Answer Of This Run Came From A Fallback"
STOPPED = "Test execution stopped due to a fatal error."


@dataclass(frozen=True)
class Flow:
    """A session pool, and backends of every honesty.

    Attributes:
        pool: It wants tokens.
        open_pool: One that lets everybody in, so that a front door fits before it.
        backend: Executes in the pool.
        host: Executes on its own host, and never asks a pool.
        fallen_back: Is refused by the pool and executes on its own host.
    """

    pool: RunningService
    open_pool: RunningService
    backend: RunningService
    host: RunningService
    fallen_back: RunningService

    @property
    def environ(self) -> dict[str, str]:
        """The environment that the pool's JSON line gives."""
        variables: Mapping[str, str] = self.pool.details["environment"]
        return environment(**variables)

    @property
    def environ_without_pool(self) -> dict[str, str]:
        return {k: v for k, v in self.environ.items() if k != "POOL_MANAGEMENT_ENDPOINT"}


@pytest.fixture(scope="module")
def flow() -> Iterator[Flow]:
    with ExitStack() as stack:

        def start(*arguments: str, variables: Mapping[str, str] | None = None) -> RunningService:
            environ = client_environment(variables or {}, without_secrets())
            return stack.enter_context(start_service(arguments, environment=environ))

        pool = start("session-pool", "--max-sessions", "20", "--allocation-time", "0")
        refused = {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
        yield Flow(
            pool,
            start(
                "session-pool",
                "--max-sessions",
                "20",
                "--allocation-time",
                "0",
                "--identity",
                "none",
            ),
            start("backend", "--pool", pool.url, variables=pool.details["environment"]),
            start("backend"),
            start("backend", "--pool", pool.url, "--fallback", variables=refused),
        )


def sessions(pool: RunningService) -> list[str]:
    told = json.loads(send("GET", f"{pool.details['control_url']}/state").body)
    return [session["identifier"] for session in told["sessions"]]


def identifiers(calls: list[Call]) -> set[str]:
    queries = [parse_qs(urlsplit(call.path).query) for call in calls]
    return {query["identifier"][0] for query in queries if "identifier" in query}


def test_pool_alone_is_tested_within_its_bounds(flow: Flow, tmp_path: Path) -> None:
    # With 3 sessions there are not enough pairs for T4.3.
    options = ["--suite", "*.Planned Tests Of Section 4", "--exclude", "T4.3", *ABOUT_TARGET]
    with FrontDoor(flow.open_pool.url) as door:
        given = ["-v", f"POOL_MANAGEMENT_ENDPOINT:{door.url}", "-v", "MAX_SESSIONS_USED:3"]
        run = run_robot(tmp_path / "results", *options, *given, environ=flow.environ)
    assert run.returncode == 0, run.brief
    assert len(run.passed) == 5
    assert {LISTED, NO_FALLBACK} < set(run.passed)
    assert set(run.skipped) == {AGREE}
    assert "the session pool itself" in run.skipped[AGREE].message
    assert "Target: session pool (POOL_MANAGEMENT_ENDPOINT, Robot variable)" in run.console
    assert run.metadata["Tested"].startswith(f"session pool at {door.url}/")
    assert (
        "| REQUIRE_POOL | true | POOL_MANAGEMENT_ENDPOINT is given |"
        in run.metadata["Your settings"]
    )
    assert run.metadata["In the session pool"].startswith("proven: the pool's list shows")
    assert run.metadata["Sessions"] == "3 opened, all stopped at the end"
    used = identifiers(door.calls)
    assert len(used) == 3
    assert len({re.sub(r"[0-9a-f]{32}$", "", name) for name in used}) == 1
    assert all(name.startswith("run-") for name in used)
    assert not sessions(flow.open_pool)


def test_session_that_does_not_stop_is_told_with_its_end(flow: Flow, tmp_path: Path) -> None:
    def refuse(call: Call) -> Reply | None:
        return Reply(500) if "stopSession" in call.path else None

    with FrontDoor(flow.open_pool.url, refuse) as door:
        environ = {**flow.environ, "POOL_MANAGEMENT_ENDPOINT": door.url}
        run = run_robot(tmp_path / "results", *ONE_TEST, environ=environ)
    assert run.returncode == 0, run.brief
    (left,) = sessions(flow.open_pool)
    told = run.metadata["Sessions"]
    assert re.fullmatch(rf"1 opened, 1 left open: {left}, until 20\S+ \S+ UTC", told), told
    send("POST", f"{flow.open_pool.details['control_url']}/clock", {"move": 301})


@pytest.mark.thorough
def test_backend_in_front_of_the_pool_agrees_with_it(flow: Flow, tmp_path: Path) -> None:
    # The door takes away what the backend says about who executed: the pool's word is enough.
    with FrontDoor(flow.backend.url) as door:
        given = ["-v", f"ENDPOINT:{door.url}"]
        run = run_robot(tmp_path / "results", *ABOUT_TARGET, *given, environ=flow.environ)
    assert run.returncode == 0, run.brief
    assert set(run.passed) == {LISTED, AGREE, NO_FALLBACK}
    assert "its pool by POOL_MANAGEMENT_ENDPOINT, environment" in run.metadata["Tested"]
    told = run.metadata["In the session pool"]
    assert told.startswith("proven: the pool's list shows use of backend-")
    assert run.metadata["Sessions"] == "1 opened, all stopped at the end"
    assert not [name for name in sessions(flow.pool) if name.startswith("run-")]


def fails_for_want_of_the_pool(run: RobotRun, *words: str) -> None:
    assert run.returncode == 1, run.console
    message = run.failed["T2.2 Multiple Input Lines"].message
    assert message.startswith("The session pool is required, and code was not seen to run there.")
    for word in words:
        assert word in " ".join(message.split()), message


@pytest.mark.parametrize("lying", ["host", pytest.param("fallen_back", marks=pytest.mark.thorough)])
def test_backend_that_hides_its_fallback_fails(flow: Flow, tmp_path: Path, lying: str) -> None:
    behind: RunningService = getattr(flow, lying)
    with FrontDoor(behind.url) as door:
        run = run_robot(
            tmp_path / "results", *ONE_TEST, "-v", f"ENDPOINT:{door.url}", environ=flow.environ
        )
    fails_for_want_of_the_pool(
        run,
        "NOT in the session pool: sessions of the pool that moved: none",
        "the backend executed on its own host or in another pool, and did not say so",
        "To do look at the address of the pool",
    )
    assert run.metadata["In the session pool"].startswith("NOT in the session pool")


def test_backend_that_falls_back_in_the_open_fails_where_the_pool_is_required(
    flow: Flow, tmp_path: Path
) -> None:
    given = ["-v", f"ENDPOINT:{flow.fallen_back.url}", "-v", "REQUIRE_POOL:true"]
    environ = flow.environ
    run = run_robot(tmp_path / "results", *ONE_TEST, *given, environ=environ)
    fails_for_want_of_the_pool(
        run, "NOT in the session pool: the answer is marked as degraded", "mend the pool"
    )


@pytest.mark.thorough
def test_backend_that_falls_back_in_the_open_is_marked_where_it_may(
    flow: Flow, tmp_path: Path
) -> None:
    given = ["-v", f"ENDPOINT:{flow.fallen_back.url}"]
    options = ["--suite", "*.Planned Tests Of Section 1", *ABOUT_TARGET]
    run = run_robot(tmp_path / "results", *options, *given, environ=environment())
    assert run.returncode == 0, run.brief
    assert run.console.count("[ WARN ] DEGRADED: a fallback answers") == 1
    assert len(run.passed) == 3
    told = run.metadata["DEGRADED"]
    assert re.match(r"\*(\d+) of \1 executions were answered by a fallback", told), told
    assert "no token for https://dynamicsessions.io" in told
    assert set(run.skipped) == {LISTED, AGREE, NO_FALLBACK}
    for skipped in run.skipped.values():
        assert skipped.message.startswith("not proven: ")
    assert run.metadata["In the session pool"].startswith("not proven: ")
    assert "POOL_MANAGEMENT_ENDPOINT is not given" in run.metadata["In the session pool"]


def test_pool_that_is_required_without_an_address_is_not_proven(flow: Flow, tmp_path: Path) -> None:
    given = ["-v", f"ENDPOINT:{flow.backend.url}", "-v", "REQUIRE_POOL:true"]
    run = run_robot(tmp_path / "results", *ONE_TEST, *given, environ=flow.environ_without_pool)
    fails_for_want_of_the_pool(
        run, "not proven: ", "give the pool's URL as POOL_MANAGEMENT_ENDPOINT beside ENDPOINT"
    )


@pytest.mark.thorough
def test_backend_that_leaves_the_pool_during_a_run_fails_it(flow: Flow, tmp_path: Path) -> None:
    executed = []

    def leave(call: Call) -> Reply | None:
        executed.append(call.path.endswith("/execute"))
        # The opening of a run executes two programs, and the test its own.
        if sum(executed) <= 3 or not executed[-1]:
            return None
        connection = http.client.HTTPConnection(urlsplit(flow.host.url).netloc, timeout=60)
        connection.request("POST", call.path, call.body, {"Content-Type": "application/json"})
        return Reply(200, connection.getresponse().read())

    with FrontDoor(flow.backend.url, leave) as door:
        run = run_robot(
            tmp_path / "results", *ONE_TEST, "-v", f"ENDPOINT:{door.url}", environ=flow.environ
        )
    fails_for_want_of_the_pool(run, "sessions of the pool that moved: none")
