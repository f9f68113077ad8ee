"""No request, right or wrong or noise, breaks an embedded service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codewitness.embedded.service import RunningService, start_service
from codewitness.session_pool.contract import GENERATION_A, GENERATION_B
from tests.generated_requests import (
    Route,
    WireRequest,
    interpreter_documents,
    piston_documents,
    status_of,
    wire_requests,
)
from tests.robot_runs import wait_until
from tests.session_pools import PoolClient

FEW, MANY = 100, 3400
"""Requests to each of three services."""

IDENTIFIERS = ("user-1", "user-2", "user-3")
A, B = GENERATION_A[0], GENERATION_B[-1]
POOL = ["--allocation-time", "0", "--max-sessions", str(len(IDENTIFIERS))]


@pytest.fixture(scope="module")
def backend() -> Iterator[RunningService]:
    with start_service(["backend", "--port", "0"]) as service:
        yield service


@pytest.fixture(scope="module")
def containers() -> Iterator[RunningService]:
    with start_service(["session-pool", "--port", "0", *POOL]) as service:
        yield service


@pytest.fixture(scope="module")
def interpreters() -> Iterator[RunningService]:
    with start_service(["session-pool", "--port", "0", "--kind", "python", *POOL]) as service:
        yield service


@pytest.fixture(scope="module")
def count(pytestconfig: pytest.Config) -> int:
    return MANY if pytestconfig.getoption("--thorough") else FEW


def _for_all(
    count: int,
    service: RunningService,
    routes: Sequence[Route],
    is_well: Callable[[], object],
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send generated requests, and look at what they leave."""
    port = urlsplit(service.url).port
    assert port is not None

    @settings(
        max_examples=count,
        # The quick run is the same on every machine; the long one looks for what is new.
        derandomize=count == FEW,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(wire_requests(routes, headers))
    def check(request: WireRequest) -> None:
        status = status_of(port, request)
        assert status is None or status < 500, (status, request)

    for _ in range(5):
        is_well()
    process = psutil.Process(service.pid)
    before = _held(process)
    check()
    is_well()
    wait_until(lambda: _is_within(before, _held(process)), 20, lambda: f"{before} {_held(process)}")


def _held(process: psutil.Process) -> tuple[int, int, int]:
    """Return descriptors, processes and MiB that a service holds."""
    children = len(process.children(recursive=True))
    return process.num_fds(), children, process.memory_info().rss >> 20


def _is_within(before: Sequence[int], after: Sequence[int]) -> bool:
    # Sessions that were stopped and opened again may be of another size; a leak grows with
    # the number of requests.
    allowed = (12, 6, 48)
    return all(now <= then + more for now, then, more in zip(after, before, allowed, strict=True))


def test_backend(backend: RunningService, count: int) -> None:
    routes = [
        *[Route("POST", "/api/v2/execute", piston_documents())] * 6,
        Route("GET", "/api/v2/runtimes"),
        Route("GET", "/"),
    ]
    client = PoolClient({**backend.details, "control_url": "", "environment": {}})
    _for_all(count, backend, routes, lambda: client.stdout("print(1)", "-"))


def test_pool_of_containers(containers: RunningService, count: int) -> None:
    client = PoolClient(containers.details)
    client.headers = {"Authorization": f"Bearer {client.token()}"}
    query = f"api-version={B}"
    routes = [
        *(
            Route("POST", f"/api/v2/execute?identifier={it}", piston_documents())
            for it in IDENTIFIERS * 2
        ),
        Route("GET", "/api/v2/runtimes?identifier=user-1"),
        Route("POST", f"/.management/getSession?{query}&identifier=user-1"),
        Route("POST", f"/.management/listSessions?{query}"),
        Route("POST", f"/.management/stopSession?{query}&identifier=user-3"),
    ]

    def is_well() -> None:
        for identifier in IDENTIFIERS:
            assert client.stdout("print(1)", identifier) == "1\n"

    _for_all(count, containers, routes, is_well, client.headers)


def test_pool_of_interpreters(interpreters: RunningService, count: int) -> None:
    client = PoolClient(interpreters.details)
    client.headers = {"Authorization": f"Bearer {client.token()}"}
    prefix = urlsplit(interpreters.url).path

    def route(
        method: str,
        operation: str,
        version: str,
        documents: st.SearchStrategy[Any] | None = None,
    ) -> Route:
        path = f"{prefix}/{operation}?api-version={version}&identifier=user-1"
        return Route(method, path, documents)

    routes = [
        *[route("POST", "code/execute", A, interpreter_documents(wrapped=True))] * 2,
        *[route("POST", "executions", B, interpreter_documents(wrapped=False))] * 2,
        route("POST", "files/upload", A),
        route("GET", "files/content/x", A),
        route("GET", "files", A),
        route("POST", "files", B),
        route("GET", "files", B),
        route("GET", "files/x/content", B),
        route("DELETE", "files/x", B),
        route("GET", "executions/x", B),
        route("GET", "session", B),
        route("DELETE", "session", B),
        route("GET", "listSessions", B),
        route("POST", ".management/getSession", A),
        route("POST", ".management/listSessions", A),
        route("POST", ".management/stopSession", B),
    ]

    def is_well() -> None:
        body = {"code": "1 + 1"}
        answer = client.ask("POST", f"/executions?api-version={B}&identifier=user-1", body)
        assert answer.status == 200, answer

    _for_all(count, interpreters, routes, is_well, client.headers)


def test_deeply_nested_code_is_refused(interpreters: RunningService) -> None:
    client = PoolClient(interpreters.details)
    client.headers = {"Authorization": f"Bearer {client.token()}"}
    path = f"/executions?api-version={B}&identifier=user-1"
    assert client.ask("POST", path, b"[" * 100_000).status == 400


def test_noise_gets_its_refusal_at_once(backend: RunningService) -> None:
    port = urlsplit(backend.url).port
    assert port is not None
    start = time.monotonic()
    assert status_of(port, WireRequest(b"\x16\x03\x01 nonsense\r\n\r\n", is_whole=True)) == 400
    assert time.monotonic() - start < 30
