"""The links of a session pool, asked directly and with this process's own identity."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from codewitness.execution.answers import read_runtimes
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.causes import Diagnosis
from codewitness.execution.credentials import (
    BackendCredentials,
    KeptTokens,
    describe_claims,
    read_claims,
)
from codewitness.execution.model import ExecutionRequest, ExecutionResult, PlatformFault
from codewitness.reporting.walk import Link, LinkState
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import SCOPE, fetch_token, judge_audience, judge_expiry
from codewitness.target.walk_findings import (
    BACKEND,
    BEHIND_BACKEND,
    CONTAINER,
    EXECUTION,
    EXECUTOR,
    FIELDS,
    FIELDS_FOUND,
    NO_PORT,
    POOL,
    PORT,
    ROLE,
    SESSION,
    SHAPE,
    TOKEN,
    WANTED,
    Broken,
    Finding,
    OutOfTime,
    asked_of_pool,
    broken_link,
    candidates_of,
    finding_in_pool,
    finding_of,
    judge_programs,
    new_link,
    out_of_time_at,
)

LINKS = (*BEHIND_BACKEND[1:], FIELDS, EXECUTION, EXECUTOR)
"""The links that a pool itself shows, in their order."""

_AGAIN_AFTER = 1.0
_STARTS_WITHIN = 6.0
# Of the time for a link, how much may pass in repeating what the gateway answers with 502.
_PART_FOR_STARTING = 0.4
# One, and others for when a request in it is cut off.
_MOST_SESSIONS = 3
# What web servers answer to a path, or a method there, that they do not have.
_NO_SUCH_ROUTE = (404, 405)
_REGIONAL = re.compile(r"/sessionPools/", re.IGNORECASE)
_BUILT_IN = Diagnosis(
    "this is the address of a built-in interpreter pool, which does not speak the Piston v2 API, "
    "or that of a custom-container pool by its regional host",
    "give a custom-container pool by its own host; walk the backend of a built-in pool alone",
    "R8",
)
_NO_ROUTE = Diagnosis(
    "the container does not have this route, and answers others",
    "compare the path with the routes of the adapter in the image; deploy changes under a new tag",
    "R3",
)
_NO_POOL = Diagnosis(
    "what answers at this address is no session pool: it is an execute API without a pool's "
    "management routes",
    "give the pool by the address that its definition shows, and a backend as ENDPOINT",
    "X4",
)
_NOT_VOUCHED = Diagnosis(
    "the pool's management route does not name the session of the program",
    "let this identity use /.management/getSession, which the role of the pool's users includes; "
    "compare the pool's address with the one that its definition shows",
    "X4",
)
_OTHER_ANSWERED = Diagnosis(
    "the pool knows no session of this identifier: something else answers at its address",
    "compare the pool's address with the one that its definition shows",
    "X4",
)


@dataclass(frozen=True)
class PoolAccess:
    """A pool, and who asks it.

    Attributes:
        url: Address of the pool, as it was given.
        executor: Caller of the pool.
        tokens: Tokens that the caller uses.
        verify: Whether certificates are checked.
        ca_bundle: PEM file with the certificate authorities to trust.
    """

    url: str
    executor: SessionPoolExecutor
    tokens: KeptTokens = field(repr=False)
    verify: bool = True
    ca_bundle: str | None = None

    @classmethod
    def to(
        cls, url: str, tokens: KeptTokens, *, deadline: float, verify: bool, ca_bundle: str | None
    ) -> PoolAccess:
        """Return access to a pool; its executor is for the caller to close."""
        executor = SessionPoolExecutor(
            url,
            run_id="walk",
            max_sessions=_MOST_SESSIONS,
            credentials=BackendCredentials(scope=SCOPE, token_source=tokens.fetch),
            deadline=deadline,
            verify=verify,
            ca_bundle=ca_bundle,
        )
        return cls(url, executor, tokens, verify, ca_bundle)

    def caller_without_token(self) -> BackendExecutor:
        """Return a client that asks the pool without saying who it is."""
        return BackendExecutor(self.url, verify=self.verify, ca_bundle=self.ca_bundle)


class PoolWalk:
    """Asks the links of a pool one after the other.

    Args:
        access: The pool, and who asks.
        left: Returns the seconds that the next question may take, or raises
            :class:`codewitness.target.walk_findings.OutOfTime`.
    """

    def __init__(self, access: PoolAccess, left: Callable[[], float]) -> None:
        self._access = access
        self._pool = access.executor
        self._left = left
        self._links: dict[str, Link] = {}
        self._token = "none"

    def walk(self) -> list[Link]:
        """Return the links up to the first broken one."""
        try:
            self._reach()
            self._check_token()
            self._ask_container()
            self._execute()
        except Broken as broken:
            self._note_broken(broken.finding)
        except OutOfTime:
            name = next(it for it in LINKS if it not in self._links)
            self._links[name] = broken_link(out_of_time_at(name))
        return [self._links[name] for name in WANTED if name in self._links]

    def _note_broken(self, finding: Finding) -> None:
        for name in finding.whole:
            self._pass(name, finding.asked, FIELDS_FOUND)
        for name in BEHIND_BACKEND[1:]:
            if name == finding.link:
                break
            self._pass(name, "", "the pool's answer shows that the request got beyond it")
        self._links[finding.link] = broken_link(finding)

    def _pass(self, name: str, asked: str, seen: str) -> None:
        self._links.setdefault(name, new_link(name, LinkState.PASSED, asked, seen))

    def _reach(self) -> None:
        url = self._access.url
        asked = f"GET {url}, without a token"
        with self._access.caller_without_token() as caller:
            try:
                answer = caller.exchange("GET", "/", deadline=self._left())
            except PlatformFault as fault:
                raise Broken(finding_of(POOL, asked, asked_of_pool(fault))) from fault
        open_to_all = " although no token was sent, which a pool asks for"
        self._pass(POOL, asked, f"HTTP {answer.status}{open_to_all * (answer.status < 300)}")

    def _check_token(self) -> None:
        asked = f"a token for {SCOPE}, of azure-identity"
        try:
            token = fetch_token(tokens=self._access.tokens, deadline=self._left()).token
        except PlatformFault as fault:
            raise Broken(finding_of(TOKEN, asked, fault)) from fault
        seen = self._token = describe_claims(token)
        claims = read_claims(token)
        if claims is not None:
            problem = judge_audience(claims) or judge_expiry(claims, now=time.time())
            if problem is not None:
                raise Broken(Finding(TOKEN, asked, seen, (problem,)))
        self._pass(TOKEN, asked, seen)

    def _ask_container(self) -> None:
        asked = f"GET {self._pool.base_url}runtimes?identifier=…"
        start = time.monotonic()
        patience = min(_STARTS_WITHIN, _PART_FOR_STARTING * self._left())
        waited = False
        while True:
            fault = self._fault_of_runtimes()
            starting = fault is not None and fault.status == 502
            if not starting or time.monotonic() - start > patience:
                break
            waited = True
            time.sleep(_AGAIN_AFTER)
        seconds = time.monotonic() - start
        if fault is not None:
            raise Broken(self._refused(asked, fault, seconds))
        after = f", after {seconds:.0f} s of HTTP 502: it was starting" if waited else ""
        self._ask_management()
        for name in (ROLE, SHAPE, PORT, SESSION):
            self._pass(name, asked, "the container's answer came back")
        self._pass(CONTAINER, asked, f"HTTP 200{after}")

    def _ask_management(self) -> None:
        """Tell a pool from what only speaks the API of its container.

        Asked only after a container's answer: a pool without a target port may have no route
        at all.
        """
        asked = "POST /.management/getSession?identifier=… of the same host"
        self._left()
        try:
            self._pool.get_session(self._pool.identifiers[-1])
        except PlatformFault as fault:
            if fault.status not in _NO_SUCH_ROUTE:
                return
            why = "what answers is no session pool"
            self._links[ROLE] = new_link(ROLE, LinkState.NOT_OBSERVABLE, "", why)
            seen = finding_of(SHAPE, asked, asked_of_pool(fault)).seen
            raise Broken(Finding(SHAPE, asked, seen, (_NO_POOL,))) from fault

    def _fault_of_runtimes(self) -> PlatformFault | None:
        try:
            answer = self._pool.exchange("GET", "runtimes", deadline=self._left())
            read_runtimes(answer, credentials=f"token for {SCOPE} ({self._token})")
        except PlatformFault as fault:
            return asked_of_pool(fault)
        return None

    def _refused(self, asked: str, fault: PlatformFault, seconds: float) -> Finding:
        finding = finding_in_pool(asked, fault)
        if fault.status == 502:
            told = f"{finding.seen}; still so after {seconds:.0f} s"
            return replace(finding, seen=told)
        if finding.link == SHAPE and _REGIONAL.search(self._access.url):
            return replace(finding, candidates=(_BUILT_IN,))
        if fault.status != 404:
            return finding
        others = [self._status_of(path) for path in ("/", "/api/v2/execute", f"/{_random_path()}")]
        seen = f"{finding.seen}; other paths: {', '.join(others)}"
        if all(it.endswith("HTTP 404") for it in others):
            return Finding(PORT, asked, seen, candidates_of(NO_PORT))
        return Finding(CONTAINER, asked, seen, (_NO_ROUTE,))

    def _status_of(self, path: str) -> str:
        try:
            answer = self._pool.exchange("GET", path, deadline=min(5.0, self._left()))
        except PlatformFault as fault:
            return f"{path} {fault.kind.value}"
        return f"{path} HTTP {answer.status}"

    def _execute(self) -> None:
        asked = "a program that prints a nonce, directly in the pool"

        def run(each: ExecutionRequest) -> ExecutionResult:
            return self._pool.execute(each, deadline=self._left())

        ran = judge_programs(run, asked)
        if isinstance(ran, Finding):
            link = CONTAINER if ran.link == BACKEND else ran.link
            raise Broken(replace(ran, link=link))
        self._pass(FIELDS, asked, FIELDS_FOUND)
        self._pass(EXECUTION, asked, ran.seen)
        told = ran.result.provenance
        asked = "the pool's management route, for the session of the program"
        if told.degraded:
            raise Broken(Finding(EXECUTOR, asked, told.degraded, (_OTHER_ANSWERED,)))
        notes = "; ".join(told.notes)
        if told.session is None:
            raise Broken(Finding(EXECUTOR, asked, notes, (_NOT_VOUCHED,)))
        self._pass(EXECUTOR, asked, f"session {told.session}; {notes}")


def _random_path() -> str:
    return f"walk-{secrets.token_hex(4)}"
