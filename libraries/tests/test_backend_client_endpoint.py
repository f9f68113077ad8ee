"""The forms in which somebody may have the address of a backend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.execution.endpoint import parse_endpoint

SEGMENT = st.text("abcXYZ019-_.~", min_size=1, max_size=8).filter(lambda it: it.strip("."))
PREFIX = st.lists(SEGMENT, max_size=3).map(lambda it: "".join(f"/{segment}" for segment in it))
HOST = st.sampled_from(["localhost", "runner.example", "127.0.0.1", "[::1]", "a-b.c"])
PORT = st.one_of(st.just(""), st.integers(1, 65535).map(lambda it: f":{it}"))
ORIGIN = st.builds(lambda *it: "".join(it), st.sampled_from(["http://", "https://"]), HOST, PORT)


@given(ORIGIN, PREFIX, st.sampled_from(["", "/", "/api/v2", "/api/v2/", "/api/v2/execute"]))
def test_all_forms_mean_the_same(origin: str, prefix: str, form: str) -> None:
    endpoint = parse_endpoint(origin + prefix + form)
    assert endpoint.execute_url == f"{origin}{prefix}/api/v2/execute"
    assert endpoint.base_url == f"{origin}{prefix}/api/v2/"
    assert endpoint.url("runtimes") == f"{origin}{prefix}/api/v2/runtimes"


@given(ORIGIN, PREFIX)
def test_reading_what_was_read_changes_nothing(origin: str, prefix: str) -> None:
    endpoint = parse_endpoint(origin + prefix)
    assert parse_endpoint(endpoint.base_url) == endpoint
    assert parse_endpoint(endpoint.execute_url) == endpoint


@given(ORIGIN, PREFIX, st.text(max_size=20))
def test_no_path_leaves_the_origin(origin: str, prefix: str, path: str) -> None:
    endpoint = parse_endpoint(origin + prefix)
    assert endpoint.url(path).startswith(origin + "/")
    assert endpoint.url(f"/{path}").startswith(origin + "/")
    assert endpoint.url(path).isascii()


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except ValueError as error:
        assert str(error).startswith("the endpoint ")  # noqa: PT017
    else:
        assert parse_endpoint(endpoint.base_url) == endpoint


@pytest.mark.parametrize(
    ("text", "execute_url"),
    [
        (" http://localhost:2000\n", "http://localhost:2000/api/v2/execute"),
        ("HTTP://localhost", "http://localhost/api/v2/execute"),
        ("http://host/api/v2/piston", "http://host/api/v2/piston/execute"),
        ("http://host/api/v2/piston/execute/", "http://host/api/v2/piston/execute"),
        ("http://host/api/v2/runtimes", "http://host/api/v2/execute"),
        ("http://host/execute", "http://host/execute/api/v2/execute"),
        ("http://host/api/v20", "http://host/api/v20/api/v2/execute"),
        ("http://host/a%20b", "http://host/a%20b/api/v2/execute"),
        ("http://host/é", "http://host/%C3%A9/api/v2/execute"),
    ],
)
def test_particular_forms(text: str, execute_url: str) -> None:
    assert parse_endpoint(text).execute_url == execute_url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("localhost:2000", "'localhost:2000' has no scheme; write http://localhost:2000"),
        ("//localhost", "no scheme; write http://localhost "),
        ("ftp://localhost", "has the scheme 'ftp'; only http and https work"),
        ("http://", "names no host"),
        ("http:///path", "names no host"),
        ("http://:2000", "names no host"),
        ("http://localhost:port", "is no URL"),
        ("http://localhost:99999", "is no URL"),
        ("http://localhost:0", "has the port 0"),
        ("http://[::1", "is no URL"),
        ("http://local host", "holds white space"),
        ("http://localhost?x=1", "with a query or fragment"),
        ("http://localhost/api#x", "with a query or fragment"),
    ],
)
def test_bad_addresses_are_named_with_the_remedy(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^the endpoint") as caught:
        parse_endpoint(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "http://user:s3cr3t@host/",
        "http://s3cr3t@host",
        "http://a:s3cr3t@b:s3cr3t@host",
        "user:s3cr3t@host",
        "http://host/?code=s3cr3t",
        "http://host/#s3cr3t",
        "http://user:s3 cr3t s3cr3t@host",
        "host?key=s3cr3t",
    ],
)
def test_secrets_in_an_address_are_refused_unshown(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the endpoint") as caught:
        parse_endpoint(text)
    assert "s3cr3t" not in str(caught.value)
