"""Credentials for a backend, from the environment and from nowhere else."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from azure.identity import DefaultAzureCredential

CREDENTIAL_VARIABLES = (
    "BACKEND_AUTHORIZATION",
    "BACKEND_API_KEY",
    "BACKEND_API_KEY_HEADER",
    "BACKEND_SCOPE",
)
"""Environment variables that :meth:`BackendCredentials.from_environment` reads."""

IDENTITY_PREFIXES = ("AZURE_", "IDENTITY_", "MSI_", "IMDS_")
"""How the names of the variables begin by which azure-identity chooses its credential."""

_REFRESH_MARGIN = 300.0
_PAUSE_AFTER_FAILURE = 30.0


class AccessToken(Protocol):
    """What azure-identity's ``get_token`` returns."""

    @property
    def token(self) -> str:
        """The token itself."""

    @property
    def expires_on(self) -> int:
        """Expiry in seconds since the epoch."""


TokenSource = Callable[[str], AccessToken]


class KeptTokens:
    """Tokens of one source, fetched once per scope and renewed in time. Safe for threads.

    Args:
        source: Gets a token for a scope.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._kept: dict[str, AccessToken] = {}
        self._refresh_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def last(self, scope: str) -> AccessToken | None:
        """Return the token fetched last, which may have expired."""
        return self._kept.get(scope)

    def is_due(self, scope: str) -> bool:
        """Whether a token must be fetched before the next use."""
        return time.time() >= self._refresh_at.get(scope, 0.0)

    def fetch(self, scope: str) -> AccessToken:
        """Return a token that is good for use, getting one if that is due.

        Blocks while the source works. A token that is still valid stays in use when a new one
        can't be had.

        Raises:
            Exception: Whatever the source raised, and no valid token is at hand.
        """
        with self._lock:
            if self.is_due(scope):
                self._renew(scope)
            return self._kept[scope]

    def _renew(self, scope: str) -> None:
        now = time.time()
        try:
            token = self._source(scope)
        except Exception:
            kept = self._kept.get(scope)
            if kept is None or kept.expires_on <= now:
                raise
            self._refresh_at[scope] = min(now + _PAUSE_AFTER_FAILURE, kept.expires_on)
            return
        # A short-lived token is used for most of its life, too.
        margin = min(_REFRESH_MARGIN, max(0.0, token.expires_on - now) / 10)
        self._kept[scope], self._refresh_at[scope] = token, token.expires_on - margin


def default_tokens() -> KeptTokens:
    """Return the tokens of azure-identity's ``DefaultAzureCredential`` with its usual settings.

    They are the same for everybody in this process, as long as the environment chooses the
    same credential.
    """
    chosen_by = frozenset(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(IDENTITY_PREFIXES) or name == "CA_BUNDLE"
    )
    with _choosing:
        return _default_tokens(chosen_by)


_choosing = threading.Lock()


@functools.lru_cache(maxsize=1)
def _default_tokens(_chosen_by: frozenset[tuple[str, str]]) -> KeptTokens:
    return KeptTokens(new_token_source())


def new_token_source() -> TokenSource:
    """Return a ``DefaultAzureCredential`` of its own, as the environment of its first use chooses.

    It shares no token with anybody else in this process.
    """
    credential: list[DefaultAzureCredential] = []

    def source(scope: str) -> AccessToken:
        if not credential:
            credential.append(_new_credential())
        return credential[0].get_token(scope)

    return source


def _new_credential() -> DefaultAzureCredential:
    # azure.identity takes 150 ms to import and most runs need no token.
    from azure.identity import AzureAuthorityHosts, DefaultAzureCredential

    options: dict[str, Any] = {}
    bundle = os.environ.get("CA_BUNDLE", "").strip()
    if bundle:
        options["connection_verify"] = bundle
    authority = os.environ.get("AZURE_AUTHORITY_HOST", "").strip().rstrip("/")
    public = {value for name, value in vars(AzureAuthorityHosts).items() if name.isupper()}
    if authority and authority.removeprefix("https://") not in public:
        # Azure's public login host, which would be asked about it, does not know this one.
        options["disable_instance_discovery"] = True
    return DefaultAzureCredential(**options)


@dataclass
class BackendCredentials:
    """What a backend wants to see before it answers. Safe to use from several threads.

    Attributes:
        authorization: Whole value of the ``Authorization`` header.
        api_key: Value of the API key header.
        api_key_header: Name of the API key header.
        scope: Scope for which a token is fetched with azure-identity, such as
            ``api://<application>/.default``.
        token_source: Gets a token for a scope. The default is azure-identity's
            ``DefaultAzureCredential``, whose tokens the whole process shares; it is imported
            when the first token is needed.
    """

    authorization: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    api_key_header: str = "X-API-Key"
    scope: str | None = None
    token_source: TokenSource | None = field(default=None, repr=False)
    _tokens: KeptTokens = field(init=False, repr=False)

    def __post_init__(self) -> None:
        source = self.token_source
        self._tokens = default_tokens() if source is None else KeptTokens(source)
        _check_header_value("BACKEND_AUTHORIZATION", self.authorization)
        _check_header_value("BACKEND_API_KEY", self.api_key)
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", self.api_key_header):
            raise ValueError(
                f"BACKEND_API_KEY_HEADER is '{self.api_key_header}', which is no name of an HTTP "
                "header; write it like X-API-Key"
            )
        users = [
            name
            for name, used in (
                ("BACKEND_AUTHORIZATION", self.authorization),
                ("BACKEND_SCOPE", self.scope),
                ("BACKEND_API_KEY", self.api_key and self._key_is_authorization),
            )
            if used
        ]
        if len(users) > 1:
            raise ValueError(
                f"{' and '.join(users)} both fill the Authorization header; unset all but one"
            )

    @property
    def _key_is_authorization(self) -> bool:
        return self.api_key_header.lower() == "authorization"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> BackendCredentials:
        """Read the credentials that the environment holds; without any, nothing is sent.

        ``BACKEND_API_KEY`` goes well with one of the others, as gateways may want a key
        besides a token; the other two exclude each other.

        Raises:
            ValueError: Two variables contradict each other, or a value can't be sent.
        """
        environ = os.environ if environ is None else environ

        def value(name: str) -> str | None:
            return environ.get(name, "").strip() or None

        return cls(
            authorization=value("BACKEND_AUTHORIZATION"),
            api_key=value("BACKEND_API_KEY"),
            api_key_header=value("BACKEND_API_KEY_HEADER") or "X-API-Key",
            scope=value("BACKEND_SCOPE"),
        )

    def __bool__(self) -> bool:
        return bool(self.authorization or self.api_key or self.scope)

    def ready_headers(self) -> dict[str, str] | None:
        """Return the headers to send, or ``None`` when a token must be fetched first."""
        if self.scope and self._tokens.is_due(self.scope):
            return None
        return self._headers()

    def fetch_headers(self) -> dict[str, str]:
        """Return the headers to send, after getting a token if one is due.

        Blocks while azure-identity asks its identity service. A token that is still valid
        stays in use when a new one can't be had.

        Raises:
            Exception: Whatever azure-identity raised, and no valid token is at hand.
        """
        if self.scope:
            self._tokens.fetch(self.scope)
        return self._headers()

    def _headers(self) -> dict[str, str]:
        headers = {}
        if self.api_key:
            headers[self.api_key_header] = self.api_key
        if self.authorization:
            headers["Authorization"] = self.authorization
        token = self._tokens.last(self.scope) if self.scope else None
        if token:
            headers["Authorization"] = f"Bearer {token.token}"
        return headers

    def curl_options(self) -> tuple[str, ...]:
        """Return curl's options for the same headers, with secrets as shell variables."""
        options = []
        if self.api_key:
            options.append(f'-H "{self.api_key_header}: $BACKEND_API_KEY"')
        if self.authorization:
            options.append('-H "Authorization: $BACKEND_AUTHORIZATION"')
        if self.scope:
            options.append(
                f'-H "Authorization: Bearer $(az account get-access-token --scope '
                f'{shlex.quote(self.scope)} --query accessToken -o tsv)"'
            )
        return tuple(options)

    def describe(self) -> str:
        """Say which credentials are in use and what their token claims, without secrets."""
        used = []
        if self.api_key:
            used.append(f"BACKEND_API_KEY as {self.api_key_header}")
        if self.authorization:
            used.append(f"BACKEND_AUTHORIZATION ({_describe_authorization(self.authorization)})")
        if self.scope:
            token = self._tokens.last(self.scope)
            claims = describe_claims(token.token) if token else "no token yet"
            used.append(f"token for {self.scope} ({claims})")
        return ", ".join(used) or "none"


def _check_header_value(name: str, value: str | None) -> None:
    if value is None:
        return
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) or not value.isascii():
        raise ValueError(
            f"{name} holds a line break or another character that an HTTP header can't carry; "
            "set it again, without quotes inside the value"
        )


def _describe_authorization(value: str) -> str:
    scheme, space, rest = value.partition(" ")
    if not space:
        return "no scheme such as 'Bearer' before the value"
    return f"{scheme}, {describe_claims(rest.strip())}"


def read_claims(token: str) -> Mapping[str, Any] | None:
    """Return what a JSON Web Token claims, unverified; ``None`` when it is no such token."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError):
        return None
    return claims if isinstance(claims, dict) else None


def is_person(claims: Mapping[str, Any]) -> bool:
    """Tell whether a token is a signed-in person's and not a service's."""
    return any(claims.get(name) for name in ("upn", "unique_name", "preferred_username", "scp"))


def describe_claims(token: str) -> str:
    """Say for whom a token is, how long, and whose it is, without showing it."""
    claims = read_claims(token)
    if claims is None:
        return "opaque token"
    audience, subject = claims.get("aud"), claims.get("oid") or claims.get("sub")
    expiry = claims.get("exp")
    told = [f"audience {audience}" if audience else "no audience"]
    if isinstance(expiry, (int, float)):
        left = round(expiry - time.time())
        told.append(f"expires in {left} s" if left > 0 else f"expired {-left} s ago")
    if subject:
        told.append(f"identity {subject}{', a person' if is_person(claims) else ''}")
    return ", ".join(told)
