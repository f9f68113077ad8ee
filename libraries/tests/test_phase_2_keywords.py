"""The keywords about private services: that they find what is wrong, and leave nothing behind."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from codewitness.embedded.identity import Form, IdentityService
from codewitness.execution.causes import likely_cause
from codewitness.execution.credentials import read_claims
from codewitness.execution.model import FaultKind
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.credentials import SCOPE
from tests.loopback_identity import running_identity
from tests.processes_by_mark import MARK, marked
from tests.robot_runs import PROJECT, RobotRun, environment, run_robot

SUITE = f"""\
*** Settings ***
Library    OperatingSystem
Library    {PROJECT.as_posix()}/libraries/PrivateServicesLibrary.py

*** Test Cases ***
Nothing Was Started
    Execute In Private Pool

Token In A File
    Use Private Pool
    ${{token}} =    Get Token For Private Pool
    Create File    ${{OUTPUT DIR}}/dropped.txt    before ${{token.value}} after
    No Secret Should Have Been Written

Another Cause
    Use Private Pool
    Let Identity Give Tokens    with_role=${{False}}
    Execute In Private Pool
    Pool Should Have Refused The Caller    403    I1    because=it is told so

Refusal Instead Of A Result
    Use Private Pool
    Execute In Private Pool Without Token
    Program Should Have Run In The Pool

Result Instead Of A Refusal
    Use Private Pool
    Execute In Private Pool
    Pool Should Have Refused The Caller    401    I0    because=it is told so

Pool Instead Of A Fallback
    Use Private Pool
    Execute In Private Pool
    Program Should Have Run In Fallback

Silent Fallback
    Use Private Pool
    Use Private Backend    in_pool=${{False}}
    Execute Through Private Backend
    Program Should Have Run In Fallback

Answer Without A Session
    Use Private Pool
    Use Private Backend    in_pool=${{False}}
    Execute Through Private Backend
    Program Should Have Run In The Pool

Result Instead Of A Failure
    Use Private Pool
    Use Private Backend    in_pool=${{False}}
    Execute Through Private Backend
    Backend Should Have Failed Within    10
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RobotRun:
    """A run in which every test meets something that is not as it should be."""
    folder = tmp_path_factory.mktemp("private")
    suite, mark = folder / "private.robot", uuid.uuid4().hex
    suite.write_text(SUITE, encoding="utf-8")
    done = run_robot(folder / "results", suites=suite, environ=environment(**{MARK: mark}))
    assert not marked(mark)
    return done


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("Nothing Was Started", ("begin with `Use Private Pool`",)),
        ("Token In A File", ("dropped.txt", "until the token expires")),
        ("Another Cause", ("HTTP 403, diagnosed as I1", "HTTP 403, diagnosed as I3")),
        ("Refusal Instead Of A Result", ("HTTP 401", "bearer token is required", "Likely cause")),
        ("Result Instead Of A Refusal", ("HTTP 401", "a result")),
        ("Pool Instead Of A Fallback", ("answered by session pool", "session private-", "To do")),
        ("Silent Fallback", ("marked as degraded", "answered by local", "hides that its pool")),
        ("Answer Without A Session", ("a session of the pool", "on its own host", "To do")),
        ("Result Instead Of A Failure", ("a 5xx with a message", "a result")),
    ],
)
def test_expectations_fail_and_say_why(run: RobotRun, test: str, words: tuple[str, ...]) -> None:
    message = " ".join(run.failed[test].message.split())
    for said in words:
        assert said in message


def test_nothing_passes_where_everything_is_wrong(run: RobotRun) -> None:
    assert not run.passed


def test_tokens_of_several_services_are_told_apart(tmp_path: Path) -> None:
    own = dict(os.environ)
    with running_identity(tmp_path) as one, running_identity() as other:
        asked: list[tuple[IdentityService, Form]] = [
            (one, "client-secret"),
            (other, "imds"),
            (one, "app-service"),
        ]
        owners = {}
        for service, form in asked:
            token = token_source_of(service.environment(form))(SCOPE)
            claims = read_claims(token.token)
            assert claims is not None
            owners[form] = claims["oid"]
    assert owners == {
        "client-secret": one.object_id,
        "imds": other.object_id,
        "app-service": one.object_id,
    }
    assert dict(os.environ) == own


@pytest.mark.parametrize(
    ("said", "row"),
    [
        ("nothing listening: connection refused", "N19"),
        ("not authenticated: HTTP 401 from http://pool (audience https://other)", "I1"),
        ("not allowed: HTTP 403 Forbidden from http://pool", "I3"),
        ("server error: HTTP 502 Bad Gateway from http://pool", "C7"),
        ("something else", "C10"),
    ],
)
def test_backend_tells_what_its_pool_said(said: str, row: str) -> None:
    held = "(session pool, of which the caller holds no session)"
    detail = f"HTTP 500 from http://backend: {said} {held}"
    assert likely_cause(FaultKind.SERVER_ERROR, status=500, detail=detail).row == row
