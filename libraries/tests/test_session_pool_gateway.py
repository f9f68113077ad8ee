"""Azure's contract at the gateway: forwarding, refusals, management, tokens."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import itertools
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from aiohttp import web

from codewitness.embedded.clock import Clock
from codewitness.embedded.containers import Container
from codewitness.embedded.gateway import GatewayConfig
from codewitness.embedded.identity import IdentityConfig
from codewitness.embedded.pool_control import create_control_app
from codewitness.embedded.running_pool import RunningPool
from codewitness.embedded.session_pool import ForwardingConfig, create_pool_app
from codewitness.embedded.session_pool_service import PoolSettings
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    Runtime,
)
from codewitness.session_pool.contract import API_VERSIONS
from codewitness.session_pool.lifecycle import PoolRules
from tests.session_pools import API_VERSION, Answer, PoolClient, in_a_loop, listening, pool_of, send


class Nothing:
    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        raise NotImplementedError

    def runtimes(self) -> Sequence[Runtime]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Echoes:
    """Containers that answer with what they got; some do not start."""

    def __init__(self, faulty: int = 0) -> None:
        self._faulty = faulty
        self._numbers = itertools.count(1)

    async def start(self) -> Container:
        number = next(self._numbers)
        if number <= self._faulty:
            raise PlatformFault(FaultKind.SANDBOX, "told to fail")
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/cut", self.cut)
        app.router.add_route("*", "/half", self.half)
        app.router.add_route("*", "/{path:.*}", self.echo)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return Container(f"http://127.0.0.1:{runner.addresses[0][1]}", runner, Nothing())

    async def stop(self, instance: Container) -> None:
        await instance._runner.cleanup()

    async def close(self) -> None:
        pass

    async def echo(self, request: web.Request) -> web.Response:
        body = await request.read()
        told = {
            "method": request.method,
            "target": request.raw_path,
            "headers": [[name.lower(), value] for name, value in request.headers.items()],
            "body": body.hex() if len(body) < 10_000 else len(body),
        }
        answer = web.json_response(told, status=int(request.headers.get("X-Status", 200)))
        answer.headers.add("X-Own", "1")
        answer.headers.add("X-Own", "2")
        return answer

    async def cut(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def half(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"x" * 500)
        await asyncio.sleep(0.05)
        return await self.cut(request)


@asynccontextmanager
async def echo_pool(
    gateway: GatewayConfig | None = None,
    forwarding: ForwardingConfig | None = None,
    *,
    faulty: int = 0,
    rules: PoolRules | None = None,
) -> AsyncIterator[PoolClient]:
    clock = Clock()
    pool = RunningPool(rules or PoolRules(maximum=50), Echoes(faulty), clock)
    async with (
        listening(create_pool_app(pool, clock, gateway, forwarding)) as url,
        listening(create_control_app(pool, clock)) as control,
    ):
        yield PoolClient({"url": url, "control_url": control, "environment": {}})


@pytest.fixture(scope="module")
def echo() -> Iterator[PoolClient]:
    with in_a_loop(echo_pool()) as pool:
        yield pool


TARGETS = [
    "/a%20b/%2F/c%2B%2B?identifier=user-1&x=a+b&y=%C3%A9&y=2",
    "/?api-version=x&identifier=user-1",
    "/x/../y?identifier=user-1&empty=&flag",
    "//double//slash?identifier=user-1",
    "/api/v2/execute/?identifier=us%65r-1",
    "/%00?identifier=user-1",
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_target_and_method_arrive_as_sent(echo: PoolClient, method: str, target: str) -> None:
    seen = send(method, f"{echo.url}{target}").json
    assert (seen["method"], seen["target"]) == (method, target)


@pytest.mark.parametrize("body", [b"", b"\0\xff not json", b"x" * 3_000_000])
def test_body_arrives_as_sent(echo: PoolClient, body: bytes) -> None:
    seen = echo.ask("POST", "/x", body, identifier="user-1").json
    assert seen["body"] == (body.hex() if len(body) < 10_000 else len(body))


def test_body_without_a_length_arrives(echo: PoolClient) -> None:
    address = urlsplit(echo.url)
    with closing(http.client.HTTPConnection(address.netloc, timeout=30)) as connection:
        parts = iter([b"one,", b"two"])
        connection.request("POST", "/?identifier=user-1", parts, encode_chunked=True)
        response = connection.getresponse()
        assert bytes.fromhex(json.loads(response.read())["body"]) == b"one,two"


def test_compressed_body_stays_compressed(echo: PoolClient) -> None:
    body = gzip.compress(b"text")
    headers = {"Content-Encoding": "gzip"}
    seen = echo.ask("POST", "/", body, headers=headers, identifier="user-1").json
    assert seen["body"] == body.hex()
    assert ["content-encoding", "gzip"] in seen["headers"]


def test_headers_arrive_but_for_the_token_and_those_of_the_connection(echo: PoolClient) -> None:
    sent = {
        "Authorization": "Bearer secret",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "X-Kept": "2",
        "Cookie": "a=b",
        "User-Agent": "test",
    }
    seen = echo.ask("POST", "/", b"x", headers=sent, identifier="user-1").json["headers"]
    names = [name for name, _ in seen]
    assert not {"authorization", "x-hop", "keep-alive", "content-type", "accept"} & set(names)
    assert {("x-kept", "2"), ("cookie", "a=b"), ("user-agent", "test")} <= set(map(tuple, seen))
    assert names.count("host") == 1


def test_answer_arrives_as_the_container_gave_it(echo: PoolClient) -> None:
    answer = echo.ask("GET", "/", headers={"X-Status": "418"}, identifier="user-1")
    assert answer.status == 418
    assert answer.headers.get_all("X-Own") == ["1", "2"]
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    head = echo.ask("HEAD", "/", identifier="user-1")
    assert (head.status, head.body) == (200, b"")
    assert echo.ask("GET", "/", headers={"X-Status": "204"}, identifier="user-1").status == 204


def test_container_that_cuts_the_connection(echo: PoolClient) -> None:
    answer = echo.ask("POST", "/cut", b"x", identifier="user-1")
    assert (answer.status, answer.body) == (502, b"")
    with pytest.raises(http.client.IncompleteRead):
        echo.ask("GET", "/half", identifier="user-1")


def test_forwarding_may_keep_the_token_and_drop_the_identifier() -> None:
    forwarding = ForwardingConfig(keeps_authorization=True, keeps_identifier=False)
    with in_a_loop(echo_pool(forwarding=forwarding)) as pool:
        headers = {"Authorization": "Bearer secret"}
        seen = send("GET", f"{pool.url}/a?identifier=user-1&b=%20", headers=headers).json
        assert seen["target"] == "/a?b=%20"
        assert ["authorization", "Bearer secret"] in seen["headers"]
        assert send("GET", f"{pool.url}/a?identifier=user-1").json["target"] == "/a"


def is_nested_error(answer: Answer, code: str, target: str | None = None) -> bool:
    error = answer.json["error"]
    assert error["message"]
    assert re.fullmatch(r"[0-9a-f]{32}", error["traceId"])
    return (answer.status, error["code"], error.get("target")) == (400, code, target)


@pytest.mark.parametrize(
    "identifier", [None, "", "abc", "x" * 129, "user_1", "user:1", "user/1", "user 1", "üser"]
)
def test_identifiers_that_are_refused(echo: PoolClient, identifier: str | None) -> None:
    query: dict[str, Any] = {} if identifier is None else {"identifier": identifier}
    answer = echo.ask("GET", "/", **query)
    assert is_nested_error(answer, "SessionRequestValidationFailed", "identifier")


@pytest.mark.parametrize("identifier", ["abcd", "x" * 128, "|-&^%$#(){}[];<>9"])
def test_identifiers_that_are_taken(echo: PoolClient, identifier: str) -> None:
    assert send("GET", f"{echo.url}/?identifier={quote(identifier, safe='')}").status == 200
    assert echo.manage("getSession", identifier=identifier).json["identifier"] == identifier
    assert echo.manage("stopSession", identifier=identifier).status == 200


def test_identifiers_of_the_specification() -> None:
    with in_a_loop(echo_pool(GatewayConfig(identifiers="specification"))) as pool:
        assert pool.ask("GET", "/", identifier="user_1:a@b").status == 200
        assert pool.ask("GET", "/", identifier="x" * 257).status == 400


def test_custom_pool_by_the_regional_address(echo: PoolClient) -> None:
    path = "/subscriptions/s/resourceGroups/g/sessionPools/p/code/execute"
    assert is_nested_error(echo.ask("POST", path, {}, identifier="user-1"), "DynamicApisNotAllowed")


def test_session_as_management_shows_it(echo: PoolClient) -> None:
    echo.ask("GET", "/", identifier="seen-1")
    answer = echo.manage("getSession", identifier="seen-1")
    assert answer.status == 200
    session = answer.json
    assert set(session) == {"identifier", "etag", "expiresAt", "createdAt", "lastAccessedAt"}
    created, last, expires = (
        datetime.fromisoformat(session[name])
        for name in ("createdAt", "lastAccessedAt", "expiresAt")
    )
    assert created == last
    assert 300 <= (expires - last).total_seconds() < 301
    assert session in echo.manage("listSessions").json["value"]


def test_management_does_not_restart_the_cooldown() -> None:
    with in_a_loop(echo_pool()) as pool:
        pool.ask("GET", "/", identifier="user-1")
        pool.move(200)
        assert pool.manage("getSession", identifier="user-1").status == 200
        pool.move(101)
        assert pool.manage("getSession", identifier="user-1").status == 400


@pytest.mark.parametrize("operation", ["getSession", "stopSession"])
def test_management_of_an_unknown_identifier(echo: PoolClient, operation: str) -> None:
    answer = echo.manage(operation, identifier="nobody-1")
    assert is_nested_error(answer, "SessionWithIdentifierNotFound")
    assert is_nested_error(echo.manage(operation), "SessionRequestValidationFailed", "identifier")


@pytest.mark.parametrize("version", API_VERSIONS)
def test_versions_of_management(echo: PoolClient, version: str) -> None:
    assert echo.manage("listSessions", **{"api-version": version}).status == 200


def test_management_refuses_what_it_does_not_know(echo: PoolClient) -> None:
    validation = "SessionRequestValidationFailed"
    without = echo.ask("POST", "/.management/listSessions")
    assert is_nested_error(without, validation, "api-version")
    other = echo.manage("listSessions", **{"api-version": "2023-01-01"})
    assert is_nested_error(other, validation, "api-version")
    query: dict[str, Any] = {"api-version": API_VERSION}
    by_get = echo.ask("GET", "/.management/listSessions", **query)
    assert is_nested_error(by_get, validation, "method")
    assert is_nested_error(echo.manage("nonesuch"), "SessionRequestNotSupported")
    credentials = echo.manage("fetchMCPServerCredentials")
    assert is_nested_error(credentials, "SessionMCPServerNotEnabled")
    assert is_nested_error(echo.manage("listSessions", skip="x"), validation, "skip")


def test_list_comes_in_pages() -> None:
    with in_a_loop(echo_pool(rules=PoolRules(maximum=400))) as pool:
        identifiers = {f"user-{number}" for number in range(305)}
        with ThreadPoolExecutor(16) as threads:
            answers = threads.map(lambda it: pool.ask("GET", "/", identifier=it), identifiers)
            assert {answer.status for answer in answers} == {200}
        first = pool.manage("listSessions", skip=0).json
        assert (len(first["value"]), first["count"]) == (300, 300)
        second = send("POST", first["nextLink"]).json
        assert (second["count"], second["nextLink"]) == (5, None)
        listed = [session["identifier"] for session in first["value"] + second["value"]]
        assert set(listed) == identifiers
        assert len(listed) == 305


def test_instance_that_does_not_start() -> None:
    with in_a_loop(echo_pool(faulty=2, rules=PoolRules(maximum=1, ready=0))) as pool:
        for _ in range(2):
            answer = pool.ask("GET", "/", identifier="user-1")
            assert answer.status == 500
            assert answer.text.startswith("Error happened when allocating pod for identifier")
        assert pool.ask("GET", "/", identifier="user-1").status == 200


def test_caller_that_goes_away_frees_its_session() -> None:
    with in_a_loop(echo_pool(rules=PoolRules(maximum=1, ready=0))) as pool:
        address = urlsplit(pool.url)
        with socket.create_connection((address.hostname, address.port or 0), 10) as connection:
            start = b"POST /?identifier=user-1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx"
            connection.sendall(start)
        assert pool.ask("GET", "/", identifier="user-1").status == 200
        assert pool.move(301)["sessions"] == []


@pytest.fixture(scope="module")
def guarded() -> Iterator[PoolClient]:
    with pool_of(PoolSettings()) as pool:
        yield pool


def ask_with(pool: PoolClient, token: str | None) -> Answer:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return pool.ask("GET", "/", headers=headers, identifier="user-1")


def test_token_opens_the_pool(guarded: PoolClient) -> None:
    assert ask_with(guarded, guarded.token()).status == 200


@pytest.mark.parametrize("path", ["/", "/.management/listSessions", "/.management/x"])
def test_caller_without_token_learns_nothing(guarded: PoolClient, path: str) -> None:
    answer = guarded.ask("POST", path)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json["error"]["code"]


def test_other_tokens_do_not(guarded: PoolClient) -> None:
    good = guarded.token()
    others = ["", "x", good[:-4] + "AAAA", guarded.token("https://acasessions.io")]
    for token in others:
        assert ask_with(guarded, token).status == 401
    assert guarded.order("identity", {"lifetime": -10}).status == 200
    assert ask_with(guarded, guarded.token()).status == 401
    assert guarded.order("identity", {"lifetime": 3600, "roles": []}).status == 200
    refused = ask_with(guarded, guarded.token())
    assert (refused.status, refused.body) == (403, b"")
    assert guarded.order("identity", {"nonesuch": 1}).status == 400
    asked = send("GET", f"{guarded.control}/identity").json
    assert asked[-1]["form"] == "app-service"


def test_role_that_propagates_slowly() -> None:
    settings = PoolSettings(role_after=1000, forbidden_text="Unauthenticated")
    with pool_of(settings) as pool:
        refused = ask_with(pool, pool.token())
        assert (refused.status, refused.text) == (403, "Unauthenticated")


def test_tokens_without_role() -> None:
    with pool_of(replace(PoolSettings(), identity_config=IdentityConfig(roles=()))) as pool:
        assert ask_with(pool, pool.token()).status == 403


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"rules": PoolRules(ready=0), "refuses_ready_zero": True},
            "SessionPoolInvalidReadySessionInstances",
        ),
        ({"rules": PoolRules(maximum=1)}, "SessionPoolInvalidReadySessionInstances"),
        ({"rules": PoolRules(maximum=601), "kind": "python"}, "600"),
    ],
)
def test_rules_that_azure_refuses(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PoolSettings(**settings)
    PoolSettings(**settings, checks_rules=False)


@pytest.mark.parametrize("maximum", [1, 5])
def test_pool_may_keep_nothing_ready(maximum: int) -> None:
    assert PoolSettings(rules=PoolRules(maximum, ready=0)).rules.ready == 0
