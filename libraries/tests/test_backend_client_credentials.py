"""Credentials for a backend: where they come from, and that they stay out of sight."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from codewitness.execution.credentials import BackendCredentials


class Token:
    def __init__(self, token: str, lifetime: float) -> None:
        self.token = token
        self.expires_on = int(time.time() + lifetime)


def jwt(**claims: object) -> str:
    def part(document: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.c2lnbmF0dXJl"


def test_nothing_in_the_environment_is_no_credential() -> None:
    credentials = BackendCredentials.from_environment({"BACKEND_API_KEY": " "})
    assert not credentials
    assert credentials.ready_headers() == {}
    assert credentials.describe() == "none"


def test_headers_from_the_environment() -> None:
    credentials = BackendCredentials.from_environment(
        {
            "BACKEND_AUTHORIZATION": " Bearer abc\n",
            "BACKEND_API_KEY": "key",
            "BACKEND_API_KEY_HEADER": "Ocp-Apim-Subscription-Key",
        }
    )
    assert credentials
    assert credentials.ready_headers() == {
        "Authorization": "Bearer abc",
        "Ocp-Apim-Subscription-Key": "key",
    }


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        (
            {"BACKEND_AUTHORIZATION": "Bearer s3cr3t", "BACKEND_SCOPE": "api://x"},
            "BACKEND_AUTHORIZATION and BACKEND_SCOPE both fill the Authorization header",
        ),
        (
            {
                "BACKEND_AUTHORIZATION": "Bearer s3cr3t",
                "BACKEND_API_KEY": "s3cr3t",
                "BACKEND_API_KEY_HEADER": "authorization",
            },
            "BACKEND_AUTHORIZATION and BACKEND_API_KEY both fill",
        ),
        ({"BACKEND_AUTHORIZATION": "Bearer s3cr3t\nX: y"}, "BACKEND_AUTHORIZATION holds a line"),
        ({"BACKEND_API_KEY": "s3cr3té"}, "BACKEND_API_KEY holds"),
        (
            {"BACKEND_API_KEY": "s3cr3t", "BACKEND_API_KEY_HEADER": "X Key:"},
            "'X Key:', which is no name",
        ),
    ],
)
def test_unusable_credentials_are_refused_unshown(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        BackendCredentials.from_environment(environ)
    assert "s3cr3t" not in str(caught.value)


def test_secrets_are_not_in_any_description() -> None:
    credentials = BackendCredentials(authorization="Bearer s3cr3t", api_key="s3cr3t")
    scoped = BackendCredentials(scope="x", token_source=lambda _: Token("s3cr3t", 60))
    scoped.fetch_headers()
    for each in (credentials, scoped):
        assert "s3cr3t" not in f"{each} {each!r} {each.describe()}"


def test_description_tells_what_the_token_claims() -> None:
    token = jwt(aud="https://dynamicsessions.io", exp=time.time() + 100.4, oid="1234")
    told = BackendCredentials(authorization=f"Bearer {token}").describe()
    assert "audience https://dynamicsessions.io, expires in" in told
    assert "identity 1234" in told
    assert token not in told
    expired = BackendCredentials(authorization=f"Bearer {jwt(exp=time.time() - 60)}").describe()
    assert "expired 60 s ago" in expired
    assert "no scheme" in BackendCredentials(authorization=token).describe()
    assert "opaque" in BackendCredentials(authorization="Bearer abc").describe()
    assert "opaque" in BackendCredentials(authorization="Bearer a.W10.c").describe()


def test_token_is_fetched_once() -> None:
    asked: list[str] = []

    def source(scope: str) -> Token:
        asked.append(scope)
        time.sleep(0.05)
        return Token("t", 3600)

    credentials = BackendCredentials(scope="s", token_source=source)
    assert credentials.ready_headers() is None
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: credentials.fetch_headers(), range(8)))
    assert asked == ["s"]
    assert credentials.ready_headers() == {"Authorization": "Bearer t"}


def test_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = iter([Token("old", 3600), Token("new", 7200)])
    credentials = BackendCredentials(scope="s", token_source=lambda _: next(tokens))
    credentials.fetch_headers()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3600 - 301)
    assert credentials.ready_headers() == {"Authorization": "Bearer old"}
    monkeypatch.setattr("time.time", lambda: now + 3600 - 299)
    assert credentials.ready_headers() is None
    credentials.fetch_headers()
    assert credentials.ready_headers() == {"Authorization": "Bearer new"}


def test_valid_token_outlives_a_failed_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [Token("old", 3600)]
    credentials = BackendCredentials(scope="s", token_source=lambda _: left.pop())
    credentials.fetch_headers()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3600 - 200)
    credentials.fetch_headers()
    assert credentials.ready_headers() == {"Authorization": "Bearer old"}
    monkeypatch.setattr("time.time", lambda: now + 3601)
    with pytest.raises(IndexError):
        credentials.fetch_headers()


def test_token_that_came_expired_is_sent_for_the_service_to_refuse() -> None:
    credentials = BackendCredentials(scope="s", token_source=lambda _: Token("stale", -5))
    assert credentials.fetch_headers() == {"Authorization": "Bearer stale"}
    assert credentials.ready_headers() is None
