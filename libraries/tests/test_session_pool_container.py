"""A custom-container pool with real containers: sandboxes on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import psutil
import pytest

from codewitness.embedded.gateway import GatewayConfig
from codewitness.embedded.session_pool import ForwardingConfig
from codewitness.embedded.session_pool_service import PoolSettings
from codewitness.execution.piston import RESPONSE_SCHEMA
from codewitness.session_pool.contract import FullForm
from codewitness.session_pool.lifecycle import OnContainerExit, PoolRules
from tests.session_pools import PoolClient, pool_of, sandboxes, still_alive

OPEN = PoolSettings(identity=None)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come true"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shared() -> Iterator[PoolClient]:
    with pool_of(PoolSettings(identity=None, rules=PoolRules(maximum=50))) as pool:
        yield pool


def test_program_runs_in_a_session(shared: PoolClient) -> None:
    answer = shared.run("print(input())", "anna-1", stdin="é")
    assert answer.status == 200
    jsonschema.validate(answer.json, RESPONSE_SCHEMA)
    assert answer.json["run"]["stdout"] == "é\n"


def test_identifier_keeps_its_instance_and_shares_it_with_nobody(shared: PoolClient) -> None:
    for identifier in ("same-1", "same-2", "same-1"):
        assert shared.stdout("print(1)", identifier) == "1\n"
    first, second = shared.instance_of("same-1"), shared.instance_of("same-2")
    assert first != second
    shared.stdout("print(1)", "same-1")
    assert shared.instance_of("same-1") == first


def test_executions_of_one_session_share_no_files(shared: PoolClient) -> None:
    leave = "import os; [open(f'{d}/left', 'w') for d in ('.', os.environ['HOME'], '/tmp')]"
    look = "import os; print([os.listdir(d) for d in (os.environ['HOME'], '/tmp')], os.listdir())"
    assert shared.run(leave, "files-1").json["run"]["code"] == 0
    assert "left" not in shared.stdout(look, "files-1")


def test_every_path_goes_to_the_container(shared: PoolClient) -> None:
    assert shared.ask("GET", "/", identifier="path-1").json == {"message": "Piston v3.1.1"}
    listed = shared.ask("GET", "/api/v2/runtimes", identifier="path-1").json
    assert "python" in [runtime["language"] for runtime in listed]
    # Operations of built-in pools: the container's own 404, not the gateway's.
    for method, path in (("GET", "/session"), ("GET", "/listSessions"), ("GET", "/metadata")):
        answer = shared.ask(method, path, identifier="path-1")
        assert (answer.status, answer.json) == (404, {"message": "Not Found"})


def test_many_users_at_once_are_not_mixed_up(shared: PoolClient) -> None:
    def ask(number: int) -> str:
        return shared.stdout(f"print({number})", f"many-{number % 8}")

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(ask, range(32))) == [f"{number}\n" for number in range(32)]


def test_session_is_stopped(shared: PoolClient) -> None:
    shared.stdout("print(1)", "stop-1")
    before = shared.instance_of("stop-1")
    answer = shared.manage("stopSession", identifier="stop-1")
    assert answer.status == 200
    assert answer.text == "Session stop-1 in session pool embedded-pool stopped."
    assert shared.manage("getSession", identifier="stop-1").status == 400
    shared.stdout("print(1)", "stop-1")
    assert shared.instance_of("stop-1") != before


def test_stop_ends_what_runs(shared: PoolClient) -> None:
    marker = f"5{time.monotonic_ns()}"
    answers = []
    code = f"import subprocess; subprocess.run(['sleep', '{marker}'])"

    def sleepers() -> int:
        found = psutil.process_iter(["cmdline"])
        return sum(it.info["cmdline"] == ["sleep", marker] for it in found)

    thread = threading.Thread(target=lambda: answers.append(shared.run(code, "busy-1")))
    thread.start()
    wait_until(lambda: sleepers() == 1)
    shared.manage("stopSession", identifier="busy-1")
    thread.join(30)
    assert [answer.status for answer in answers] == [502]
    wait_until(lambda: not sleepers())


def test_full_pool_frees_what_cooled_down() -> None:
    with pool_of(PoolSettings(identity=None, rules=PoolRules(maximum=2))) as pool:
        pool.stdout("print(1)", "user-1")
        pool.move(200)
        pool.stdout("print(1)", "user-2")
        refused = pool.run("print(1)", "user-3")
        assert refused.status == 429
        assert refused.text == (
            "Error happened when allocating pod for identifier user-3 in pool embedded-pool"
        )
        assert "Retry-After" not in refused.headers
        assert pool.stdout("print(1)", "user-1") == "1\n"
        state = pool.move(299)
        assert [session["identifier"] for session in state["sessions"]] == ["user-1", "user-2"]
        state = pool.move(2)
        assert state["sessions"] == []
        assert pool.stdout("print(1)", "user-3") == "1\n"


@pytest.mark.parametrize(("form", "status"), [("flat", 429), ("not-found", 404)])
def test_other_answers_of_a_full_pool(form: FullForm, status: int) -> None:
    gateway = GatewayConfig(name="small", full=form)
    rules = PoolRules(maximum=1, ready=0)
    settings = PoolSettings(identity=None, rules=rules, gateway=gateway, checks_rules=False)
    with pool_of(settings) as pool:
        pool.stdout("print(1)", "user-1")
        refused = pool.run("print(1)", "user-2")
        assert refused.status == status
        if form == "flat":
            assert refused.json["code"] == "SessionsCountExceedsLimit"
            assert "already '1' active sessions" in refused.json["message"]


def test_ready_instance_is_a_sandbox_that_runs_already() -> None:
    before = sandboxes()
    with pool_of(PoolSettings(identity=None, sandbox="bubblewrap")) as pool:
        wait_until(lambda: pool.state()["instances"]["ready"] == 1)
        assert len(sandboxes() - before) >= 1
        pool.stdout("print(1)", "user-1")
        wait_until(lambda: pool.state()["instances"]["ready"] == 1)
    assert not still_alive(sandboxes() - before)


def test_warming_pool_refuses_when_told_to() -> None:
    rules = PoolRules(waits_for_start=False)
    with pool_of(PoolSettings(identity=None, rules=rules, start_time=1000)) as pool:
        assert pool.run("print(1)", "user-1").status == 429
        pool.move(1001)
        wait_until(lambda: pool.state()["instances"]["ready"] == 1)
        assert pool.stdout("print(1)", "user-1") == "1\n"


def test_allocation_takes_its_time_by_the_pools_clock() -> None:
    rules = PoolRules(allocation_time=1000)
    with pool_of(PoolSettings(identity=None, rules=rules)) as pool, ThreadPoolExecutor() as threads:
        said = threads.submit(pool.stdout, "print(1)", "user-1")
        wait_until(lambda: pool.state()["instances"]["allocating"] == 1)
        assert not said.done()
        pool.move(1001)
        assert said.result(60) == "1\n"
        assert pool.stdout("print(2)", "user-1") == "2\n"


def test_pool_that_is_closed_waits_for_nobody() -> None:
    rules = PoolRules(allocation_time=1e6)
    settings = PoolSettings(identity=None, rules=rules, start_time=1e6)
    with ThreadPoolExecutor() as threads:
        with pool_of(settings) as pool:
            answer = threads.submit(pool.run, "print(1)", "user-1")
            wait_until(lambda: pool.state()["instances"]["allocating"] == 1)
        assert answer.result(60).status == 502


def test_container_that_exits_takes_its_session_along() -> None:
    rules = PoolRules(lifecycle=OnContainerExit(max_alive=6000))
    with pool_of(PoolSettings(identity=None, rules=rules)) as pool:
        pool.stdout("print(1)", "user-1")
        pool.move(5999)
        before = pool.instance_of("user-1")
        assert pool.exit("user-1").status == 200
        pool.stdout("print(1)", "user-1")
        assert pool.instance_of("user-1") != before
        assert pool.move(6001)["sessions"] == []


def test_container_that_does_not_listen_yet() -> None:
    forwarding = ForwardingConfig(listens_after=30)
    with pool_of(PoolSettings(identity=None, forwarding=forwarding)) as pool:
        assert pool.run("print(1)", "user-1").status == 502
        pool.move(31)
        assert pool.stdout("print(1)", "user-1") == "1\n"
    never = ForwardingConfig(listens_after=float("inf"))
    with pool_of(PoolSettings(identity=None, forwarding=never)) as pool:
        pool.run("print(1)", "user-1")
        pool.move(299)
        assert pool.run("print(1)", "user-1").status == 502


def test_pool_without_target_port() -> None:
    forwarding = ForwardingConfig(port_set=False)
    with pool_of(PoolSettings(identity=None, forwarding=forwarding)) as pool:
        answer = pool.run("print(1)", "user-1")
        assert (answer.status, answer.json) == (404, {"message": "Not Found"})


def test_control_port_says_what_is_wrong() -> None:
    with pool_of(OPEN) as pool:
        mistakes: list[Any] = [{}, {"move": "x"}, {"move": -1}, {"move": True}, [], b"{"]
        for body in mistakes:
            assert pool.order("clock", body).status == 400
        assert pool.exit("nobody").status == 400
        assert pool.order("identity", {}).status == 404
        assert pool.ask("POST", "/clock", {"move": 1}, identifier="user-1").status == 404
