"""Hostile programs: what is judged, what a run takes along, and that every test can fail."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from codewitness.embedded.faults import FAULTS
from codewitness.execution.model import Stage
from codewitness.judging.containment import find_breach, harms_in, ran_at_once, was_stopped
from codewitness.target.settings import Settings, resolve
from tests.front_door import Call, FrontDoor, Reply
from tests.robot_runs import SUITES, run_robot

NONCE = "nonce-0123456789abcdef"
BEGAN = f"{NONCE} began\n".encode()
DONE = f"{NONCE} done\n".encode()
HOSTILE_SUITES = ["--suite", "8 Hostile Programs"]
QUIET = ["--log", "NONE", "--report", "NONE"]
COUNTED_HERE_ONLY = "Runs That Leave Children Leave Nothing"


@pytest.mark.parametrize(
    "stage",
    [
        Stage(BEGAN + DONE, code=0),
        Stage(BEGAN, code=1, status="RE"),
        Stage(BEGAN, code=None, signal="SIGKILL", status="TO"),
        Stage(BEGAN + b"x" * 1000, code=None, signal="SIGKILL", status="OL"),
        Stage(b"", b"Execution timed out.", code=124),
        Stage(b"", code=137),
        Stage(BEGAN, code=-9),
        Stage(BEGAN + b"x" * 9 + b"\n" + NONCE.encode() + b" done: 62 processes\n", code=0),
    ],
)
def test_right_answers_are_many(stage: Stage) -> None:
    assert find_breach(stage, NONCE) is None


@pytest.mark.parametrize(
    ("stage", "subject"),
    [
        (Stage(BEGAN + f"{NONCE} harm: all\n".encode() + DONE, code=0), "hostile program"),
        (Stage(BEGAN + f"{NONCE} harm: all\n".encode(), signal="SIGKILL"), "hostile program"),
        (Stage(b"", code=0), "stdout of the hostile program"),
        (Stage(b"Killed", code=1), "stdout of the hostile program"),
        (Stage(BEGAN, code=0), "ending of the hostile program"),
        (Stage(BEGAN + b"x" * 1000, code=0), "ending of the hostile program"),
        (Stage(BEGAN + b"says " + DONE, code=0), "ending of the hostile program"),
    ],
)
def test_wrong_answers_are_seen(stage: Stage, subject: str) -> None:
    breach = find_breach(stage, NONCE)
    assert breach is not None
    assert breach.subject == subject


def test_harm_is_told_once_and_by_this_program_alone() -> None:
    stdout = (
        f"{NONCE} harm: \u00e4\n{NONCE} harm: \u00e4\nnonce-f harm: no\nsays {NONCE} harm: no\n"
    )
    assert harms_in(Stage(stdout.encode()), NONCE) == ["\u00e4"]


def test_ordinary_endings_are_no_stops() -> None:
    assert not any(was_stopped(Stage(code=code)) for code in (0, 1, 3, 123, 193, 255))


@pytest.mark.parametrize(
    ("times", "at_once"),
    [(("1.0", "2.0", "1.5", "2.5"), True), (("1.0", "2.0", "2.0", "3.0"), False)],
)
def test_programs_tell_whether_they_ran_at_once(
    times: tuple[str, str, str, str], at_once: bool
) -> None:
    lines = [f"{NONCE} from {start} to {end}\n" for start, end in (times[:2], times[2:])]
    assert ran_at_once([Stage(line.encode()) for line in lines], NONCE) is at_once
    assert ran_at_once([Stage(lines[0].encode()), Stage()], NONCE) is None


def resolved(**environ: str) -> Settings:
    return resolve(lambda _name: None, environ)


def test_nobody_elses_service_is_attacked_unasked() -> None:
    assert resolved()["HOSTILE"]
    assert resolved(USE_LOCAL_EXECUTOR="true")["HOSTILE"]
    given = resolved(ENDPOINT="http://host")
    assert not given["HOSTILE"]
    assert given.entries["HOSTILE"].origin == "ENDPOINT is given"
    pool = resolved(POOL_MANAGEMENT_ENDPOINT="https://pool.example")
    assert not pool["HOSTILE"]
    assert resolved(ENDPOINT="http://host", HOSTILE="true")["HOSTILE"]


def test_run_takes_few_of_them_along_unless_asked(tmp_path: Path) -> None:
    few = run_robot(tmp_path / "few", "--dryrun", *QUIET, suites=SUITES / "8__hostile_programs")
    every = run_robot(tmp_path / "all", "--dryrun", *QUIET, *HOSTILE_SUITES)
    assert few.returncode == every.returncode == 0
    assert {it.name for it in few.tests} == {
        it.name for it in every.tests if "thorough" not in it.tags
    }
    assert 8 <= len(few.tests) <= 13 < len(every.tests)
    # What is left out leaves no suite without tests: the last test of a run has duties.
    suites = [
        {it.full_name.rpartition(".")[0].rpartition(".")[2] for it in run.tests}
        for run in (few, every)
    ]
    assert suites[0] == suites[1]


def triumphant(call: Call) -> Reply:
    """Let every program achieve what it must not."""
    if call.method == "GET":
        listed = [
            {"language": name, "version": "1.2.3", "aliases": list[str]()}
            for name in ("python", "c", "c++")
        ]
        return Reply(200, json.dumps(listed).encode())
    nonces = re.findall(rb"nonce-[0-9a-f]{16}", call.body)
    nonce = nonces[0].decode() if nonces else ""
    stdout = f"{nonce} began\n{nonce} harm: everything\n{nonce} done\n"
    return answer(stdout)


def mute(call: Call) -> Reply:
    """Answer a success without output, whatever the program."""
    told = triumphant(call)
    return told if call.method == "GET" else answer("")


def answer(stdout: str) -> Reply:
    run = {"stdout": stdout, "stderr": "", "code": 0, "signal": None}
    return Reply(200, json.dumps({"language": "python", "version": "1.2.3", "run": run}).encode())


def test_every_test_fails_where_programs_achieve_everything(tmp_path: Path) -> None:
    with FrontDoor("http://127.0.0.1:9", triumphant) as door:
        options = ["-v", f"ENDPOINT:{door.url}", "-v", "HOSTILE:true", *HOSTILE_SUITES, *QUIET]
        run = run_robot(tmp_path / "results", *options)
    assert {it.name for it in run.tests} - set(run.failed) == {COUNTED_HERE_ONLY}
    for test in run.failed.values():
        assert "everything" in test.message, test
        # Not because the service is said to be ill afterwards.
        assert not test.message.startswith("Teardown failed"), test


@pytest.mark.thorough
def test_every_test_fails_where_nothing_is_executed(tmp_path: Path) -> None:
    with FrontDoor("http://127.0.0.1:9", mute) as door:
        options = ["-v", f"ENDPOINT:{door.url}", "-v", "HOSTILE:true", *HOSTILE_SUITES, *QUIET]
        run = run_robot(tmp_path / "results", *options)
    assert not run.passed


@pytest.mark.thorough
def test_dangerous_programs_are_kept_from_a_given_target(tmp_path: Path) -> None:
    with FrontDoor("http://127.0.0.1:9", triumphant) as door:
        suite = SUITES / "8__hostile_programs"
        run = run_robot(tmp_path / "results", "-v", f"ENDPOINT:{door.url}", *QUIET, suites=suite)
        sent = b"".join(call.body for call in door.calls)
    assert set(run.skipped) == {it.name for it in run.tests if "dangerous" in it.tags}
    assert all("HOSTILE=true" in it.message for it in run.skipped.values())
    assert b"leaves a daemon" in sent.lower()
    assert b"its own cap is 400 children" not in sent


@pytest.mark.thorough
def test_runs_that_leave_something_are_noticed(tmp_path: Path) -> None:
    options = ["-v", "FAULT:background-processes-survive", "--test", COUNTED_HERE_ONLY, *QUIET]
    run = run_robot(tmp_path / "results", *options)
    assert "processes of programs" in run.failed[COUNTED_HERE_ONLY].message


@pytest.mark.thorough
def test_daemon_is_looked_for_on_this_machine(tmp_path: Path) -> None:
    name = "Daemon Is Gone After The Answer"
    options = ["-v", "FAULT:background-processes-survive", "--test", name, *QUIET]
    run = run_robot(tmp_path / "results", *options)
    assert "processes on this machine" in run.failed[name].message


@pytest.mark.thorough
@pytest.mark.parametrize("sandbox", ["embedded", "local"])
def test_nothing_escapes(sandbox: str, tmp_path: Path) -> None:
    environ = ["-v", f"USE_LOCAL_EXECUTOR:{sandbox == 'local'}"]
    run = run_robot(tmp_path / "results", "-v", "HOSTILE:all", *environ, *HOSTILE_SUITES, *QUIET)
    assert run.returncode == 0, run.brief
    assert not run.skipped
    assert run.testing < 180


def test_faults_of_containment_are_claimed_by_hostile_programs() -> None:
    files = (SUITES / "8__hostile_programs").glob("[1-9]*.robot")
    tests = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for fault in FAULTS.values():
        if fault.group == "containment":
            assert f"\n{fault.claimed_by}\n" in tests
