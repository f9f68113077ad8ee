"""Walks along real deployments, sound and broken ones, each stopping where it must."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest

from codewitness.embedded.broken_deployments import catalogue
from codewitness.embedded.service import (
    RunningService,
    ask_control,
    start_service,
    without_secrets,
)
from codewitness.execution.credentials import BackendCredentials, TokenSource
from codewitness.reporting.walk import LinkState, Walk
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import EXECUTOR_ROLE, client_environment
from codewitness.target.deployment_walk import Deployment, walk_deployment
from codewitness.target.walk_findings import WANTED

SOUND_POOL = ("pool reachable", "token", "role", "pool request", "target port", "free session")


@dataclass(frozen=True)
class Deployments:
    """Broken and sound deployments of one process, and a backend in front of the sound pool."""

    service: RunningService
    backend: RunningService

    def url(self, name: str) -> str:
        url: str = self.service.details["deployments"][name]
        return url

    @property
    def tokens(self) -> TokenSource:
        return token_source_of(self.service.details["pools"]["guarded"]["environment"])

    def give_tokens(self, **changes: Any) -> None:
        control = self.service.details["pools"]["guarded"]["control_url"]
        wanted = {"audience": None, "roles": [EXECUTOR_ROLE], "lifetime": 3600.0, **changes}
        ask_control(f"{control}/identity", wanted, within=30)

    def walk(self, backend: str | None = None, pool: str | None = None) -> Walk:
        return walk_deployment(
            Deployment(
                self.url(backend) if backend else None,
                self.url(pool) if pool else None,
                token_source=self.tokens,
            ),
            link_within=30,
            within=90,
        )


@pytest.fixture(scope="module")
def started() -> Iterator[Deployments]:
    with start_service(["broken-deployments"], ready_within=60) as service:
        guarded = service.details["pools"]["guarded"]
        environment = client_environment(guarded["environment"], without_secrets())
        with start_service(
            ["backend", "--pool", guarded["url"]], environment=environment, ready_within=60
        ) as backend:
            yield Deployments(service, backend)


@pytest.fixture
def deployments(started: Deployments) -> Iterator[Deployments]:
    yield started
    started.give_tokens()


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def filled(pool: str) -> Iterator[None]:
    """Take what is left of a small pool's sessions, and end all of them afterwards."""
    credentials = BackendCredentials(authorization="Bearer anybody")
    with SessionPoolExecutor(pool, run_id="fill", credentials=credentials) as filler:
        urls = [f"runtimes?identifier=fill-{number}" for number in range(4)]
        assert 429 in [filler.exchange("GET", url, deadline=30).status for url in urls]
        yield
        for session in filler.list_sessions():
            filler.stop_session(session.identifier)


def states(walk: Walk) -> dict[str, str]:
    return {link.name: link.state.value for link in walk.links}


def stop(walk: Walk) -> tuple[str, tuple[str, ...]]:
    assert walk.broken is not None, walk.headline
    return walk.broken.name, walk.broken.rows


@pytest.mark.parametrize(
    ("backend", "link", "rows"),
    [
        ("X1", "pool setting", ("X1",)),
        ("I7", "token", ("I7",)),
        ("X1-I1", "token", ("I1",)),
        ("X1-R1", "target port", ("R1", "R2", "R3")),
        ("X1-C7", "container", ("C7",)),
        ("X2", "field names", ("X2",)),
        ("X14", "field names", ("X14",)),
        ("X3", "real execution", ("X3",)),
        ("X5", "real execution", ("X5",)),
        ("X5-constant", "real execution", ("X5",)),
        ("X9", "real execution", ("X9",)),
    ],
)
def test_backend_stops_the_walk(
    deployments: Deployments, backend: str, link: str, rows: tuple[str, ...]
) -> None:
    walk = deployments.walk(backend)
    assert stop(walk) == (link, rows)
    later = list(WANTED)[list(WANTED).index(link) + 1 :]
    assert all(states(walk)[name] == "not asked" for name in later)


@pytest.mark.parametrize(
    ("pool", "link", "rows"),
    [
        ("R1", "target port", ("R1", "R2", "R3")),
        ("C7", "container", ("C7",)),
        ("interpreter", "pool request", ("R8",)),
    ],
)
def test_pool_stops_the_walk(
    deployments: Deployments, pool: str, link: str, rows: tuple[str, ...]
) -> None:
    walk = deployments.walk(pool=pool)
    assert stop(walk) == (link, rows)
    assert {states(walk)[name] for name in ("pool reachable", "token")} == {"passed"}
    assert walk.left_open == ()


@pytest.mark.parametrize("backend", ["sound", "minimal", "X8"])
def test_backend_that_works_has_no_broken_link(deployments: Deployments, backend: str) -> None:
    walk = deployments.walk(backend)
    assert walk.broken is None, walk.headline
    assert LinkState.NOT_ASKED not in {link.state for link in walk.links}
    assert states(walk)["real execution"] == "passed"
    assert states(walk)["role"] == "not observable from here"


@pytest.mark.parametrize("pool", ["guarded", "pool", "C8", "C7-starting"])
def test_pool_that_works_has_no_broken_link(deployments: Deployments, pool: str) -> None:
    walk = deployments.walk(pool=pool)
    assert walk.broken is None, walk.headline
    passed = {name for name, state in states(walk).items() if state == "passed"}
    assert passed >= {*SOUND_POOL, "container", "field names", "real execution", "who executed"}
    assert passed >= {"host name", "connection"}
    if pool == "C7-starting":
        assert "it was starting" in next(it.seen for it in walk.links if it.name == "container")


def test_list_says_which_faults_a_walk_does_not_show(started: Deployments) -> None:
    served, pools = started.service.details["deployments"], started.service.details["pools"]
    wrong = []
    for name, summary in catalogue().items():
        row = re.fullmatch(r"(?:X1-)?([IRCX]\d+)(?:-\w+)?", name)
        # Some come and go, and X15 is served only where bubblewrap is.
        if row is None or name in ("C10", "C11", "C7-starting") or name not in served:
            continue
        walk = started.walk(None, name) if name in pools else started.walk(name)
        is_shown = walk.broken is not None and row[1] in walk.broken.rows
        if is_shown == ("no test of diagnose" in summary):
            wrong.append(f"{name}: {walk.headline}")
    assert wrong == []


@pytest.mark.parametrize(
    ("tokens", "link", "rows", "told"),
    [
        ({"audience": "https://other"}, "token", ("I1",), "audience https://other"),
        ({"lifetime": -60.0}, "token", ("I2",), "expired"),
        ({"roles": []}, "role", ("I3", "I4", "R9"), "identity "),
    ],
)
def test_token_stops_the_walk(
    deployments: Deployments,
    tokens: dict[str, Any],
    link: str,
    rows: tuple[str, ...],
    told: str,
) -> None:
    deployments.give_tokens(**tokens)
    walk = deployments.walk(pool="guarded")
    assert stop(walk) == (link, rows)
    assert walk.broken is not None
    assert told in walk.broken.seen
    assert "eyJ" not in repr(walk)


def test_whole_chain_is_proven_by_the_pool(deployments: Deployments) -> None:
    walk = walk_deployment(
        Deployment(
            deployments.backend.url, deployments.url("guarded"), token_source=deployments.tokens
        ),
        link_within=30,
        within=90,
    )
    assert walk.broken is None, walk.headline
    assert set(states(walk).values()) == {"passed", "not observable from here"}
    assert [it for it, state in states(walk).items() if state != "passed"] == ["TLS"]
    assert "the pool's list shows" in walk.links[-1].seen


def test_answers_word_counts_where_the_pool_can_not_be_asked(deployments: Deployments) -> None:
    walk_deployment(Deployment(deployments.backend.url), link_within=30, within=90)
    # The backend keeps the token that it has; whoever walks gets one without the role.
    deployments.give_tokens(roles=[])
    walk = walk_deployment(
        Deployment(
            deployments.backend.url, deployments.url("guarded"), token_source=deployments.tokens
        ),
        link_within=30,
        within=90,
    )
    assert walk.broken is None, walk.headline
    assert "the answer's own word" in walk.links[-1].seen


def test_silent_fallback(deployments: Deployments) -> None:
    walk = deployments.walk("sound", "guarded")
    assert stop(walk) == ("who executed", ("X4",))
    assert states(walk)["real execution"] == "passed"


def test_backend_of_another_pool(deployments: Deployments) -> None:
    walk = walk_deployment(
        Deployment(
            deployments.backend.url, deployments.url("pool"), token_source=deployments.tokens
        ),
        link_within=30,
        within=90,
    )
    assert stop(walk) == ("who executed", ("X4",))


def test_pool_that_is_down_although_the_backend_answers(deployments: Deployments) -> None:
    walk = walk_deployment(
        Deployment(
            deployments.url("sound"),
            f"http://127.0.0.1:{unused_port()}",
            token_source=deployments.tokens,
        ),
        link_within=30,
        within=90,
    )
    assert stop(walk) == ("pool reachable", ("N3",))
    assert walk.broken is not None
    assert "something else executes them (X4)" in walk.broken.seen


@pytest.mark.parametrize(
    ("pool", "link", "rows", "told"),
    [
        ("R1", "target port", ("R1", "R2", "R3"), "/api/v2/execute HTTP 404"),
        ("C1", "free session", ("C3", "C1", "C2"), "HTTP 429"),
        ("C7", "container", ("C7",), "HTTP 502"),
    ],
)
def test_silent_fallback_does_not_hide_what_is_wrong_with_the_pool(
    deployments: Deployments, pool: str, link: str, rows: tuple[str, ...], told: str
) -> None:
    with filled(deployments.url(pool)) if pool == "C1" else nullcontext():
        walk = deployments.walk("sound", pool)
    assert stop(walk) == (link, rows)
    assert walk.broken is not None
    assert told in walk.broken.seen
    assert "something else executes them (X4)" in walk.broken.seen
    assert deployments.url(pool) in walk.repeat
    assert states(walk)["who executed"] == "not asked"


@pytest.mark.parametrize("backend", [None, "minimal"])
def test_address_that_is_no_session_pool(deployments: Deployments, backend: str | None) -> None:
    walk = deployments.walk(backend, "sound")
    assert stop(walk) == ("pool request", ("X4",))
    assert walk.broken is not None
    assert "/.management/getSession" in walk.broken.asked
    assert "HTTP 404" in walk.broken.seen
    assert states(walk)["role"] == "not observable from here"
    assert states(walk)["target port"] == "not asked"
    assert walk.left_open == ()


def test_host_that_lets_everybody_in_is_reported(deployments: Deployments) -> None:
    with start_service(["backend"], ready_within=60) as backend:
        walk = walk_deployment(
            Deployment(pool=backend.url, token_source=deployments.tokens),
            link_within=30,
            within=90,
        )
    assert stop(walk) == ("pool request", ("X4",))
    reachable = next(it for it in walk.links if it.name == "pool reachable")
    assert reachable.seen.startswith("HTTP 200 although no token was sent")


def test_built_in_pool_beside_a_backend_is_no_proof(deployments: Deployments) -> None:
    walk = deployments.walk("sound", "interpreter")
    assert stop(walk) == ("pool request", ("R8",))
    assert walk.left_open == ()


def test_pool_is_asked_directly_beside_a_backend_that_fails(deployments: Deployments) -> None:
    walk = deployments.walk("X2", "guarded")
    assert stop(walk) == ("field names", ("X2",))
    assert walk.broken is not None
    assert "asked directly from here" in walk.broken.seen
    assert states(walk)["role"] == "passed"
    # What is to be repeated is what met the broken link.
    assert deployments.url("X2") in walk.repeat


def test_sessions_of_walks_are_stopped(deployments: Deployments) -> None:
    deployments.walk(pool="pool")
    control = deployments.service.details["pools"]["pool"]["control_url"]
    held = ask_control(f"{control}/state", within=30)["sessions"]
    assert [it for it in held if it["identifier"].startswith("walk-")] == []
