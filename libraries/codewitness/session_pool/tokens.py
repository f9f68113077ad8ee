"""Bearer tokens from the pool's side: signing them for an identity, and letting them in or not."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from codewitness.session_pool.credentials import AUDIENCE, EXECUTOR_ROLE

_ALGORITHM = "RS256"


@dataclass(frozen=True)
class SignedToken:
    """A token as an identity service hands it out.

    Attributes:
        token: JSON Web Token.
        expires_on: Expiry in seconds since the epoch.
    """

    token: str = field(repr=False)
    expires_on: int


class TokenSigner:
    """A tenant that issues tokens, with a key of its own that is never stored.

    Args:
        tenant: Identifier of the tenant, which tokens name as their issuer.
    """

    def __init__(self, tenant: str = "") -> None:
        self.tenant = tenant or str(uuid.uuid4())
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """Key that the signatures can be checked with."""
        return self._key.public_key()

    def sign(
        self,
        audience: str,
        *,
        object_id: str,
        lifetime: float = 3600.0,
        roles: Sequence[str] = (EXECUTOR_ROLE,),
        person: bool = False,
    ) -> SignedToken:
        """Issue a token.

        Args:
            audience: For whom the token is.
            object_id: Whose token it is (``oid``).
            lifetime: Seconds until it expires; a negative one gives a token that has expired.
            roles: Roles of the identity. In Azure they are kept at the pool; here the token
                carries them, so that pool and identity need not share anything but the key.
            person: Whether it claims to be a person's, by a name to sign in with (``upn``).
        """
        now = int(time.time())
        expires_on = int(now + lifetime)
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self.tenant}/",
            "iat": min(now, expires_on),
            "nbf": min(now, expires_on),
            "exp": expires_on,
            "oid": object_id,
            "sub": object_id,
            "tid": self.tenant,
            "roles": list(roles),
            "ver": "1.0",
        }
        if person:
            claims["upn"] = "developer@example.org"
        return SignedToken(jwt.encode(claims, self._key, _ALGORITHM), expires_on)


@dataclass(frozen=True)
class TokenRefusal:
    """Why a caller is not let in, and the answer that says so.

    Attributes:
        status: 401 when the caller is not known, 403 when it may not.
        code: Error code for the envelope; empty when the answer has none.
        message: What is wrong; alone in the body when there is no code.
    """

    status: int
    code: str
    message: str

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the answer, without its content type."""
        return {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}

    @property
    def body(self) -> str:
        """Body of the answer: JSON in Azure's envelope when there is a code, else plain text."""
        if not self.code:
            return self.message
        return json.dumps({"error": {"code": self.code, "message": self.message}})

    @property
    def content_type(self) -> str:
        """Media type of the body."""
        return "application/json" if self.code else "text/plain"


@dataclass(frozen=True)
class TokenRules:
    """What a pool demands of the token in a request. Each rule can be switched off.

    Attributes:
        key: Key that signatures are checked with; ``None`` leaves them unchecked.
        audience: Audience demanded; ``None`` for any.
        role: Role demanded; ``None`` for none.
        role_effective_at: Seconds since the epoch from which the role counts. Before it even
            identities that have it are turned away, as Azure does while a role propagates.
        forbidden_text: Body of a 403, which is empty in one report and ``Unauthenticated`` in
            another.
        check_expiry: Whether an expired token is refused.
        required: Whether a request without a token is refused. One that comes is judged anyway.
    """

    key: rsa.RSAPublicKey | None = None
    audience: str | None = AUDIENCE
    role: str | None = EXECUTOR_ROLE
    role_effective_at: float = 0.0
    forbidden_text: str = ""
    check_expiry: bool = True
    required: bool = True

    def check(self, authorization: str | None) -> TokenRefusal | None:
        """Judge the ``Authorization`` header of a request.

        Args:
            authorization: The header's value, or ``None`` when there is none.

        Returns:
            ``None`` when the request may pass.
        """
        if not authorization:
            return _unauthorized("A bearer token is required.") if self.required else None
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return _unauthorized("The Authorization header holds no bearer token.")
        try:
            claims = self._decode(token.strip())
        except jwt.ExpiredSignatureError:
            return _unauthorized("The token has expired.")
        except jwt.InvalidAudienceError:
            return _unauthorized("The token is for another audience.")
        except jwt.InvalidSignatureError:
            return _unauthorized("The token's signature is invalid.")
        # The last two are what the decoder makes of bytes that are no text, and of deep nesting.
        except (jwt.InvalidTokenError, UnicodeEncodeError, RecursionError):
            return _unauthorized("The token is malformed.")
        if self.role is not None and not self._has_role(claims, self.role):
            return TokenRefusal(403, "", self.forbidden_text)
        return None

    def _decode(self, token: str) -> Mapping[str, Any]:
        required = ["aud"] * (self.audience is not None) + ["exp"] * self.check_expiry
        claims: Mapping[str, Any] = jwt.decode(
            token,
            self.key or "",
            algorithms=[_ALGORITHM],
            audience=self.audience,
            options={
                "require": required,
                "verify_signature": self.key is not None,
                "verify_exp": self.check_expiry,
                "verify_nbf": self.check_expiry,
                "verify_aud": self.audience is not None,
                "verify_iat": False,
            },
        )
        return claims

    def _has_role(self, claims: Mapping[str, Any], role: str) -> bool:
        roles = claims.get("roles")
        return isinstance(roles, list) and role in roles and time.time() >= self.role_effective_at


def _unauthorized(message: str) -> TokenRefusal:
    return TokenRefusal(401, "Unauthorized", message)
