"""The suite about the pool given: it passes on a good pool, and says what is wrong with others."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from codewitness.embedded.service import RunningService, start_service, without_secrets
from codewitness.session_pool.credentials import client_environment
from tests.front_door import Call, FrontDoor, Reply
from tests.robot_runs import RobotRun, environment, run_robot
from tests.session_pools import send

ABOUT_POOL = ("--test", "*.Given Pool.*")
COOLDOWN = "Session Of The Given Pool Is Gone After Its Cooldown"
FULL = "Given Pool Refuses More Than Its Greatest Number Of Sessions"
REHEARSAL = "Stop Call For An Unknown Identifier Is Refused"


@pytest.fixture(scope="module")
def pool() -> Iterator[RunningService]:
    """A pool that wants tokens and has room."""
    with started("session-pool", "--max-sessions", "20") as service:
        yield service


def started(*arguments: str, variables: Mapping[str, str] | None = None) -> RunningService:
    environ = client_environment(variables or {}, without_secrets())
    return start_service(arguments, environment=environ)


def environ_of(pool: RunningService, **others: str) -> dict[str, str]:
    """Return the environment of a run to which a pool is given."""
    variables: Mapping[str, str] = pool.details["environment"]
    return environment(**{**variables, **others})


def sessions(pool: RunningService) -> list[str]:
    told = json.loads(send("GET", f"{pool.details['control_url']}/state").body)
    return [session["identifier"] for session in told["sessions"]]


@pytest.mark.thorough
def test_pool_alone_passes_and_its_cooldown_is_waited_for(tmp_path: Path) -> None:
    # A short cooldown would make room again while the full pool is asked.
    options = [*ABOUT_POOL, "--exclude", "costlyANDR2", "-v", "COSTLY:true"]
    with started("session-pool", "--unchecked", "--cooldown", "8") as small:
        run = run_robot(tmp_path / "results", *options, environ=environ_of(small))
        assert not sessions(small)
    assert run.returncode == 0, run.brief
    assert not run.skipped
    assert COOLDOWN in run.passed
    assert len(run.passed) == 12
    assert run.metadata["Tested"].startswith("session pool at ")
    assert re.fullmatch(r"\d opened, all stopped at the end", run.metadata["Sessions"])
    assert "Rehearsals" not in run.metadata


@pytest.mark.thorough
def test_pool_behind_a_backend_is_tested_beside_it(pool: RunningService, tmp_path: Path) -> None:
    variables = pool.details["environment"]
    with started("backend", "--pool", pool.url, variables=variables) as backend:
        options = [*ABOUT_POOL, "--test", f"*.{REHEARSAL}", "-v", f"ENDPOINT:{backend.url}"]
        run = run_robot(tmp_path / "results", *options, environ=environ_of(pool))
    assert run.returncode == 0, run.brief
    assert set(run.skipped) == {COOLDOWN, FULL}
    for skipped in run.skipped.values():
        assert "COSTLY=true runs it" in skipped.message
    assert run.metadata["Rehearsals"].startswith("1 rehearsal tests ran on embedded services")
    assert run.metadata["Sessions"] == "3 opened, all stopped at the end"
    assert not [name for name in sessions(pool) if name.startswith("run-")]


def test_target_without_a_pool_skips_and_says_why(tmp_path: Path) -> None:
    environ = environment(USE_LOCAL_EXECUTOR="true")
    run = run_robot(tmp_path / "results", *ABOUT_POOL, "--test", "*.T2.2 *", environ=environ)
    assert run.returncode == 0, run.brief
    assert list(run.passed) == ["T2.2 Multiple Input Lines"]
    assert len(run.skipped) > 10
    for skipped in run.skipped.values():
        assert skipped.message.startswith("No session pool is known behind the target, local")
        assert "Give one as POOL_MANAGEMENT_ENDPOINT" in skipped.message


@dataclass
class Spoiler:
    """Spoils what comes from a pool from the first call without a token on.

    Every identifier leads to one session there, stopping does nothing, and programs see what
    they must not.
    """

    pool: str
    begun: bool = field(default=False)

    def __call__(self, call: Call) -> Reply | None:
        self.begun |= "authorization" not in call.headers
        if not self.begun:
            return None
        if "stopSession" in call.path:
            return Reply(200, b"stopped", "text/plain")
        if "getSession" in call.path and "nobody" in call.path:
            return Reply(404)
        parts = urlsplit(call.path)
        query = {**parse_qs(parts.query), "identifier": ["one-for-all"]}
        asked = "&".join(f"{name}={quote(value)}" for name, (value,) in query.items())
        connection = http.client.HTTPConnection(urlsplit(self.pool).netloc, timeout=60)
        kept = {name: it for name, it in call.headers.items() if name == "content-type"}
        connection.request(call.method, f"{parts.path}?{asked}", call.body, kept)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        body = body.replace(rb"\"found\": []", rb"\"found\": [\"a process\"]")
        body = body.replace(b"nothing left", b"a file of the run before is there")
        body = body.replace(b' nothing\\n"', b' environ of process 1\\n"')
        return Reply(answer.status, body)


@pytest.fixture(scope="module")
def spoiled(pool: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RobotRun]:
    """A run on a pool in which everything is wrong that a caller can see."""
    with ExitStack() as stack:
        behind = stack.enter_context(started("session-pool", "--identity", "none"))
        door = stack.enter_context(FrontDoor(behind.url, Spoiler(behind.url)))
        environ = environ_of(pool, POOL_MANAGEMENT_ENDPOINT=door.url)
        folder = tmp_path_factory.mktemp("spoiled") / "results"
        yield run_robot(folder, *ABOUT_POOL, "--exclude", "costly", environ=environ)


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("Given Pool Refuses A Caller Without A Token", ("HTTP 401", "HTTP 200", "no token")),
        ("Given Pool Refuses A Token For Another Audience", ("HTTP 401", "HTTP 200", "audience")),
        ("Given Pool Refuses A Call Without An Identifier", ("HTTP 400", "HTTP 200")),
        ("Given Pool Knows No Session Of An Unknown Identifier", ("HTTP 400", "HTTP 404")),
        (
            "Given Pool Allocates At The First Call And Reuses At The Second",
            ("one allocated for this call", "before the call one created at"),
        ),
        ("Given Pool Lists A Session While It Lives", ("list of sessions", "0 of them among")),
        ("Given Pool Has A Session For Every Identifier", ("one allocated for this call",)),
        ("Files Of A Session In The Given Pool Stay In It", ("a file of the run before is",)),
        (
            "Programs In Two Sessions Of The Given Pool See Nothing Of Each Other",
            ("nothing of the other session", "a process"),
        ),
        (
            "No Identity Or Secret Is Visible In A Session Of The Given Pool",
            ("environ of process 1", "no program may act as the service"),
        ),
        ("Stopped Session Of The Given Pool Is Gone With Its Data", ("unknown", "createdAt")),
    ],
)
def test_spoiled_pool_is_told(spoiled: RobotRun, test: str, words: tuple[str, ...]) -> None:
    message = " ".join(spoiled.failed[test].message.replace("·", " ").split())
    for said in words:
        assert said in message, message


def test_nothing_passes_where_everything_is_wrong(spoiled: RobotRun) -> None:
    assert not spoiled.passed
    assert not spoiled.skipped


@pytest.mark.parametrize(
    "form", [pytest.param("allocator", marks=pytest.mark.thorough), "not-found"]
)
def test_full_pool_is_judged_by_its_refusal(
    pool: RunningService, tmp_path: Path, form: str
) -> None:
    options = ["--identity", "none", "--max-sessions", "2", "--when-full", form]
    with started("session-pool", *options) as behind:
        environ = environ_of(pool, POOL_MANAGEMENT_ENDPOINT=behind.url, COSTLY="true")
        run = run_robot(tmp_path / "results", "--test", f"*.{FULL}", environ=environ)
        assert not sessions(behind)
    if form == "allocator":
        assert list(run.passed) == [FULL], run.brief
        return
    message = run.failed[FULL].message
    assert "HTTP 429 with 'allocating pod'" in message
    assert "HTTP 404" in message


@pytest.mark.thorough
def test_pool_with_room_for_all_sessions_of_a_run_is_no_failure(
    pool: RunningService, tmp_path: Path
) -> None:
    options = ["--test", f"*.{FULL}", "--test", "*.T2.2 *"]
    environ = environ_of(pool, MAX_SESSIONS_USED="3", COSTLY="true")
    run = run_robot(tmp_path / "results", *options, environ=environ)
    assert run.returncode == 0, run.brief
    (skipped,) = run.skipped.values()
    assert skipped.message.startswith("The pool had room for all 3 sessions")
    assert not sessions(pool)
