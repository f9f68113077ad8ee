"""Tokens from the pool's side: which are let in, and how the others are turned away."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.session_pool.credentials import AUDIENCE
from codewitness.session_pool.tokens import TokenRefusal, TokenRules, TokenSigner

SIGNER = TokenSigner()
STRANGER = TokenSigner(SIGNER.tenant)
RULES = TokenRules(SIGNER.public_key)
NESTED = base64.urlsafe_b64encode(b"[" * 4998).decode()
"""A part of a token that no decoder follows to its end."""


def bearer(signer: TokenSigner = SIGNER, audience: str = AUDIENCE, **changes: object) -> str:
    return f"Bearer {signer.sign(audience, object_id='1234', **changes).token}"  # type: ignore[arg-type]


def unsigned(**claims: object) -> str:
    return f"Bearer {jwt.encode(claims, '', 'none')}"


def refusal(rules: TokenRules, authorization: str | None) -> TokenRefusal:
    refused = rules.check(authorization)
    assert refused is not None
    return refused


def test_good_token_passes() -> None:
    assert RULES.check(bearer()) is None
    assert RULES.check(bearer().replace("Bearer", "bearer")) is None


@pytest.mark.parametrize(
    ("authorization", "words"),
    [
        (None, "is required"),
        ("", "is required"),
        ("Bearer", "no bearer token"),
        ("Basic dXNlcjpwYXNz", "no bearer token"),
        ("Bearer abc", "malformed"),
        ("Bearer a.b.c", "malformed"),
        ("Bearer \udcff", "malformed"),
        (f"Bearer {NESTED}.{NESTED}.YQ", "malformed"),
        (unsigned(aud=AUDIENCE, exp=time.time() + 60, roles=["any"]), "malformed"),
        (bearer(STRANGER), "signature is invalid"),
        (bearer(lifetime=-1), "has expired"),
        (bearer(audience="https://acasessions.io"), "another audience"),
        (bearer(audience=f"{AUDIENCE}/"), "another audience"),
    ],
)
def test_unknown_callers_get_401(authorization: str | None, words: str) -> None:
    refused = refusal(RULES, authorization)
    assert (refused.status, refused.headers) == (401, {"WWW-Authenticate": "Bearer"})
    assert refused.content_type == "application/json"
    assert words in json.loads(refused.body)["error"]["message"]


def test_identity_without_the_role_gets_403_with_an_empty_body() -> None:
    for roles in ((), ("Reader",)):
        refused = refusal(RULES, bearer(roles=roles))
        assert (refused.status, refused.body, refused.headers) == (403, "", {})
    texted = replace(RULES, forbidden_text="Unauthenticated")
    assert refusal(texted, bearer(roles=())).body == "Unauthenticated"


def test_role_takes_effect_later() -> None:
    assert refusal(replace(RULES, role_effective_at=time.time() + 60), bearer()).status == 403
    assert RULES.check(bearer()) is None
    assert replace(RULES, role_effective_at=time.time() - 1).check(bearer()) is None


@pytest.mark.parametrize(
    ("rules", "authorization"),
    [
        (replace(RULES, key=None), bearer(STRANGER)),
        (replace(RULES, audience=None), bearer(audience="https://acasessions.io")),
        (replace(RULES, role=None), bearer(roles=())),
        (replace(RULES, check_expiry=False), bearer(lifetime=-100)),
        (replace(RULES, required=False), None),
    ],
)
def test_each_rule_can_be_switched_off(rules: TokenRules, authorization: str | None) -> None:
    assert RULES.check(authorization) is not None
    assert rules.check(authorization) is None


def test_rules_switched_off_leave_the_others_in_force() -> None:
    assert refusal(replace(RULES, key=None), bearer(STRANGER, lifetime=-1)).status == 401
    assert refusal(replace(RULES, key=None), bearer(STRANGER, roles=())).status == 403
    assert refusal(replace(RULES, required=False), "Bearer abc").status == 401
    assert refusal(replace(RULES, check_expiry=False), bearer(STRANGER)).status == 401


@given(st.text(max_size=200))
def test_no_header_is_an_error_of_the_pool(authorization: str) -> None:
    assert refusal(RULES, authorization).status == 401


@given(st.data())
def test_altered_tokens_are_refused(data: st.DataObject) -> None:
    authorization = bearer()
    place = data.draw(st.integers(len("Bearer "), len(authorization) - 2))
    letter = data.draw(st.sampled_from("ABCDEFabcdef0123456789-_."))
    altered = authorization[:place] + letter + authorization[place + 1 :]
    assert (RULES.check(altered) is None) == (altered == authorization)


def test_token_is_in_no_representation() -> None:
    signed = SIGNER.sign(AUDIENCE, object_id="1234")
    assert signed.token not in repr(signed)
    assert signed.expires_on == pytest.approx(time.time() + 3600, abs=30)
