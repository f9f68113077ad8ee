"""The keywords about session pools: what they say when they fail, and what they leave behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from codewitness.target.private_pool import PrivatePool, output_of
from tests.robot_runs import PROJECT, RobotRun, StartedRobot, run_robot, wait_until

SUITE = f"""\
*** Settings ***
Resource    {PROJECT}/resources/session_pool.resource
Library     Collections

*** Test Cases ***
Pool Of The Test
    Start Session Pool
    Execute In Session    alice    print(1)
    Fail    on purpose

Pool Of The Test Is Gone
    Execute In Session    alice    print(1)

New Is Not Reused
    Share Session Pool    max_sessions=2
    Execute In Session    alice    print(1)
    Session Should Be Reused

Reused Is Not New
    Share Session Pool    max_sessions=2
    Execute In Session    alice    print(1)
    Execute In Session    alice    print(1)
    Session Should Be New

Output Differs
    Share Session Pool    max_sessions=2
    Execute In Session    alice    print(2)
    Output Should Be    3\\n    because=it must

Program Fails
    Share Session Pool    max_sessions=2
    Execute In Session    alice    raise KeyError("lost")
    Output Should Be    ${{EMPTY}}

Full Pool Is A Fault
    Share Session Pool    max_sessions=2
    Execute In Session    alice    print(1)
    Execute In Session    bob    print(1)
    Execute In Session    carol    print(1)

No Refusal
    Share Session Pool    max_sessions=2
    Try To Execute In Session    alice
    Pool Should Have Refused    429    allocating

No Refusal To Explain
    Share Session Pool    max_sessions=2
    Try To Execute In Session    alice
    Refusal Should Be Explained    C1    reuse

Other Cause
    Share Session Pool    max_sessions=2
    Execute With A New Identifier Per Call    3
    Calls Served Should Be    2
    Refusal Should Be Explained    C3    wait

Other Number Of Calls
    Share Session Pool    max_sessions=2
    Execute With A New Identifier Per Call    3
    Calls Served Should Be    3

Not Listed
    Share Session Pool    max_sessions=2
    Session Should Be Listed    alice

Still Listed
    Share Session Pool    max_sessions=2
    Execute In Session    alice    print(1)
    Session Should Not Be Listed    alice

Warm Is Not Cold
    Share Session Pool    max_sessions=2
    Ready Sessions Should Become    1
    Execute In Session    alice    print(1)
    Call Should Have Waited For An Instance    seconds=0

Nothing Becomes Ready
    Share Session Pool    max_sessions=2
    Ready Sessions Should Become    2    within=0.1

Unusable Options
    Start Session Pool    max_sessions=2    ready_sessions=2

Expectation Without A Call
    Share Session Pool    max_sessions=2
    Session Should Be New
"""

MESSAGES = {
    "Pool Of The Test": r"^on purpose$",
    "Pool Of The Test Is Gone": r"There is no session pool yet\. Begin with",
    "New Is Not Reused": r"(?s)the user already had.*instance \d+, new.*private session pool",
    "Reused Is Not New": r"(?s)allocated for this call.*instance \d+, reused",
    "Output Differs": r"(?s)output differs.*it must",
    "Program Fails": r"(?s)output differs.*KeyError",
    "Full Pool Is A Fault": r"(?s)PLATFORM FAULT.*429.*allocating pod.*reuse one identifier",
    "No Refusal": r"(?s)HTTP 429 with 'allocating'.*HTTP 200 OK",
    "No Refusal To Explain": r"(?s)a refusal.*HTTP 200 OK",
    "Other Cause": r"(?s)C3, with the advice 'wait'.*C1: every session of the pool is taken",
    "Other Number Of Calls": r"(?s)the first 3 of 3.*200, 200, 429",
    "Not Listed": r"(?s)list of sessions.*alice-nonce-\w+.*none",
    "Still Listed": r"(?s)no alice-nonce-\w+.*alice-nonce-\w+",
    "Warm Is Not Cold": r"(?s)no instance ready.*1 ready before",
    "Nothing Becomes Ready": r"(?s)ready sessions.*\d ready, \d starting after 0\.1 s",
    "Unusable Options": r"(?s)could not be started.*SessionPoolInvalidReadySessionInstances",
    "Expectation Without A Call": r"Begin the test with 'Execute In Session'",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RobotRun:
    folder = tmp_path_factory.mktemp("session-pool")
    suite = folder / "keywords.robot"
    suite.write_text(SUITE, encoding="utf-8")
    return run_robot(folder / "results", "--loglevel", "TRACE", suites=suite)


@pytest.mark.parametrize("name", MESSAGES)
def test_failure_says_what_was_expected_and_what_came(run: RobotRun, name: str) -> None:
    assert re.search(MESSAGES[name], run.failed[name].message), run.failed[name].message


def test_no_test_of_the_keywords_is_forgotten(run: RobotRun) -> None:
    assert set(run.failed) == set(MESSAGES)


def test_no_token_reaches_a_file_of_the_run(run: RobotRun) -> None:
    for file in run.folder.rglob("*.*"):
        assert not re.search(rb"eyJ[\w-]{8,}\.|canary-[0-9a-f]", file.read_bytes()), file


def test_pools_end_with_a_run_that_was_killed(tmp_path: Path) -> None:
    suite = tmp_path / "killed.robot"
    suite.write_text(
        f"*** Settings ***\nResource    {PROJECT}/resources/session_pool.resource\n\n"
        "*** Test Cases ***\nPool Is Left\n    Start Session Pool\n"
        "    Log    started    console=True\n"
        "    Execute In Session    alice    import time; time.sleep(9)\n",
        encoding="utf-8",
    )
    with StartedRobot(tmp_path / "results", suites=suite) as robot:
        robot.wait_for("started")
        left = psutil.Process(robot.process.pid).children(recursive=True)
        assert left
    wait_until(lambda: not any(map(psutil.Process.is_running, left)), 15, f"still there: {left}")


@pytest.fixture(scope="module")
def bare_pool() -> Iterator[PrivatePool]:
    pool = PrivatePool(["--sandbox", "none"], environment={"MSI_SECRET": "canary-0123"})
    yield pool
    pool.close()


def test_program_that_looks_for_canaries_finds_them_without_walls(bare_pool: PrivatePool) -> None:
    code = (PROJECT / "resources/programs/look_for_canaries.py").read_text(encoding="utf-8")
    found = output_of(bare_pool.call("alice", code).answer, bare_pool.kind)
    assert re.search(r"environ of process \d+", found)


def test_program_that_connects_reaches_the_pool_without_walls(bare_pool: PrivatePool) -> None:
    code = (PROJECT / "resources/programs/connect.py").read_text(encoding="utf-8")
    for address in bare_pool.addresses:
        answer = bare_pool.call("alice", code, stdin=address).answer
        assert "reached port" in output_of(answer, bare_pool.kind)


def test_traces_of_another_program_are_found_without_walls(bare_pool: PrivatePool) -> None:
    folder = PROJECT / "resources/programs"
    programs = {
        "alice": (folder / "hold_traces.py").read_text(encoding="utf-8"),
        "bobby": (folder / "look_for_traces.py").read_text(encoding="utf-8"),
    }
    _, looked = bare_pool.call_together(programs)
    found = output_of(looked.answer, bare_pool.kind)
    assert "a file in /tmp" in found
    assert "cmdline" in found
    assert "environ" in found
