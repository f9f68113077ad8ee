"""The session pool behind the target, or that it is, as any caller of it sees it.

Nothing here needs more than Azure's contract gives: calls with an identifier, the management
routes, a token. So whatever is found is about that pool, wherever it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import quote, urlencode

from codewitness.execution.backend import encode_body
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.http_executor import ASKING, SENDING
from codewitness.execution.model import ExecutionRequest, FaultKind, PlatformFault, SourceFile
from codewitness.execution.piston import request_to_json
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import SCOPE
from codewitness.session_pool.identifiers import Lease, NoneFree, new_identifier
from codewitness.session_pool.management import API_VERSION, PoolSession

T = TypeVar("T")

# Management may lag behind the requests that it tells of.
_KNOWN_WITHIN = 5.0
_LOOK_AGAIN_AFTER = 0.25
# A pool refuses with 429 also while it warms up; a new session takes about 4 s in real ones.
_WARM_WITHIN = 10.0
_CALL_AGAIN_AFTER = 2.5
_NOT_SERVED = (401, 403, 429)


@dataclass(frozen=True)
class GivenCall:
    """One call of a session.

    Attributes:
        identifier: Whose session was called.
        request: What was to be executed.
        answer: What came, whatever its status.
        before: The session that the pool knew before, by its management.
        after: The one that it knew afterwards.
    """

    identifier: str
    request: ExecutionRequest
    answer: HttpAnswer
    before: PoolSession | None
    after: PoolSession | None

    @property
    def is_new(self) -> bool:
        """Whether a session was allocated for the call."""
        return self.after is not None and not self._same

    @property
    def is_reused(self) -> bool:
        """Whether the call met the session that was there."""
        return self.after is not None and self._same

    @property
    def _same(self) -> bool:
        return (
            self.before is not None
            and self.after is not None
            and self.before.created_at == self.after.created_at
        )


@dataclass(frozen=True)
class Filled:
    """What became of opening as many sessions as a run may.

    Attributes:
        held: Sessions of this run that the pool listed at the end of it.
        refusal: Answer to the identifier that got none; ``None`` when all got one.
    """

    held: int
    refusal: HttpAnswer | None


class GivenPool:
    """Calls a pool for users, each of whom has an identifier of the run.

    Args:
        pool: Caller of the pool, whose identifiers are lent for this.
    """

    def __init__(self, pool: SessionPoolExecutor) -> None:
        self._pool = pool
        self._leases: dict[str, Lease] = {}

    @property
    def name(self) -> str:
        """What it is and where, for people."""
        return self._pool.name

    @property
    def curl_options(self) -> tuple[str, ...]:
        """Options that let curl reach the pool as this does, without secrets."""
        return self._pool.curl_options

    def identifier(self, user: str) -> str:
        """Return the identifier of a user, whose session is none yet at the first time.

        Raises:
            NoneFree: The run may use no more sessions.
            PlatformFault: A session of the run had to make room, and could not be stopped.
        """
        if user not in self._leases:
            self._leases[user] = self._borrow()
        return self._leases[user].identifier

    def call(self, user: str, code: str, stdin: str = "") -> GivenCall:
        """Run a Python program in the session of a user.

        Raises:
            NoneFree: The run may use no more sessions.
            PlatformFault: There was no complete answer.
        """
        return self.call_together({user: code}, stdin)[0]

    def call_together(self, programs: Mapping[str, str], stdin: str = "") -> list[GivenCall]:
        """Run one Python program for each user, all at once.

        Raises:
            NoneFree: The run may use no more sessions.
            PlatformFault: There was no complete answer to one of them.
        """
        identifiers = [self.identifier(user) for user in programs]
        leases = [self._leases[user] for user in programs]
        requests = [_request(code, stdin) for code in programs.values()]
        before = [self._pool.get_session(it) for it in identifiers]
        with ThreadPoolExecutor(len(leases), "session") as threads:
            answers = list(threads.map(self._send, leases, requests))
        after = [self._note(it, answer) for it, answer in zip(leases, answers, strict=True)]
        return list(map(GivenCall, identifiers, requests, answers, before, after))

    def call_as(self, scope: str | None) -> HttpAnswer:
        """Ask for an execution with a token for another scope, or with none at all.

        Args:
            scope: What the token is good for; ``None`` sends no token.

        Raises:
            NoneFree: The run may use no more sessions.
            PlatformFault: There was no complete answer, or no such token (``UNAUTHENTICATED``).
        """
        lease = self._borrow()
        body = _body(_request("print(1)"))
        try:
            answer = self._pool.exchange_as(
                scope, "POST", _execute(lease.identifier), body=body, headers=SENDING
            )
            # A pool that serves whoever asks has opened a session.
            lease.opened = answer.status not in _NOT_SERVED
        except PlatformFault as fault:
            lease.opened = fault.kind is not FaultKind.UNAUTHENTICATED
            raise
        finally:
            self._end(lease)
        return answer

    def call_without_identifier(self) -> HttpAnswer:
        """Ask for an execution in nobody's session.

        Raises:
            PlatformFault: There was no complete answer.
        """
        body = _body(_request("print(1)"))
        return self._pool.exchange_as(SCOPE, "POST", "execute", body=body, headers=SENDING)

    def ask_about_nobody(self) -> HttpAnswer:
        """Ask the management about an identifier that nobody has used.

        Raises:
            PlatformFault: There was no complete answer.
        """
        return self._manage("getSession", new_identifier("nobody"))

    def ask_about(self, user: str) -> HttpAnswer:
        """Ask the management about the session of a user.

        Raises:
            PlatformFault: There was no complete answer.
        """
        return self._manage("getSession", self.identifier(user))

    def stop_session(self, user: str) -> HttpAnswer:
        """Ask the management to end the session of a user.

        Raises:
            PlatformFault: There was no complete answer.
        """
        return self._manage("stopSession", self.identifier(user))

    def session(self, user: str) -> PoolSession | None:
        """Return what the management knows of a user's session.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        return self._pool.get_session(self.identifier(user))

    def listed(self, user: str) -> list[str]:
        """Return the identifiers in the pool's list once a user's is among them, or time is up.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        wanted = self.identifier(user)
        return _until(
            lambda: [session.identifier for session in self._pool.list_sessions()],
            lambda listed: wanted in listed,
        )

    def wait_until_gone(self, user: str, within: float = _KNOWN_WITHIN) -> bool:
        """Tell whether the management knows no session of a user, or soon knows none.

        Args:
            user: Whose session it is.
            within: Seconds to wait for that.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        return _until(lambda: self.session(user) is None, bool, within)

    def cooldown(self, user: str) -> float | None:
        """Return the seconds that a user's session lives after its last request, where known.

        Raises:
            PlatformFault: The pool gave no answer of its management routes.
        """
        session = self.session(user)
        if session is None or session.expires_at is None or session.last_accessed_at is None:
            return None
        return (session.expires_at - session.last_accessed_at).total_seconds()

    def fill(self) -> Filled:
        """Open sessions until the pool refuses one, or the run may open no more; then stop them.

        Raises:
            PlatformFault: There was no complete answer.
        """
        self.close()
        opened: list[Lease] = []
        try:
            refusal = self._open_all(opened)
            listed = {session.identifier for session in self._pool.list_sessions()}
            return Filled(len(listed.intersection(self._pool.identifiers)), refusal)
        finally:
            for lease in opened:
                self._end(lease)

    def _open_all(self, opened: list[Lease]) -> HttpAnswer | None:
        while True:
            try:
                lease = self._pool.borrow()
            except NoneFree:
                return None
            if lease.opened:
                # What is left are sessions that other tests of the run hold.
                self._pool.give_back(lease, usable=True)
                return None
            opened.append(lease)
            answer = _until(
                partial(self._send, lease, _request("print(1)")),
                lambda answer: answer.status != 429,
                _WARM_WITHIN,
                _CALL_AGAIN_AFTER,
            )
            if answer.status != 200:
                return answer

    def close(self) -> None:
        """Stop the sessions of all users.

        What can't be stopped is left to the executor, which tries again when it is closed.
        """
        while self._leases:
            self._end(self._leases.popitem()[1])

    def _borrow(self) -> Lease:
        lease = self._pool.borrow()
        if lease.opened:
            try:
                self._pool.stop_session(lease.identifier)
            except PlatformFault:
                self._pool.give_back(lease, usable=False)
                raise
        return lease

    def _end(self, lease: Lease) -> None:
        stopped = not lease.opened
        if lease.opened:
            with suppress(PlatformFault):
                self._pool.stop_session(lease.identifier)
                stopped = True
        self._pool.give_back(lease, usable=stopped)

    def _send(self, lease: Lease, request: ExecutionRequest) -> HttpAnswer:
        known, lease.opened = lease.opened, True
        answer = self._pool.exchange(
            "POST", _execute(lease.identifier), body=_body(request), headers=SENDING
        )
        lease.opened = known or answer.status not in _NOT_SERVED
        return answer

    def _note(self, lease: Lease, answer: HttpAnswer) -> PoolSession | None:
        if answer.status in _NOT_SERVED:
            return None
        session = _until(
            lambda: self._pool.get_session(lease.identifier), lambda session: session is not None
        )
        if session is not None:
            lease.created_at = session.created_at
        return session

    def _manage(self, route: str, identifier: str) -> HttpAnswer:
        query = urlencode({"api-version": API_VERSION, "identifier": identifier})
        path = f"/.management/{route}?{query}"
        return self._pool.exchange("POST", path, body=b"", headers=ASKING)


def _request(code: str, stdin: str = "") -> ExecutionRequest:
    return ExecutionRequest("python", (SourceFile(code.encode()),), stdin=stdin.encode())


def _body(request: ExecutionRequest) -> bytes:
    return encode_body(request_to_json(request))


def _execute(identifier: str) -> str:
    return f"execute?identifier={quote(identifier, safe='')}"


def _until(
    ask: Callable[[], T],
    good: Callable[[T], bool],
    within: float = _KNOWN_WITHIN,
    pause: float = _LOOK_AGAIN_AFTER,
) -> T:
    """Ask until the answer is good, and return the last one."""
    deadline = time.monotonic() + within
    while True:
        answer = ask()
        if good(answer) or time.monotonic() >= deadline:
            return answer
        time.sleep(pause)
