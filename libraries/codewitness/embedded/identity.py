"""An identity service: Azure's token endpoints over the loopback interface.

It speaks the two managed-identity protocols over http and a tenant's OpenID and token endpoints
over https, so that azure-identity's own credentials work against it unchanged. Its tokens are
real ones, signed with a key that a pool can be given.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from codewitness.embedded.certificates import Certificates
from codewitness.session_pool.credentials import EXECUTOR_ROLE
from codewitness.session_pool.tokens import SignedToken, TokenSigner

Form = Literal["app-service", "imds", "client-secret", "workload"]
"""How a client gets its tokens: as an App Service or Container App, as a virtual machine, with
a client secret, or with a federated token."""

_NO_PROXY = "127.0.0.1,localhost"
_APP_SERVICE_ROUTE = "/msi/token"
_IMDS_ROUTE = "/metadata/identity/oauth2/token"


@dataclass(frozen=True)
class IdentityConfig:
    """What tokens the service gives, and whether it gives any.

    Attributes:
        lifetime: Seconds until a token expires. With less than 300 azure-identity comes back for
            every call; a negative one gives tokens that have expired.
        audience: Audience of every token, instead of the one asked for.
        roles: Roles of the identity.
        person: Whether the identity is a person's, as after a sign-in at the command line.
        foreign_signature: Sign with a key that no pool knows.
        omit_expiry: Leave the expiry out of the reply, which makes it useless to a client.
        error_status: Answer every request for a token with this status.
        error_message: What such an answer says.
        openid_status: Answer requests for the OpenID document with this status.
        delay: Seconds before any answer.
    """

    lifetime: float = 3600.0
    audience: str | None = None
    roles: tuple[str, ...] = (EXECUTOR_ROLE,)
    person: bool = False
    foreign_signature: bool = False
    omit_expiry: bool = False
    error_status: int | None = None
    error_message: str = "The identity service was told to fail."
    openid_status: int | None = None
    delay: float = 0.0


@dataclass(frozen=True)
class TokenRequest:
    """A request for a token that came in.

    Attributes:
        form: Which protocol it used.
        resource: What the token was asked for: an audience, or the scope's part before
            ``/.default``.
        client_id: Which identity was asked for; empty when that was left open.
        status: How it was answered.
    """

    form: Form
    resource: str
    client_id: str
    status: int


class _Refusal(Exception):
    """No token for this request."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message


class IdentityService:
    """One identity of one tenant, and the endpoints that give its tokens.

    Args:
        signer: Signs the tokens; its public key lets a pool check them.
        config: What it does first; :meth:`configure` changes it.

    Attributes:
        config: What the service does now.
        requests: Requests for tokens, in order.
        client_id: Identifier of the application.
        object_id: Identifier of the identity (``oid``).
    """

    def __init__(
        self, signer: TokenSigner | None = None, config: IdentityConfig | None = None
    ) -> None:
        self.signer = signer or TokenSigner()
        self.config = config or IdentityConfig()
        self.requests: list[TokenRequest] = []
        self.client_id = str(uuid.uuid4())
        self.object_id = str(uuid.uuid4())
        self._header = secrets.token_urlsafe(24)
        self._client_secret = secrets.token_urlsafe(24)
        self._assertion = secrets.token_urlsafe(24)
        self._stranger: TokenSigner | None = None
        self._runner: web.AppRunner | None = None
        self._certificates: Certificates | None = None
        self._federated_token_file: Path | None = None
        self._ports: list[int] = []

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change what the service does from now on.

        Args:
            changes: Values by the names of :class:`IdentityConfig`; the others stay.

        Raises:
            ValueError: There is no such name.
        """
        known = {each.name for each in fields(IdentityConfig)}
        if unknown := changes.keys() - known:
            raise ValueError(
                f"the identity has no setting {', '.join(sorted(unknown))}; it has "
                f"{', '.join(sorted(known))}"
            )
        changed = dict(changes)
        if "roles" in changed:
            changed["roles"] = tuple(changed["roles"])
        self.config = replace(self.config, **changed)

    def create_app(self) -> web.Application:
        """Return an application with all endpoints, for http as for https."""
        app = web.Application()
        app.router.add_get(_APP_SERVICE_ROUTE, self._app_service)
        app.router.add_get(_IMDS_ROUTE, self._imds)
        app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self._openid)
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        return app

    async def start(
        self, folder: Path | None = None, certificates: Certificates | None = None
    ) -> None:
        """Listen on free ports of the loopback interface.

        Args:
            folder: Where the certificate authority and the federated token go. Without it there
                is no https, and only the managed-identity forms work.
            certificates: Authority to use instead of one of its own.
        """
        if folder is not None:
            self._certificates = certificates or await asyncio.to_thread(Certificates, folder)
            self._federated_token_file = folder / "federated-token"
            _write_privately(self._federated_token_file, self._assertion)
        self._runner = web.AppRunner(self.create_app(), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        if self._certificates is not None:
            context = self._certificates.context
            await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        self._ports = [address[1] for address in self._runner.addresses]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Base URL of the managed-identity endpoints."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def authority(self) -> str:
        """Base URL of the tenant's endpoints."""
        return f"https://localhost:{self._ports[1]}"

    def environment(self, form: Form = "app-service") -> dict[str, str]:
        """Return the variables that make a client's DefaultAzureCredential come here.

        They only work where no other variable that begins with one of
        :data:`codewitness.execution.credentials.IDENTITY_PREFIXES` is left.

        Args:
            form: How the client shall get its tokens. The last two need the ``folder`` of
                :meth:`start`; azure-identity must also be told to trust an authority that is
                not Azure's own (``disable_instance_discovery``).
        """
        if form == "app-service":
            variables = {
                "IDENTITY_ENDPOINT": f"{self.url}{_APP_SERVICE_ROUTE}",
                "IDENTITY_HEADER": self._header,
                "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
            }
        elif form == "imds":
            variables = {
                "AZURE_POD_IDENTITY_AUTHORITY_HOST": self.url,
                "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
            }
        else:
            variables = self._tenant_variables(form)
        return variables | {"NO_PROXY": _NO_PROXY, "no_proxy": _NO_PROXY}

    def _tenant_variables(self, form: Form) -> dict[str, str]:
        if self._certificates is None:
            raise ValueError(f"the form {form} needs https; give start() a folder")
        variables = {
            "AZURE_TENANT_ID": self.signer.tenant,
            "AZURE_CLIENT_ID": self.client_id,
            "AZURE_AUTHORITY_HOST": self.authority,
            **self._certificates.environment,
        }
        if form == "client-secret":
            return variables | {
                "AZURE_CLIENT_SECRET": self._client_secret,
                "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
            }
        return variables | {
            "AZURE_FEDERATED_TOKEN_FILE": str(self._federated_token_file),
            "AZURE_TOKEN_CREDENTIALS": "WorkloadIdentityCredential",
        }

    async def _app_service(self, request: web.Request) -> web.Response:
        def check() -> None:
            if not _same(request.headers.get("X-IDENTITY-HEADER", ""), self._header):
                raise _Refusal(401, "", "The X-IDENTITY-HEADER is missing or wrong.")
            self._check_identity(request)

        try:
            token = await self._grant("app-service", request.query, check)
        except _Refusal as refusal:
            body = {"statusCode": refusal.status, "message": refusal.message}
            return web.json_response(body, status=refusal.status)
        return web.json_response(self._managed_reply(token, request.query["resource"]))

    async def _imds(self, request: web.Request) -> web.Response:
        def check() -> None:
            if request.headers.get("Metadata", "").lower() != "true":
                raise _Refusal(400, "invalid_request", "Required metadata header not specified")
            self._check_identity(request)

        try:
            token = await self._grant("imds", request.query, check)
        except _Refusal as refusal:
            return _oauth_error(refusal)
        reply = self._managed_reply(token, request.query["resource"])
        if not self.config.omit_expiry:
            reply["expires_in"] = str(_seconds_left(token))
        return web.json_response(reply | {"not_before": str(int(time.time()))})

    def _check_identity(self, request: web.Request) -> None:
        if not request.query.get("resource"):
            raise _Refusal(400, "invalid_request", "The parameter resource is missing.")
        if request.query.get("client_id") not in (None, "", self.client_id):
            raise _Refusal(400, "invalid_request", "Identity not found")

    def _managed_reply(self, token: SignedToken, resource: str) -> dict[str, str]:
        reply = {
            "access_token": token.token,
            "client_id": self.client_id,
            "resource": resource,
            "token_type": "Bearer",
        }
        return reply if self.config.omit_expiry else reply | {"expires_on": str(token.expires_on)}

    async def _openid(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.config.delay)
        tenant = request.match_info["tenant"]
        if self.config.openid_status is not None:
            return web.json_response({"error": "refused"}, status=self.config.openid_status)
        if tenant != self.signer.tenant:
            return _oauth_error(_unknown_tenant(tenant))
        # msal accepts nothing but https here.
        base = f"https://{request.host}/{tenant}"
        return web.json_response(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        form["resource"] = form.get("scope", "").removesuffix("/.default")

        def check() -> None:
            if request.match_info["tenant"] != self.signer.tenant:
                raise _unknown_tenant(request.match_info["tenant"])
            self._check_client(form)

        try:
            protocol: Form = "workload" if "client_assertion" in form else "client-secret"
            token = await self._grant(protocol, form, check)
        except _Refusal as refusal:
            return _oauth_error(refusal)
        reply: dict[str, Any] = {"token_type": "Bearer", "access_token": token.token}
        if not self.config.omit_expiry:
            reply["expires_in"] = _seconds_left(token)
        return web.json_response(reply)

    def _check_client(self, form: Mapping[str, str]) -> None:
        if form.get("grant_type") != "client_credentials":
            raise _Refusal(
                400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported."
            )
        if form.get("client_id") != self.client_id:
            client = form.get("client_id")
            raise _Refusal(
                400,
                "unauthorized_client",
                f"AADSTS700016: Application with identifier '{client}' was not found.",
            )
        if not form.get("scope", "").endswith("/.default"):
            raise _Refusal(
                400, "invalid_scope", "AADSTS1002012: The scope must end with /.default."
            )
        if "client_assertion" in form:
            if not _same(form["client_assertion"], self._assertion):
                raise _Refusal(
                    401, "invalid_client", "AADSTS700211: No matching federated identity found."
                )
        elif not _same(form.get("client_secret", ""), self._client_secret):
            raise _Refusal(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")

    async def _grant(
        self, form: Form, asked: Mapping[str, str], check: Callable[[], None]
    ) -> SignedToken:
        await asyncio.sleep(self.config.delay)
        status, resource = 200, asked.get("resource", "")
        try:
            if self.config.error_status is not None:
                raise _Refusal(
                    self.config.error_status, "invalid_request", self.config.error_message
                )
            check()
            return self._sign(resource)
        except _Refusal as refusal:
            status = refusal.status
            raise
        finally:
            request = TokenRequest(form, resource, asked.get("client_id", ""), status)
            self.requests.append(request)

    def _sign(self, resource: str) -> SignedToken:
        signer = self.signer
        if self.config.foreign_signature:
            self._stranger = signer = self._stranger or TokenSigner(self.signer.tenant)
        return signer.sign(
            self.config.audience or resource,
            object_id=self.object_id,
            lifetime=self.config.lifetime,
            roles=self.config.roles,
            person=self.config.person,
        )


def _write_privately(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def _same(given: str, expected: str) -> bool:
    return secrets.compare_digest(given.encode(), expected.encode())


def _seconds_left(token: SignedToken) -> int:
    return round(token.expires_on - time.time())


def _unknown_tenant(tenant: str) -> _Refusal:
    return _Refusal(400, "invalid_tenant", f"AADSTS90002: Tenant '{tenant}' not found.")


def _oauth_error(refusal: _Refusal) -> web.Response:
    body = {"error": refusal.error, "error_description": refusal.message}
    return web.json_response(body, status=refusal.status)
