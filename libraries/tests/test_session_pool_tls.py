"""The session pool over https: one throw-away authority, and clients that are told to trust it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from codewitness.embedded.service import RunningService, start_service
from codewitness.execution.model import ExecutionRequest, FaultKind, PlatformFault, SourceFile
from codewitness.session_pool.client import SessionPoolExecutor
from tests.loopback_identity import use_environment

HELLO = ExecutionRequest("python", (SourceFile(b"print('hello')"),))


@pytest.fixture(scope="module")
def containers() -> Iterator[RunningService]:
    with start_service(["session-pool", "--allocation-time", "0", "--tls"]) as service:
        yield service


def environment(service: RunningService) -> dict[str, str]:
    told: Mapping[str, str] = service.details["environment"]
    return dict(told)


def test_service_tells_the_authority_and_who_is_to_trust_it(containers: RunningService) -> None:
    bundle = Path(containers.details["ca_bundle"])
    assert bundle.is_relative_to(containers.details["folder"])
    assert ssl.create_default_context(cafile=bundle).cert_store_stats()["x509_ca"] == 1
    assert containers.url.startswith("https://127.0.0.1:")
    names = ("CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    assert {environment(containers)[name] for name in names} == {str(bundle)}


def test_http_is_the_default() -> None:
    with start_service(["session-pool", "--identity", "none"]) as service:
        assert service.url.startswith("http://")
        assert service.details["ca_bundle"] is None
        assert list(environment(service)) == ["POOL_MANAGEMENT_ENDPOINT"]


def test_own_client(containers: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    # By its argument alone, while whatever the environment names does not count.
    use_environment(monkeypatch, environment(containers))
    for name in ("CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name)
    bundle = containers.details["ca_bundle"]
    with SessionPoolExecutor(containers.url, run_id="tls", ca_bundle=bundle) as pool:
        result = pool.execute(HELLO)
        assert result.run.stdout == b"hello\n"
        assert result.provenance.session_new is True
        assert [it.identifier for it in pool.list_sessions()] == [result.provenance.session]
    assert pool.left_open == ()


def test_own_client_takes_the_bundle_of_the_environment(
    containers: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_environment(monkeypatch, environment(containers))
    with SessionPoolExecutor(containers.url, run_id="tls") as pool:
        assert pool.execute(HELLO).run.stdout == b"hello\n"


def test_client_that_does_not_know_the_authority(
    containers: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_environment(monkeypatch, environment(containers))
    for name in ("CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name)
    with (
        SessionPoolExecutor(containers.url, run_id="tls") as pool,
        pytest.raises(PlatformFault) as caught,
    ):
        pool.execute(HELLO)
    assert caught.value.kind is FaultKind.TLS


# Each as its documentation says, with nothing about certificates or identities.
CLIENTS = {
    "requests": """
import requests
answer = requests.get(url, headers=headers, timeout=30)
said(answer.status_code, answer.json())
""",
    "aiohttp": """
import aiohttp, asyncio
async def ask():
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        said(answer.status, await answer.json())
asyncio.run(ask())
""",
    "urllib": """
from urllib.request import Request, urlopen
with urlopen(Request(url, headers=headers), timeout=30) as answer:
    said(answer.status, json.load(answer))
""",
}

PREAMBLE = """
import json, os, sys
from azure.identity import DefaultAzureCredential
token = DefaultAzureCredential(**json.loads(sys.argv[1])).get_token(
    "https://dynamicsessions.io/.default"
).token
headers = {"Authorization": "Bearer " + token}
url = os.environ["POOL_MANAGEMENT_ENDPOINT"]
url += "/files?api-version=2024-02-02-preview&identifier=user-1"
def said(status, body):
    print(json.dumps([status, body]))
"""


@pytest.mark.parametrize("kind", ["python", "shell"])
def test_other_clients_with_the_environment_alone(kind: str) -> None:
    with start_service(
        ["session-pool", "--allocation-time", "0", "--tls", "--kind", kind]
    ) as service:
        for client in CLIENTS.values():
            assert run_client(client, service, {}) == [200, {"value": []}]


def test_one_authority_for_the_pool_and_the_tenant() -> None:
    arguments = [
        "session-pool",
        "--allocation-time",
        "0",
        "--tls",
        "--kind",
        "python",
        "--identity",
        "client-secret",
    ]
    with start_service(arguments) as service:
        told = environment(service)
        assert told["AZURE_AUTHORITY_HOST"].startswith("https://")
        assert told["REQUESTS_CA_BUNDLE"] == service.details["ca_bundle"]
        credential = {"disable_instance_discovery": True}
        for client in CLIENTS.values():
            assert run_client(client, service, credential) == [200, {"value": []}]


def run_client(code: str, service: RunningService, credential: Mapping[str, Any]) -> Any:
    """Return what a client in a process of its own says."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    client = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code, json.dumps(credential)],
        env=kept | environment(service),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert client.returncode == 0, client.stderr
    return json.loads(client.stdout)
