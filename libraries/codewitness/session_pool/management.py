"""The management routes of a custom-container pool: which sessions there are, and their end."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from codewitness.execution.answers import error_in
from codewitness.execution.endpoint import Endpoint
from codewitness.execution.http_client import HttpAnswer, HttpCall, HttpClient
from codewitness.execution.http_executor import ASKING
from codewitness.execution.model import FaultKind, PlatformFault, RequestRefused
from codewitness.execution.redaction import redact

T = TypeVar("T")

API_VERSION = "2025-10-02-preview"
"""Version of the management routes. The container's own routes take none."""

_MOST_PAGES = 1000
# What the gateway itself refuses; everything else with status 400 is the container's word.
_GATEWAY_CODES = re.compile(r"Session\w+|DynamicApis\w+|InvalidApiVersion")
_UNKNOWN_IDENTIFIER = "SessionWithIdentifierNotFound"


@dataclass(frozen=True)
class PoolSession:
    """A session as the pool's management routes describe it.

    Attributes:
        identifier: Identifier that leads to it.
        created_at: When it was allocated; ``None`` where the pool does not say.
        last_accessed_at: When its last request came.
        expires_at: When it ends unless another request comes.
        etag: The pool's mark for this state of the session.
    """

    identifier: str
    created_at: datetime | None = None
    last_accessed_at: datetime | None = None
    expires_at: datetime | None = None
    etag: str | None = None


class PoolManagement:
    """Asks the management routes of a pool.

    Args:
        endpoint: Where the pool is.
        client: Sends the requests.
    """

    def __init__(self, endpoint: Endpoint, client: HttpClient) -> None:
        self._endpoint = endpoint
        self._client = client

    def get_session(self, identifier: str, deadline: float) -> PoolSession | None:
        """Return what the pool knows of a session, or ``None`` when it knows none such.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        answer = self._manage("getSession", identifier, deadline)
        return None if answer is None else _session(_json_object(answer), answer)

    def list_sessions(self, deadline: float) -> list[PoolSession]:
        """Return all sessions of the pool; each page may take until the deadline.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        found: list[PoolSession] = []
        url: str | None = self._url("listSessions", {"skip": "0"})
        for _ in range(_MOST_PAGES):
            if url is None:
                return found
            answer = self._client.send(_call(url), deadline)
            check_gateway(answer)
            page = _page(answer)
            found += page.sessions
            url = self._next_url(answer, page.next_link)
        detail = f"the pool's list of sessions does not end after {_MOST_PAGES} pages"
        raise PlatformFault(FaultKind.BAD_ANSWER, detail)

    def stop_session(self, identifier: str, deadline: float) -> bool:
        """End a session now; tell whether there was one.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        answer = self._manage("stopSession", identifier, deadline)
        if answer is not None:
            _check_management(answer)
        return answer is not None

    def stop_sessions(self, identifiers: Sequence[str], deadline: float) -> list[str]:
        """End sessions at once; return those that may still be there."""
        urls = [self._url("stopSession", {"identifier": each}) for each in identifiers]
        answers = self._client.send_all([_call(url) for url in urls], deadline) if urls else []
        return [
            identifier
            for identifier, answer in zip(identifiers, answers, strict=True)
            if not _is_gone(answer)
        ]

    def _manage(self, route: str, identifier: str, deadline: float) -> HttpAnswer | None:
        """Ask a route; ``None`` says that the pool does not know the identifier."""
        call = _call(self._url(route, {"identifier": identifier}))
        answer = self._client.send(call, deadline)
        if _error_code(answer) == _UNKNOWN_IDENTIFIER:
            return None
        check_gateway(answer)
        return answer

    def _url(self, route: str, query: Mapping[str, str]) -> str:
        asked = urlencode({"api-version": API_VERSION, **query})
        return self._endpoint.url(f"/.management/{route}?{asked}")

    def _next_url(self, answer: HttpAnswer, link: str | None) -> str | None:
        if not link:
            return None
        url = urljoin(answer.url, link)
        if not url.startswith(f"{self._endpoint.origin}/"):
            # The token is for this pool alone.
            detail = f"the pool's list of sessions goes on at another host, {urlsplit(url).netloc}"
            raise _fault(FaultKind.BAD_ANSWER, detail, answer)
        return url


def check_gateway(answer: HttpAnswer) -> None:
    """Raise a fault if the pool's gateway, and not the container, refused a request.

    Raises:
        PlatformFault: It did.
    """
    code = _error_code(answer)
    if answer.status != 400 or not _GATEWAY_CODES.fullmatch(code):
        return
    error = error_in(answer)
    said = error.message if isinstance(error, RequestRefused) else code
    wrong_host = code.startswith("DynamicApis")
    kind = FaultKind.WRONG_ADDRESS if wrong_host else FaultKind.NOT_THE_API
    detail = f"HTTP 400 from {answer.url}: the pool's gateway refused the request: {said}"
    raise _fault(kind, detail, answer)


def _call(url: str) -> HttpCall:
    return HttpCall("POST", url, b"", ASKING, retry_when_told=True)


def _fault(kind: FaultKind, detail: str, answer: HttpAnswer) -> PlatformFault:
    return PlatformFault(
        kind,
        detail,
        status=answer.status,
        body=redact(answer.text)[:2000],
        elapsed=answer.elapsed,
        retries=answer.retries,
    )


@dataclass(frozen=True)
class _Page:
    sessions: list[PoolSession]
    next_link: str | None


def _page(answer: HttpAnswer) -> _Page:
    document = _json_object(answer)
    # The custom pool's list is `value`, the built-in one's `sessions`.
    entries = document.get("value", document.get("sessions"))
    if not isinstance(entries, list) or not all(isinstance(it, Mapping) for it in entries):
        raise _malformed("a list of sessions under 'value'", answer)
    link = document.get("nextLink")
    sessions = [_session(entry, answer) for entry in entries]
    return _Page(sessions, link if isinstance(link, str) else None)


def _session(document: Mapping[str, Any], answer: HttpAnswer) -> PoolSession:
    identifier = document.get("identifier")
    if not isinstance(identifier, str):
        raise _malformed("a session with an 'identifier'", answer)
    etag = document.get("etag")
    return PoolSession(
        identifier,
        created_at=_time(document.get("createdAt")),
        last_accessed_at=_time(document.get("lastAccessedAt")),
        # The custom pool answers expiresAt where the specification says expireAt.
        expires_at=_time(document.get("expiresAt") or document.get("expireAt")),
        etag=etag if isinstance(etag, str) else None,
    )


def _check_management(answer: HttpAnswer) -> None:
    error = error_in(answer)
    if isinstance(error, RequestRefused):
        detail = f"HTTP {answer.status} from {answer.url}, which is no management route: {error}"
        raise PlatformFault(FaultKind.NOT_THE_API, detail, status=answer.status, body=error.body)
    if error is not None:
        raise error


def _json_object(answer: HttpAnswer) -> Mapping[str, Any]:
    _check_management(answer)
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, Mapping):
        raise _malformed("a JSON object", answer)
    return document


def _malformed(expected: str, answer: HttpAnswer) -> PlatformFault:
    detail = f"HTTP {answer.status} from {answer.url}: expected {expected}"
    return _fault(FaultKind.BAD_ANSWER, detail, answer)


def _time(value: Any) -> datetime | None:
    """Read a time of Azure's, which may have seven decimals and lack its zone."""
    found = re.fullmatch(
        r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", str(value).strip()
    )
    if found is None:
        return None
    zone = "+00:00" if found[3] in (None, "Z") else found[3]
    decimals = f"{(found[2] or '.0')[:7]:0<7}"
    try:
        return datetime.fromisoformat(f"{found[1]}{decimals}{zone}").astimezone(timezone.utc)
    except ValueError:
        return None


def _error_code(answer: HttpAnswer) -> str:
    """Return the code of an error in Azure's envelope or flat form, or an empty text."""
    if answer.status < 400:
        return ""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    if isinstance(document, Mapping) and isinstance(document.get("error"), Mapping):
        document = document["error"]
    code = document.get("code") if isinstance(document, Mapping) else None
    return code if isinstance(code, str) else ""


def _is_gone(answer: HttpAnswer | PlatformFault) -> bool:
    return isinstance(answer, HttpAnswer) and (
        answer.status == 200 or _error_code(answer) == _UNKNOWN_IDENTIFIER
    )
