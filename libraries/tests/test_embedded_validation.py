from __future__ import annotations

import base64
import json
import math
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codewitness.embedded.validation import LimitCeilings, parse_body, read_request
from codewitness.execution.model import ExecutionRequest, Limits, RequestRefused, SourceFile

VALID: dict[str, Any] = {"language": "python", "version": "*", "files": [{"content": "x"}]}
CEILINGS = LimitCeilings()

text = st.text(st.characters())  # lone surrogates too: JSON can carry them
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
encodings = st.sampled_from(["utf8", "base64", "hex", "rot13", "", None]) | json_values
file_entries = st.fixed_dictionaries(
    {"content": text | json_values},
    optional={"name": text | json_values, "encoding": encodings},
)
LIMIT_NAMES = [
    f"{s}_{c}" for c in ("memory_limit", "timeout", "cpu_time") for s in ("compile", "run")
]
requests = st.fixed_dictionaries(
    {
        "language": text | json_values,
        "version": text | json_values,
        "files": st.lists(file_entries | json_values, max_size=3) | json_values,
    },
    optional={
        "stdin": text | json_values,
        "args": st.lists(text | json_values, max_size=3) | json_values,
        **{name: st.floats(-2, 20000) | json_values for name in LIMIT_NAMES},
    },
)


def refusal(document: Any, **options: Any) -> str:
    with pytest.raises(RequestRefused) as caught:
        read_request(document, CEILINGS, **options)
    assert caught.value.status == 400
    return caught.value.message


@given(json_values | requests, st.booleans())
def test_any_json_value_is_a_request_or_is_refused(document: Any, known: bool) -> None:
    try:
        request = read_request(document, CEILINGS, knows=lambda *_: known)
    except RequestRefused as refused:
        assert refused.status == 400  # noqa: PT017
        return
    assert request.language == document["language"]
    assert request.version == document["version"]
    assert len(request.files) == len(document["files"])
    assert request.files[_first_utf8(request)].encoding == "utf8"
    assert request.stdin.endswith(b"\n")
    assert b"\0" not in "".join(request.args).encode()
    assert 0 < (request.limits.run_timeout or 0) <= CEILINGS.run_timeout
    assert 0 < (request.limits.compile_cpu_time or 0) <= CEILINGS.compile_cpu_time
    assert request.limits.run_memory_limit is None or request.limits.run_memory_limit > 0
    for file in request.files:
        if file.name is not None:
            path = PurePosixPath(file.name)
            assert path.parts
            assert not path.is_absolute()
            assert ".." not in path.parts


def _first_utf8(request: ExecutionRequest) -> int:
    return next(i for i, file in enumerate(request.files) if file.encoding == "utf8")


@given(st.binary() | json_values.map(json.dumps).map(str.encode))
@example(b"[" * 100_000)
@example(b"9" * 5_000)
@example(b'{"a": NaN}')
@example(b"\xff\xfe\x00")
def test_any_body_is_parsed_or_refused_with_a_message(body: bytes) -> None:
    try:
        document = parse_body(body)
    except RequestRefused as refused:
        assert (refused.status, bool(refused.message)) == (400, True)  # noqa: PT017
        assert "/" not in refused.message  # noqa: PT017
    else:
        assert isinstance(document, (dict, list))


@pytest.mark.parametrize("body", [b"null", b"1", b'"x"', b"{", b"{}x", b"true", b"NaN"])
def test_malformed_bodies(body: bytes) -> None:
    with pytest.raises(RequestRefused, match="request body"):
        parse_body(body)


BAD = [
    ({}, "language is required as a string"),
    ({"language": ""}, "language is required as a string"),
    ({"language": 3}, "language is required as a string"),
    ({"language": "python"}, "version is required as a string"),
    ({"language": "python", "version": 3.11}, "version is required as a string"),
    ({"language": "python", "version": "3"}, "files is required as an array"),
    ({**VALID, "files": {"0": {"content": "x"}}}, "files is required as an array"),
    ({**VALID, "files": [{"content": "x"}, {}]}, "files[1].content is required as a string"),
    ({**VALID, "files": [None]}, "files[0].content is required as a string"),
    ({**VALID, "files": [{"content": 1}]}, "files[0].content is required as a string"),
    ({**VALID, "files": []}, "files must include at least one utf8 encoded file"),
    (
        {**VALID, "files": [{"content": "", "encoding": it} for it in ("base64", "hex", "x")]},
        "files must include at least one utf8 encoded file",
    ),
    ({**VALID, "run_timeout": 3001}, "run_timeout cannot exceed the configured limit of 3000"),
    ({**VALID, "compile_cpu_time": math.inf},
     "compile_cpu_time cannot exceed the configured limit of 10000"),
    ({**VALID, "run_timeout": "1"}, "If specified, run_timeout must be a number"),
    ({**VALID, "run_memory_limit": True}, "If specified, run_memory_limit must be a number"),
    ({**VALID, "compile_timeout": -1}, "compile_timeout must be non-negative"),
    ({**VALID, "stdin": 5}, ""),
    ({**VALID, "args": {}}, "args must be an array of strings"),
    ({**VALID, "args": ["a\0"]}, "args[0] must be a string without NUL characters"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "message"), BAD)
def test_refusals(document: Any, message: str) -> None:
    assert refusal(document) == message


@pytest.mark.parametrize("document", [[], ["language"], {"files": 1}])
def test_language_comes_first(document: Any) -> None:
    assert refusal(document, knows=lambda *_: False) == "language is required as a string"


def test_order_of_checks() -> None:
    """Repairing the failure reported uncovers the next one, in Piston's order."""
    document: dict[str, Any] = dict.fromkeys(("language", "version", "files"), 5)
    document |= dict.fromkeys(LIMIT_NAMES, "many") | {"stdin": 5, "known": False}
    repairs: list[tuple[str, dict[str, Any]]] = [
        ("language is", {"language": "x"}),
        ("version is", {"version": "9"}),
        ("files is", {"files": [{}, {}]}),
        ("files[0].content", {"files": [{"content": "", "encoding": "hex"}, {}]}),
        ("files[1].content", {"files": [{"content": "", "encoding": "hex"}]}),
        ("x-9 runtime is unknown", {"known": True}),
        ("files must include", {"files": [{"content": ""}]}),
        *((f"If specified, {name}", {name: 0}) for name in LIMIT_NAMES),
        ("", {"stdin": ""}),
    ]
    for message, repair in repairs:
        known = document["known"]
        assert refusal(document, knows=lambda *_, known=known: known).startswith(message)
        document |= repair
    read_request(document, CEILINGS)


@pytest.mark.parametrize(
    "name",
    [
        "../x", "a/../../x", "..", "/etc/x", "a\\..\\..\\x", "\\x", "c:\\x", "c:x", "a\0b",
        "a/", ".", "a/..", "x" * 256, "é" * 128, "a/" * 600 + "x", 5, ["x"],
    ],
)  # fmt: skip
def test_names_that_are_no_file_in_the_job_folder(name: Any) -> None:
    assert "files[0].name" in refusal({**VALID, "files": [{"content": "", "name": name}]})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, None), ("", None), ("a.py", "a.py"), ("./b/c.py", "b/c.py"), ("x/../y", "y"),
        ("é.py", "é.py"), ("a b", "a b"), ("..x", "..x"), ("\ud800", "\ufffd"),
    ],
)  # fmt: skip
def test_names(name: Any, expected: str | None) -> None:
    document = {**VALID, "files": [{"content": "", "name": name}]}
    assert read_request(document, CEILINGS).files[0].name == expected


def test_a_name_cannot_be_file_and_folder() -> None:
    for names in (["a", "a/b"], ["a/b", "a"]):
        files = [{"content": "", "name": name} for name in names]
        assert "files[1].name is a file" in refusal({**VALID, "files": files})


@given(st.binary())
def test_encoded_contents(content: bytes) -> None:
    encoded = base64.b64encode(content).decode()
    files = [
        {"content": "main"},
        {"content": encoded, "encoding": "base64"},
        {"content": encoded.rstrip("=") + "\n", "encoding": "base64"},
        {"content": base64.urlsafe_b64encode(content).decode(), "encoding": "base64"},
        {"content": content.hex(), "encoding": "hex"},
        {"content": content.hex() + "zz00", "encoding": "hex"},
    ]
    read = read_request({**VALID, "files": files}, CEILINGS).files
    assert read[0] == SourceFile(b"main")
    assert [file.content for file in read[1:]] == [content] * 5


def test_unknown_encoding_is_text_but_not_the_program() -> None:
    files = [{"content": "é", "encoding": "rot13"}, {"content": "main", "encoding": "utf8"}]
    read = read_request({**VALID, "files": files}, CEILINGS).files
    assert read == (SourceFile("é".encode(), encoding="base64"), SourceFile(b"main"))


@pytest.mark.parametrize(
    ("stdin", "expected"), [(None, b"\n"), ("", b"\n"), ("a", b"a\n"), ("a\n", b"a\n")]
)
def test_stdin_ends_with_a_newline(stdin: str | None, expected: bytes) -> None:
    assert read_request({**VALID, "stdin": stdin}, CEILINGS).stdin == expected


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (None, ()), ([], ()), ("ab", ("a", "b")), ([1, 2.0, 0.5, "x y"], ("1", "2", "0.5", "x y")),
        (["\ud800"], ("\ufffd",)),
    ],
)  # fmt: skip
def test_args(args: Any, expected: tuple[str, ...]) -> None:
    assert read_request({**VALID, "args": args}, CEILINGS).args == expected


@pytest.mark.parametrize("falsy", [None, 0, 0.0, "", False])
def test_falsy_limits_are_defaults(falsy: Any) -> None:
    document = VALID | dict.fromkeys(LIMIT_NAMES, falsy)
    assert read_request(document, CEILINGS).limits == Limits(
        run_timeout=3000,
        run_cpu_time=3000,
        compile_timeout=10000,
        compile_cpu_time=10000,
    )


def test_limits_are_lowered() -> None:
    asked = {"run_timeout": 500, "run_memory_limit": 1e6, "compile_memory_limit": -5}
    limits = read_request({**VALID, **asked}, CEILINGS).limits
    assert (limits.run_timeout, limits.run_memory_limit) == (500, 1000000)
    assert limits.compile_memory_limit is None


def test_older_generation_has_no_limit_of_cpu_time() -> None:
    limits = read_request({**VALID, "run_cpu_time": "x"}, CEILINGS, cpu_time_limits=False).limits
    assert (limits.run_cpu_time, limits.run_timeout) == (math.inf, 3000)
