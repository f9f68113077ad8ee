"""What both kinds of session pool have in common: who may come in, and how refusals look."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from codewitness.session_pool.contract import (
    FullForm,
    IdentifierRule,
    Refused,
    Reply,
    allocation_failed,
    not_listening,
    pool_full,
)
from codewitness.session_pool.lifecycle import RefusalReason
from codewitness.session_pool.tokens import TokenRefusal

_log = logging.getLogger(__name__)


class Authority(Protocol):
    """Decides who may use a pool."""

    def check(self, authorization: str | None) -> TokenRefusal | None:
        """Judge an ``Authorization`` header; ``None`` lets the request pass."""


@dataclass(frozen=True)
class GatewayConfig:
    """How the gateway of a pool behaves where Azure's behaviour is not certain, or varies.

    Attributes:
        name: Name of the pool.
        full: How it answers when no session can be allocated.
        identifiers: Which identifiers it takes.
        authority: Who may come in; ``None`` lets everybody.
    """

    name: str = "embedded-pool"
    full: FullForm = "allocator"
    identifiers: IdentifierRule = "documentation"
    authority: Authority | None = None

    def no_session(self, reason: RefusalReason, identifier: str, maximum: int) -> Refused:
        """Return the refusal of a request that got no session."""
        if reason == "stopped":
            return not_listening()
        if reason == "start failed":
            return allocation_failed(identifier, self.name)
        form = "allocator" if reason == "warming" else self.full
        return pool_full(identifier, self.name, maximum, form)


def guard(authority: Authority | None) -> Middleware:
    """Return a middleware that lets in whom it may, and answers refusals."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = authority and authority.check(request.headers.get("Authorization"))
        if refusal:
            return web.Response(
                text=refusal.body,
                status=refusal.status,
                headers=refusal.headers,
                content_type=refusal.content_type,
            )
        try:
            return await handler(request)
        except Refused as refused:
            return to_response(refused.reply)

    return answer


def to_response(reply: Reply) -> web.Response:
    """Return a reply as HTTP response."""
    return web.Response(
        text=reply.body,
        status=reply.status,
        headers=reply.headers,
        content_type=reply.content_type,
    )
