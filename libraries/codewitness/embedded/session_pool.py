"""A custom-container session pool: Azure's gateway in front of containers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import aiohttp
from aiohttp import hdrs, web
from aiohttp.typedefs import LooseHeaders

from codewitness.embedded.clock import Clock
from codewitness.embedded.containers import Container
from codewitness.embedded.gateway import GatewayConfig, guard, to_response
from codewitness.embedded.running_pool import NoSession, RunningPool
from codewitness.session_pool import contract
from codewitness.session_pool.contract import Reply

_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te"),
        *("trailer", "transfer-encoding", "upgrade", "proxy-connection"),
    }
)
_NOT_ADDED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)
_REGIONAL_PATH = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/sessionPools/[^/]+(/|$)", re.IGNORECASE
)


@dataclass(frozen=True)
class ForwardingConfig:
    """What becomes of requests on their way to a container.

    Attributes:
        port_set: Whether the pool knows the port that its container listens on.
        listens_after: Seconds between allocation and the container listening; ``inf`` for a
            container that listens on another port.
        keeps_authorization: Whether the container sees the caller's token.
        keeps_identifier: Whether it sees the identifier in the query.
    """

    port_set: bool = True
    listens_after: float = 0.0
    keeps_authorization: bool = False
    keeps_identifier: bool = True


def create_pool_app(
    pool: RunningPool[Container],
    clock: Clock,
    gateway: GatewayConfig | None = None,
    forwarding: ForwardingConfig | None = None,
) -> web.Application:
    """Return the data plane of a custom-container pool.

    The application starts the pool and closes it when it shuts down. It is to be run with
    ``auto_decompress=False``, so that bodies are forwarded as they came.

    Args:
        pool: Gives out containers.
        clock: The pool's clock.
        gateway: How the gateway behaves; lets everybody in by default.
        forwarding: What is changed in requests.
    """
    served = _CustomPool(pool, clock, gateway or GatewayConfig(), forwarding or ForwardingConfig())
    app = web.Application(middlewares=[guard(served.gateway.authority)])
    app.router.add_route("*", contract.MANAGEMENT + "{operation:.*}", served.manage)
    app.router.add_route("*", "/{path:.*}", served.forward)
    app.cleanup_ctx.append(served.run)
    app.on_shutdown.append(served.close)
    return app


class _CustomPool:
    def __init__(
        self,
        pool: RunningPool[Container],
        clock: Clock,
        gateway: GatewayConfig,
        forwarding: ForwardingConfig,
    ) -> None:
        self.gateway = gateway
        self._pool = pool
        self._clock = clock
        self._forwarding = forwarding
        self._client: aiohttp.ClientSession | None = None

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        # How long a container may take is not documented: nothing here cuts it short.
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as self._client:
            self._pool.open()
            yield

    async def close(self, _app: web.Application) -> None:
        await self._pool.close()

    async def forward(self, request: web.Request) -> web.StreamResponse:
        if _REGIONAL_PATH.match(request.path):
            raise contract.regional_host_not_allowed()
        identifier = self._identifier(request)
        if not self._forwarding.port_set:
            raise contract.port_unset()
        try:
            async with self._pool.lease(identifier) as lease:
                self._check_listening(identifier)
                return await self._exchange(request, lease.session.url)
        except NoSession as error:
            raise self.gateway.no_session(
                error.reason, identifier, self._pool.rules.maximum
            ) from None

    def _identifier(self, request: web.Request) -> str:
        return contract.check_identifier(request.query.get("identifier"), self.gateway.identifiers)

    def _check_listening(self, identifier: str) -> None:
        if self._forwarding.listens_after:
            session = self._pool.find(identifier)
            since = self._clock.now() - (session.created if session else 0)
            if since < self._forwarding.listens_after:
                raise contract.not_listening()

    async def _exchange(self, request: web.Request, container: str) -> web.StreamResponse:
        assert self._client is not None
        path, _, query = self._target(request).partition("?")
        scheme, _, authority = container.partition("://")
        url = request.rel_url.build(
            scheme=scheme, authority=authority, path=path, query_string=query, encoded=True
        )
        answer: web.StreamResponse | None = None
        try:
            async with self._client.request(
                request.method,
                url,
                data=request.content if request.can_read_body else None,
                headers=self._headers(request),
                skip_auto_headers=_NOT_ADDED,
                allow_redirects=False,
            ) as received:
                headers = _end_to_end(received)
                answer = web.StreamResponse(
                    status=received.status, reason=received.reason, headers=headers
                )
                await answer.prepare(request)
                async for chunk in received.content.iter_any():
                    await answer.write(chunk)
                await answer.write_eof()
                return answer
        except aiohttp.ClientError:
            if answer is None:
                raise contract.not_listening() from None
            # The caller must not take half an answer for the whole.
            if request.transport is not None:
                request.transport.abort()
            return answer

    def _target(self, request: web.Request) -> str:
        # Exactly as it came: decoding and encoding again could change it.
        target = request.raw_path if request.raw_path.startswith("/") else "/"
        if self._forwarding.keeps_identifier:
            return target
        path, _, query = target.partition("?")
        kept = [part for part in query.split("&") if part.partition("=")[0] != "identifier"]
        return f"{path}?{'&'.join(kept)}" if kept else path

    def _headers(self, request: web.Request) -> LooseHeaders:
        left_out = {"host"} if self._forwarding.keeps_authorization else {"host", "authorization"}
        return _end_to_end(request, left_out)

    async def manage(self, request: web.Request) -> web.StreamResponse:
        operation = request.match_info["operation"]
        if operation == "fetchMCPServerCredentials":
            raise contract.error(
                "SessionMCPServerNotEnabled",
                f"The MCP server is not enabled for session pool '{self.gateway.name}'.",
            )
        if operation not in ("getSession", "listSessions", "stopSession"):
            raise contract.not_supported(operation)
        if request.method != hdrs.METH_POST:
            raise contract.invalid("method", f"The method '{request.method}' is not allowed.")
        contract.check_api_version(request.query.get("api-version"))
        if operation == "listSessions":
            return to_response(self._list(request))
        identifier = self._identifier(request)
        if operation == "stopSession":
            if not self._pool.stop(identifier):
                raise contract.no_such_session(identifier, self.gateway.name)
            return to_response(contract.session_stopped(identifier, self.gateway.name))
        session = self._pool.find(identifier)
        if session is None:
            raise contract.no_such_session(identifier, self.gateway.name)
        return to_response(
            contract.document(contract.session_document(session, "custom-container"))
        )

    def _list(self, request: web.Request) -> Reply:
        skip = contract.check_skip(request.query.get("skip"))
        link = str(request.url.update_query(skip=skip + contract.PAGE))
        page = contract.session_page(self._pool.sessions(), skip, "custom-container", link)
        return contract.document(page)


def _end_to_end(
    message: web.Request | aiohttp.ClientResponse, left_out: Iterable[str] = ()
) -> LooseHeaders:
    """Return a message's headers that are not for one connection alone, without some."""
    named = {name.strip() for name in message.headers.get(hdrs.CONNECTION, "").split(",")}
    kept = message.headers.copy()
    for name in {*_HOP_BY_HOP, *named, *left_out}:
        kept.popall(name, None)
    return kept
