"""Embedded services leave nothing behind, however they or their owners end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from codewitness.embedded.service import RunningService, ServiceNotStarted, start_service

LIBRARIES = Path(__file__).resolve().parent.parent
LONG_RUNS = ["--run-timeout", "60000", "--run-cpu-time", "60000"]
KINDS = {
    "bubblewrap": ["backend", *LONG_RUNS, "--sandbox", "bubblewrap"],
    "process limits": ["backend", *LONG_RUNS, "--sandbox", "none"],
    "lax sandbox": ["backend", *LONG_RUNS, "--fault", "shared-tmp"],
    "survivors": ["backend", *LONG_RUNS, "--fault", "background-processes-survive"],
    "minimal": ["backend", "--minimal"],
}


@pytest.fixture(params=KINDS)
def arguments(request: pytest.FixtureRequest) -> list[str]:
    return KINDS[request.param]


def ask(url: str, code: str, timeout: float = 90.0) -> Any:
    address = urlsplit(url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
    with closing(connection):
        document = {"language": "python", "version": "*", "files": [{"content": code}]}
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/v2/execute", json.dumps(document).encode(), headers)
        return json.loads(connection.getresponse().read())


def eventually(condition: Callable[[], bool], within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def has_argument(process: psutil.Process, argument: str) -> bool:
    try:
        return argument in process.cmdline()
    except psutil.Error:
        return False


def processes_with(marker: str) -> list[int]:
    # A zombie has no command line.
    return [it.pid for it in psutil.process_iter() if has_argument(it, marker)]


def exists(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def listens(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port or 0), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@dataclass
class Execution:
    """A program that sleeps, seen from outside by its odd arguments."""

    marker: str
    answer: Future[Any]

    @property
    def running(self) -> bool:
        return bool(processes_with(self.marker))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def under_way(pool: ThreadPoolExecutor, url: str) -> Execution:
    """Start a program and wait until it runs."""
    marker = f"50.{uuid.uuid4().int % 10**9:09}"
    code = f"import os; os.execvp('sleep', ['sleep', '{marker}'])"
    execution = Execution(marker, pool.submit(ask, url, code))
    if not eventually(lambda: execution.running or execution.answer.done()):
        raise AssertionError("the program did not start")
    if execution.answer.done():
        raise AssertionError(f"the program ended: {execution.answer.result()}")
    return execution


def assert_nothing_left(url: str, pid: int, folder: str, execution: Execution) -> None:
    assert eventually(lambda: not exists(pid))
    assert eventually(lambda: not execution.running)
    assert eventually(lambda: not Path(folder).exists())
    assert not listens(url)
    # Answered or cut off, but not left waiting.
    assert execution.answer.exception(20) is None or not isinstance(
        execution.answer.exception(), TimeoutError
    )


def test_service_serves_until_it_is_stopped(arguments: list[str], pool: ThreadPoolExecutor) -> None:
    with start_service(arguments) as service:
        assert ask(service.url, "print(1)")["run"]["stdout"] == "1\n"
        assert Path(service.details["folder"]).is_dir()
        execution = under_way(pool, service.url)
    assert not service.running
    assert not Path(service.details["folder"]).exists()
    assert_nothing_left(service.url, service.pid, service.details["folder"], execution)
    service.stop()


OWNER = """\
import json, sys, time
sys.path.insert(0, sys.argv[1])
from codewitness.embedded.service import start_service
service = start_service(sys.argv[2:])
print(json.dumps({"url": service.url, "pid": service.pid, **service.details}), flush=True)
time.sleep(300)
"""


def test_service_ends_when_its_owner_is_killed(
    arguments: list[str], pool: ThreadPoolExecutor
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(LIBRARIES), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    with owner:
        try:
            assert owner.stdout is not None
            told = json.loads(owner.stdout.readline())
            execution = under_way(pool, told["url"])
        finally:
            owner.kill()
    assert_nothing_left(told["url"], told["pid"], told["folder"], execution)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_service_ends_in_mid_execution(
    arguments: list[str], pool: ThreadPoolExecutor, number: signal.Signals
) -> None:
    with start_service(arguments) as service:
        execution = under_way(pool, service.url)
        os.kill(service.pid, number)
        assert eventually(lambda: not service.running)
        assert_nothing_left(service.url, service.pid, service.details["folder"], execution)


# Nothing can end survivors once the service that knows them was killed.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "survivors"])
def test_stopping_a_service_that_was_killed(kind: str, pool: ThreadPoolExecutor) -> None:
    with start_service(KINDS[kind]) as service:
        execution = under_way(pool, service.url)
        psutil.Process(service.pid).kill()
        assert eventually(lambda: not service.running)
    assert_nothing_left(service.url, service.pid, service.details["folder"], execution)


def test_stopping_a_service_that_hangs(pool: ThreadPoolExecutor) -> None:
    with start_service(KINDS["process limits"]) as service:
        execution = under_way(pool, service.url)
        psutil.Process(service.pid).suspend()
    assert_nothing_left(service.url, service.pid, service.details["folder"], execution)


def test_two_services_do_not_disturb_each_other(pool: ThreadPoolExecutor) -> None:
    with start_service(KINDS["bubblewrap"]) as first:
        first_execution = under_way(pool, first.url)
        with start_service(KINDS["bubblewrap"]) as second:
            assert first.url != second.url
            assert first.details["folder"] != second.details["folder"]
            second_execution = under_way(pool, second.url)
        assert_nothing_left(second.url, second.pid, second.details["folder"], second_execution)
        assert first_execution.running
        assert ask(first.url, "print(1)")["run"]["stdout"] == "1\n"


def test_many_services_at_once() -> None:
    services: list[RunningService] = []
    lock = threading.Lock()

    def start() -> None:
        service = start_service(["backend"], ready_within=60)
        with lock:
            services.append(service)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    try:
        assert len({service.url for service in services}) == 4
        # Had one inherited another's pipe, that one would not notice that it was closed.
        for service in services:
            service.stop()
            assert not service.running
    finally:
        for service in services:
            service.stop()


def test_credentials_stay_with_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_API_KEY", "not-a-real-key")
    monkeypatch.setenv("HARMLESS", "yes")
    with start_service(["backend"]) as service:
        environment = psutil.Process(service.pid).environ()
    assert "BACKEND_API_KEY" not in environment
    assert environment["HARMLESS"] == "yes"


def test_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceNotStarted) as caught:
            start_service(["backend", "--port", str(port)])
    message = str(caught.value)
    assert "ended with exit code 2" in message
    assert f"can't listen on 127.0.0.1, port {port}" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backend", "--fault", "stdout-droped"], "did you mean stdout-dropped"),
        (["backend", "--port", "65536"], "'65536' is not a port"),
        (["nonesuch"], "nonesuch"),
        (["backend", "--list-faults"], "ended with exit code 0"),
    ],
)
def test_service_that_does_not_start(arguments: list[str], said: str) -> None:
    with pytest.raises(ServiceNotStarted) as caught:
        start_service(arguments)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_service_that_is_not_ready_in_time() -> None:
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(ServiceNotStarted, match=r"was not ready within 0\.001 s"):
        start_service(["backend"], ready_within=0.001)
    assert {child.pid for child in psutil.Process().children()} <= before
