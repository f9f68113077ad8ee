"""The catalogue of a session pool's faults: every way in which one may be broken on purpose.

Each takes one property away from an otherwise healthy pool: ``session-pool --fault <name>``, or a
run with ``-v FAULT:<name>``, whose private pools then have the fault, too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from codewitness.embedded import pool_spoiling, spoiling
from codewitness.embedded.pool_spoiling import MakePool, PoolSpoiling
from codewitness.embedded.service import POOL_FAULT
from codewitness.embedded.spoiling import Spoiler
from codewitness.session_pool.lifecycle import PoolRules, SessionView, Timed
from codewitness.session_pool.tokens import TokenRules


@dataclass(frozen=True)
class PoolFault:
    """One way to be broken.

    Attributes:
        name: What ``--fault`` takes.
        summary: What a broken pool does, in one line.
        group: The property's family.
        claimed_by: Name of the test that finds it, whose failure message must have the words.
        expect_words: Words of which the suite's failure message must contain all, in any case.
        spoiling: What breaks the pool.
        also_needs: Names of tests that must run before the claiming one, where a fault comes late.
        request_deadline: Seconds that a request need not take more than to find it; ``None``
            where it makes nobody wait.
    """

    name: str
    summary: str
    group: str
    claimed_by: str
    expect_words: tuple[str, ...]
    spoiling: PoolSpoiling
    also_needs: tuple[str, ...] = ()
    request_deadline: int | None = None


def find_pool_fault(name: str) -> PoolFault:
    """Return the fault of a name.

    Raises:
        LookupError: There is none; the message has the nearest names.
    """
    try:
        return POOL_FAULTS[name]
    except KeyError:
        near = difflib.get_close_matches(name, POOL_FAULTS, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise LookupError(f"no fault is called {name!r}: {hint}--list-faults has all") from None


def _authentication() -> list[PoolFault]:
    def fault(
        name: str, summary: str, claimed_by: str, *words: str, spoiling: PoolSpoiling
    ) -> PoolFault:
        return PoolFault(POOL_FAULT + name, summary, "authentication", claimed_by, words, spoiling)

    def lax(tokens: Callable[[TokenRules], TokenRules]) -> PoolSpoiling:
        return PoolSpoiling(tokens=tokens)

    def let_in(about: bool) -> PoolSpoiling:
        when = pool_spoiling.letting_in(lambda it: pool_spoiling.is_about(it) is about)
        return PoolSpoiling(middleware=when)

    closed = "No Session Is Open To A Caller Without A Token"
    return [
        fault(
            "no-token-accepted",
            "lets callers in who have no token",
            "Caller Without A Token Is Refused",
            "401",
            "there is no token",
            spoiling=lax(lambda it: replace(it, required=False)),
        ),
        fault(
            "expired-tokens-accepted",
            "lets callers in whose token has expired",
            "Expired Token Is Refused",
            "401",
            "expired",
            spoiling=lax(lambda it: replace(it, check_expiry=False)),
        ),
        fault(
            "any-audience-accepted",
            "takes tokens that are for another service",
            "Token For Another Audience Is Refused",
            "401",
            "audience",
            spoiling=lax(lambda it: replace(it, audience=None)),
        ),
        fault(
            "signature-unchecked",
            "takes tokens that anybody has signed",
            "Forged Token Is Refused",
            "401",
            "another key",
            spoiling=lax(lambda it: replace(it, key=None)),
        ),
        fault(
            "role-unchecked",
            "lets identities in that have no role on it",
            "Identity Without The Role Is Refused",
            "403",
            "role",
            spoiling=lax(lambda it: replace(it, role=None)),
        ),
        fault(
            "missing-role-as-401",
            "answers 401 to identities that have no role on it",
            "Identity Without The Role Is Refused",
            "403",
            "role",
            spoiling=PoolSpoiling(middleware=pool_spoiling.other_status({403: 401})),
        ),
        fault(
            "refusal-as-500",
            "answers 500 to callers without a token, as one that can't read it does",
            "Caller Without A Token Is Refused",
            "401",
            "there is no token",
            spoiling=PoolSpoiling(middleware=pool_spoiling.other_status({401: 500})),
        ),
        fault(
            "open-once-served",
            "lets callers without a token in once it has served one with a token",
            closed,
            "401",
            spoiling=let_in(about=False),
        ),
        fault(
            "management-open",
            "lets callers without a token list, describe and stop sessions",
            closed,
            "401",
            spoiling=let_in(about=True),
        ),
        fault(
            "token-handed-on",
            "sends the caller's token to the container",
            "Token Does Not Reach The Container",
            "authorization",
            spoiling=PoolSpoiling(keeps_authorization=True),
        ),
    ]


def _identifiers() -> list[PoolFault]:
    alike = "Identifiers That Look Alike Have Sessions Of Their Own"
    throughout = "Users Meet Their Own Sessions Throughout"

    def fault(
        name: str, summary: str, claimed_by: str, spoiling: PoolSpoiling, *words: str
    ) -> PoolFault:
        return PoolFault(
            POOL_FAULT + name, summary, "identifiers", claimed_by, words or ("session",), spoiling
        )

    def through(middleware: pool_spoiling.MakeMiddleware) -> PoolSpoiling:
        return PoolSpoiling(middleware=middleware)

    def other_than(identifier: str, known: Sequence[str]) -> str:
        return next((it for it in reversed(known) if it != identifier), identifier)

    one_in_50 = spoiling.one_in(50)

    def other_one_in_50(number: int, identifier: str, known: Sequence[str]) -> str:
        return other_than(identifier, known) if one_in_50(number) else identifier

    def anew_from_60(number: int, identifier: str, _known: Sequence[str]) -> str:
        return identifier if number < 60 else f"{identifier}-{number}"

    def second_forgets(number: int, identifier: str, known: Sequence[str]) -> str:
        is_second = len(known) > 1 and identifier == known[1]
        return f"{identifier}-{number}" if is_second else identifier

    def shared_files(_number: int, _identifier: str, known: Sequence[str]) -> str:
        return known[0]

    return [
        fault(
            "identifier-case-folded",
            "takes identifiers for the same that differ in case",
            alike,
            through(pool_spoiling.renamed(str.lower)),
        ),
        fault(
            "identifier-cut",
            "takes identifiers for the same that begin with the same 32 characters",
            alike,
            through(pool_spoiling.renamed(lambda it: it[:32])),
        ),
        fault(
            "longest-identifier-refused",
            "refuses identifiers of 128 characters, which are the longest",
            "Longest Identifier Has A Session",
            through(pool_spoiling.renamed(lambda it: f"{it}+" if len(it) == 128 else it)),
            "400",
        ),
        fault(
            "identifier-punctuation-dropped",
            "takes identifiers for the same that differ in hyphens, dots and underscores",
            alike,
            through(pool_spoiling.renamed(lambda it: re.sub(r"[^A-Za-z0-9]", "", it))),
        ),
        fault(
            "one-session-for-all",
            "serves every identifier in the same session",
            "Every Identifier Has A Session Of Its Own",
            through(pool_spoiling.renamed(lambda _: "everybody")),
        ),
        fault(
            "instance-given-twice",
            "gives every other instance to two identifiers",
            throughout,
            PoolSpoiling(instances=pool_spoiling.EveryOtherIsTheOneBefore),
            "own",
        ),
        fault(
            "1-in-50-in-another-session",
            "serves one request in fifty in another user's session",
            throughout,
            through(pool_spoiling.rerouted(other_one_in_50)),
            "own",
        ),
        fault(
            "after-60-forgets",
            "gives every request a session of its own from request 61 on",
            throughout,
            through(pool_spoiling.rerouted(anew_from_60)),
        ),
        fault(
            "second-identifier-forgets",
            "gives every request of the second identifier a session of its own",
            throughout,
            through(pool_spoiling.rerouted(second_forgets)),
        ),
        fault(
            "simultaneous-exchanged",
            "exchanges the sessions of two requests that come at the same time",
            "Users Meet Their Own Sessions At The Same Time",
            through(pool_spoiling.swapping),
            "own",
        ),
        fault(
            "files-of-the-first",
            "keeps everybody's files in the first identifier's session",
            "Files Of Two Sessions Are Apart",
            through(pool_spoiling.rerouted(shared_files, within="/files")),
            "file",
        ),
    ]


def _lifecycle() -> list[PoolFault]:
    def fault(
        name: str, summary: str, claimed_by: str, lifecycle: MakePool, *words: str
    ) -> PoolFault:
        spoiled = PoolSpoiling(lifecycle=lifecycle)
        return PoolFault(
            POOL_FAULT + name, summary, "lifecycle", claimed_by, words or ("session",), spoiled
        )

    def halved(rules: PoolRules) -> PoolRules:
        if isinstance(rules.lifecycle, Timed):
            return replace(rules, lifecycle=Timed(rules.lifecycle.cooldown / 2))
        return rules

    return [
        fault(
            "session-never-ends",
            "keeps sessions whose cooldown is over",
            "Session Is Gone After Its Cooldown",
            pool_spoiling.NeverEnding,
        ),
        fault(
            "session-ends-early",
            "ends sessions after half of their cooldown",
            "Session Is Reused Within Its Cooldown",
            pool_spoiling.other_rules(halved),
        ),
        fault(
            "cooldown-not-restarted",
            "counts the cooldown from a session's first call",
            "Each Call Restarts The Cooldown",
            pool_spoiling.NotRestarted,
        ),
        fault(
            "session-has-a-greatest-age",
            "ends sessions three cooldowns after their first call, however much they are used",
            "Session That Is Used Again And Again Goes On",
            pool_spoiling.EndsOldSessions,
        ),
        fault(
            "cooldown-restarted-by-looking",
            "restarts the cooldown of a session that is only asked about",
            "Looking At A Session Does Not Keep It",
            pool_spoiling.KeptByLooks,
        ),
        fault(
            "busy-sessions-end",
            "ends sessions at their cooldown while a program runs in them",
            "Slow Execution Keeps Its Session",
            pool_spoiling.EndsBusySessions,
        ),
        fault(
            "stop-does-nothing",
            "says that it stopped a session, which goes on",
            "Stop Call Ends A Session At Once",
            pool_spoiling.DeafToStop,
        ),
        fault(
            "stop-ends-all",
            "ends every session when one is to be stopped",
            "Stop Call Ends No Other Session",
            pool_spoiling.StopsAll,
        ),
        fault(
            "recycled-after-stop",
            "gives the instance of a stopped session to the next identifier",
            "Data Of A Stopped Session Does Not Pass To The Next Users",
            pool_spoiling.recycling("request"),
            "data",
        ),
        fault(
            "recycled-after-cooldown",
            "gives the instance of a session that cooled down to the next identifier",
            "Data Of A Session That Cooled Down Never Comes Back",
            pool_spoiling.recycling("cooldown"),
            "data",
        ),
        fault(
            "stock-unused",
            "starts an instance for every identifier, although others are ready",
            "With A Ready Session The First Call Does Not Wait",
            pool_spoiling.StockUnused,
            "first call",
        ),
        PoolFault(
            POOL_FAULT + "containers-survive",
            "lets containers go on whose session has ended",
            "lifecycle",
            "Container Of A Stopped Session Is Gone",
            ("container", "gone"),
            PoolSpoiling(instances=pool_spoiling.Surviving),
        ),
    ]


def _management() -> list[PoolFault]:
    listed = "Pool Lists The Sessions That It Holds And No Others"
    used = "Session Tells When It Was Used Last"
    unknown = "Stop Call For An Unknown Identifier Is Refused"

    def fault(
        name: str, summary: str, spoiled: PoolSpoiling, claimed_by: str, *words: str
    ) -> PoolFault:
        return PoolFault(POOL_FAULT + name, summary, "management", claimed_by, words, spoiled)

    def through(middleware: pool_spoiling.MakeMiddleware) -> PoolSpoiling:
        return PoolSpoiling(middleware=middleware)

    def invented(sessions: list[pool_spoiling.Told]) -> list[pool_spoiling.Told]:
        return [*sessions, *({**it, "identifier": f"{it['identifier']}-2"} for it in sessions[:1])]

    def without_end(session: pool_spoiling.Told) -> pool_spoiling.Told:
        return {name: it for name, it in session.items() if name not in ("expiresAt", "expireAt")}

    def without_result(told: pool_spoiling.Told) -> pool_spoiling.Told:
        kept = {name: it for name, it in told["properties"].items() if name != "result"}
        return {**told, "properties": kept}

    def told_as_created(session: SessionView) -> SessionView:
        return replace(session, last_accessed=session.created)

    def created_when_used(session: SessionView) -> SessionView:
        return replace(session, created=session.last_accessed)

    def end_not_moved(session: SessionView) -> SessionView:
        return replace(session, expires=session.created + session.expires - session.last_accessed)

    def seen(change: pool_spoiling.ChangeView) -> PoolSpoiling:
        return PoolSpoiling(lifecycle=pool_spoiling.other_view(change))

    return [
        fault(
            "list-empty",
            "lists no session",
            through(pool_spoiling.other_list(lambda _: [])),
            listed,
            "list of sessions",
        ),
        fault(
            "list-lacks-newest",
            "leaves the newest session out of its list",
            through(pool_spoiling.other_list(lambda it: it[:-1])),
            listed,
            "list of sessions",
        ),
        fault(
            "list-invents",
            "lists a session that it does not have",
            through(pool_spoiling.other_list(invented)),
            listed,
            "list of sessions",
        ),
        fault(
            "last-accessed-not-moved",
            "tells the first call of a session as its last",
            seen(told_as_created),
            used,
            "lastAccessedAt",
        ),
        fault(
            "created-moves",
            "tells the last call of a session as its beginning",
            seen(created_when_used),
            used,
            "createdAt",
        ),
        fault(
            "end-not-moved",
            "tells the end that a session would have had without its later calls",
            seen(end_not_moved),
            used,
            "expiresAt",
        ),
        fault(
            "end-not-told",
            "leaves out when a session ends",
            through(pool_spoiling.other_sessions(without_end)),
            "Session Tells When It Ends",
            "expiresAt",
        ),
        fault(
            "unknown-session-stopped",
            "says that it stopped the session of an identifier that has none",
            through(pool_spoiling.answering_instead(200, "Session stopped.", _is_stop_of_nobody)),
            unknown,
            "400",
        ),
        fault(
            "unknown-session-404",
            "answers 404 to a call about an identifier that has no session",
            through(pool_spoiling.other_status({400: 404})),
            unknown,
            "400",
        ),
        fault(
            "result-left-out",
            "leaves the program's result out of its answers of the older generation",
            through(
                pool_spoiling.other_document(
                    without_result, lambda it: it.path.endswith("/code/execute")
                )
            ),
            "Older Operation Tells What A Program Did",
            "result",
        ),
        fault(
            "files-not-deleted",
            "says that it deleted a file, and keeps it",
            through(pool_spoiling.answering_instead(204, "", _deletes_file)),
            "Deleted File Is Gone",
            "file",
        ),
    ]


def _is_stop_of_nobody(request: web.Request) -> bool:
    is_stop = pool_spoiling.operation_of(request) == "stopSession"
    return is_stop and request.query.get("identifier", "").startswith("nobody")


def _deletes_file(request: web.Request) -> bool:
    return request.method == "DELETE" and "/files/" in request.path


def _capacity() -> list[PoolFault]:
    refused = "Identifier Beyond The Maximum Is Refused And Diagnosed"
    known = "Full Pool Still Serves Those Who Have A Session"

    def fault(
        name: str, summary: str, spoiled: PoolSpoiling, claimed_by: str, *words: str
    ) -> PoolFault:
        return PoolFault(POOL_FAULT + name, summary, "capacity", claimed_by, words, spoiled)

    def by(lifecycle: MakePool) -> PoolSpoiling:
        return PoolSpoiling(lifecycle=lifecycle)

    def status(becomes: int) -> PoolSpoiling:
        return PoolSpoiling(middleware=pool_spoiling.other_status({429: becomes}))

    def larger(by: int) -> MakePool:
        return pool_spoiling.other_rules(lambda it: replace(it, maximum=it.maximum + by))

    return [
        fault(
            "maximum-ignored",
            "gives sessions to more identifiers than it may have",
            by(larger(by=100)),
            refused,
            "429",
        ),
        fault(
            "maximum-raised-by-the-stock",
            "gives a session more than it may where several instances are kept ready",
            by(
                pool_spoiling.other_rules(
                    lambda it: replace(it, maximum=it.maximum + (it.ready > 1))
                )
            ),
            "Ready Sessions Do Not Raise The Maximum",
            "429",
        ),
        fault(
            "maximum-off-by-one",
            "has one session more than it may have",
            by(larger(by=1)),
            refused,
            "429",
        ),
        fault("full-as-503", "answers 503 when it is full", status(503), refused, "429"),
        fault("full-as-200", "answers 200 when it is full", status(200), refused, "429"),
        fault(
            "full-evicts",
            "ends the oldest session for a new identifier when it is full",
            by(pool_spoiling.Evicting),
            refused,
            "429",
        ),
        fault(
            "full-refuses-all",
            "refuses those who have a session, too, when it is full",
            by(pool_spoiling.RefusesAllWhenFull),
            known,
            "429",
        ),
        fault(
            "stopped-sessions-count",
            "counts stopped sessions among those that it may have",
            by(pool_spoiling.LosesRoom),
            "Stopped Session Makes Room At Once",
            "429",
        ),
    ]


def _containers() -> list[PoolFault]:
    def fault(name: str, summary: str, spoiler: Spoiler, claimed_by: str) -> PoolFault:
        spoiled = PoolSpoiling(executor=spoiler)
        return PoolFault(POOL_FAULT + name, summary, "bodies", claimed_by, ("differ",), spoiled)

    return [
        fault(
            "large-input-cut",
            "hands on the first 64 Ki characters of a program's input",
            spoiling.changed_stdin(lambda it: it[:65536]),
            "Large Input Comes Back Byte For Byte",
        ),
        fault(
            "large-output-cut",
            "hands on the first 64 KiB of a program's output",
            spoiling.changed_stdout(lambda it: it[:65536]),
            "Large Output Arrives Byte For Byte",
        ),
    ]


POOL_FAULTS: Mapping[str, PoolFault] = {
    fault.name: fault
    for fault in (
        *_authentication(), *_identifiers(), *_lifecycle(), *_management(), *_capacity(),
        *_containers(),
    )
}  # fmt: skip
"""All faults by name."""
