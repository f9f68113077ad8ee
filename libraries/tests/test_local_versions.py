"""Ranges of versions mean what they mean to npm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.execution.versions import Version, format_version, highest_match, parse_version

VERSIONS = [(2, 7, 18), (3, 8, 1), (3, 10, 0), (3, 11, 2), (3, 11, 10), (3, 12, 0), (4, 0, 1)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("*", (4, 0, 1)),
        ("x", (4, 0, 1)),
        ("", (4, 0, 1)),
        ("3", (3, 12, 0)),
        ("3.x", (3, 12, 0)),
        ("3.*", (3, 12, 0)),
        ("3.11", (3, 11, 10)),
        ("3.11.x", (3, 11, 10)),
        ("3.11.2", (3, 11, 2)),
        ("v3.11.2", (3, 11, 2)),
        ("=3.11.2", (3, 11, 2)),
        ("= 3.11.2", (3, 11, 2)),
        ("3.11.3", None),
        (">=3.11.0", (4, 0, 1)),
        (">= 3.11", (4, 0, 1)),
        (">3.11", (4, 0, 1)),
        (">3.12 <4", None),
        (">3.11.2 <3.12", (3, 11, 10)),
        (">=3.11.0 <4.0.0", (3, 12, 0)),
        ("<3", (2, 7, 18)),
        ("<=3", (3, 12, 0)),
        ("<=3.8", (3, 8, 1)),
        ("<=3.8.0", (2, 7, 18)),
        ("^3", (3, 12, 0)),
        ("^3.8.1", (3, 12, 0)),
        ("^3.13", None),
        ("~3", (3, 12, 0)),
        ("~3.11", (3, 11, 10)),
        ("~3.11.2", (3, 11, 10)),
        ("~3.11.11", None),
        ("~>3.11.2", (3, 11, 10)),
        ("3.8 - 3.11", (3, 11, 10)),
        ("3.8.1 - 3.11.5", (3, 11, 2)),
        ("2 || 3.10", (3, 10, 0)),
        ("99 || 3.10", (3, 10, 0)),
        ("99", None),
        ("latest", None),
        ("python3", None),
        ("3.11.2.1", None),
        ("3..1", None),
        ("03", None),
        (">", None),
        ("3.11 nonsense", None),
        ("☃", None),
    ],
)
def test_highest_match(wanted: str, found: Version | None) -> None:
    assert highest_match(wanted, VERSIONS) == found


@pytest.mark.parametrize(
    ("wanted", "inside", "outside"),
    [
        ("^0.2.3", (0, 2, 9), (0, 3, 0)),
        ("^0.0.3", (0, 0, 3), (0, 0, 4)),
        ("^0.0", (0, 0, 9), (0, 1, 0)),
        ("^0", (0, 9, 9), (1, 0, 0)),
        ("^1.2", (1, 9, 0), (1, 1, 9)),
    ],
)
def test_caret_of_small_versions(wanted: str, inside: Version, outside: Version) -> None:
    assert highest_match(wanted, [inside]) == inside
    assert highest_match(wanted, [outside]) is None


versions = st.tuples(*[st.integers(0, 40)] * 3)


@given(version=versions, others=st.lists(versions))
def test_version_is_a_range_of_itself(version: Version, others: list[Version]) -> None:
    assert highest_match(format_version(version), [*others, version]) == version


@given(found=st.lists(versions, min_size=1), bound=versions)
def test_bounds_agree_with_the_order_of_versions(found: list[Version], bound: Version) -> None:
    for operator, accepts in (
        (">=", bound.__le__),
        (">", bound.__lt__),
        ("<", bound.__gt__),
        ("<=", bound.__ge__),
    ):
        wanted = f"{operator}{format_version(bound)}"
        assert highest_match(wanted, found) == max(filter(accepts, found), default=None)


@given(st.text(max_size=20))
def test_no_text_is_an_error(wanted: str) -> None:
    highest_match(wanted, VERSIONS)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Python 3.11.7\n", (3, 11, 7)),
        ("v20.20.2", (20, 20, 2)),
        ("12", (12, 0, 0)),
        ("GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)", (5, 2, 15)),
        ("Mono JIT compiler version 6.8.0.105 (Debian)", (6, 8, 0)),
        ("javac 17.0.15", (17, 0, 15)),
    ],
)
def test_version_in_the_words_of_a_tool(said: str, version: Version) -> None:
    assert parse_version(said) == version


def test_words_without_a_version() -> None:
    with pytest.raises(ValueError, match="no version"):
        parse_version("unknown")
