"""What the suite says when azure-identity gives no token, met with the real package."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codewitness.embedded.identity import Form, IdentityConfig, IdentityService
from codewitness.execution.credentials import BackendCredentials, KeptTokens
from codewitness.execution.model import FaultKind, PlatformFault
from codewitness.execution.token_errors import describe_token_error
from codewitness.session_pool.credentials import (
    AUDIENCE,
    SCOPE,
    chosen_credential,
    client_environment,
    fetch_token,
    judge_audience,
    judge_expiry,
    judge_role,
)
from tests.loopback_identity import running_identity, use_environment, use_identity


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityService]:
    with running_identity(tmp_path_factory.mktemp("identity")) as service:
        yield service


@pytest.fixture
def identity(shared: IdentityService) -> IdentityService:
    shared.config = IdentityConfig()
    shared.requests.clear()
    return shared


def failure(**options: Any) -> PlatformFault:
    with pytest.raises(PlatformFault) as caught:
        fetch_token(**options)
    fault = caught.value
    assert fault.kind is FaultKind.UNAUTHENTICATED
    assert fault.detail.startswith(f"no token for {SCOPE}: ")
    assert "\n" not in fault.detail
    return fault


def change(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)


REFUSED = {"error_status": 400, "error_message": "No identity"}


@pytest.mark.parametrize(
    ("form", "config", "changes", "detail", "cause", "cure"),
    [
        (
            "app-service",
            REFUSED,
            {},
            "ManagedIdentityCredential: App Service managed identity configuration not found in "
            "environment. Token request error: (invalid_scope) 400, No identity",
            "is configured but refused",
            "assigned to the app",
        ),
        ("app-service", {}, {"IDENTITY_HEADER": "x"}, "X-IDENTITY-HEADER", "refused", "HEADER"),
        ("app-service", {}, {"AZURE_CLIENT_ID": "x"}, "Identity not found", "refused", "CLIENT_ID"),
        ("app-service", {"omit_expiry": True}, {}, "None, None", "no expiry", "IDENTITY_ENDPOINT"),
        ("imds", REFUSED, {}, "IMDS endpoint", "no managed identity", "assign the identity"),
        ("imds", {"omit_expiry": True}, {}, "IMDS endpoint", "", ""),
        (
            "client-secret",
            {},
            {"AZURE_CLIENT_SECRET": "wrong-secret-4711"},
            "EnvironmentCredential: Authentication failed: AADSTS7000215",
            "secret is wrong or has expired",
            "AZURE_CLIENT_SECRET",
        ),
        ("client-secret", {}, {"AZURE_CLIENT_ID": "x"}, "AADSTS700016", "no application", "ID"),
        ("client-secret", {}, {"AZURE_TENANT_ID": "x"}, "authority", "tenant", "AZURE_TENANT_ID"),
        (
            "client-secret",
            {"openid_status": 401},
            {},
            "Unable to get authority configuration",
            "tenant does not exist",
            "AZURE_AUTHORITY_HOST",
        ),
        (
            "client-secret",
            {"error_status": 400, "error_message": "AADSTS53003: blocked by policy."},
            {},
            "AADSTS53003: blocked by policy.",
            "tenant refused the sign-in",
            "look the code up",
        ),
        (
            "client-secret",
            {},
            {"AZURE_AUTHORITY_HOST": "http://localhost:1"},
            "ValueError: 'http://localhost:1' is an invalid authority",
            "plain http",
            "write https://",
        ),
        (
            "client-secret",
            {},
            {"AZURE_CLIENT_SECRET": None},
            "not fully configured. Not set: AZURE_CLIENT_SECRET.",
            "variables are incomplete",
            "set the variables named above",
        ),
        (
            "client-secret",
            {},
            {"AZURE_CLIENT_SECRET": ""},
            "ValueError: secret should be",
            "incomplete or empty",
            "set the variables",
        ),
        (
            "workload",
            {},
            {"AZURE_FEDERATED_TOKEN_FILE": "/nowhere/token"},
            "No such file or directory: '/nowhere/token'",
            "file with the federated token is not there",
            "AZURE_FEDERATED_TOKEN_FILE",
        ),
        (
            "workload",
            {},
            {"AZURE_TENANT_ID": None, "AZURE_CLIENT_ID": None},
            "Not set: AZURE_TENANT_ID, AZURE_CLIENT_ID.",
            "variables are incomplete",
            "set the variables named above",
        ),
        (
            "app-service",
            {},
            {"AZURE_TOKEN_CREDENTIALS": "ManagedIdentity"},
            "ValueError: Invalid value for AZURE_TOKEN_CREDENTIALS",
            "no credential that there is",
            "spelling counts",
        ),
    ],
)
def test_failures_name_cause_and_cure(
    identity: IdentityService,
    monkeypatch: pytest.MonkeyPatch,
    form: Form,
    config: dict[str, Any],
    changes: dict[str, str | None],
    detail: str,
    cause: str,
    cure: str,
) -> None:
    use_identity(monkeypatch, identity, form)
    identity.configure(config)
    change(monkeypatch, changes)
    fault = failure()
    assert detail in fault.detail
    likely, _, to_do = fault.cause.partition(" To do: ")
    assert cause in likely
    assert cure in to_do
    assert "wrong-secret-4711" not in f"{fault.detail} {fault.cause}"


@pytest.mark.parametrize(
    ("form", "config", "changes", "detail", "cause"),
    [
        ("app-service", {"error_status": 500}, {}, "500, The identity service", "but refused"),
        (
            "app-service",
            {},
            {"IDENTITY_ENDPOINT": "http://127.0.0.1:9/msi/token"},
            "refused",
            "identity endpoint does not run",
        ),
        (
            "app-service",
            {},
            {"NO_PROXY": None, "no_proxy": None, "HTTP_PROXY": "http://127.0.0.1:9"},
            "Unable to connect to proxy",
            "a proxy of the environment",
        ),
        ("client-secret", {"error_status": 500}, {}, "HTTP Error: 500", "out of order"),
        (
            "client-secret",
            {},
            {"CA_BUNDLE": None, "REQUESTS_CA_BUNDLE": None},
            "CERTIFICATE_VERIFY_FAILED",
            "not trusted here",
        ),
    ],
)
def test_persistent_failures_name_their_cause(
    identity: IdentityService,
    monkeypatch: pytest.MonkeyPatch,
    form: Form,
    config: dict[str, Any],
    changes: dict[str, str | None],
    detail: str,
    cause: str,
) -> None:
    use_identity(monkeypatch, identity, form)
    identity.configure(config)
    change(monkeypatch, changes)
    # azure-identity tries four times within 5 s.
    monkeypatch.setattr("azure.core.pipeline.policies.RetryPolicy.sleep", lambda *_, **__: None)
    fault = failure()
    assert detail in fault.detail
    assert cause in fault.cause


@pytest.mark.parametrize(
    ("credential", "tool", "said", "detail", "cause"),
    [
        ("AzureCliCredential", None, "", "Azure CLI not found on path", "not installed"),
        ("AzureDeveloperCliCredential", None, "", "CLI could not be found", "not installed"),
        ("AzureCliCredential", "az", "Please run 'az login' >&2; exit 1", "az login", "signed in"),
        ("AzureCliCredential", "az", "echo nonsense", "Unexpected output", "failed or was too"),
        ("AzureCliCredential", "az", "echo boom >&2; exit 1", "boom", "no credential gave"),
    ],
)
def test_command_line_logins_name_their_cause(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    credential: str,
    tool: str | None,
    said: str,
    detail: str,
    cause: str,
) -> None:
    use_environment(monkeypatch, {"AZURE_TOKEN_CREDENTIALS": credential})
    if tool:
        script = tmp_path / tool
        script.write_text(f"#!/bin/sh\n{said.replace('Please', 'echo Please', 1)}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    fault = failure()
    assert detail in fault.detail
    assert cause in fault.cause


def test_chain_with_nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the managed identity, which would look for Azure around the machine at hand.
    use_environment(monkeypatch, {"AZURE_TOKEN_CREDENTIALS": "dev"})
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    fault = failure()
    assert "none of the credentials that were tried is configured: " in fault.detail
    assert "AzureCliCredential, AzurePowerShellCredential" in fault.detail
    assert "none is configured" in fault.cause
    assert chosen_credential() == "AZURE_TOKEN_CREDENTIALS=dev"
    assert "AZURE_TOKEN_CREDENTIALS is not set" in chosen_credential({})


def test_full_chain_reports_the_credential_that_is_configured(
    identity: IdentityService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_identity(monkeypatch, identity, "client-secret")
    monkeypatch.delenv("AZURE_TOKEN_CREDENTIALS")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
    # Keeps the managed identity in the chain from looking for Azure.
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", identity.url)
    monkeypatch.setenv("PATH", str(tmp_path))
    identity.configure({"error_status": 400, "error_message": "AADSTS7000222: expired."})
    fault = failure()
    assert fault.detail.endswith(
        ": EnvironmentCredential: Authentication failed: AADSTS7000222: expired."
    )


def test_waiting_for_a_token_has_an_end() -> None:
    def hang(_scope: str) -> Any:
        time.sleep(30)

    start = time.monotonic()
    fault = failure(tokens=KeptTokens(hang), deadline=0.2)
    assert time.monotonic() - start < 10
    assert "timed out after 0 s" in fault.detail


def test_errors_of_other_kinds_keep_their_name() -> None:
    told = describe_token_error(RuntimeError("first\nsecond"), {})
    assert told == "RuntimeError: first second"


def test_tokens_are_fetched_once_for_the_whole_process(
    identity: IdentityService, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_identity(monkeypatch, identity)
    first = fetch_token()
    for _ in range(3):
        headers = BackendCredentials(scope=SCOPE).fetch_headers()
        assert headers == {"Authorization": f"Bearer {first.token}"}
    assert fetch_token().token == first.token
    assert len(identity.requests) == 1
    fetch_token("https://management.azure.com/.default")
    assert identity.requests[1].resource == "https://management.azure.com"


def test_another_environment_is_another_token(
    identity: IdentityService, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_identity(monkeypatch, identity)
    fetch_token()
    use_identity(monkeypatch, identity, "workload")
    fetch_token()
    assert [request.form for request in identity.requests] == ["app-service", "workload"]


def test_tokens_that_are_nearly_over_are_renewed(
    identity: IdentityService, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_identity(monkeypatch, identity)
    identity.configure({"lifetime": 250})
    first = fetch_token()
    assert fetch_token().token == first.token
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 230)
    identity.configure({"lifetime": 3600})
    renewed = fetch_token()
    assert renewed.token != first.token
    assert len(identity.requests) == 2


def test_client_environment_leads_one_way() -> None:
    environ = {
        "PATH": "/bin",
        "AZURE_CLIENT_ID": "old",
        "MSI_ENDPOINT": "old",
        "IDENTITY_ENDPOINT": "old",
        "IMDS_ENDPOINT": "old",
        "NO_PROXY": "intranet.example",
    }
    made = client_environment({"IDENTITY_ENDPOINT": "new", "NO_PROXY": "127.0.0.1"}, environ)
    assert made == {
        "PATH": "/bin",
        "IDENTITY_ENDPOINT": "new",
        "NO_PROXY": "intranet.example,127.0.0.1",
    }


def test_claims_are_judged() -> None:
    assert judge_audience({"aud": AUDIENCE}) is None
    assert judge_audience({"aud": ["x", AUDIENCE]}) is None
    for audience in ("https://acasessions.io", None):
        found = judge_audience({"aud": audience})
        assert found is not None
        assert found.row == "I1"
        assert (audience or "missing") in found.cause
    assert judge_expiry({"exp": 100.0}, now=50) is None
    cases: list[tuple[dict[str, Any], float, str]] = [
        ({"exp": 100}, 100, "expired 0 s ago"),
        ({"exp": 100}, 160, "expired 60 s ago"),
        ({"exp": 100}, 50, "expires in 50 s, and 60 s are wanted"),
        ({"exp": True}, 50, "no expiry"),
        ({}, 50, "no expiry"),
    ]
    for claims, now, words in cases:
        late = judge_expiry(claims, now=now, at_least=60)
        assert late is not None
        assert (late.row, words in late.cause) == ("I2", True)
    assert judge_role({"roles": ["Azure ContainerApps Session Executor"]}) is None
    assert judge_role({}) is None
    lacking = judge_role({"roles": ["Reader"], "oid": "1234"})
    assert lacking is not None
    assert "1234 lacks the role" in lacking.cause
