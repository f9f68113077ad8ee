"""A secret that a service tells back is recognised in whatever escaping it comes."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codewitness.execution.redaction import REDACTED, redact

ESCAPINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda it: json.dumps(it)[1:-1],
    "JSON without markup": lambda it: (
        json.dumps(it)[1:-1].replace("<", r"\u003c").replace("&", r"\u0026").replace("'", r"\u0027")
    ),
    "Python": lambda it: repr(it)[1:-1],
    "HTML": html.escape,
    "URL": lambda it: quote(it, safe=""),
    "URL's path": quote,
    "form": quote_plus,
}

secrets = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=24
).filter(lambda it: sum(map(str.isalnum, it)) >= 4)


# What encodes & and ; again, after HTML, is left out.
LAYERS = [
    (inner, outer)
    for inner in ESCAPINGS
    for outer in ESCAPINGS
    if inner != "HTML" or outer in ("as it is", "JSON", "Python", "HTML")
]


@pytest.mark.parametrize(("inner", "outer"), LAYERS)
@settings(max_examples=25)
@given(secret=secrets)
def test_secret_is_recognised_in_two_layers_of_escaping(
    inner: str, outer: str, secret: str
) -> None:
    text = ESCAPINGS[outer](ESCAPINGS[inner](f"before {secret} after"))
    shown = redact(text, {"BACKEND_API_KEY": secret})
    assert REDACTED in shown
    assert text.startswith(shown.partition(REDACTED)[0])


@given(secret=secrets, text=st.text(max_size=60))
def test_other_text_stays(secret: str, text: str) -> None:
    other = f"{text} {'x' * 5}"
    if secret.lower() not in other.lower():
        assert redact(other, {"BACKEND_API_KEY": secret}) in (other, redact(other, {}))


@pytest.mark.parametrize("text", ["\\" * 20000, "%5c" * 8000, "&#92;" * 5000, "%" * 20000])
def test_text_full_of_escapes_is_soon_through(text: str) -> None:
    # Backtracking would make this endless.
    assert redact(text, {"BACKEND_API_KEY": "\\\\key\\\\of\\ours%\\"}) == text
