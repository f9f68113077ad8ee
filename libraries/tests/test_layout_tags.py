"""The vocabulary of tags: what suites use is explained in the README, and the other way round."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from robot import api

from tests.robot_runs import SUITES

# Tags of test cases, which say in which program a case was run.
LANGUAGE = "language-"


def explained(readme: str) -> set[str]:
    """Return the tags of the README's table, those of a range with the plan's numbers."""
    table = readme.partition("| Tag | Meaning |")[2].partition("\n\n")[0]
    found = set()
    for names in re.findall(r"^\| (`[^|]*) \|", table, flags=re.MULTILINE):
        if "…" in names and "`T" in names:
            found |= {"T1.1", "T1.2", "T1.3", "T2.1", "T2.2", "T2.3", "T3.1", "T3.2", "T3.3"}
            found |= {"T4.1", "T4.2", "T4.3", "T5.1", "T5.2"}
        elif "…" in names and "`P" in names:
            found |= {f"P{number}" for number in range(1, 6)}
        else:
            found |= set(re.findall(r"`([^`]+)`", names))
    return found


def used() -> Iterator[tuple[str, str]]:
    """Yield every tag with the name of a test that has it."""
    for test in api.TestSuiteBuilder().build(SUITES).all_tests:
        for tag in test.tags:
            yield str(tag), test.name


@pytest.fixture(scope="module")
def table(project_root: Path) -> set[str]:
    return explained((project_root / "README.md").read_text(encoding="utf-8"))


def test_every_tag_is_explained(table: set[str]) -> None:
    unknown = {
        tag: test for tag, test in used() if tag not in table and not tag.startswith(LANGUAGE)
    }
    assert not unknown, "explain these in the README's table of tags, or use one that is there"


def test_every_tag_that_is_explained_is_used(table: set[str]) -> None:
    assert {"must", "contract", "T1.1", "P5"} <= table
    assert {tag for tag in table if not tag.startswith(LANGUAGE)} - {
        tag for tag, _ in used()
    } == set()


def test_every_test_says_who_demands_it_and_in_which_phase() -> None:
    for test in api.TestSuiteBuilder().build(SUITES).all_tests:
        tags = set(test.tags)
        assert tags & {"must", "contract", "rehearsal"}, test.full_name
        assert len([tag for tag in tags if str(tag).startswith("phase-")]) == 1, test.full_name
