"""The identity service, met by the real azure-identity package."""

from __future__ import annotations

import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from codewitness.embedded.identity import Form, IdentityConfig, IdentityService
from codewitness.execution.credentials import read_claims
from codewitness.session_pool.credentials import AUDIENCE, EXECUTOR_ROLE, SCOPE
from codewitness.session_pool.tokens import TokenRules
from tests.loopback_identity import running_identity, use_environment, use_identity

FORMS: tuple[Form, ...] = ("app-service", "imds", "client-secret", "workload")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityService]:
    with running_identity(tmp_path_factory.mktemp("identity")) as service:
        yield service


@pytest.fixture
def identity(shared: IdentityService) -> IdentityService:
    shared.config = IdentityConfig()
    shared.requests.clear()
    return shared


def new_token() -> str:
    """Return a token from a credential of its own, which keeps none from before."""
    from azure.identity import DefaultAzureCredential

    token: str = DefaultAzureCredential(disable_instance_discovery=True).get_token(SCOPE).token
    return token


def check(identity: IdentityService, token: str) -> int | None:
    refusal = TokenRules(identity.signer.public_key).check(f"Bearer {token}")
    return None if refusal is None else refusal.status


@pytest.mark.parametrize("form", FORMS)
def test_default_credential_gets_a_token_that_a_pool_accepts(
    identity: IdentityService, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_identity(monkeypatch, identity, form)
    token = new_token()
    assert check(identity, token) is None
    claims = read_claims(token)
    assert claims is not None
    assert claims["aud"] == AUDIENCE
    assert claims["oid"] == identity.object_id
    assert claims["roles"] == [EXECUTOR_ROLE]
    (request,) = identity.requests
    assert (request.form, request.resource, request.status) == (form, AUDIENCE, 200)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_environment_keeps_proxies_out(
    identity: IdentityService, form: Form, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_identity(monkeypatch, identity, form)
    monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    assert check(identity, new_token()) is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("config", "status"),
    [
        (IdentityConfig(audience="https://management.azure.com"), 401),
        (IdentityConfig(foreign_signature=True), 401),
        (IdentityConfig(roles=()), 403),
    ],
    ids=["audience", "signature", "role"],
)
def test_spoilt_tokens_are_handed_over_for_the_pool_to_refuse(
    identity: IdentityService,
    form: Form,
    config: IdentityConfig,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_identity(monkeypatch, identity, form)
    identity.config = config
    assert check(identity, new_token()) == status


def test_expired_token_is_handed_over(
    identity: IdentityService, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_identity(monkeypatch, identity)
    identity.configure({"lifetime": -10})
    assert check(identity, new_token()) == 401


def test_delay_is_kept(identity: IdentityService, monkeypatch: pytest.MonkeyPatch) -> None:
    use_identity(monkeypatch, identity)
    identity.configure({"delay": 0.3})
    start = time.monotonic()
    new_token()
    assert time.monotonic() - start >= 0.3


def test_user_assigned_identity_is_known_by_its_client_id(
    identity: IdentityService, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.core.exceptions import ClientAuthenticationError

    use_identity(monkeypatch, identity)
    monkeypatch.setenv("AZURE_CLIENT_ID", identity.client_id)
    assert check(identity, new_token()) is None
    monkeypatch.setenv("AZURE_CLIENT_ID", "somebody-else")
    with pytest.raises(ClientAuthenticationError, match="Identity not found"):
        new_token()


def test_configuration_is_checked_by_name(identity: IdentityService) -> None:
    identity.configure({"roles": ["Reader"], "lifetime": 5})
    assert identity.config == IdentityConfig(roles=("Reader",), lifetime=5)
    with pytest.raises(ValueError, match=r"no setting lifetme; it has audience, .*roles"):
        identity.configure({"lifetme": 5})


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/msi/token?resource=x", {}, 401),
        ("/msi/token?resource=x", {"X-IDENTITY-HEADER": "wrong"}, 401),
        ("/metadata/identity/oauth2/token?resource=x", {}, 400),
        ("/metadata/identity/oauth2/token", {"Metadata": "true"}, 400),
        ("/elsewhere", {}, 404),
    ],
)
def test_bare_requests_are_refused(
    identity: IdentityService, path: str, headers: dict[str, str], status: int
) -> None:
    request = urllib.request.Request(f"{identity.url}{path}", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == status
    caught.value.close()


def test_tenant_speaks_tls_of_its_own_authority(identity: IdentityService) -> None:
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(identity.authority, timeout=10)
    trusted = ssl.create_default_context(
        cafile=identity.environment("client-secret")["REQUESTS_CA_BUNDLE"]
    )
    url = f"{identity.authority}/{identity.signer.tenant}/v2.0/.well-known/openid-configuration"
    with urllib.request.urlopen(url, timeout=10, context=trusted) as answer:
        assert b'"token_endpoint": "https://localhost:' in answer.read()


def test_forms_over_tls_need_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    use_environment(monkeypatch, {})
    with running_identity() as service:
        with pytest.raises(ValueError, match="workload needs https; give start"):
            service.environment("workload")
        port = int(service.url.rpartition(":")[2])
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_federated_token_is_readable_by_its_owner_only(
    identity: IdentityService,
) -> None:
    file = Path(identity.environment("workload")["AZURE_FEDERATED_TOKEN_FILE"])
    assert file.stat().st_mode & 0o077 == 0
