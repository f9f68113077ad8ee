"""The session pool as a service of its own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from codewitness.embedded.service import start_service
from tests.session_pools import PoolClient, send, still_alive

PACKAGE = Path(__file__).resolve().parents[1] / "codewitness"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PACKAGE), "session-pool", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help() -> None:
    helped = command("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("usage: python libraries/codewitness session-pool [OPTION ...]")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cooldown", "299"], "the cooldown must be 300 to 3600 s, not 299"),
        (["--cooldown", "x"], "'x' is not a number of seconds"),
        (
            ["--ready-sessions", "0", "--refuse-ready-zero"],
            "SessionPoolInvalidReadySessionInstances: a custom-container pool keeps at least 1",
        ),
        (["--ready-sessions", "5"], "SessionPoolInvalidReadySessionInstances"),
        (["--ready-sessions", "0", "--cooldown", "299"], "the cooldown must be 300 to 3600 s"),
        (["--max-sessions", "1", "--ready-sessions", "1"], "fewer than its maximum of 1, not 1"),
        (["--max-sessions", "1", "--refuse-ready-zero"], "SessionPoolInvalidReadySession"),
        (["--max-sessions", "0"], "a pool of at most 0 instances can't serve anybody"),
        (["--ready-sessions", "9", "--unchecked"], "9 of 5 instances can't be kept ready"),
        (["--max-sessions", "-1"], "'-1' is not a whole number"),
        (["--max-alive", "10", "--kind", "python"], "only custom-container pools"),
        (["--max-alive", "10", "--kind", "shell"], "only custom-container pools"),
        (["--max-sessions", "601", "--kind", "shell"], "at most 600 sessions"),
        (["--start-time", "inf"], "'inf' is not a number of seconds"),
        (["--identity", "nonesuch"], "nonesuch"),
        (["--run-timeout", "0"], "'0' is not a whole number above 0"),
    ],
)
def test_wrong_usage_is_one_clear_line(arguments: list[str], said: str) -> None:
    failed = command(*arguments)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
    assert said in failed.stderr


def test_port_that_is_taken_is_one_clear_line() -> None:
    with start_service(["session-pool", "--identity", "none"]) as service:
        failed = command("--port", service.url.rpartition(":")[2])
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "--port or --control-port" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_service_tells_a_client_all_it_needs() -> None:
    arguments = ["--name", "mine", "--max-sessions", "3", "--output-limit", "5"]
    with start_service(["session-pool", *arguments, "--allocation-time", "0.1"]) as service:
        pool = PoolClient(service.details)
        assert pool.environment["POOL_MANAGEMENT_ENDPOINT"] == service.url
        assert pool.run("print(1)", "user-1").status == 401
        pool.headers["Authorization"] = f"Bearer {pool.token()}"
        assert pool.run("print('12345')", "user-1").json["run"]["status"] == "OL"
        assert pool.state()["maximum"] == 3
        stopped = pool.manage("stopSession", identifier="user-1").text
        assert stopped == "Session user-1 in session pool mine stopped."
        assert pool.move(301)["sessions"] == []


@pytest.mark.parametrize(
    ("arguments", "ready"),
    [
        (["--ready-sessions", "0"], 0),
        (["--max-sessions", "1"], 0),
        (["--max-sessions", "1", "--kind", "python"], 0),
        (["--max-sessions", "2", "--refuse-ready-zero"], 1),
        (["--ready-sessions", "0", "--refuse-ready-zero", "--kind", "python"], 0),
    ],
)
def test_ready_stock_may_be_empty(arguments: list[str], ready: int) -> None:
    with start_service(["session-pool", "--identity", "none", *arguments]) as service:
        assert PoolClient(service.details).state()["ready"] == ready


def test_first_request_of_a_session_is_slowed_down_by_default() -> None:
    with start_service(["session-pool", "--identity", "none"]) as service:
        assert service.details["allocation_time"] == 1
        pool = PoolClient(service.details)
        first, second = (_seconds_of(lambda: pool.run("print(1)", "user-1")) for _ in range(2))
        assert first >= 1
        assert second < first
        assert pool.state()["sessions"][0]["identifier"] == "user-1"


def _seconds_of(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def test_service_of_the_built_in_kind() -> None:
    with start_service(["session-pool", "--kind", "python", "--identity", "none"]) as service:
        assert service.url.endswith("/resourceGroups/embedded/sessionPools/embedded-pool")
        pool = PoolClient(service.details)
        query: dict[str, Any] = {"api-version": "2024-02-02-preview", "identifier": "user-1"}
        body = {"properties": {"code": "6 * 7"}}
        answer = pool.ask("POST", "/code/execute", body, **query)
        assert answer.json["properties"]["result"] == 42


@pytest.mark.parametrize("form", ["client-secret", "workload"])
def test_identities_over_https(form: str) -> None:
    with start_service(["session-pool", "--identity", form]) as service:
        environment = service.details["environment"]
        assert environment["AZURE_AUTHORITY_HOST"].startswith("https://")
        assert Path(environment["CA_BUNDLE"]).is_relative_to(service.details["folder"])


def test_pool_ends_with_ctrl_c() -> None:
    with subprocess.Popen(
        [sys.executable, str(PACKAGE), "session-pool", "--identity", "none"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as service:
        try:
            assert service.stdout is not None
            told = json.loads(service.stdout.readline())
            assert PoolClient(told).stdout("print(1)", "user-1") == "1\n"
            service.send_signal(signal.SIGINT)
            assert service.communicate(timeout=20) == (b"", b"")
            assert service.returncode == 0
        finally:
            service.kill()
    assert not Path(told["folder"]).exists()


OWNER = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from codewitness.embedded.service import start_service
service = start_service(["session-pool", "--identity", "none"])
print(json.dumps(dict(service.details)), flush=True)
time.sleep(120)
"""


def test_pool_and_its_sandboxes_end_with_their_owner() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(PACKAGE.parent)], stdout=subprocess.PIPE
    ) as owner:
        try:
            assert owner.stdout is not None
            told = json.loads(owner.stdout.readline())
            assert PoolClient(told).stdout("print(1)", "user-1") == "1\n"
            service = psutil.Process(told["pid"])
            family = [service, *service.children(recursive=True)]
            assert len(family) > 1
        finally:
            owner.kill()
    assert not still_alive(family)
    deadline = time.monotonic() + 10
    while Path(told["folder"]).exists():
        assert time.monotonic() < deadline, "its folder is left"
        time.sleep(0.05)


def test_service_that_is_killed_takes_its_sandboxes_along() -> None:
    service = start_service(["session-pool", "--identity", "none"])
    try:
        pool = PoolClient(service.details)
        pool.stdout("print(1)", "user-1")
        family = psutil.Process(service.pid).children(recursive=True)
        assert family
        os.kill(service.pid, signal.SIGKILL)
        assert not still_alive(family)
    finally:
        service.stop()


def test_control_port_lists_what_it_can_do() -> None:
    with start_service(["session-pool", "--identity", "none"]) as service:
        listed: Any = send("GET", service.details["control_url"]).json
        assert "POST /clock" in listed
