"""How a walk is shown: to an operator, in the log, in a failure card, by an exit code."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from codewitness.embedded.service import RunningService, start_service
from codewitness.execution.causes import Diagnosis
from codewitness.reporting.walk import Link, LinkState, Walk, walk_as_html, walk_as_text
from tests.robot_runs import PROJECT, RobotRun, environment, run_robot
from tests.scripted_server import ScriptedServer, always, answer

PACKAGE = PROJECT / "libraries" / "codewitness"
PORT = Diagnosis("the port is not set", "set it", "R1")
INGRESS = Diagnosis("ingress is off", "enable it", "R2")


def link(name: str, state: LinkState, seen: str = "", *candidates: Diagnosis) -> Link:
    return Link(name, f"{name} is whole", state, f"GET {name}", seen, candidates)


WALK = Walk(
    (
        link("name", LinkState.PASSED, "10.0.0.1"),
        link("role", LinkState.NOT_OBSERVABLE, "<b>" + "long words " * 40),
        link("port", LinkState.BROKEN, "HTTP 404 | Bearer abcdefghijklmnop", PORT, INGRESS),
        link("program", LinkState.NOT_ASKED, "an earlier link is broken"),
    ),
    "backend at http://b",
    1.26,
    "curl -sS -i http://b/" + "x" * 200,
)


def test_text_fits_a_terminal_and_tells_all_candidates() -> None:
    text = walk_as_text(WALK)
    lines = text.splitlines()
    assert max(len(line) for line in lines if not line.startswith("Repeat: ")) <= 100
    assert lines[-1] == f"Repeat: {WALK.repeat}"
    for said in (
        "port     BROKEN",
        "wanted: port is whole",
        "likely cause 1 of 2 [R1]",
        "enable it",
    ):
        assert said in text
    assert "In 1.3 s: broken at 'port' [R1, R2]: HTTP 404" in text
    assert "abcdefghijklmnop" not in text


def test_html_is_escaped_and_without_secrets() -> None:
    shown = walk_as_html(WALK)
    assert "<b>long" not in shown
    assert "&lt;b&gt;long" in shown
    assert "abcdefghijklmnop" not in shown
    assert shown.count("<tr") == 5


def test_candidates_are_told_as_one_diagnosis() -> None:
    diagnosis = WALK.links[2].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == (
        "can't be told apart from here: (1) the port is not set; or (2) ingress is off"
    )
    assert diagnosis.cure == "(1) set it; or (2) enable it"
    assert WALK.links[0].diagnosis is None


def test_walk_without_a_broken_link_counts_what_was_seen() -> None:
    whole = Walk(WALK.links[:2], "b", 0.1)
    assert whole.broken is None
    assert whole.headline == "no broken link: 1 passed, 1 not observable from here"


# The command line.


@pytest.fixture(scope="module")
def deployments() -> Iterator[RunningService]:
    with start_service(["broken-deployments"], ready_within=60) as service:
        yield service


@pytest.fixture(scope="module")
def unknown_ca() -> Iterator[tuple[str, trustme.CA]]:
    """Address of a TLS server that refuses everything, and the authority of its certificate."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = ScriptedServer(always(answer("401 Unauthorized")), context)
    yield server.url, authority
    server.stop()


def diagnose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PACKAGE), "diagnose", *arguments],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_exit_code_0_where_nothing_is_broken(deployments: RunningService) -> None:
    done = diagnose("--endpoint", deployments.details["deployments"]["sound"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "no broken link: 5 passed, 10 not observable from here" in done.stdout


def test_exit_code_1_where_a_link_is_broken(deployments: RunningService) -> None:
    done = diagnose("--endpoint", deployments.details["deployments"]["X2"], "--deadline", "60")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the deployment is broken at 'field names' [X2]: ")
    assert done.stderr.count("\n") == 1
    assert "likely cause [X2]: the executor's adapter and the backend name fields" in done.stdout


def test_cures_for_an_unknown_authority_help(
    unknown_ca: tuple[str, trustme.CA], tmp_path: Path
) -> None:
    url, authority = unknown_ca
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    refused = diagnose("--endpoint", url)
    assert "broken at 'TLS' [N7]" in refused.stdout
    for cure in ({"VERIFY_TLS": "false"}, {"CA_BUNDLE": str(bundle)}):
        (name,) = cure
        assert name in refused.stdout
        assert "broken at 'backend up' [I0]" in diagnose("--endpoint", url, **cure).stdout


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"VERIFY_TLS": "perhaps"}, "VERIFY_TLS is 'perhaps'; use true or false"),
        ({"CA_BUNDLE": "nowhere.pem"}, "the CA bundle 'nowhere.pem' can't be used"),
    ],
)
def test_exit_code_2_for_wrong_variables(variables: dict[str, str], said: str) -> None:
    done = diagnose("--endpoint", "https://127.0.0.1:9", **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --endpoint URL, --pool URL or both"),
        (["--endpoint", "host:1"], "has no scheme"),
        (["--endpoint", "http://h", "--deadline", "0"], "'0' is not a number of seconds"),
        (["http://h"], "unrecognized arguments"),
    ],
)
def test_exit_code_2_for_wrong_usage(arguments: list[str], said: str) -> None:
    done = diagnose(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_command_is_listed() -> None:
    done = subprocess.run(
        [sys.executable, str(PACKAGE), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "walk a deployment and name its first broken link" in done.stdout


# The keywords.

SUITE = f"""\
*** Settings ***
Library    {PROJECT.as_posix()}/libraries/TargetLibrary.py
Library    {PROJECT.as_posix()}/libraries/DeploymentLibrary.py

*** Test Cases ***
Deployment Under Test
    Walk Deployment

Nothing Was Walked
    Walk Should Have Stopped At    token    I1

Another Link
    Walk Broken Deployment    backend=X2
    Walk Should Have Stopped At    role    I3

Another Row
    Walk Broken Deployment    pool=R1
    Walk Should Have Stopped At    target port    R1

Sound One
    Walk Broken Deployment    backend=sound
    Walk Should Have Stopped At    field names    X2

Broken One
    Walk Broken Deployment    backend=X3
    Walk Should Have Found No Broken Link

Other Words
    Walk Broken Deployment    backend=X5
    Walk Should Have Told    words that nobody says

Link That Was Not Seen
    Walk Broken Deployment    backend=sound
    Links Should Have Passed    backend up    role

No Such Deployment
    Walk Broken Deployment    backend=Y1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, deployments: RunningService) -> RobotRun:
    """A run in which every test meets something that is not as it should be."""
    folder = tmp_path_factory.mktemp("walk")
    suite = folder / "walk.robot"
    suite.write_text(SUITE, encoding="utf-8")
    endpoint = deployments.details["deployments"]["X2"]
    return run_robot(folder / "results", "-v", f"ENDPOINT:{endpoint}", suites=suite)


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (
            "Deployment Under Test",
            (
                "deployment, link 'field names' differs from what was expected",
                "asked: POST http://",
                "Expected requests and answers have the field names",
                "Received exit code 0, stdout (empty)",
                "passed: host name, connection, backend up",
                "not asked: real execution, who executed",
                "Likely cause [X2] the executor's adapter and the backend name fields differently",
                "To do log one answer",
                "Repeat curl -sS -i http://",
            ),
        ),
        ("Nothing Was Walked", ("begin with `Walk Broken Deployment`",)),
        ("Another Link", ("role, diagnosed as I3", "field names, diagnosed as X2")),
        ("Another Row", ("target port, diagnosed as R1", "diagnosed as R1, R2, R3")),
        ("Sound One", ("field names, diagnosed as X2", "no broken link")),
        ("Broken One", ("no broken link", "broken at 'real execution' [X3]")),
        ("Other Words", ("a text with: words that nobody says",)),
        ("Link That Was Not Seen", ("link 'role'", "not observable from here")),
        ("No Such Deployment", ("There is no deployment 'Y1'; there are C1,",)),
    ],
)
def test_expectations_fail_and_say_why(run: RobotRun, test: str, words: tuple[str, ...]) -> None:
    message = " ".join(run.failed[test].message.split())
    for said in words:
        assert said in message


def test_nothing_passes_where_everything_is_wrong(run: RobotRun) -> None:
    assert not run.passed


def test_log_has_the_table(run: RobotRun) -> None:
    output = Path(run.folder / "output.xml").read_text(encoding="utf-8")
    assert 'html="true"' in output
    assert "&gt;Likely cause and what to do&lt;/th&gt;" in output
