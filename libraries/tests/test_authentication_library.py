"""The keywords about tokens, in a process of Robot Framework, against a real identity service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from robot.api import ExecutionResult

from codewitness.embedded.identity import Form, IdentityConfig, IdentityService
from codewitness.execution.redaction import SECRET_VARIABLES
from codewitness.session_pool.credentials import SCOPE, client_environment
from codewitness.session_pool.tokens import SignedToken, TokenSigner
from tests.loopback_identity import running_identity

SUITE = """\
*** Settings ***
Library    {library}

*** Test Cases ***
Token Is Good
    [Tags]    P3
    ${{token}} =    Get Token
    Token Should Be For Audience    ${{token}}
    Token Should Be Valid    ${{token}}    for_seconds=600
    Token Should Carry Role    ${{token}}
    Token Should Be Of A Service    ${{token}}
    ${{oid}} =    Get Claim Of Token    ${{token}}    oid
    Should Be Equal    ${{oid}}    {oid}
    Log    ${{token}}

Token Is Fetched Once
    Get Token
    Get Token    https://dynamicsessions.io/.default

Token Is For Another Audience
    ${{token}} =    Get Token
    Token Should Be For Audience    ${{token}}    api://other

Token Is Valid Too Short
    ${{token}} =    Get Token
    Token Should Be Valid    ${{token}}    for_seconds=999999

Token Lacks A Role
    ${{token}} =    Get Token
    Token Should Carry Role    ${{token}}    Owner

Token Lacks A Claim
    ${{token}} =    Get Token
    Get Claim Of Token    ${{token}}    upn

Plain Text Is No Token
    Token Should Be Valid    plain
"""


@dataclass(frozen=True)
class Run:
    tests: Mapping[str, Any]
    files: str


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityService]:
    with running_identity(tmp_path_factory.mktemp("identity")) as service:
        yield service


@pytest.fixture
def issued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every token that is issued meanwhile."""
    tokens: list[str] = []
    sign = TokenSigner.sign

    def noted(*arguments: Any, **options: Any) -> SignedToken:
        signed = sign(*arguments, **options)
        tokens.append(signed.token)
        return signed

    monkeypatch.setattr(TokenSigner, "sign", noted)
    return tokens


def run_suite(project: Path, folder: Path, variables: Mapping[str, str], oid: str = "none") -> Run:
    library = project / "libraries" / "AuthenticationLibrary.py"
    suite = folder / "tokens.robot"
    suite.write_text(SUITE.format(library=library, oid=oid), encoding="utf-8")
    output = folder / "results"
    command = [sys.executable, "-m", "robot", "--loglevel", "TRACE", "--outputdir", str(output)]
    finished = subprocess.run(
        [*command, "--xunit", "xunit.xml", str(suite)],
        env=client_environment(variables),
        capture_output=True,
        text=True,
        timeout=120,
    )
    texts = [path.read_text(encoding="utf-8") for path in output.rglob("*") if path.is_file()]
    tests = {test.name: test for test in ExecutionResult(output / "output.xml").suite.all_tests}
    return Run(tests, "\n".join([finished.stdout, finished.stderr, *texts]))


@pytest.mark.parametrize("form", ["app-service", "client-secret", "workload"])
def test_tokens_are_judged_and_never_shown(
    project_root: Path, tmp_path: Path, identity: IdentityService, issued: list[str], form: Form
) -> None:
    identity.config = IdentityConfig()
    identity.requests.clear()
    variables = identity.environment(form)
    run = run_suite(project_root, tmp_path, variables, identity.object_id)
    passed = {name for name, test in run.tests.items() if test.passed}
    assert passed == {"Token Is Good", "Token Is Fetched Once"}
    assert len(identity.requests) == 1

    messages = {name: test.message for name, test in run.tests.items()}
    assert "Likely cause" in messages["Token Is For Another Audience"]
    assert "aud is 'https://dynamicsessions.io'" in messages["Token Is For Another Audience"]
    assert "999999 s" in messages["Token Is Valid Too Short"]
    assert f"{identity.object_id} lacks the role Owner" in messages["Token Lacks A Role"]
    assert "claim upn" in messages["Token Lacks A Claim"]
    assert "type 'Secret'" in messages["Plain Text Is No Token"]

    (token,) = issued
    assert identity.object_id in run.files
    secrets = [token, *token.split(".")]
    secrets += [variables[name] for name in variables.keys() & set(SECRET_VARIABLES)]
    if form == "workload":
        secrets.append(Path(variables["AZURE_FEDERATED_TOKEN_FILE"]).read_text(encoding="ascii"))
    assert not [secret for secret in secrets if secret in run.files]


def test_failure_names_cause_and_cure(
    project_root: Path, tmp_path: Path, identity: IdentityService
) -> None:
    identity.config = IdentityConfig(error_status=400, error_message="No identity for you")
    run = run_suite(project_root, tmp_path, identity.environment())
    assert not [test for test in run.tests.values() if test.passed]
    message = run.tests["Token Is Good"].message
    for words in (
        f"no token for {SCOPE}",
        "No identity for you",
        "AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential",
        "Likely cause",
        "managed identity is assigned",
        "test plan, P3",
    ):
        assert words in message
    assert identity.environment()["IDENTITY_HEADER"] not in run.files


@pytest.mark.parametrize("roles", [("Reader",), ()])
def test_missing_role_is_named(
    project_root: Path, tmp_path: Path, identity: IdentityService, roles: tuple[str, ...]
) -> None:
    identity.config = IdentityConfig(roles=roles)
    run = run_suite(project_root, tmp_path, identity.environment(), identity.object_id)
    message = run.tests["Token Is Good"].message
    assert "lacks the role Azure ContainerApps Session Executor" in " ".join(message.split())
