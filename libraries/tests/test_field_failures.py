"""The catalogue of failures met in the field: every row is provoked and named, or said to be not.

Also that the keywords about them fail where nothing is broken, or where another cause is named.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from robot import running

from codewitness.embedded.broken_deployments import catalogue
from codewitness.embedded.cli import main
from codewitness.execution import causes
from codewitness.execution.causes import Diagnosis
from codewitness.reporting import diagnosis
from tests.processes_by_mark import MARK, marked
from tests.robot_runs import PROJECT, SUITES, RobotRun, environment, run_robot

FOLDER = SUITES / "6__session_pool"
SUITE = FOLDER / "9__deployment" / "2__field_failures.robot"

ROWS = {
    *(f"I{number}" for number in range(1, 8)),
    *(f"R{number}" for number in range(1, 11)),
    *(f"C{number}" for number in range(1, 12)),
    *(f"X{number}" for number in range(1, 16)),
}

# Where keywords that judge a diagnosis have the row.
ROW_AT = {
    "Report Should Name": 0,
    "Any Program There Should Be Diagnosed": 1,
    "Program There Should Be Diagnosed": 2,
    "Request There Should Be Diagnosed": 2,
    "Refusal Should Be Explained": 0,
    "Pool Should Have Refused The Caller": 1,
}

# What the report should say at least, by row. Those of `series` are checked with its tests.
CURES = {
    "I1": "https://dynamicsessions.io/.default",
    "I2": "renew",
    "I3": "Azure ContainerApps Session Executor on the pool",
    "I6": "AZURE_TOKEN_CREDENTIALS",
    "I7": "NO_PROXY",
    "R1": "recreate the pool with the port",
    "R3": "/.management/",
    "R4": "correct the base URL",
    "R5": "append ?identifier=",
    "R6": "drop api-version",
    "R7": "executions flat",
    "R8": "the pool's own host",
    "R9": "'target' in the answer",
    "C1": "reuse one identifier per user or worker",
    "C2": "stop sessions after use",
    "C3": "wait for ready instances",
    "C4": "reuse one identifier per user or worker",
    "C5": "share its store between workers, and let it answer JSON",
    "C6": "raise the number of replicas",
    "C7": "compare the listening port with the target port",
    "C9": "a production server with several workers",
    "C10": "count such answers",
    "C11": "shorten the program",
    "X1": "let the backend answer 5xx",
    "X2": "fail on absent fields",
    "X3": "test for null instead of truth",
    "X4": "a fallback answered",
    "X5": "under a new tag",
    "X6": "under a new tag",
    "X7": "nobody can guess; delete",
    "X8": "route by the language",
    "X9": "a version range",
    "X10": "as a deviation",
    "X11": "raise the output limit",
    "X12": "raise the memory and process limits",
    "X13": "most want Main",
    "X14": "align the two",
    "X15": "no untrusted code",
}


def judged(suite: running.TestSuite) -> set[str]:
    """Return the rows that the tests of a suite demand in a report."""
    return {
        row
        for test in suite.all_tests
        for step in test.body
        if step.name in ROW_AT
        for row in str(step.args[ROW_AT[step.name]]).split(" or ")
    }


def rows_in(text: str, after: str) -> set[str]:
    """Return the rows in the sentence of a documentation that begins with some words."""
    sentence = text.partition(after)[2].partition(".\n")[0]
    return set(re.findall(r"\b[IRCX]\d+\b", sentence))


@pytest.fixture(scope="module")
def suites() -> running.TestSuite:
    return running.TestSuite.from_file_system(FOLDER)


@pytest.fixture(scope="module")
def documentation(suites: running.TestSuite) -> str:
    (suite,) = (it for it in all_suites(suites) if it.source == SUITE)
    return f"{suite.doc}\n"


def all_suites(suite: running.TestSuite) -> Iterator[running.TestSuite]:
    yield suite
    for child in suite.suites:
        yield from all_suites(child)


def test_every_row_is_provoked_or_said_not_to_be(
    suites: running.TestSuite, documentation: str
) -> None:
    by_suite = {str(suite.name): judged(suite) for suite in all_suites(suites)}
    here = by_suite["Field Failures"]
    elsewhere = rows_in(documentation, "Shown elsewhere:")
    never = rows_in(documentation, "Not shown:")
    assert here | elsewhere | never == ROWS
    assert not never & (here | elsewhere)
    assert never == {"I5"}
    for row in elsewhere - {"X4"}:
        others = by_suite["Authentication"] | by_suite["Capacity"]
        assert row in others, f"{row} is said to be shown elsewhere"


def test_fallback_that_says_nothing_is_shown_where_the_documentation_says(
    suites: running.TestSuite,
) -> None:
    (shown,) = (it for it in all_suites(suites) if it.name == "Where It Ran")
    errors = [
        str(step.args[0])
        for test in shown.all_tests
        for step in test.body
        if step.name == "Run Keyword And Expect Error"
    ]
    assert any("moved: none" in error for error in errors)


@pytest.mark.parametrize("row", sorted(CURES))
def test_every_row_has_its_cure(row: str) -> None:
    said = [
        f"{rule.cause}; {rule.cure}"
        for rule in (*causes._RULES, *diagnosis._RULES)
        if rule.row == row
    ]
    assert any(CURES[row] in text for text in said), said


def test_candidates_are_spoken_of_in_the_cause() -> None:
    words = {
        "R2": "ingress",
        "C2": "never stopped",
        "C3": "warming",
        "I4": "5 minutes",
        "R9": "path",
    }
    rules = [rule for rule in causes._RULES if rule.also]
    assert {row for rule in rules for row in rule.also} == set(words)
    for rule in rules:
        assert all(words[row] in f"{rule.cause}; {rule.cure}" for row in rule.also)
    assert Diagnosis("", "", "R1", ("R2",)).rows == ("R1", "R2")
    assert Diagnosis("", "").rows == ()


def test_list_has_every_deployment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broken-deployments", "--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(catalogue())
    used = re.findall(r"^    (?:Use Broken Deployment    )?(\S+)", SUITE.read_text("utf-8"), re.M)
    assert {name for name in used if re.fullmatch(r"[IRCX]\d+(-\w+)?", name)} <= set(listed)


SOUND = f"""\
*** Settings ***
Resource    {PROJECT.as_posix()}/resources/field_failures.resource

*** Test Cases ***
Nothing Was Chosen
    Execute There

Nothing Was Asked
    Use Broken Deployment    sound
    Report Should Name    X2    field names    let it fail

Program Succeeds
    Any Program There Should Be Diagnosed    sound    X2    field names    let it fail

Repeats Succeed
    Use Broken Deployment    sound
    Repeat There    times=3

Load Is Borne
    Use Broken Deployment    sound
    Execute At Once There    1    2

Request Is Answered
    Request There Should Be Diagnosed    sound    GET /api/v2/runtimes    R4    typed    correct

Paths Are Answered
    Use Broken Deployment    sound
    Ask Paths There    /api/v2/execute    /api/v2/execute/

Pool Is Not Full
    Use Broken Deployment    pool
    Call There As    amy    bob

Nothing Was Left
    Use Broken Deployment    sound
    Leave A Variable There
    Look For The Variable There

Machine Is Not Reached
    Use Broken Deployment    sound
    Try To Reach The Machine There

Another Row
    Any Program There Should Be Diagnosed    X3    X2    zero    null

Fewer Candidates
    Any Program There Should Be Diagnosed    X1-R1    R1    target port    recreate the pool

Other Words Of The Cause
    Any Program There Should Be Diagnosed    X3    X3    names fields differently    test for null

Other Words Of The Cure
    Any Program There Should Be Diagnosed    X3    X3    exit code 0    restart everything

No Such Deployment
    Use Broken Deployment    X99
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RobotRun:
    """A run in which nothing is broken, or something else than the test says."""
    folder = tmp_path_factory.mktemp("sound")
    suite, mark = folder / "sound.robot", uuid.uuid4().hex
    suite.write_text(SOUND, encoding="utf-8")
    done = run_robot(folder / "results", suites=suite, environ=environment(**{MARK: mark}))
    assert not marked(mark)
    return done


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("Nothing Was Chosen", ("begin with `Use Broken Deployment`",)),
        ("Nothing Was Asked", ("Nothing went wrong yet",)),
        ("Program Succeeds", ("broken", "the program gave exit code 0 and")),
        ("Repeats Succeed", ("all of 3 executions worked alike",)),
        ("Load Is Borne", ("all of 3 executions worked alike",)),
        ("Request Is Answered", ("GET /api/v2/runtimes was answered with 200",)),
        ("Paths Are Answered", ("every path was answered with 200",)),
        ("Pool Is Not Full", ("the pool served all of amy, bob",)),
        ("Nothing Was Left", ("the program gave exit code 0",)),
        ("Machine Is Not Reached", ("the program gave exit code 0",)),
        ("Another Row", ("expected X2, got X3", "a failure is told with its cause")),
        ("Fewer Candidates", ("expected R1, got R1 or R2",)),
        ("Other Words Of The Cause", ("cause of X3", "names fields differently")),
        ("Other Words Of The Cure", ("cure of X3", "restart everything")),
    ],
)
def test_keywords_fail_where_nothing_fits(run: RobotRun, test: str, words: tuple[str, ...]) -> None:
    message = " ".join(run.failed[test].message.split())
    for said in words:
        assert said in message


def test_what_is_not_served_is_skipped_and_nothing_passes(run: RobotRun) -> None:
    assert not run.passed
    assert "Needs bubblewrap: no deployment X99" in run.skipped["No Such Deployment"].message
