"""Walking a deployment's chain from outside in, up to the first broken link.

The backend is asked as its callers ask it; what lies behind it shows in its answers, in what
it says of its pool, and in the pool's own list of sessions. Where the pool's address is known
and the backend's answers leave open which link is broken, the pool is asked directly.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin, urlsplit

from codewitness.execution.answers import read_runtimes
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.causes import Diagnosis
from codewitness.execution.credentials import (
    BackendCredentials,
    KeptTokens,
    TokenSource,
    default_tokens,
)
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
)
from codewitness.execution.piston import request_to_json
from codewitness.execution.redaction import redact
from codewitness.reporting.curl import curl_line
from codewitness.reporting.diagnosis import explain
from codewitness.reporting.walk import Link, LinkState, Walk
from codewitness.target.pool_walk import PoolAccess, PoolWalk
from codewitness.target.pool_witness import PoolWitness, Testimony
from codewitness.target.walk_findings import (
    BACKEND,
    BEHIND_BACKEND,
    CONNECTION,
    CONTAINER,
    EXECUTION,
    EXECUTOR,
    FIELDS,
    FIELDS_FOUND,
    LINK_OF_KIND,
    NAME,
    POOL,
    POOL_SETTING,
    PORT,
    ROLE,
    SESSION,
    SHAPE,
    TLS,
    TOKEN,
    WANTED,
    Broken,
    Executed,
    Finding,
    OutOfTime,
    asked_of_pool,
    broken_link,
    finding_of,
    finding_of_fallback,
    is_before,
    judge_programs,
    new_link,
    out_of_time_at,
    speaks_of_pool,
    success_request,
)

LINK_WITHIN = 15.0
"""Seconds that the answer about one link may take."""

WALK_WITHIN = 30.0
"""Seconds that a whole walk may take."""

# What the caller's own identity and the pool's management decide, whoever else gets through.
_OWN_ACCESS = (POOL, TOKEN, ROLE)
# Rows by which the pool itself refuses everybody. In others a container may have answered, which
# need not speak to others as it does to its backend.
_REFUSED_BY_POOL = {
    SHAPE: ("R7", "R8", "X4"),
    PORT: ("R1",),
    SESSION: ("C1", "C2", "C3", "C4"),
    CONTAINER: ("C7",),
}

_LONGEST_LOOK_UP = 3.0
_SERVER_WITHIN = 3.0
# What people repeat by hand need not be told from other programs.
_REPEATED = request_to_json(success_request("hello"))

_HANGS = (
    Diagnosis(
        "the container or its executor is busy with another request, as a single-process server is",
        "repeat alone; run a production server with several workers",
        "C9",
    ),
    Diagnosis(
        "the backend's call to what is behind it has no time limit",
        "set time limits on the backend's outgoing calls",
        "C9",
    ),
)


@dataclass(frozen=True)
class Deployment:
    """What is walked. One of the two addresses must be there.

    Attributes:
        endpoint: The backend: base URL, URL with a path prefix, or URL of the execute route.
        pool: Address of the custom-container session pool that is meant to be behind it.
        credentials: What the backend wants to see.
        token_source: Gets tokens for the pool; by default azure-identity as the environment
            chooses.
        witness: Tells whether a program runs in the pool, where whoever walks knows the pool
            in another way than by its address.
        verify: Whether certificates are checked.
        ca_bundle: PEM file with the certificate authorities to trust instead of the system's.
    """

    endpoint: str | None = None
    pool: str | None = None
    credentials: BackendCredentials = field(default_factory=BackendCredentials)
    token_source: TokenSource | None = field(default=None, repr=False)
    witness: Callable[[], Testimony] | None = field(default=None, repr=False)
    verify: bool = True
    ca_bundle: str | None = None

    @property
    def name(self) -> str:
        """The deployment with its addresses, for people."""
        parts = {"backend": self.endpoint, "session pool": self.pool}
        return ", ".join(f"{what} at {redact(url)}" for what, url in parts.items() if url)


def walk_deployment(
    deployment: Deployment, *, link_within: float = LINK_WITHIN, within: float = WALK_WITHIN
) -> Walk:
    """Look at one link after the other and stop at the first that is broken.

    Args:
        deployment: What to walk.
        link_within: Seconds for the answer about one link.
        within: Seconds for everything.

    Raises:
        ValueError: An address, the CA bundle or the proxy can't be used.
    """
    if not deployment.endpoint and not deployment.pool:
        raise ValueError("give the address of a backend, of its session pool, or of both")
    walker = _Walker(deployment, link_within, within)
    try:
        walk = walker.walk()
    finally:
        left_open = walker.close()
    return replace(walk, left_open=left_open)


class _Walker:
    def __init__(self, deployment: Deployment, link_within: float, within: float) -> None:
        self._deployment = deployment
        self._link_within = link_within
        self._start = time.monotonic()
        self._give_up = self._start + within
        self._links: dict[str, Link] = {}
        self._repeat = ""
        self._gives_sessions = True
        self._backend: BackendExecutor | None = None
        self._pool: PoolAccess | None = None
        if deployment.endpoint:
            self._backend = BackendExecutor(
                deployment.endpoint,
                credentials=deployment.credentials,
                deadline=link_within,
                verify=deployment.verify,
                ca_bundle=deployment.ca_bundle,
            )
        if deployment.pool:
            source = deployment.token_source
            self._pool = PoolAccess.to(
                deployment.pool,
                KeptTokens(source) if source else default_tokens(),
                deadline=link_within,
                verify=deployment.verify,
                ca_bundle=deployment.ca_bundle,
            )

    def close(self) -> tuple[str, ...]:
        """Close all connections and return the sessions that could not be stopped."""
        if self._backend is not None:
            self._backend.close()
        if self._pool is None:
            return ()
        self._pool.executor.close()
        return self._pool.executor.left_open if self._gives_sessions else ()

    # The walk

    def walk(self) -> Walk:
        try:
            self._walk()
        except Broken as broken:
            self._note_broken(broken.finding)
        except OutOfTime:
            name = next(name for name in WANTED if name not in self._links)
            self._note_broken(out_of_time_at(name))
        is_broken = any(link.state is LinkState.BROKEN for link in self._links.values())
        return Walk(
            [self._links.get(name) or self._not_asked(name) for name in WANTED],
            self._deployment.name,
            time.monotonic() - self._start,
            self._repeat if is_broken else "",
        )

    def _walk(self) -> None:
        if self._backend is None:
            assert self._pool is not None
            self._reach_pool(self._pool)
            self._note(self._walk_pool(self._pool))
            return
        self._reach_backend(self._backend)
        outcome = self._through(self._backend)
        if isinstance(outcome, Finding):
            self._explain_failure(outcome)
        else:
            self._explain_success(self._backend, outcome)

    # What is known of links

    def _passed(self, name: str, asked: str, seen: str) -> None:
        self._links[name] = new_link(name, LinkState.PASSED, asked, seen)

    def _unless_known(self, name: str, asked: str, seen: str) -> None:
        self._links.setdefault(name, new_link(name, LinkState.PASSED, asked, seen))

    def _unseen(self, name: str, why: str) -> None:
        self._links.setdefault(name, new_link(name, LinkState.NOT_OBSERVABLE, "", why))

    def _not_asked(self, name: str) -> Link:
        return new_link(name, LinkState.NOT_ASKED, "", "an earlier link is broken")

    def _note_broken(self, finding: Finding) -> None:
        for name in finding.whole:
            self._unless_known(name, finding.asked, FIELDS_FOUND)
        for name in WANTED:
            if name == finding.link:
                break
            self._unseen(name, "nothing that was asked shows it")
        self._links[finding.link] = broken_link(finding)
        later = list(WANTED)[list(WANTED).index(finding.link) + 1 :]
        for name in later:
            self._links.pop(name, None)

    def _note(self, links: Iterable[Link]) -> None:
        for link in links:
            self._links.setdefault(link.name, link)

    # Time

    def left(self) -> float:
        """Return the seconds that the next question may take.

        Raises:
            OutOfTime: There are none.
        """
        left = self._give_up - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return min(self._link_within, left)

    # The backend

    def _reach_backend(self, backend: BackendExecutor) -> None:
        host = _address(backend.base_url)[0]
        asked = f"GET {backend.base_url}runtimes"
        self._repeat = curl_line(
            f"{backend.base_url}runtimes", None, backend.curl_options, method="GET"
        )
        addresses = _look_up(host, min(_LONGEST_LOOK_UP, self.left()))
        try:
            answer = backend.exchange("GET", "runtimes", deadline=self.left())
        except PlatformFault as fault:
            raise Broken(self._no_answer(backend, fault, asked, addresses)) from fault
        self._pass_transport(backend.base_url, addresses)
        said = f"HTTP {answer.status} in {answer.elapsed:.2f} s"
        wrong = _fault_in(answer, self._deployment.credentials)
        if wrong is None or speaks_of_pool(wrong):
            self._passed(BACKEND, asked, said)
        else:
            # Whether programs are executed all the same decides.
            self._links[BACKEND] = new_link(BACKEND, LinkState.NOT_OBSERVABLE, asked, str(wrong))

    def _reach_pool(self, pool: PoolAccess) -> None:
        """Let the outermost links be the pool's own, where it is walked alone."""
        with pool.caller_without_token() as caller:
            asked = f"GET {pool.url}, without a token"
            self._repeat = curl_line(urljoin(caller.base_url, "/"), None, method="GET")
            addresses = _look_up(_address(pool.url)[0], min(_LONGEST_LOOK_UP, self.left()))
            try:
                caller.exchange("GET", "/", deadline=self.left())
            except PlatformFault as fault:
                link = _transport_link(fault)
                self._pass_until(link, pool.url, addresses)
                self._without_backend()
                raise Broken(finding_of(link or POOL, asked, asked_of_pool(fault))) from fault
        self._pass_transport(pool.url, addresses)
        self._without_backend()

    def _without_backend(self) -> None:
        for name in (BACKEND, POOL_SETTING):
            self._unseen(name, "no backend's address was given")

    def _pass_transport(self, url: str, addresses: Sequence[str]) -> None:
        host, port = _address(url)
        if addresses:
            self._passed(NAME, f"address of {host}", ", ".join(addresses))
        else:
            self._unseen(NAME, f"this machine does not know {host}, yet a proxy gets through")
        self._passed(CONNECTION, f"{host}, port {port}", "connected")
        if not url.startswith("https:"):
            self._unseen(TLS, "the address is plain http: there is nothing to look at")
        elif not self._deployment.verify:
            self._unseen(TLS, "VERIFY_TLS=false: the certificate was not looked at")
        else:
            self._passed(TLS, f"handshake with {host}", "the certificate is accepted")

    def _no_answer(
        self,
        backend: BackendExecutor,
        fault: PlatformFault,
        asked: str,
        addresses: Sequence[str],
    ) -> Finding:
        if fault.kind is FaultKind.UNAUTHENTICATED:
            # The token is fetched before anything is sent.
            return finding_of(BACKEND, asked, fault)
        broken = _transport_link(fault)
        self._pass_until(broken, backend.base_url, addresses)
        link = broken or BACKEND
        finding = finding_of(link, asked, fault)
        if link == BACKEND and fault.kind is FaultKind.TIMEOUT:
            with contextlib.suppress(PlatformFault):
                answer = backend.exchange("GET", "/", deadline=min(_SERVER_WITHIN, self.left()))
                told = (
                    f"; GET / is answered with HTTP {answer.status} in {answer.elapsed:.2f} s, so "
                    "the server lives and waits for something behind it"
                )
                finding = replace(finding, seen=finding.seen + told, candidates=_HANGS)
        return finding

    def _pass_until(self, broken: str | None, url: str, addresses: Sequence[str]) -> None:
        """Pass what comes before the link of a fault: host name, then connection."""
        host, port = _address(url)
        if broken != NAME and addresses:
            self._passed(NAME, f"address of {host}", ", ".join(addresses))
        if broken not in (NAME, CONNECTION):
            self._passed(CONNECTION, f"{host}, port {port}", "connected")

    def _through(self, backend: BackendExecutor) -> Executed | Finding:
        """Run two programs through the backend and judge what comes."""
        asked = f"POST {backend.execute_url}: a program that prints a nonce"
        self._repeat = curl_line(backend.execute_url, _REPEATED, backend.curl_options)

        def run(each: ExecutionRequest) -> ExecutionResult:
            return backend.execute(each, deadline=self.left())

        ran = judge_programs(run, asked)
        if isinstance(ran, Executed):
            self._passed(BACKEND, asked, f"HTTP 200 in {ran.result.elapsed:.2f} s")
        elif ran.link != BACKEND:
            self._passed(BACKEND, asked, "an answer of the execute API")
        elif ran.vague and self._links[BACKEND].state is LinkState.PASSED:
            return replace(ran, link=EXECUTION, candidates=_HANGS)
        return ran

    # Putting both sides together

    def _explain_failure(self, through: Finding) -> None:
        repeat = self._repeat
        direct = self._direct(through)
        found = next((link for link in direct if link.state is LinkState.BROKEN), None)
        if found is not None and through.vague and is_before(found.name, through.link):
            self._note(direct)
            told = f"{found.seen}; through the backend: {through.seen}"
            self._note_broken(Finding(found.name, found.asked, told, found.candidates))
            return
        self._repeat = repeat
        by_name = {link.name: link for link in direct}
        for name in BEHIND_BACKEND:
            if name == through.link:
                break
            own = by_name.get(name)
            if own is not None and own.state is LinkState.PASSED:
                self._note([own])
            elif through.link in BEHIND_BACKEND:
                self._passed(name, "", "the backend got beyond it, as its answer shows")
        own = found or by_name.get(through.link)
        seen = through.seen
        if own is not None:
            seen += f"; asked directly from here, '{own.name}' is {own.state.value}: {own.seen}"
        self._note_broken(replace(through, seen=seen))

    def _direct(self, through: Finding) -> list[Link]:
        if self._pool is None or through.link in (NAME, CONNECTION, TLS, BACKEND, EXECUTOR):
            return []
        return self._walk_pool(self._pool)

    def _walk_pool(self, pool: PoolAccess) -> list[Link]:
        self._repeat = curl_line(pool.executor.execute_url, _REPEATED, pool.executor.curl_options)
        links = PoolWalk(pool, self.left).walk()
        self._gives_sessions = not any(it.name == SHAPE and _is_refused(it) for it in links)
        return links

    def _explain_success(self, backend: BackendExecutor, ran: Executed) -> None:
        told = ran.result.provenance
        if told.degraded:
            self._explain_failure(finding_of_fallback(told.degraded, ran.asked))
            return
        testimony = self._testify(backend)
        proven = testimony is not None and testimony.in_pool
        named = told.session is not None and (testimony is None or testimony.in_pool is None)
        if proven or named:
            by = f"the answer's own word names session {told.session}"
            if testimony is not None:
                by = testimony.evidence if proven else f"{by}; {testimony.evidence}"
            for name in BEHIND_BACKEND:
                self._unless_known(name, ran.asked, f"the program ran in a session: {by}")
            self._passed(EXECUTOR, ran.asked, f"answered by {told.executor}; {by}")
        elif testimony is not None:
            self._explain_unproven(testimony)
        else:
            why = (
                f"answered by {told.executor}, which names no session; give the pool's address "
                "to have it asked"
            )
            for name in (*BEHIND_BACKEND, EXECUTOR):
                self._unseen(name, why)
        self._passed(FIELDS, ran.asked, FIELDS_FOUND)
        self._passed(EXECUTION, ran.asked, ran.seen)

    def _testify(self, backend: BackendExecutor) -> Testimony | None:
        if self._deployment.witness is not None:
            return self._deployment.witness()
        if self._pool is None:
            return None
        try:
            return PoolWitness(self._pool.executor).watch(
                lambda request: backend.execute(request, deadline=self.left())
            )
        except ExecutionError as error:
            return Testimony(None, f"a further program failed: {error}", explain(error))

    def _explain_unproven(self, testimony: Testimony) -> None:
        """Say what keeps a backend that answers from executing in the pool that was given.

        Raises:
            Broken: Something does, or nothing proves that it executes there.
        """
        maybe = "maybe " if testimony.in_pool is None else ""
        told = f"programs through the backend run all the same: {maybe}something else executes them"
        repeat = self._repeat
        self._unseen(POOL_SETTING, "the backend's answers do not name its pool")
        for link in self._walk_pool(self._pool) if self._pool else ():
            if link.name not in BEHIND_BACKEND:
                continue
            if link.state is not LinkState.BROKEN:
                self._note([link])
            elif link.name in _OWN_ACCESS or _is_refused(link):
                seen = f"{link.seen}; {told} (X4)"
                raise Broken(Finding(link.name, link.asked, seen, link.candidates))
            else:
                self._unseen(link.name, f"asked directly: {link.seen}")
        self._repeat = repeat
        for name in BEHIND_BACKEND:
            self._unseen(name, "the backend's programs did not show it")
        asked = "the pool's list of sessions, before and after a program through the backend"
        self._passed(FIELDS, asked, FIELDS_FOUND)
        self._passed(EXECUTION, asked, "the nonce came back")
        if testimony.in_pool is None and self._pool is None:
            self._unseen(EXECUTOR, testimony.verdict)
            return
        candidates = (testimony.diagnosis,) if testimony.diagnosis else ()
        raise Broken(Finding(EXECUTOR, asked, testimony.verdict, candidates))


def _fault_in(answer: HttpAnswer, credentials: BackendCredentials) -> PlatformFault | None:
    try:
        read_runtimes(answer, credentials=credentials.describe())
    except PlatformFault as fault:
        return fault
    return None


def _transport_link(fault: PlatformFault) -> str | None:
    """Return which of the three outermost links a fault breaks; ``None`` if it came after them."""
    if fault.kind is FaultKind.TIMEOUT and "was not done" in fault.detail:
        doing = {"looking up": NAME, "TLS handshake": TLS}
        return next((it for word, it in doing.items() if word in fault.detail), CONNECTION)
    return LINK_OF_KIND.get(fault.kind)


def _is_refused(link: Link) -> bool:
    """Tell whether a broken link shows a pool that refuses everybody."""
    return any(row in _REFUSED_BY_POOL.get(link.name, ()) for row in link.rows[:1])


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _look_up(host: str, within: float) -> list[str]:
    """Return a host's addresses; none where they can't be found in time."""
    found: list[str] = []

    def work() -> None:
        with contextlib.suppress(OSError):
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(info[4][0]) for info in infos))

    # A daemon, because a look-up can't be interrupted.
    thread = threading.Thread(target=work, name="look-up", daemon=True)
    thread.start()
    thread.join(within)
    return list(found)
