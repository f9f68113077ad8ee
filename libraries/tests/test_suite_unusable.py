"""Runs with nothing usable to test end soon, with one message that says what to do."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from tests.robot_runs import RobotRun, command, environment, run_robot
from tests.scripted_server import Connection, Script, ScriptedServer, always, answer

STOPPED = "Test execution stopped due to a fatal error."
WITHIN = 25.0
"""Seconds that a user waits to learn that there is nothing to test."""


FAST = ("--log", "NONE", "--report", "NONE")


@dataclass(frozen=True)
class Case:
    """One way to have nothing usable.

    Attributes:
        says: What the message must hold, in any case: value, cause and remedy.
        options: Options of ``robot``; ``{url}`` is that of the scripted server.
        script: What a server does, or ``None`` when there is none.
        tls: Whether the server speaks TLS.
        environ: Additions to the environment.
    """

    says: tuple[str, ...]
    options: tuple[str, ...] = ("-v", "ENDPOINT:{url}")
    script: Script | None = None
    tls: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)


def page(status: str, *headers: str) -> Script:
    body = "<!DOCTYPE html><html><head><title>Portal</title></head><body>Welcome</body></html>"
    return always(answer(status, body, *headers, content_type="text/html"))


def message(status: str, text: str, *headers: str) -> Script:
    return always(answer(status, f'{{"message": "{text}"}}', *headers))


def cut(connection: Connection) -> None:
    while connection.read() is not None:
        connection.send(answer(body='{"language": "python", "version": "3.11.2", "run": {}}')[:-20])
        connection.reset()


def no_tls(connection: Connection) -> None:
    if connection.read_some():
        connection.send(answer("400 Bad Request"))


def given(name: str, value: str) -> tuple[str, str]:
    return ("-v", f"{name}:{value}")


CASES: Mapping[str, Case] = {
    "nothing listens": Case(
        ("nothing listening", "connection refused", "start the service", "http://127.0.0.1:9"),
        given("ENDPOINT", "http://127.0.0.1:9"),
    ),
    "name is not resolved": Case(
        ("name", "no-such-host.invalid", "ENDPOINT"),
        given("ENDPOINT", "http://no-such-host.invalid:2000"),
    ),
    "HTML page": Case(("HTML", "Portal", "ENDPOINT"), script=page("200 OK")),
    "login page behind a redirect": Case(
        ("redirect", "login.example", "sign-in", "BACKEND_AUTHORIZATION"),
        script=page("302 Found", "Location: https://login.example/authorize?x=1"),
    ),
    "401": Case(("401", "BACKEND_AUTHORIZATION"), script=message("401 Unauthorized", "who?")),
    "403": Case(("403", "credential"), script=message("403 Forbidden", "not you")),
    "404": Case(("404", "ENDPOINT"), script=message("404 Not Found", "no such route")),
    "429": Case(
        ("429", "too many"), script=message("429 Too Many Requests", "slow down", "Retry-After: 1")
    ),
    "500": Case(("500", "broken inside"), script=message("500 Oops", "broken inside")),
    "503": Case(("503", "no capacity"), script=message("503 Unavailable", "no capacity")),
    "TLS is spoken to a plain port": Case(
        ("TLS", "ENDPOINT"),
        given("ENDPOINT", "https://localhost:{port}"),
        script=no_tls,
    ),
    "plain HTTP is spoken to a TLS port": Case(
        ("cut", "TLS", "check scheme and port of ENDPOINT"),
        given("ENDPOINT", "http://localhost:{port}"),
        script=message("200 OK", "hello"),
        tls=True,
    ),
    "certificate is not trusted": Case(
        ("certificate", "CA_BUNDLE"), script=message("200 OK", "hello"), tls=True
    ),
    "connection is cut in mid-answer": Case(("cut",), script=cut),
    "ENDPOINT without a scheme": Case(
        ("ENDPOINT", "localhost:2000", "http://localhost:2000"),
        given("ENDPOINT", "localhost:2000"),
    ),
    "ENDPOINT that is no URL": Case(
        ("ENDPOINT", "the staging one"), given("ENDPOINT", "the staging one")
    ),
    "local executor and a URL": Case(
        ("USE_LOCAL_EXECUTOR", "http://127.0.0.1:9", "environment", "drop"),
        given("ENDPOINT", "http://127.0.0.1:9"),
        environ={"USE_LOCAL_EXECUTOR": "true"},
    ),
    "unknown fault": Case(
        ("stdout-droped", "did you mean stdout-dropped"), given("FAULT", "stdout-droped")
    ),
    "unknown deviation": Case(
        ("DEVIATIONS", "argz", "there are args,"), given("DEVIATIONS", "args,argz")
    ),
    "known issues are missing": Case(
        ("nowhere.yaml", "can't be read", "KNOWN_ISSUES"), given("KNOWN_ISSUES", "nowhere.yaml")
    ),
    "authorities are missing": Case(
        ("CA_BUNDLE", "nowhere.pem"),
        (*given("ENDPOINT", "https://127.0.0.1:9"), *given("CA_BUNDLE", "nowhere.pem")),
    ),
    "credential on the command line": Case(
        ("BACKEND_API_KEY", "environment", "export BACKEND_API_KEY"),
        given("BACKEND_API_KEY", "canary-of-the-command-line"),
    ),
    "credential in the URL": Case(
        ("ENDPOINT", "BACKEND_AUTHORIZATION"),
        given("ENDPOINT", "http://someone:canary-of-the-url@127.0.0.1:9"),
    ),
}


@contextmanager
def prepared(case: Case) -> Iterator[list[str]]:
    """Start what the case needs, and give the options of ``robot``."""
    with ExitStack() as stack:
        url, port = "", 0
        if case.script is not None:
            server = ScriptedServer(case.script, throw_away_tls() if case.tls else None)
            stack.callback(server.stop)
            url, port = server.url, server.port
        yield [option.format(url=url, port=port) for option in case.options]


def throw_away_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], RobotRun]]:
    """All runs, of which some go on at once: they wait more than they work."""

    folder = tmp_path_factory.mktemp("unusable")

    def run(name: str) -> RobotRun:
        with prepared(CASES[name]) as options:
            return run_robot(
                folder / name.replace(" ", "-"),
                *FAST,
                *options,
                environ=environment(**CASES[name].environ),
            )

    with ThreadPoolExecutor(3) as pool:
        started: dict[str, Future[RobotRun]] = {name: pool.submit(run, name) for name in CASES}
        yield lambda name: started[name].result()


@pytest.mark.parametrize("name", CASES)
def test_run_ends_soon_with_one_message(runs: Callable[[str], RobotRun], name: str) -> None:
    run = runs(name)
    assert run.returncode != 0
    assert run.testing < WITHIN
    assert not run.passed
    assert not run.skipped

    first, *others = run.tests
    assert {test.message for test in others} == {STOPPED}
    assert len(others) > 100
    # The last lines of the console repeat the worst problem.
    tested, _, _ = run.console.partition("\nTotals ")
    assert tested.count(first.message) == 1
    assert tested.count("PLATFORM FAULT") <= 1

    for words in CASES[name].says:
        assert words.lower() in first.message.lower(), first.message
    assert "Traceback (" not in run.console
    assert "canary" not in run.console


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    robot = subprocess.run(
        command(tmp_path / "file" / "results", *given("ENDPOINT", "http://127.0.0.1:9")),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert robot.returncode != 0
    assert re.search(r"ERROR.*file/results", robot.stdout), robot.stdout
    assert "Traceback (" not in robot.stdout
