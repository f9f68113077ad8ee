"""Credentials for a backend, from the environment and from nowhere else."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

CREDENTIAL_VARIABLES = (
    "BACKEND_AUTHORIZATION",
    "BACKEND_API_KEY",
    "BACKEND_API_KEY_HEADER",
    "BACKEND_SCOPE",
)
"""Environment variables that :meth:`BackendCredentials.from_environment` reads."""

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
            ``DefaultAzureCredential``, which is imported when the first token is needed.
    """

    authorization: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    api_key_header: str = "X-API-Key"
    scope: str | None = None
    token_source: TokenSource | None = field(default=None, repr=False)
    _token: AccessToken | None = field(default=None, init=False, repr=False)
    _refresh_at: float = field(default=0.0, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
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
        if self.scope and time.time() >= self._refresh_at:
            return None
        return self._headers()

    def fetch_headers(self) -> dict[str, str]:
        """Return the headers to send, after getting a token if one is due.

        Blocks while azure-identity asks its identity service. A token that is still valid
        stays in use when a new one can't be had.

        Raises:
            Exception: Whatever azure-identity raised, and no valid token is at hand.
        """
        with self._lock:
            ready = self.ready_headers()
            if ready is None and self.scope:
                self._renew(self.scope)
            return ready or self._headers()

    def _renew(self, scope: str) -> None:
        now = time.time()
        try:
            token = self._source()(scope)
        except Exception:
            if self._token is None or self._token.expires_on <= now:
                raise
            self._refresh_at = min(now + _PAUSE_AFTER_FAILURE, self._token.expires_on)
            return
        # A short-lived token is used for most of its life, too.
        margin = min(_REFRESH_MARGIN, max(0.0, token.expires_on - now) / 10)
        self._token, self._refresh_at = token, token.expires_on - margin

    def _headers(self) -> dict[str, str]:
        headers = {}
        if self.api_key:
            headers[self.api_key_header] = self.api_key
        if self.authorization:
            headers["Authorization"] = self.authorization
        if self._token:
            headers["Authorization"] = f"Bearer {self._token.token}"
        return headers

    def _source(self) -> TokenSource:
        if self.token_source is None:
            # azure.identity takes 150 ms to import and most runs need no token.
            from azure.identity import DefaultAzureCredential

            bundle = os.environ.get("CA_BUNDLE", "").strip()
            options = {"connection_verify": bundle} if bundle else {}
            self.token_source = DefaultAzureCredential(**options).get_token
        return self.token_source

    def curl_options(self) -> tuple[str, ...]:
        """Return curl's options for the same headers, with secrets as shell variables."""
        options = []
        if self.api_key:
            options.append(f'-H "{self.api_key_header}: $BACKEND_API_KEY"')
        if self.authorization:
            options.append('-H "Authorization: $BACKEND_AUTHORIZATION"')
        if self.scope:
            options.append(
                '-H "Authorization: Bearer $(az account get-access-token --scope $BACKEND_SCOPE '
                '--query accessToken -o tsv)"'
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
            token = self._token
            claims = _describe_claims(token.token) if token else "no token yet"
            used.append(f"BACKEND_SCOPE {self.scope} ({claims})")
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
    return f"{scheme}, {_describe_claims(rest.strip())}"


def _describe_claims(token: str) -> str:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        audience, subject = claims.get("aud"), claims.get("oid") or claims.get("sub")
        expiry = claims.get("exp")
    except (ValueError, IndexError, AttributeError):
        return "opaque token"
    told = [f"audience {audience}" if audience else "no audience"]
    if isinstance(expiry, (int, float)):
        left = round(expiry - time.time())
        told.append(f"expires in {left} s" if left > 0 else f"expired {-left} s ago")
    if subject:
        told.append(f"identity {subject}")
    return ", ".join(told)
