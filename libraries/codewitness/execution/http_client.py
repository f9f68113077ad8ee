"""HTTP for tests of a service: nothing hidden, nothing hanging, nothing sent twice.

A request is repeated only when it surely never reached a program: the connection could not
be established, or the service said 429 or 503 together with when to come back. Redirects
are never followed, cookies never kept, and no header is added to a raw exchange but Host,
Content-Length and the credentials.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import email.utils
import ipaddress
import os
import re
import shlex
import socket
import ssl
import sys
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from codewitness.execution.causes import fault
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.endpoint import Endpoint
from codewitness.execution.model import FaultKind, PlatformFault
from codewitness.execution.redaction import redact
from codewitness.execution.token_errors import describe_token_error

T = TypeVar("T")

# Node closes connections after 5 s without a request and servers under gunicorn after 2 s; a
# request that meets the closing would look like a broken service.
_IDLE_LIMIT = 1.5
_CONNECT_LIMIT = 5.0
_WAITS_BEFORE_RECONNECT = (0.2, 0.5)
_MOST_RETRIES = 2
_LONGEST_BODY = 64 * 1024 * 1024
_ADDED_BY_AIOHTTP = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
# How much longer than its deadline a call is waited for, should the event loop be starved.
_GRACE = 10.0


@dataclass(frozen=True)
class HttpCall:
    """One request to be sent.

    Attributes:
        method: HTTP method.
        url: Full URL, already percent-encoded.
        body: Bytes of the body, or ``None`` for none.
        headers: Headers to send besides Host, Content-Length and the credentials.
        retry_when_told: Whether a 429 or 503 with Retry-After is followed by another attempt.
        reconnect: Whether a connection that can't be established is tried again.
    """

    method: str
    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_when_told: bool = False
    reconnect: bool = True


@dataclass(frozen=True)
class HttpAnswer:
    """An answer as it came, whatever its status.

    Attributes:
        status: HTTP status.
        reason: Text beside the status.
        headers: Response headers; names are case-insensitive.
        body: The whole body, decompressed.
        elapsed: Seconds between asking and having the whole answer.
        call: What was sent, without the credentials.
        retries: One line for every attempt that came before this answer.
        connection_reused: Whether the connection had served earlier requests, where known.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    elapsed: float
    call: HttpCall
    retries: tuple[str, ...] = ()
    connection_reused: bool | None = None

    def __repr__(self) -> str:
        # Robot logs what a keyword returns at level TRACE, and a body may echo a credential.
        return redact(
            f"<HTTP {self.status} {self.reason} to {self.call.method} {self.url}, "
            f"{len(self.body)} bytes>"
        )

    @property
    def url(self) -> str:
        """URL that was asked."""
        return self.call.url

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 show as U+FFFD."""
        return self.body.decode("utf-8", "replace")

    @property
    def content_type(self) -> str:
        """Media type in lower case without parameters, empty when there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


@dataclass
class _Progress:
    """How far an attempt came, so that a timeout can say what it interrupted."""

    doing: str = "getting a connection"
    connected: bool = False
    reused: bool = False
    status: int | None = None
    received: int = 0


class HttpClient:
    """Sends requests to one endpoint from an event loop in a thread of its own.

    Safe to call from several threads. Proxies come from ``HTTP_PROXY``, ``HTTPS_PROXY``,
    ``ALL_PROXY`` and ``NO_PROXY`` of the environment. An endpoint on the loopback interface
    never goes through a proxy, whose loopback is another machine's.

    Args:
        endpoint: The only origin that anything, credentials included, is sent to.
        credentials: Credentials to add to every request.
        verify: Whether the server's certificate is checked.
        ca_bundle: PEM file or folder with the certificate authorities to trust instead of the
            system's. Without it ``CA_BUNDLE``, ``REQUESTS_CA_BUNDLE`` and ``SSL_CERT_FILE`` of
            the environment are tried in this order.
        traced: Whether a timeout says which step of connecting it interrupted. Under load
            that is a fifth of what a request costs.

    Raises:
        ValueError: The CA bundle or the proxy can't be used.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        credentials: BackendCredentials | None = None,
        verify: bool = True,
        ca_bundle: str | None = None,
        traced: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials or BackendCredentials()
        self._proxy = find_proxy(endpoint)
        self._bundle = find_bundle(ca_bundle) if endpoint.is_tls and verify else None
        self._ssl = _ssl_context(self._bundle) if endpoint.is_tls and verify else verify
        self._traced = traced
        self._session: aiohttp.ClientSession | None = None
        self._fetching: asyncio.Future[dict[str, str]] | None = None
        self._loop = _LoopThread("http-client")

    @property
    def credentials(self) -> str:
        """Which credentials are sent, without their values."""
        return self._credentials.describe()

    @property
    def curl_options(self) -> tuple[str, ...]:
        """Options, quoted for a POSIX shell, that let curl reach the endpoint as this does.

        Secrets appear as the shell variables that hold them.
        """
        options = list(self._credentials.curl_options())
        if self._endpoint.is_tls and self._ssl is False:
            options.append("--insecure")
        if self._bundle:
            name = "--capath" if Path(self._bundle).is_dir() else "--cacert"
            options.append(f"{name} {shlex.quote(self._bundle)}")
        if self._proxy is None and urllib.request.getproxies_environment():
            options.append("--noproxy '*'")
        elif self._proxy and not self._endpoint.is_tls:
            # curl takes the proxy for http from the variable in lower case only.
            options.append('--proxy "${http_proxy:-$HTTP_PROXY}"')
        return tuple(options)

    def send(self, call: HttpCall, deadline: float) -> HttpAnswer:
        """Send one request and return its answer, whatever the status.

        Args:
            call: What to send.
            deadline: Seconds for everything: token, connecting, retries, the whole answer.

        Raises:
            PlatformFault: There was no complete answer.
        """
        return self.run(self.exchange(call, deadline), deadline)

    def send_all(
        self, calls: Sequence[HttpCall], deadline: float
    ) -> list[HttpAnswer | PlatformFault]:
        """Send all requests at once, each on a connection of its own, and await every answer.

        Args:
            calls: What to send.
            deadline: Seconds for each of them, counted from the common start.
        """

        async def guarded(call: HttpCall) -> HttpAnswer | PlatformFault:
            try:
                return await self.exchange(call, deadline)
            except PlatformFault as error:
                return error

        async def together() -> list[HttpAnswer | PlatformFault]:
            return list(await asyncio.gather(*map(guarded, calls)))

        return self.run(together(), deadline)

    def run(self, coroutine: Coroutine[Any, Any, T], patience: float) -> T:
        """Run a coroutine that awaits :meth:`exchange`, in the client's own event loop.

        It is cancelled when the caller is interrupted and when the client is closed.

        Args:
            coroutine: What to run.
            patience: Seconds within which it ends by itself.

        Raises:
            RuntimeError: The client is closed, or was closed meanwhile.
        """
        return self._loop.run(coroutine, patience + _GRACE)

    def close(self) -> None:
        """Close all connections and end the thread. Calls in flight are given up."""

        async def close_session() -> None:
            if self._session is not None:
                await self._session.close()

        self._loop.close(close_session)

    def authenticate(self, deadline: float) -> None:
        """Get the token that requests need, if any, so that the first one does not wait for it.

        Args:
            deadline: Seconds that it may take.

        Raises:
            PlatformFault: There is no token.
        """

        async def fetch() -> None:
            try:
                await _within(deadline, self._credential_headers({}))
            except asyncio.TimeoutError:
                progress = _Progress(doing="getting a token")
                raise self._timed_out(progress, deadline, ()) from None

        self.run(fetch(), deadline)

    async def exchange(self, call: HttpCall, deadline: float) -> HttpAnswer:
        """Do what :meth:`send` does, within a coroutine given to :meth:`run`."""
        progress = _Progress()
        retries: list[str] = []
        start = time.perf_counter()
        try:
            return await _within(deadline, self._attempt_all(call, deadline, progress, retries))
        except asyncio.TimeoutError:
            elapsed = time.perf_counter() - start
            raise self._timed_out(progress, elapsed, tuple(retries)) from None

    async def _attempt_all(
        self, call: HttpCall, deadline: float, progress: _Progress, retries: list[str]
    ) -> HttpAnswer:
        give_up = time.perf_counter() + deadline
        progress.doing = "getting a token"
        headers = {**call.headers, **await self._credential_headers(call.headers)}
        if self._traced:
            # Connections that the service has closed meanwhile are noticed before one is reused.
            # Under load the event loop never rests, and notices them anyway.
            await asyncio.sleep(0)
        start = time.perf_counter()
        while True:
            vars(progress).update(vars(_Progress()))
            if not self._traced:
                progress.doing = "getting an answer"
                # Unless a new connection needs a socket.
                progress.reused = True
                _UNTRACED.set(progress)
            try:
                answer = await self._attempt(call, headers, start, progress, tuple(retries))
            except Exception as error:
                elapsed = time.perf_counter() - start
                wait = _wait_before_reconnect(error, len(retries)) if call.reconnect else None
                if wait is None or time.perf_counter() + wait >= give_up:
                    raise self._fault(error, progress, elapsed, tuple(retries)) from error
                retries.append(f"{_say(error)}; tried again after {wait:g} s")
            else:
                wait = _wait_told(answer) if call.retry_when_told else None
                too_late = wait is not None and time.perf_counter() + wait >= give_up
                if wait is None or too_late or len(retries) >= _MOST_RETRIES:
                    return answer
                told = answer.headers["Retry-After"]
                retries.append(
                    f"HTTP {answer.status} with Retry-After: {told[:40]}; "
                    f"tried again after {wait:g} s"
                )
            progress.doing = "waiting to try again"
            await asyncio.sleep(wait)

    async def _attempt(
        self,
        call: HttpCall,
        headers: Mapping[str, str],
        start: float,
        progress: _Progress,
        retries: tuple[str, ...],
    ) -> HttpAnswer:
        async with self._open_session().request(
            call.method,
            call.url,
            data=call.body,
            headers=headers,
            skip_auto_headers=_ADDED_BY_AIOHTTP,
            allow_redirects=False,
            proxy=self._proxy,
            trace_request_ctx=progress,
        ) as response:
            progress.status = response.status
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                progress.received = len(body)
                if len(body) > _LONGEST_BODY:
                    raise _EndlessAnswer
            return HttpAnswer(
                status=response.status,
                reason=response.reason or "",
                headers=response.headers,
                body=bytes(body),
                elapsed=time.perf_counter() - start,
                call=call,
                retries=retries,
                connection_reused=progress.reused,
            )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    keepalive_timeout=_IDLE_LIMIT,
                    resolver=_Resolver(),
                    ssl=self._ssl,
                    socket_factory=None if self._traced else _new_socket,
                ),
                timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_LIMIT),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_tracing(self._endpoint.is_tls)] if self._traced else [],
            )
        return self._session

    async def _credential_headers(self, given: Mapping[str, str]) -> dict[str, str]:
        headers = self._credentials.ready_headers()
        if headers is None:
            headers = await self._fetch_headers()
        own = {name.lower() for name in given}
        return {name: value for name, value in headers.items() if name.lower() not in own}

    async def _fetch_headers(self) -> dict[str, str]:
        # One fetch serves all requests that wait for it, whether it succeeds or not.
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(_in_thread(self._credentials.fetch_headers))
        fetching = self._fetching
        try:
            return await asyncio.shield(fetching)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise fault(
                FaultKind.UNAUTHENTICATED,
                f"no token for {self._credentials.scope}: "
                f"{redact(describe_token_error(error))[:1000]}",
            ) from error
        finally:
            if fetching.done() and self._fetching is fetching:
                self._fetching = None

    def _timed_out(
        self, progress: _Progress, elapsed: float, retries: tuple[str, ...]
    ) -> PlatformFault:
        if progress.status is not None:
            detail = (
                f"HTTP {progress.status} began, then {progress.received} bytes of its body came "
                f"in {elapsed:.1f} s without an end"
            )
        elif progress.connected:
            detail = f"connected and sent, but no answer began within {elapsed:.1f} s"
        else:
            detail = f"{progress.doing} was not done after {elapsed:.1f} s"
        return self._new_fault(FaultKind.TIMEOUT, detail, elapsed, retries, progress.status)

    def _fault(
        self, error: Exception, progress: _Progress, elapsed: float, retries: tuple[str, ...]
    ) -> PlatformFault:
        if isinstance(error, PlatformFault):
            return error
        kind, detail = _classify(error, progress, self._endpoint)
        return self._new_fault(kind, detail, elapsed, retries, progress.status)

    def _new_fault(
        self,
        kind: FaultKind,
        detail: str,
        elapsed: float,
        retries: tuple[str, ...],
        status: int | None,
    ) -> PlatformFault:
        via = f" through the proxy {redact(self._proxy)}" if self._proxy else ""
        return fault(
            kind,
            f"{redact(detail)} ({self._endpoint.origin}{via})",
            status=status,
            elapsed=elapsed,
            retries=retries,
        )


_UNTRACED: ContextVar[_Progress] = ContextVar("untraced")


def _new_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make a socket, and note that the request under way could not reuse a connection."""
    _UNTRACED.get().reused = False
    family, kind, protocol, _, _ = address
    return socket.socket(family, kind, protocol)


class _EndlessAnswer(Exception):
    """The body is longer than any sensible answer."""


def _say(error: BaseException) -> str:
    """Put an error of the network into one line."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, OSError) and error.strerror:
        # asyncio wraps the system's text; the errno gives it back in plain words. Name look-ups
        # have numbers of their own, which are negative.
        number = error.errno or 0
        return (os.strerror(number) if number > 0 else error.strerror).strip().lower()
    return (str(error) or type(error).__name__).strip()


def _wait_before_reconnect(error: Exception, retries: int) -> float | None:
    if retries >= _MOST_RETRIES or not isinstance(error, aiohttp.ClientConnectorError):
        return None
    if isinstance(
        error, (aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError)
    ):
        return None
    temporary = getattr(socket, "EAI_AGAIN", None)
    if isinstance(error, aiohttp.ClientConnectorDNSError) and error.os_error.errno != temporary:
        return None
    return _WAITS_BEFORE_RECONNECT[retries]


def _wait_told(answer: HttpAnswer) -> float | None:
    told = answer.headers.get("Retry-After", "").strip()
    if answer.status not in (429, 503) or not told:
        return None
    with contextlib.suppress(ValueError):
        seconds = float(told)
        return seconds if 0 <= seconds < float("inf") else None
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - time.time())
    return None


def _classify(error: Exception, progress: _Progress, endpoint: Endpoint) -> tuple[FaultKind, str]:
    """Tell what an exception of the transport means."""
    said = _say(error)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return FaultKind.TIMEOUT, f"{progress.doing} was not done after {_CONNECT_LIMIT:g} s"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return FaultKind.NOTHING_LISTENING, f"the proxy can't be reached: {said}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        kind = FaultKind.UNAUTHENTICATED if error.status == 407 else FaultKind.NOTHING_LISTENING
        return kind, f"the proxy refused the tunnel with HTTP {error.status} {error.message}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FaultKind.NAME_NOT_RESOLVED, f"'{endpoint.host}': {said}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or said
        return FaultKind.TLS, f"the certificate was rejected: {reason}"
    if isinstance(error, (aiohttp.ClientConnectorSSLError, ssl.SSLError)):
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        reason = getattr(cause, "reason", None) or said
        return FaultKind.TLS, f"the TLS handshake failed: {reason}"
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, (ConnectionResetError, BrokenPipeError)):
            return FaultKind.CONNECTION_CUT, f"the connection was cut while it was set up: {said}"
        return FaultKind.NOTHING_LISTENING, said
    if isinstance(error, aiohttp.ClientPayloadError):
        if "content-encoding" in said:
            named = said.rpartition(":")[2].strip()
            return FaultKind.BAD_ANSWER, (
                f"the body is not encoded as Content-Encoding: {named} says"
            )
        return FaultKind.CONNECTION_CUT, (
            f"HTTP {progress.status} was cut off after {progress.received} bytes of its body"
        )
    if isinstance(error, aiohttp.ClientResponseError):
        return _classify_unreadable(error)
    if isinstance(error, _EndlessAnswer):
        limit = _LONGEST_BODY // 1024 // 1024
        return FaultKind.BAD_ANSWER, f"the body goes on after {limit} MiB; given up"
    if isinstance(error, (aiohttp.ClientConnectionError, ConnectionError)):
        if isinstance(error, aiohttp.ServerDisconnectedError) or "Can not write" in said:
            said = "closed by the other side"
        reuse = ", which had served earlier requests," if progress.reused else ""
        return FaultKind.CONNECTION_CUT, (
            f"the connection{reuse} was cut before an answer began: {said}"
        )
    return FaultKind.NOT_THE_API, f"{type(error).__name__}: {said}"


def _classify_unreadable(error: aiohttp.ClientResponseError) -> tuple[FaultKind, str]:
    # A TLS server answers plain text with an alert record: type 21, version 3.x.
    if "\\x15\\x03" in error.message:
        return FaultKind.TLS, "the service speaks TLS, but the endpoint's URL says http"
    # aiohttp marks what it could not read; when that is not the first byte, it comes after a
    # first answer that was readable.
    if error.message.startswith("Bad status") and error.message.rpartition("\n")[2].find("^") > 4:
        return FaultKind.BAD_ANSWER, "more bytes come after the body than Content-Length allows"
    said = " ".join(error.message.split())[:200]
    limit = re.match(r"Got more than (\d+) bytes", said)
    if limit:
        return FaultKind.BAD_ANSWER, f"a header is longer than {limit[1]} bytes; given up"
    if re.search(r"Content-Length|Transfer-Encoding|\bchunk", said.partition(" b'")[0]):
        return FaultKind.BAD_ANSWER, f"where the body ends can't be told: {said}"
    return FaultKind.NOT_THE_API, f"the answer is not HTTP: {said}"


def _tracing(is_tls: bool) -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    connecting = "connecting with the TLS handshake" if is_tls else "connecting"

    def on(signal: Any, change: Callable[[_Progress], None]) -> None:
        async def note(_session: object, context: Any, _parameters: object) -> None:
            change(context.trace_request_ctx)

        signal.append(note)

    def doing(what: str) -> Callable[[_Progress], None]:
        return lambda progress: setattr(progress, "doing", what)

    def connected(reused: bool) -> Callable[[_Progress], None]:
        return lambda progress: vars(progress).update(connected=True, reused=reused)

    on(trace.on_dns_resolvehost_start, doing("looking up the host name"))
    on(trace.on_dns_resolvehost_end, doing(connecting))
    on(trace.on_connection_create_start, doing(connecting))
    on(trace.on_connection_create_end, connected(reused=False))
    on(trace.on_connection_reuseconn, connected(reused=True))
    return trace


def find_proxy(endpoint: Endpoint) -> str | None:
    """Return the URL of the proxy that the environment names for an endpoint.

    Raises:
        ValueError: It is none that can be used.
    """
    if _is_loopback(endpoint.host):
        return None
    proxies = urllib.request.getproxies_environment()
    scheme = "https" if endpoint.is_tls else "http"
    proxy = proxies.get(scheme) or proxies.get("all")
    netloc = urlsplit(endpoint.origin).netloc
    # Typeshed does not know this function, which every Python has.
    exempt = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if not proxy or exempt(netloc, proxies):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        shown = redact(proxy)
        raise ValueError(
            f"the proxy {shown} of the environment is neither http nor https, which is all that "
            f"works here; set {scheme.upper()}_PROXY to such a proxy, or NO_PROXY={endpoint.host}"
        )
    return proxy


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def find_bundle(given: str | None) -> str | None:
    """Return the file or folder of authorities to trust; ``None`` for the system's own."""
    names = ("CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    return given or next(filter(None, map(os.environ.get, names)), None)


def _ssl_context(bundle: str | None) -> ssl.SSLContext:
    if not bundle:
        return ssl.create_default_context()
    try:
        if Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        reason = "it is no PEM file" if isinstance(error, ssl.SSLError) else _say(error)
        raise ValueError(
            f"the CA bundle '{bundle}' can't be used: {reason}; give a PEM file with the "
            "certificate authorities to trust as CA_BUNDLE (in the environment also "
            "REQUESTS_CA_BUNDLE or SSL_CERT_FILE)"
        ) from error


class _Resolver(AbstractResolver):
    """Looks names up in threads that nobody waits for.

    A look-up can't be interrupted; in a thread of asyncio's own pool it would hold up the
    end of the process long after the deadline.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await _in_thread(lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=entry_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for entry_family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def _within(seconds: float, work: Awaitable[T]) -> T:
    """Await something, for so long at most; as ``asyncio.wait_for``, without a task of its own.

    Under load that task is a tenth of what a request costs.

    Raises:
        asyncio.TimeoutError: It was not done in time and has been cancelled.
    """
    task = asyncio.current_task()
    assert task is not None
    over = False

    def give_up() -> None:
        nonlocal over
        over = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, give_up)
    cancelled_before = 0
    if sys.version_info >= (3, 11):
        cancelled_before = task.cancelling()
    try:
        return await work
    except asyncio.CancelledError:
        # Somebody else may have cancelled at the same moment, and must not be ignored.
        if not over or (sys.version_info >= (3, 11) and task.uncancel() > cancelled_before):
            raise
        raise asyncio.TimeoutError from None
    finally:
        timer.cancel()


async def _in_thread(function: Callable[[], T]) -> T:
    """Await a blocking call made in a daemon thread."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = function()
        except Exception as caught:
            error = caught
        # The loop is closed when the client went away in the meantime.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="http-client-blocking", daemon=True).start()
    return await done


class _LoopThread:
    """An event loop in a daemon thread, with a face for ordinary callers."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def run(self, coroutine: Coroutine[Any, Any, T], patience: float) -> T:
        """Run a coroutine in the loop and return its result.

        When the caller is interrupted, so is the coroutine.
        """
        if self._closed:
            coroutine.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(patience)
        except concurrent.futures.CancelledError:
            raise RuntimeError("the client was closed during the call") from None
        except BaseException:
            future.cancel()
            raise

    def close(self, clean_up: Callable[[], Awaitable[None]]) -> None:
        """Cancel what runs, clean up, and end the thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True

        async def wind_up() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await clean_up()

        ending = asyncio.run_coroutine_threadsafe(wind_up(), self._loop)
        with contextlib.suppress(concurrent.futures.TimeoutError):
            ending.result(_GRACE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GRACE)
        if not self._thread.is_alive():
            self._loop.close()
