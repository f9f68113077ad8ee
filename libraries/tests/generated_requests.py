"""Requests of all kinds, from right ones to noise, as the bytes that go over the wire."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

ANSWER_WITHIN = 60.0
"""Seconds within which a whole request has its answer, however busy the machine."""

_NOISE_WITHIN = 0.05
_ANY_TEXT = st.text(st.characters(), max_size=12)
_NUMBERS = st.one_of(
    st.integers(-2, 300),
    st.integers(),
    st.floats(),
    st.sampled_from([10**30, -(10**400), 2**63, 1e308, 5e-324, float("inf"), float("nan")]),
)
_SCALARS = st.one_of(st.none(), st.booleans(), _NUMBERS, _ANY_TEXT)
JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_ANY_TEXT, inner, max_size=3)
    ),
    max_leaves=6,
)
_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW")
_HEADERS = {
    "Content-Type": (
        "application/json",
        "application/json; charset=utf-8",
        "application/json; charset=nonsense",
        "APPLICATION/JSON",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=limit",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=\xff",
        "text/plain",
        ";;;",
        "",
    ),
    "Content-Encoding": ("gzip", "deflate", "br", "identity", "zip9", ""),
    "Content-Disposition": ("form-data", "form-data; name=", "\xff"),
    "Accept": ("*/*", "text/html", "application/json;q=x", ""),
    "Expect": ("100-continue", "200-ok"),
    "Range": ("bytes=0-0", "bytes=5-1", "x"),
    "Cookie": ("a=b", "=;=;=", "\xff"),
    "Upgrade": ("websocket", "h2c"),
    "Authorization": ("Bearer", "Bearer \xff", "Basic Og==", "Bearer a.b.c"),
    "X-User-Id": ("someone", "", "\xfc" * 300, "x" * 3000),
    "If-None-Match": ("*",),
    "Forwarded": ("for=_x;proto=https", "for="),
    "X-Request-Id": ("1", "\t", "'\"<>"),
}


@dataclass(frozen=True)
class WireRequest:
    """A request as bytes.

    Attributes:
        data: All that is sent.
        is_whole: Whether it is HTTP and complete, so that there must be an answer.
    """

    data: bytes
    is_whole: bool

    def __repr__(self) -> str:
        shown = self.data if len(self.data) <= 2000 else self.data[:2000] + b"..."
        return f"WireRequest({shown!r}, is_whole={self.is_whole})"


@dataclass(frozen=True)
class Route:
    """A kind of request that a service takes.

    Attributes:
        method: The right method.
        path: The right path with its query.
        documents: Strategy of bodies that it takes; ``None`` where it takes none.
    """

    method: str
    path: str
    documents: st.SearchStrategy[Any] | None = None


def piston_documents() -> st.SearchStrategy[Any]:
    """Return right requests for Piston's execute route; their programs end at once."""
    programs = st.sampled_from(
        ["print(1)", "import sys; print(sys.stdin.read())", "exit(3)", "é = '\U0001f40d'", ""]
    )
    files = st.lists(
        st.fixed_dictionaries(
            {"content": programs},
            optional={
                "name": st.sampled_from(["a.py", "d/b.py", "é.py", "a b.py"]),
                "encoding": st.just("utf8"),
            },
        ),
        min_size=1,
        max_size=2,
        unique_by=lambda file: file.get("name", "file"),
    )
    return st.fixed_dictionaries(
        {
            "language": st.sampled_from(["python", "py", "python3", "bash", "cobol"]),
            "version": st.sampled_from(["*", "3", "3.x", ">=3", "1.2.3"]),
            "files": files,
        },
        optional={
            "stdin": st.text(max_size=20),
            "args": st.lists(st.text(max_size=5), max_size=3),
            "run_timeout": st.sampled_from([0, 1, 500, 3000]),
            "run_memory_limit": st.sampled_from([-1, 0, 10**8]),
            "compile_timeout": st.sampled_from([0, 10_000]),
        },
    )


def interpreter_documents(*, wrapped: bool) -> st.SearchStrategy[Any]:
    """Return right requests for the execute route of a built-in interpreter pool."""
    code = st.sampled_from(["1 + 1", "print('é')", "x = 1", "", "1 / 0", "import nothing"])
    fields = st.fixed_dictionaries(
        {"code": code},
        optional={
            "timeoutInSeconds": st.sampled_from([5, 220]),
            "outputStreamsMaxLength": st.sampled_from([1, 1000]),
            "codeInputType": st.just("inline"),
            "executionType": st.just("synchronous"),
        },
    )
    return fields.map(lambda it: {"properties": it}) if wrapped else fields


@st.composite
def _nearly(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    """Return a right document with one thing wrong somewhere in it."""
    document = draw(documents)
    places = list(_places(document))
    owner, key = draw(st.sampled_from(places))
    change = draw(st.sampled_from(["replace", "remove", "wrap", "add", "rename"]))
    if change == "replace":
        owner[key] = draw(JSON)
    elif change == "remove":
        del owner[key]
    elif change == "wrap":
        owner[key] = [owner[key]]
    elif isinstance(owner, dict):
        name = draw(_ANY_TEXT) if change == "add" else str(key).upper()
        owner[name] = draw(JSON) if change == "add" else owner.pop(key)
    return document


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys: Sequence[Any] = ()
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    inner = [place for key in keys for place in _places(value[key])]
    return [(value, key) for key in keys] + inner


@st.composite
def _bodies(draw: st.DrawFn, route: Route) -> bytes:
    if route.documents is None:
        return draw(st.one_of(st.just(b""), st.binary(max_size=20)))
    kind = draw(st.sampled_from(["right", "nearly", "nearly", "nearly", "wild", "noise"]))
    if kind == "noise":
        return draw(st.one_of(st.binary(max_size=50), st.sampled_from(_ODD_BODIES)))
    documents = {"right": route.documents, "nearly": _nearly(route.documents), "wild": JSON}
    text = json.dumps(draw(documents[kind]), ensure_ascii=draw(st.booleans()))
    encoding = "utf-8" if kind != "wild" else draw(st.sampled_from(["utf-8", "utf-16", "utf-7"]))
    return text.encode(encoding, "surrogatepass" if encoding != "utf-7" else "replace")


_ODD_BODIES = (
    b"[" * 100_000,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"1" * 5000,
    b'{"language": ' + b"9" * 5000 + b"}",
    b'{"a": 1, "a": 2}',
    b"\xef\xbb\xbf{}",
    b'{"language": "\xff"}',
    b'"\\ud800"',
    b"{}{}",
    gzip.compress(b"{}"),
    b"x" * 200_000,
    b"null",
    b"-0",
    b"1e999",
    b"--limit\r\nContent-Disposition: form-data; name=file; filename=\xff\r\n\r\nx\r\n--limit--",
    b'--limit\r\nContent-Disposition: form-data; name="file"; filename="../x"\r\n\r\nx\r\n',
    b"--limit--\r\n",
    b"--limit\r\n\r\n",
)


@st.composite
def wire_requests(
    draw: st.DrawFn, routes: Sequence[Route], headers: Mapping[str, str] | None = None
) -> WireRequest:
    """Return requests for a service.

    Args:
        draw: Given by Hypothesis.
        routes: What the service takes.
        headers: What it wants to see, such as a credential.
    """
    route = draw(st.sampled_from(routes))
    body = draw(_bodies(route))
    method, path = route.method, route.path
    sent = {"Content-Type": "application/json", **(headers or {})}
    odd = draw(st.sampled_from(["", "", "", "method", "path", "headers", "framing", "noise"]))
    if odd == "noise":
        return WireRequest(draw(st.binary(max_size=200)) + b"\r\n\r\n", is_whole=False)
    if odd == "method":
        method = draw(st.sampled_from(_METHODS))
    elif odd == "path":
        path = draw(_paths(path))
    elif odd == "headers":
        names = draw(st.lists(st.sampled_from(sorted(_HEADERS)), min_size=1, max_size=4))
        sent.update({name: draw(st.sampled_from(_HEADERS[name])) for name in names})
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in sent.items()]
    length = f"Content-Length: {len(body)}"
    if odd == "framing":
        lines += draw(st.sampled_from(_framings(len(body))))
    else:
        lines.append(length)
    data = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    return WireRequest(data, is_whole=odd != "framing")


@st.composite
def _paths(draw: st.DrawFn, path: str) -> str:
    noise = quote(draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8)), safe="/")
    at = draw(st.integers(1, len(path)))
    return draw(
        st.sampled_from(
            [
                path[:at],
                path[:at] + noise + path[at:],
                path + "&" + noise,
                path.replace("identifier=", f"identifier={noise}"),
                path.replace("identifier=", "identifier=a&identifier="),
                path.replace("api-version=", f"api-version={noise}"),
                path.partition("?")[0],
                "/" + path,
                "/.." + path,
                path.replace("/", "/./"),
                "/" + noise,
                f"{path}%",
                f"{path}%00",
                f"{path}%ff%fe",
                f"http://elsewhere.example{path}",
                path + "x" * 5000,
                "*",
            ]
        )
    )


def _framings(length: int) -> list[list[str]]:
    return [
        [],
        ["Content-Length: -1"],
        ["Content-Length: x"],
        [f"Content-Length: {length + 10}"],
        [f"Content-Length: {length}", f"Content-Length: {length + 1}"],
        ["Transfer-Encoding: chunked"],
        ["Transfer-Encoding: nonsense"],
        [f"Content-Length: {length}", "Transfer-Encoding: chunked"],
        [f"Content-Length: {length}", "no colon in it"],
        [f"Content-Length: {length}", ": no name"],
        [f"Content-Length: {length}", "X: \x00\x01"],
        [f"Content-Length: {length}", "X: " + "x" * 100_000],
        [f"Content-Length: {length}", *(f"X-{at}: x" for at in range(2000))],
        [f"Content-Length: {length}", " folded: x"],
    ]


def status_of(port: int, request: WireRequest) -> int | None:
    """Send a request on a connection of its own.

    Returns:
        The final answer's status; ``None`` if a request that is not whole got no answer.

    Raises:
        AssertionError: A whole request got none.
    """
    received = b""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), 10)) as stream:
        stream.settimeout(ANSWER_WITHIN if request.is_whole else _NOISE_WITHIN)
        # Whoever refuses a request early may close before all of it is sent.
        with contextlib.suppress(OSError):
            stream.sendall(request.data)
        with contextlib.suppress(OSError):
            while chunk := stream.recv(65536):
                received += chunk
                if _final_status(received) is not None:
                    break
    status = _final_status(received)
    assert status is not None or not request.is_whole, (request, received)
    return status


def _final_status(received: bytes) -> int | None:
    statuses = [int(it) for it in re.findall(rb"(?m)^HTTP/1\.[01] (\d{3})\b", received)]
    return next((it for it in statuses if it >= 200), None)
