"""Executing in the sessions of a custom-container pool that speaks the Piston v2 API.

A pool gives every identifier a session of its own and allocates it on first use; there is no
call that creates one. The token opens all identifiers of a pool, so an identifier must be one
that nobody can guess, and it is used by one execution at a time.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

from codewitness.execution import causes
from codewitness.execution.answers import error_in, read_result, read_runtimes
from codewitness.execution.backend import encode_body
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.endpoint import parse_endpoint
from codewitness.execution.http_client import HttpAnswer, HttpCall, HttpClient
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    Provenance,
    RequestRefused,
    Runtime,
)
from codewitness.execution.piston import request_to_json
from codewitness.execution.redaction import redact
from codewitness.session_pool.credentials import SCOPE

T = TypeVar("T")

API_VERSION = "2025-10-02-preview"
"""Version of the management routes. The container's own routes take none."""

_MANAGEMENT_HEADERS = {"Accept": "application/json", "User-Agent": "codewitness"}
_HEADERS = {**_MANAGEMENT_HEADERS, "Content-Type": "application/json"}
_PROVE_WITHIN = 10.0
_STOP_WITHIN = 10.0
_MOST_PAGES = 1000
_RUNTIMES_KEPT = 300.0
# Part of an identifier that is for people; the rest keeps it unguessable.
_LONGEST_RUN_ID = 80
# What the gateway itself refuses; everything else with status 400 is the container's word.
_GATEWAY_CODES = re.compile(r"Session\w+|DynamicApis\w+|InvalidApiVersion")
_UNKNOWN_IDENTIFIER = "SessionWithIdentifierNotFound"
# The management routes won't get better by asking again.
_NO_MANAGEMENT = (
    FaultKind.BAD_ANSWER,
    FaultKind.FORBIDDEN,
    FaultKind.NOT_THE_API,
    FaultKind.WRONG_ADDRESS,
)
# No session was allocated for requests that failed so.
_NEVER_REACHED = (
    FaultKind.NAME_NOT_RESOLVED,
    FaultKind.NOTHING_LISTENING,
    FaultKind.TLS,
    FaultKind.UNAUTHENTICATED,
    FaultKind.FORBIDDEN,
)
_ALLOCATOR = re.compile(r"allocating pod|SessionsCountExceedsLimit")


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


@dataclass
class _Lease:
    """An identifier that this run uses for one execution at a time."""

    identifier: str
    opened: bool = False
    created_at: datetime | None = None


class _Identifiers:
    """The identifiers of a run: lent to one execution each, taken back, never more than allowed.

    The one that came back last goes out first, so that a run with few executions at a time
    holds few sessions.
    """

    def __init__(self, run_id: str, most: int) -> None:
        if most < 1:
            raise ValueError(f"a run that may use {most} sessions can execute nothing; allow 1")
        readable = re.sub(r"[^A-Za-z0-9]+", "-", run_id).strip("-")
        self._run_id = readable[:_LONGEST_RUN_ID] or "run"
        self._most = most
        self._free: list[_Lease] = []
        self._lent = 0
        self._changed = threading.Condition()
        self.issued: list[_Lease] = []

    def new(self) -> str:
        return f"{self._run_id}-{secrets.token_hex(16)}"

    def take(self, deadline: float) -> _Lease | None:
        """Return a free identifier, or ``None`` when none became free in time."""
        with self._changed:
            self._changed.wait_for(self._available, deadline)
            if self._free:
                lease = self._free.pop()
            elif len(self.issued) < self._most:
                lease = _Lease(self.new())
                self.issued.append(lease)
            else:
                return None
            self._lent += 1
            return lease

    def _available(self) -> bool:
        # Without one that may come back, waiting is in vain.
        return bool(self._free) or len(self.issued) < self._most or not self._lent

    def give_back(self, lease: _Lease, *, usable: bool) -> None:
        with self._changed:
            self._lent -= 1
            if usable:
                self._free.append(lease)
            self._changed.notify_all()

    @property
    def opened(self) -> list[str]:
        """Identifiers that have led to a session, or may have."""
        return [lease.identifier for lease in self.issued if lease.opened]


class SessionPoolExecutor:
    """Executes in sessions of a custom-container pool.

    Executions that follow each other share a session; those that run at once get one each, up
    to ``max_sessions``, and wait for a free one beyond that. An identifier whose execution was
    cut off or timed out is not used again, because its session may still be busy.

    The provenance of a result names a session only when the pool vouches for it: by its
    ``X-Ms-New-Allocation`` header, or by its management route, which is asked after the
    execution. A request is repeated only when it surely never ran; see
    :class:`codewitness.execution.backend.BackendExecutor`, whose other methods this one has too.

    Args:
        endpoint: Base URL of the pool, such as
            ``https://<pool>.<environment>.<region>.azurecontainerapps.io``.
        run_id: Name of the run, which every identifier begins with.
        credentials: Token for the pool; by default azure-identity's for the pools' scope.
        max_sessions: How many identifiers may be used in all.
        prove_sessions: Whether the management route is asked where the header is missing.
            Without it such a session counts as used but not proven.
        deadline: Seconds that one call may take in all, waiting for a free session included.
        verify: Whether the server's certificate is checked.
        ca_bundle: PEM file with the certificate authorities to trust instead of the system's.

    Raises:
        ValueError: The endpoint, the CA bundle or the proxy can't be used.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        run_id: str = "run",
        credentials: BackendCredentials | None = None,
        max_sessions: int = 5,
        prove_sessions: bool = True,
        deadline: float = 60.0,
        verify: bool = True,
        ca_bundle: str | None = None,
    ) -> None:
        self._endpoint = parse_endpoint(endpoint)
        self._deadline = deadline
        self._prove_sessions = prove_sessions
        self._no_management: str | None = None
        self._identifiers = _Identifiers(run_id, max_sessions)
        self._by_hand = self._identifiers.new()
        self._runtimes: tuple[float, list[Runtime]] | None = None
        self._closed = False
        self.left_open: tuple[str, ...] = ()
        self._client = HttpClient(
            self._endpoint,
            credentials=credentials or BackendCredentials(scope=SCOPE),
            verify=verify,
            ca_bundle=ca_bundle,
        )

    @property
    def name(self) -> str:
        """Who executes, for provenance."""
        return f"session pool {self._endpoint.origin}"

    @property
    def base_url(self) -> str:
        """Root of the container's API, with a final slash."""
        return self._endpoint.base_url

    @property
    def execute_url(self) -> str:
        """Full URL of the execute route, with an identifier kept for use by hand."""
        return self._with_identifier("execute", self._by_hand)

    @property
    def curl_options(self) -> tuple[str, ...]:
        """Options, quoted for a POSIX shell, that let curl reach the pool as this does."""
        return self._client.curl_options

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Identifiers that have led to a session, or may have, in order."""
        return tuple(self._identifiers.opened)

    def execute(
        self, request: ExecutionRequest, *, deadline: float | None = None
    ) -> ExecutionResult:
        """Run one program and wait for its end.

        Args:
            request: What to run.
            deadline: Seconds for this call, if not those of the executor.

        Raises:
            RequestRefused: The container refused the request.
            PlatformFault: The pool gave no session, or no answer of an execute API.
        """
        body = encode_body(request_to_json(request))
        within = deadline or self._deadline
        start = time.perf_counter()
        with self._lease(within) as lease:
            waited = time.perf_counter() - start
            answer = self._send("POST", "execute", lease, within - waited, body)
            result = self._read(
                answer,
                lambda: read_result(
                    answer, executor=self.name, credentials=self._client.credentials
                ),
            )
            provenance = self._provenance(answer, lease, result.provenance)
        return replace(result, provenance=provenance, elapsed=result.elapsed + waited)

    def execute_many(
        self, requests: Sequence[ExecutionRequest], *, deadline: float | None = None
    ) -> list[ExecutionResult | ExecutionError]:
        """Run programs all at once, each in a session of its own, and wait for all.

        Args:
            requests: What to run.
            deadline: Seconds for each call, if not those of the executor.

        Returns:
            In the order of the requests, what :meth:`execute` would return or raise.
        """

        def outcome(request: ExecutionRequest) -> ExecutionResult | ExecutionError:
            try:
                return self.execute(request, deadline=deadline)
            except ExecutionError as error:
                return error

        with ThreadPoolExecutor(max(1, len(requests)), "session") as threads:
            return list(threads.map(outcome, requests))

    def runtimes(self) -> Sequence[Runtime]:
        """Return the languages that the pool's container lists; asked anew after 5 minutes.

        Raises:
            PlatformFault: There was no such list.
        """
        kept = self._runtimes
        if kept is not None and time.monotonic() - kept[0] < _RUNTIMES_KEPT:
            return kept[1]
        with self._lease(self._deadline) as lease:
            answer = self._send("GET", "runtimes", lease, self._deadline)
            listed = self._read(
                answer, lambda: read_runtimes(answer, credentials=self._client.credentials)
            )
            if not lease.opened and self._prove_sessions:
                # So that the first execution in it can be seen to meet a session in use.
                with suppress(PlatformFault):
                    self._proven(Provenance(self.name), lease)
        self._runtimes = time.monotonic(), listed
        return listed

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> HttpAnswer:
        """Send this request and return the answer, whatever its status.

        Nothing is added but an identifier (unless the path has one), Host, Content-Length and
        the token, which a header given here replaces.

        Args:
            method: HTTP method.
            path: Relative to the API's root, or from the root of the host with a slash first.
            body: Bytes of the body, or ``None`` for none.
            headers: Headers; without Content-Type none is sent.
            deadline: Seconds for this call, if not those of the executor.

        Raises:
            PlatformFault: There was no complete answer.
        """
        within = deadline or self._deadline
        if "identifier" in dict(parse_qsl(urlsplit(path).query, keep_blank_values=True)):
            call = HttpCall(method, self._endpoint.url(path), body, headers or {})
            return self._guarded(lambda: self._client.send(call, within))
        with self._lease(within) as lease:
            return self._send(method, path, lease, within, body, headers or {}, retry=False)

    def get_session(self, identifier: str) -> PoolSession | None:
        """Return what the pool knows of a session, or ``None`` when it knows none such.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        return self._get_session(identifier, self._deadline)

    def _get_session(self, identifier: str, deadline: float) -> PoolSession | None:
        answer = self._manage("getSession", {"identifier": identifier}, deadline)
        if answer is None:
            return None
        return self._read(answer, lambda: _session(_json_object(answer), answer))

    def list_sessions(self) -> list[PoolSession]:
        """Return all sessions of the pool, of other runs too.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        found: list[PoolSession] = []
        url: str | None = self._management_url("listSessions", {"skip": "0"})
        for _ in range(_MOST_PAGES):
            if url is None:
                return found
            answer, page = self._page_at(url)
            found += page.sessions
            url = self._next_url(answer, page.next_link)
        detail = f"the pool's list of sessions does not end after {_MOST_PAGES} pages"
        raise self._fault(FaultKind.BAD_ANSWER, detail)

    def _page_at(self, url: str) -> tuple[HttpAnswer, _Page]:
        answer = self._guarded(
            lambda: self._client.send(self._management_call(url), self._deadline)
        )
        return answer, self._read(answer, lambda: _page(answer))

    def stop_session(self, identifier: str) -> bool:
        """End a session now; tell whether there was one.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        answer = self._manage("stopSession", {"identifier": identifier}, self._deadline)
        if answer is None:
            return False
        self._read(answer, lambda: _check_management(answer))
        return True

    def close(self) -> None:
        """Stop the sessions that were used, then close all connections.

        What could not be stopped is in ``left_open`` afterwards; the pool ends it by itself
        after its cooldown.
        """
        if self._closed:
            return
        self._closed = True
        identifiers = self.identifiers
        calls = [
            self._management_call(self._management_url("stopSession", {"identifier": each}))
            for each in identifiers
        ]
        try:
            answers = self._client.send_all(calls, _STOP_WITHIN) if calls else []
            self.left_open = tuple(
                identifier
                for identifier, answer in zip(identifiers, answers, strict=True)
                if not _is_gone(answer)
            )
        finally:
            self._client.close()

    def __enter__(self) -> SessionPoolExecutor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _lease(self, deadline: float) -> Iterator[_Lease]:
        lease = self._identifiers.take(deadline)
        if lease is None:
            issued = len(self._identifiers.issued)
            raise self._fault(
                FaultKind.CAPACITY,
                f"none of the {issued} sessions that this run may use was free within "
                f"{deadline:g} s, or they were given up before",
            )
        opened, usable = True, False
        try:
            yield lease
            usable = True
        except PlatformFault as fault:
            opened = fault.kind not in _NEVER_REACHED and not _ALLOCATOR.search(
                f"{fault.detail}\n{fault.body}"
            )
            usable = fault.kind not in (FaultKind.TIMEOUT, FaultKind.CONNECTION_CUT)
            raise
        except RequestRefused:
            usable = True
            raise
        finally:
            lease.opened |= opened
            self._identifiers.give_back(lease, usable=usable)

    def _send(
        self,
        method: str,
        path: str,
        lease: _Lease,
        deadline: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        retry: bool = True,
    ) -> HttpAnswer:
        if headers is None:
            headers = _MANAGEMENT_HEADERS if body is None else _HEADERS
        url = self._with_identifier(path, lease.identifier)
        call = HttpCall(method, url, body, headers, retry_when_told=retry)
        return self._guarded(lambda: self._client.send(call, max(0.1, deadline)))

    def _with_identifier(self, path: str, identifier: str) -> str:
        joint = "&" if "?" in path else "?"
        return self._endpoint.url(f"{path}{joint}identifier={quote(identifier, safe='')}")

    def _read(self, answer: HttpAnswer, read: Callable[[], T]) -> T:
        refusal = _gateway_refusal(answer)
        if refusal is not None:
            kind, detail = refusal
            raise self._fault(kind, detail, answer)
        return self._guarded(read)

    def _guarded(self, action: Callable[[], T]) -> T:
        """Let a platform fault say that a pool was asked, and how many sessions were held."""
        try:
            return action()
        except PlatformFault as fault:
            raise self._retold(fault) from fault

    def _retold(self, fault: PlatformFault) -> PlatformFault:
        held = len(self.identifiers)
        sessions = "no session" if not held else f"{held} session{'s' if held > 1 else ''}"
        return causes.fault(
            fault.kind,
            f"{fault.detail} (session pool, of which this run holds {sessions})",
            status=fault.status,
            body=fault.body,
            elapsed=fault.elapsed,
            retries=fault.retries,
        )

    def _fault(
        self, kind: FaultKind, detail: str, answer: HttpAnswer | None = None
    ) -> PlatformFault:
        if answer is None:
            return self._retold(PlatformFault(kind, detail))
        fault = PlatformFault(
            kind,
            detail,
            status=answer.status,
            body=redact(answer.text)[:2000],
            elapsed=answer.elapsed,
            retries=answer.retries,
        )
        return self._retold(fault)

    def _provenance(self, answer: HttpAnswer, lease: _Lease, told: Provenance) -> Provenance:
        provenance = replace(told, executor=self.name, session=lease.identifier)
        if told.executor != self.name:
            provenance = _noted(provenance, f"container: {told.executor}")
        allocated = _flag(answer.headers.get("X-Ms-New-Allocation"))
        if allocated is not None:
            note = f"X-Ms-New-Allocation: {answer.headers['X-Ms-New-Allocation']}"
            return _noted(replace(provenance, session_new=allocated), note)
        if not self._prove_sessions:
            return _noted(provenance, "session not proven: the pool was not asked")
        return self._proven(provenance, lease)

    def _proven(self, provenance: Provenance, lease: _Lease) -> Provenance:
        """Complete a provenance by what the pool itself knows of the session."""
        unproven = replace(provenance, session=None)
        if self._no_management is not None:
            return _noted(unproven, self._no_management)
        try:
            session = self._get_session(lease.identifier, _PROVE_WITHIN)
        except PlatformFault as fault:
            note = f"session not proven: {fault.detail}"
            if fault.kind in _NO_MANAGEMENT:
                self._no_management = note
            return _noted(unproven, note)
        if session is None:
            return replace(
                unproven,
                degraded=f"the pool knows no session {lease.identifier}: something else answered",
            )
        known, lease.created_at = lease.created_at, session.created_at
        if session.created_at is None:
            return _noted(provenance, "listed by the pool")
        new: bool | None = None
        if not lease.opened or known is not None:
            # Nobody else can have used an identifier that was made up for this lease.
            new = session.created_at != known
        note = f"listed by the pool as created at {session.created_at:%Y-%m-%d %H:%M:%S.%f} UTC"
        return _noted(replace(provenance, session_new=new), note)

    def _manage(self, route: str, query: Mapping[str, str], deadline: float) -> HttpAnswer | None:
        """Ask a management route; ``None`` says that the pool does not know the identifier."""
        call = self._management_call(self._management_url(route, query))
        answer = self._guarded(lambda: self._client.send(call, deadline))
        return None if _error_code(answer) == _UNKNOWN_IDENTIFIER else answer

    def _management_call(self, url: str) -> HttpCall:
        return HttpCall("POST", url, b"", _MANAGEMENT_HEADERS, retry_when_told=True)

    def _management_url(self, route: str, query: Mapping[str, str]) -> str:
        asked = urlencode({"api-version": API_VERSION, **query})
        return self._endpoint.url(f"/.management/{route}?{asked}")

    def _next_url(self, answer: HttpAnswer, link: str | None) -> str | None:
        if not link:
            return None
        url = urljoin(answer.url, link)
        if not url.startswith(f"{self._endpoint.origin}/"):
            # The token is for this pool alone.
            detail = f"the pool's list of sessions goes on at another host, {urlsplit(url).netloc}"
            raise self._fault(FaultKind.BAD_ANSWER, detail, answer)
        return url


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
    return PlatformFault(
        FaultKind.BAD_ANSWER, detail, status=answer.status, body=redact(answer.text)[:2000]
    )


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


def _gateway_refusal(answer: HttpAnswer) -> tuple[FaultKind, str] | None:
    """Tell whether the pool's gateway, and not the container, refused a request."""
    code = _error_code(answer)
    if answer.status != 400 or not _GATEWAY_CODES.fullmatch(code):
        return None
    error = error_in(answer)
    said = error.message if isinstance(error, RequestRefused) else code
    wrong_host = code.startswith("DynamicApis")
    kind = FaultKind.WRONG_ADDRESS if wrong_host else FaultKind.NOT_THE_API
    return kind, f"HTTP 400 from {answer.url}: the pool's gateway refused the request: {said}"


def _is_gone(answer: HttpAnswer | PlatformFault) -> bool:
    return isinstance(answer, HttpAnswer) and (
        answer.status == 200 or _error_code(answer) == _UNKNOWN_IDENTIFIER
    )


def _flag(value: str | None) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get((value or "").strip().lower())


def _noted(provenance: Provenance, note: str) -> Provenance:
    return replace(provenance, notes=(*provenance.notes, note))
