"""Keywords about the token that a session pool wants to see."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NoReturn

from robot.api import logger
from robot.api.deco import keyword, library
from robot.api.types import Secret

import run_context
from codewitness import __version__
from codewitness.execution.causes import Diagnosis
from codewitness.execution.credentials import describe_claims, is_person, read_claims
from codewitness.execution.model import PlatformFault
from codewitness.reporting.card import Mismatch, fault_card, mismatch_card
from codewitness.reporting.diagnosis import explain
from codewitness.session_pool.credentials import (
    AUDIENCE,
    EXECUTOR_ROLE,
    SCOPE,
    chosen_credential,
    fetch_token,
    judge_audience,
    judge_expiry,
    judge_role,
)

_CLAUSE = "Azure dynamic sessions contract, section 5: authentication"


@library(scope="GLOBAL", version=__version__, auto_keywords=False)
class AuthenticationLibrary:
    """Keywords to get a token as a deployed backend does, and to judge what it claims.

    Tokens come from azure-identity's ``DefaultAzureCredential``, which chooses its credential by
    the environment alone; set ``AZURE_TOKEN_CREDENTIALS`` so that a deployment and a desk don't
    choose differently. A token is fetched once per process and renewed 5 minutes before it
    expires. It is a `Secret`, which no log shows; what it claims may be shown.

    | ${token} =    Get Token
    | Token Should Be For Audience    ${token}
    | Token Should Be Valid    ${token}    for_seconds=300

    A claim is not a proof: only the pool checks signatures, and only the pool knows its roles.
    """

    @keyword(tags=["authentication"])
    def get_token(self, scope: str = SCOPE) -> Secret:
        """Returns a token for ``scope``, by default the one of session pools.

        Fails within 30 s with the likely cause if there is none.
        """
        try:
            token = fetch_token(scope)
        except PlatformFault as fault:
            raise AssertionError(
                fault_card(
                    fault,
                    None,
                    expected=f"a token for {scope}",
                    diagnosis=explain(fault),
                    where=f"azure-identity, {chosen_credential()}",
                    clause=run_context.clause_of_test(),
                )
            ) from fault
        logger.info(f"Token for {scope}: {describe_claims(token.token)}")
        return Secret(token.token)

    @keyword(tags=["authentication"])
    def get_claim_of_token(self, token: Secret, name: str) -> Any:
        """Returns what ``token`` claims under ``name``, such as ``oid``; fails without it."""
        claims = _claims(token)
        if name not in claims:
            _fail(f"claim {name}", "a value", f"none; there are {', '.join(sorted(claims))}", None)
        return claims[name]

    @keyword(tags=["authentication"])
    def token_should_be_for_audience(self, token: Secret, audience: str = AUDIENCE) -> None:
        """Fails unless ``token`` is for ``audience``, by default the one of session pools."""
        claims = _claims(token)
        problem = judge_audience(claims, audience)
        if problem:
            _fail("audience of the token", audience, str(claims.get("aud", "none")), problem)

    @keyword(tags=["authentication"])
    def token_should_be_valid(self, token: Secret, for_seconds: float = 60) -> None:
        """Fails unless ``token`` is valid for at least ``for_seconds`` from now."""
        claims = _claims(token)
        problem = judge_expiry(claims, now=time.time(), at_least=for_seconds)
        if problem:
            _fail("validity of the token", f"{for_seconds:g} s or more", problem.cause, problem)

    @keyword(tags=["authentication"])
    def token_should_carry_role(self, token: Secret, role: str = EXECUTOR_ROLE) -> None:
        """Fails if ``token`` lists roles and ``role`` is not among them.

        Skips the test if it lists none, as Azure keeps the roles for session pools at the pool.
        """
        claims = _claims(token)
        if "roles" not in claims:
            run_context.skip("The token lists no roles; only the pool knows them.")
        problem = judge_role(claims, role)
        if problem:
            _fail("roles of the token", role, str(claims["roles"]), problem)

    @keyword(tags=["authentication"])
    def token_should_be_of_a_service(self, token: Secret) -> None:
        """Fails if ``token`` belongs to a person who signed in instead of to a service."""
        claims = _claims(token)
        if is_person(claims):
            problem = Diagnosis(
                "azure-identity fell back on a person's own sign-in, whose role says nothing "
                "about the service's",
                "set AZURE_TOKEN_CREDENTIALS to the credential that the service uses",
                "I6",
            )
            _fail("identity", "a service", f"a person, {claims.get('oid', 'no oid')}", problem)


def _claims(token: Secret) -> Mapping[str, Any]:
    claims = read_claims(token.value)
    if claims is None:
        problem = Diagnosis("the identity service gave an opaque token", "look at what issued it")
        _fail(
            "token", "a JSON Web Token", f"{len(token.value)} characters of another kind", problem
        )
    return claims


def _fail(subject: str, expected: str, received: str, problem: Diagnosis | None) -> NoReturn:
    clauses = filter(None, (run_context.clause_of_test(), _CLAUSE))
    raise AssertionError(
        mismatch_card(
            Mismatch(subject, "is", expected, received, "; ".join(clauses)),
            None,
            None,
            diagnosis=problem,
            where=f"azure-identity, {chosen_credential()}",
        )
    )
