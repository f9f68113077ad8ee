"""The data plane of Azure's session pools: versions, names, refusals and documents.

Marks as in Azure's references say how sure a thing is: S specification, D documentation,
L reported from live use, C read from client packages, 1 one source only, ? unknown. What has no
mark is documented.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from codewitness.session_pool.lifecycle import PoolRules, SessionView, Timed

Kind = Literal["custom-container", "python", "shell"]
"""Kind of pool: a container of one's own, the built-in Python interpreter, or the built-in
shell."""

GENERATION_A = ("2024-02-02-preview", "2024-08-02-preview")
"""API versions of the built-in interpreter with bodies wrapped in ``properties``."""

GENERATION_B = ("2024-10-02-preview", "2025-02-02-preview", "2025-10-02-preview")
"""API versions with flat bodies (S)."""

API_VERSIONS = (*GENERATION_A, *GENERATION_B)
"""All API versions, oldest first."""

MANAGEMENT = "/.management/"
"""Where the path of a management operation begins."""

PAGE = 300
"""Sessions in one page of a list."""

COOLDOWN_BOUNDS = (300, 3600)
"""Least and greatest cooldown in seconds."""

MOST_SESSIONS = 600
"""Greatest maximum of a built-in pool."""

EXECUTION_LIMIT = 220.0
"""Seconds that the built-in interpreter works on one call."""

LONGEST_UPLOAD = 128 << 20
"""Bytes of an uploaded file."""

DATA_FOLDER = "/mnt/data"
"""Where the built-in interpreter keeps files."""

IdentifierRule = Literal["documentation", "specification"]

# The specification contradicts itself on the length: 1 to 256, and 4 to 128.
_IDENTIFIERS: Mapping[IdentifierRule, re.Pattern[str]] = {
    "documentation": re.compile(r"[A-Za-z0-9|\-&^%$#(){}\[\];<>]{4,128}"),
    "specification": re.compile(r"[A-Za-z0-9|\-&^%$#(){}\[\];<>_:./@+=!~*,' ?]{1,256}"),
}

FullForm = Literal["allocator", "flat", "not-found"]
"""How a full pool answers: 429 with the allocator's text (L), 429 with a flat body as reported
of built-in pools (1), or 404 as an older article says."""


@dataclass(frozen=True)
class Reply:
    """An answer of the gateway.

    Attributes:
        status: HTTP status.
        body: Text of the body.
        content_type: Media type of the body.
        headers: Further headers.
    """

    status: int
    body: str = ""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that the gateway answers itself, with an error.

    Attributes:
        reply: The answer.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"refused with HTTP {reply.status}")
        self.reply = reply


def document(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer in JSON."""
    return Reply(status, json.dumps(content), "application/json", headers or {})


def error(code: str, message: str, *, target: str | None = None, status: int = 400) -> Refused:
    """Return a refusal in the envelope of the specification; ``traceId`` comes live (L)."""
    content: dict[str, Any] = {"code": code, "message": message}
    if target is not None:
        content["target"] = target
    content |= {"details": [], "traceId": uuid.uuid4().hex}
    return Refused(document({"error": content}, status, {"x-ms-error-code": code}))


def invalid(target: str, message: str) -> Refused:
    """Return the refusal of a request whose identifier, version, path or method is wrong (L)."""
    return error("SessionRequestValidationFailed", message, target=target)


def not_supported(operation: str) -> Refused:
    """Return the refusal of an operation that this version or kind of pool lacks (L)."""
    return error("SessionRequestNotSupported", f"The request '{operation}' is not supported.")


def wrong_shape(message: str) -> Refused:
    """Return the refusal of a body made for another version or kind of pool (L)."""
    return error("SessionPropertiesMissing", message)


def no_shell(version: str) -> Refused:
    """Return the refusal of a command for a shell in an older version (1); the code is a guess."""
    return error(
        "SessionRequestNotSupported",
        f"Shell execution is not supported in API version '{version}'.",
    )


def not_found(what: str) -> Refused:
    """Return the refusal of something that is not there; live 404, its body unknown (?)."""
    return error("NotFound", f"{what} was not found.", status=404)


def no_such_session(identifier: str, pool: str) -> Refused:
    """Return what management says of an unknown or expired identifier: 400, not 404 (L)."""
    return error(
        "SessionWithIdentifierNotFound",
        f"Session with identifier '{identifier}' was not found in session pool '{pool}'.",
    )


def regional_host_not_allowed() -> Refused:
    """Return what a custom pool says when addressed as a built-in one (L, the status assumed)."""
    return error(
        "DynamicApisNotAllowed", "Dynamic APIs are not allowed for custom container session pools."
    )


def port_unset() -> Refused:
    """Return what every path of a custom pool without a target port gets (1)."""
    return Refused(document({"message": "Not Found"}, 404))


def not_listening() -> Refused:
    """Return the answer when the container does not (1); its body is unknown (?)."""
    return Refused(Reply(502))


def pool_full(identifier: str, pool: str, maximum: int, form: FullForm) -> Refused:
    """Return the refusal of a new identifier when none can be allocated."""
    if form == "allocator":
        return Refused(Reply(429, _allocator_text(identifier, pool)))
    if form == "not-found":
        return Refused(Reply(404))
    message = f"Session pool '{pool}' has already '{maximum}' active sessions."
    return Refused(document({"code": "SessionsCountExceedsLimit", "message": message}, 429))


def allocation_failed(identifier: str, pool: str) -> Refused:
    """Return the answer when an instance did not start (1)."""
    return Refused(Reply(500, _allocator_text(identifier, pool)))


def _allocator_text(identifier: str, pool: str) -> str:
    return f"Error happened when allocating pod for identifier {identifier} in pool {pool}"


def check_identifier(identifier: str | None, rule: IdentifierRule = "documentation") -> str:
    """Return the identifier of a request.

    Raises:
        Refused: There is none, or not one that a session may have.
    """
    if not identifier:
        raise invalid("identifier", "The required parameter 'identifier' is missing.")
    if not _IDENTIFIERS[rule].fullmatch(identifier):
        raise invalid("identifier", "The parameter 'identifier' is not valid.")
    return identifier


def check_api_version(version: str | None) -> str:
    """Return the API version of a request.

    Raises:
        Refused: There is none, or not one of the data plane's.
    """
    if not version:
        raise invalid("api-version", "The required parameter 'api-version' is missing.")
    if version not in API_VERSIONS:
        raise invalid("api-version", f"The api-version '{version}' is not supported.")
    return version


def check_skip(skip: str | None) -> int:
    """Return how many sessions a list leaves out at its beginning.

    Raises:
        Refused: It is not a number.
    """
    if skip is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", skip):
        raise invalid("skip", "The parameter 'skip' is not valid.")
    return int(skip)


def check_rules(rules: PoolRules, kind: Kind, *, refuses_ready_zero: bool = False) -> None:
    """Check a configuration as Azure does when a pool is created.

    Args:
        rules: Size and lifecycle.
        kind: Kind of the pool.
        refuses_ready_zero: Whether a custom-container pool must keep a session ready, as one
            report says (L, 1).

    Raises:
        ValueError: It would be refused; the message begins with Azure's code, where known.
    """
    least_ready = 1 if refuses_ready_zero else 0
    if kind == "custom-container" and not least_ready <= rules.ready < rules.maximum:
        # L, one source
        raise ValueError(
            "SessionPoolInvalidReadySessionInstances: a custom-container pool keeps at least "
            f"{least_ready} sessions ready and fewer than its maximum of {rules.maximum}, not "
            f"{rules.ready}"
        )
    if kind != "custom-container" and rules.maximum > MOST_SESSIONS:
        raise ValueError(f"a built-in pool has at most {MOST_SESSIONS} sessions")
    if isinstance(rules.lifecycle, Timed):
        least, greatest = COOLDOWN_BOUNDS
        if not least <= rules.lifecycle.cooldown <= greatest:
            raise ValueError(
                f"the cooldown must be {least} to {greatest} s, not {rules.lifecycle.cooldown:g}"
            )
    elif kind != "custom-container":
        raise ValueError("only custom-container pools end a session with its container")


def session_document(session: SessionView, kind: Kind) -> dict[str, str]:
    """Return a session as ``getSession`` and lists show it."""
    # A custom pool says expiresAt, where the specification says expireAt.
    expiry = "expiresAt" if kind == "custom-container" else "expireAt"
    state = f"{session.instance}/{session.last_accessed}"
    return {
        "identifier": session.identifier,
        "etag": str(uuid.uuid5(uuid.NAMESPACE_OID, state)),
        expiry: timestamp(session.expires),
        "createdAt": timestamp(session.created),
        "lastAccessedAt": timestamp(session.last_accessed),
    }


def session_page(
    sessions: Sequence[SessionView], skip: int, kind: Kind, next_link: str
) -> dict[str, Any]:
    """Return one page of the list of sessions.

    Args:
        sessions: All of them.
        skip: How many the pages before have shown.
        kind: Kind of the pool.
        next_link: Address of the next page, should there be one.
    """
    page = [session_document(session, kind) for session in sessions[skip : skip + PAGE]]
    link = next_link if len(sessions) > skip + PAGE else None
    if kind != "custom-container":
        return {"sessions": page, "nextLink": link}
    return {"value": page, "count": len(page), "nextLink": link}


def session_stopped(identifier: str, pool: str) -> Reply:
    """Return the answer of ``stopSession``."""
    return Reply(200, f"Session {identifier} in session pool {pool} stopped.")


def timestamp(moment: float) -> str:
    """Return a moment, in seconds since the epoch, as the data plane writes it."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="microseconds")
