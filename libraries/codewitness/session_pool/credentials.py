"""What a session pool wants of its caller's token, and how to get one and judge it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from codewitness.execution.causes import Diagnosis, fault
from codewitness.execution.credentials import (
    IDENTITY_PREFIXES,
    AccessToken,
    KeptTokens,
    default_tokens,
)
from codewitness.execution.model import FaultKind
from codewitness.execution.redaction import redact
from codewitness.execution.token_errors import describe_token_error

AUDIENCE = "https://dynamicsessions.io"
"""Audience (``aud``) that a token for session pools must have."""

SCOPE = f"{AUDIENCE}/.default"
"""Scope to ask a token for."""

EXECUTOR_ROLE = "Azure ContainerApps Session Executor"
"""Role that an identity needs on a pool to use its sessions."""

# azure-identity alone would go on for more than a minute where packets are dropped.
_FETCH_WITHIN = 30.0


def fetch_token(
    scope: str = SCOPE, *, tokens: KeptTokens | None = None, deadline: float = _FETCH_WITHIN
) -> AccessToken:
    """Get a token, or the one that was got before while it is good for use.

    Args:
        scope: What the token shall be good for.
        tokens: Where from; by default from azure-identity, as its variables choose.
        deadline: Seconds to wait.

    Raises:
        PlatformFault: There is no token. Its cause and cure are those of what azure-identity
            said about the credential that this environment is meant to use.
    """
    tokens = tokens or default_tokens()
    outcome: list[AccessToken | Exception] = []

    def fetch() -> None:
        try:
            outcome.append(tokens.fetch(scope))
        except Exception as error:
            outcome.append(error)

    start = time.perf_counter()
    # A daemon, because azure-identity can't be interrupted.
    thread = threading.Thread(target=fetch, name="token", daemon=True)
    thread.start()
    thread.join(deadline)
    elapsed = time.perf_counter() - start
    if not outcome:
        detail = f"no token for {scope}: azure-identity timed out after {elapsed:.0f} s"
        raise fault(FaultKind.UNAUTHENTICATED, detail, elapsed=elapsed)
    if isinstance(outcome[0], Exception):
        said = redact(describe_token_error(outcome[0]))
        detail = f"no token for {scope}: {said}"[:2000]
        raise fault(FaultKind.UNAUTHENTICATED, detail, elapsed=elapsed) from outcome[0]
    return outcome[0]


def judge_audience(claims: Mapping[str, Any], audience: str = AUDIENCE) -> Diagnosis | None:
    """Tell what is wrong with the audience of a token, or ``None``."""
    found = claims.get("aud")
    if found == audience or (isinstance(found, list) and audience in found):
        return None
    shown = f"'{found}'" if found else "missing"
    return Diagnosis(
        f"the token is for another audience: aud is {shown}, and session pools want '{audience}'",
        f"ask for the scope {audience}/.default",
        "I1",
    )


def judge_expiry(
    claims: Mapping[str, Any], *, now: float, at_least: float = 0.0
) -> Diagnosis | None:
    """Tell whether a token has expired, or will too soon; ``None`` when it has not.

    Args:
        claims: What the token claims.
        now: Seconds since the epoch.
        at_least: Seconds that the token must still be valid.
    """
    expiry = claims.get("exp")
    if isinstance(expiry, bool) or not isinstance(expiry, (int, float)):
        return Diagnosis("the token claims no expiry (exp)", "look at what issued it", "I2")
    left = expiry - now
    if left <= 0:
        return Diagnosis(
            f"the token expired {-left:.0f} s ago",
            "fetch a new one through the credential instead of keeping tokens, and check the clock",
            "I2",
        )
    if left < at_least:
        return Diagnosis(
            f"the token expires in {left:.0f} s, and {at_least:.0f} s are wanted",
            "fetch a new one through the credential instead of keeping tokens",
            "I2",
        )
    return None


def judge_role(claims: Mapping[str, Any], role: str = EXECUTOR_ROLE) -> Diagnosis | None:
    """Tell whether a token that lists roles lacks the one that a pool demands.

    Azure itself keeps this role at the pool; a token without a list says nothing about it.
    """
    roles = claims.get("roles")
    if not isinstance(roles, Sequence) or isinstance(roles, str) or role in roles:
        return None
    listed = ", ".join(map(str, roles)) or "none"
    return Diagnosis(
        f"the identity {claims.get('oid', 'without oid')} lacks the role {role}; it has {listed}",
        "give it the role on the pool and wait up to 5 minutes",
        "I3",
    )


def client_environment(
    variables: Mapping[str, str], environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a process that shall get its tokens in one way and no other.

    Args:
        variables: What leads to the identity service, such as
            :meth:`codewitness.embedded.identity.IdentityService.environment`. Hosts in NO_PROXY
            are added to those that are exempt already.
        environ: Environment to begin with, by default the process's own.
    """
    environ = os.environ if environ is None else environ
    kept = {name: it for name, it in environ.items() if not name.startswith(IDENTITY_PREFIXES)}
    exempt = {
        name: ",".join(filter(None, (kept.get(name), variables[name])))
        for name in ("NO_PROXY", "no_proxy")
        if name in variables
    }
    return kept | dict(variables) | exempt


def chosen_credential(environ: Mapping[str, str] | None = None) -> str:
    """Say which credential azure-identity is told to use, for people."""
    named = (os.environ if environ is None else environ).get("AZURE_TOKEN_CREDENTIALS", "").strip()
    if named:
        return f"AZURE_TOKEN_CREDENTIALS={named}"
    return "every credential in turn, because AZURE_TOKEN_CREDENTIALS is not set"
