"""The keywords about session pools: what they say when they fail, and what they leave behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from codewitness.execution.model import PlatformFault
from codewitness.target.private_pool import PrivatePool, output_of
from codewitness.target.session_files import Generation, SessionFiles
from tests.robot_runs import PROJECT, RobotRun, StartedRobot, run_robot, wait_until

SUITE = f"""\
*** Settings ***
Resource    {PROJECT}/resources/session_files.resource
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

Wait For Nothing
    Share Session Pool    max_sessions=2
    Wait For Program

Source Is Too Long For The Container
    Share Session Pool    max_sessions=2
    Large Source Should Arrive Unchanged    alice    size=200000

Output Is Cut
    Share Session Pool    max_sessions=2
    Large Output Should Arrive Unchanged    alice    size=2000000

Expired Tokens
    Share Session Pool    max_sessions=2
    Call As A New Caller    token_life=-60
    Execute Over Lives Of Tokens    1

Other Number Of Tokens
    Share Session Pool    max_sessions=2
    Call As A New Caller
    Execute With One Identifier    2
    Tokens Fetched Should Be    2

Other Content
    Share Session Pool    kind=python
    Upload Text    alice    a.txt    uploaded
    Execute In Session    alice    open("/mnt/data/a.txt", "w").write("changed")
    File Should Come Back    alice    a.txt

Nothing To Download
    Share Session Pool    kind=python
    File Should Hold    alice    a.txt    anything

Other Size
    Share Session Pool    kind=python
    Upload Text    alice    a.txt    uploaded
    Execute In Session    alice    open("/mnt/data/a.txt", "w").write("")
    File Should Be Described    alice    a.txt

File Is Not Listed
    Share Session Pool    kind=python
    Upload Text    alice    a.txt    uploaded
    Delete File    alice    a.txt
    File Should Be Listed    alice    a.txt

Other Files
    Share Session Pool    kind=python
    Upload Text    alice    a.txt    uploaded
    Files Listed Should Be    alice    b.txt

Nothing To Delete
    Share Session Pool    kind=python
    Use Generation    A
    Delete File    alice    a.txt

File Is There
    Share Session Pool    kind=python
    Upload Text    alice    a.txt    uploaded
    File Should Be Missing    alice    a.txt

Name That No File May Have
    Share Session Pool    kind=python
    Upload Text    alice    a?b    uploaded

Upload That Is Not Too Large
    Share Session Pool    kind=python
    Try To Upload    alice    megabytes=1
    Upload Should Be Refused As Too Large

Program Does Not Run
    Share Session Pool    kind=python
    Program Should Be Running    alice    within=0.1

Success Is No Failure
    Share Session Pool    kind=python
    Execute In Session    alice    print(1)
    Program Should Have Failed    Execution aborted

Other Failure
    Share Session Pool    kind=python
    Execute In Session    alice    1/0
    Program Should Have Failed    Execution aborted

Session That Comes Back
    Share Session Pool For Data
    Leave Data In Session    alice
    No Data Should Be Left In Sessions    bob    alice

Other Name Of The End
    Share Session Pool    max_sessions=2
    Execute In Session    alice    print(1)
    Session Should Tell Its End As    alice    expireAt

Other Name Of The End Of An Interpreter
    Share Session Pool    kind=python
    Execute In Session    alice    print(1)
    Session Should Tell Its End As    alice    expiresAt

End Of No Session
    Share Session Pool    max_sessions=2
    Session Should Tell Its End As    alice    expiresAt

Container Still There
    Share Session Pool    max_sessions=2
    Execute In Session    alice    print(1)
    Container Should Be Gone    alice    within=0

Container Of Nobody
    Share Session Pool    max_sessions=2
    Container Should Be Gone    alice

Header Is Forwarded
    Share Session Pool    max_sessions=2
    Execute In Session    alice    print(1)
    Container Should Not Have Been Sent    alice    Content-Type

Header That Nobody Was Sent
    Share Session Pool    max_sessions=2
    Container Should Not Have Been Sent    alice    Authorization

Other Result By The Older Operation
    Share Session Pool    kind=python
    Older Operation Should Tell    alice    6 * 7    result=43

Failure By The Older Operation
    Share Session Pool    kind=python
    Older Operation Should Tell    alice    1/0

Program Is Not Stopped
    Share Session Pool    kind=python
    Start Program In Session    alice    run_until_told.py
    Program Should Be Stopped After    220 s    within=0.1

Other Cause Of A Failure
    Share Session Pool    kind=python
    Start Program In Session    alice    run_until_told.py    time_limit=5
    Move Pool Clock    6
    Wait For Program
    Failure Should Be Explained    L2    more time
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
    "Wait For Nothing": r"Begin with 'Start Program In Session'",
    "Source Is Too Long For The Container": r"exceeds the limit of 102400 bytes",
    "Output Is Cut": r"(?s)stdout differs.*Saved.*expected\.bin.*to the byte",
    "Expired Tokens": r"(?s)PLATFORM FAULT.*401.*token has expired",
    "Other Number Of Tokens": r"(?s)requests for tokens.*expected 2, got 1",
    "Other Content": r"(?s)content of a\.txt differs.*uploaded.*changed",
    "Nothing To Download": r"(?s)download of a\.txt.*HTTP 200.*HTTP 404",
    "Other Size": r"(?s)file in a description.*a\.txt, 8 bytes.*a\.txt, 0 bytes",
    "File Is Not Listed": r"(?s)a list with nothing.*a\.txt, 8 bytes.*no such file",
    "Other Files": r"(?s)files of the session.*b\.txt.*a\.txt",
    "Nothing To Delete": r"(?s)DELETE of a file.*HTTP 200.*HTTP 404",
    "File Is There": r"(?s)HTTP 404.*HTTP 200",
    "Name That No File May Have": r"(?s)400.*file name is not valid",
    "Upload That Is Not Too Large": r"(?s)refused with.*413.*HTTP 100",
    "Program Does Not Run": r"(?s)running, and answers.*silent for 0\.1 s",
    "Success Is No Failure": r"(?s)failed: Execution aborted.*succeeded: \(nothing on stderr\)",
    "Other Failure": r"(?s)failed: Execution aborted.*failed: Traceback.*ZeroDivisionError",
    "Session That Comes Back": r"(?s)allocated for this call.*instance \d+, reused",
    "Other Name Of The End": r"(?s)the description of one session.*expireAt, a.*expiresAt",
    "Other Name Of The End Of An Interpreter": r"(?s)expiresAt, a moment.*expireAt",
    "End Of No Session": r"(?s)400.*SessionWithIdentifierNotFound",
    "Container Still There": r"(?s)expected gone, got it listens at http.*only boundary",
    "Container Of Nobody": r"No container has served alice",
    "Header Is Forwarded": r"(?s)without Content-Type.*content-type.*token is dropped",
    "Header That Nobody Was Sent": r"(?s)without Authorization.*got none",
    "Other Result By The Older Operation": r'(?s)"result": "43".*"result": "42".*generation A',
    "Failure By The Older Operation": r'(?s)"status": "Failure".*ZeroDivisionError',
    "Program Is Not Stopped": r"(?s)expected stopped after 220 s, got not stopped after 220 s",
    "Other Cause Of A Failure": r"(?s)L2, with the advice 'more time'.*C11",
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
def interpreters() -> Iterator[PrivatePool]:
    pool = PrivatePool(["--max-sessions", "9"], kind="python")
    yield pool
    pool.close()


@pytest.mark.parametrize("generation", ["A", "B"])
def test_upload_is_refused_before_it_is_sent(
    interpreters: PrivatePool, generation: Generation
) -> None:
    files = SessionFiles(interpreters, generation)
    assert files.announce("uploader", "small.bin", 1000).status == 100
    assert files.announce("uploader", "large.bin", 130 << 20).status == 413


@pytest.mark.parametrize("generation", ["A", "B"])
def test_files_are_read_by_one_generation_alone(
    interpreters: PrivatePool, generation: Generation
) -> None:
    files = SessionFiles(interpreters, generation)
    other = SessionFiles(interpreters, "A" if generation == "B" else "B")
    answer = files.upload("reader", "a.txt", b"text")
    assert (files.read_uploaded(answer).name, files.read_uploaded(answer).size) == ("a.txt", 4)
    listed = files.list("reader")
    assert list(files.read_list(listed)) == ["a.txt"]
    with pytest.raises(PlatformFault, match=r"expected a (file|list)"):
        other.read_uploaded(answer)
    with pytest.raises(PlatformFault, match="a file of generation"):
        other.read_list(listed)


def test_data_of_any_test_is_found(interpreters: PrivatePool) -> None:
    code = (PROJECT / "resources/programs/look_for_data.py").read_text(encoding="utf-8")
    looks = [code.replace("@NONCE@", nonce) for nonce in ("one", "two")]
    told = [output_of(interpreters.call("looker", look).answer, "python") for look in looks]
    assert told == ["one nothing\n", "two variable, environment, /mnt/data, /tmp\n"]


def test_state_is_told_when_it_is_there(interpreters: PrivatePool) -> None:
    assert interpreters.wait_until_ready(1, 20).ready == 1
    assert interpreters.wait_until_ready(3, 0.1).ready == 1
    code = (PROJECT / "resources/programs/run_until_told.py").read_text(encoding="utf-8")
    begun = interpreters.begin_call("worker", code)
    assert "worker" in interpreters.wait_until_active("worker", 20).active
    assert not begun.done()
    SessionFiles(interpreters, "B").upload("worker", "end", b"")
    assert "ended by itself" in output_of(begun.result(20).answer, "python")
    assert "worker" not in interpreters.wait_until_active("worker", 0.1).active


def test_pool_closes_under_a_call() -> None:
    pool = PrivatePool(kind="python")
    code = (PROJECT / "resources/programs/run_until_told.py").read_text(encoding="utf-8")
    begun = pool.begin_call("worker", code)
    pool.wait_until_active("worker", 20)
    pool.close()
    with pytest.raises(PlatformFault):
        begun.result(0)


def test_new_caller_has_no_token(interpreters: PrivatePool) -> None:
    interpreters.begin_caller(token_lifetime=1000)
    assert interpreters.count_token_requests() == 0
    for _ in range(3):
        interpreters.call("caller", "1")
    (token,) = interpreters.tokens
    assert interpreters.count_token_requests() == 1
    assert 990 < token.age(1) - token.fetched <= 1000
    interpreters.begin_caller()


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
