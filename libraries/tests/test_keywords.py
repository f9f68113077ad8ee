"""The vocabulary is documented, and the suites are written in it and in nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from robot import running

from tests.robot_runs import PROJECT, SUITES, environment

SOURCES = sorted([*PROJECT.glob("libraries/*Library.py"), *PROJECT.glob("resources/*.resource")])
FILES = sorted([*SUITES.rglob("*.robot"), *PROJECT.glob("resources/*.resource")])

RENDER_ALL = """\
import sys
from pathlib import Path
from robot.libdoc import libdoc

for source in sys.argv[2:]:
    for kind in ("html", "json"):
        libdoc(source, str(Path(sys.argv[1], f"{Path(source).stem}.{kind}")), quiet=True)
"""

LONGEST_TEST = 10
"""Steps of a test that a reader still takes in at a glance."""

BUSINESS_OF_LIBRARIES = {
    "sleep": "waits for what may come later or earlier",
    "evaluate": "is Python",
    "run keyword and return status": "hides a failure",
    "run keyword and ignore error": "hides a failure",
    "wait until keyword succeeds": "hides a failure",
    "set variable if": "is logic",
    "run keyword if": "is logic",
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page and a JSON file for every library and resource."""
    folder = tmp_path_factory.mktemp("pages")
    rendering = subprocess.run(
        [sys.executable, "-c", RENDER_ALL, str(folder), *map(str, SOURCES)],
        env=environment(),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert rendering.returncode == 0, rendering.stdout
    # Warnings would stand here.
    assert not rendering.stdout
    return folder


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_keyword_is_documented(pages: Path, source: Path) -> None:
    page = (pages / f"{source.stem}.html").read_text(encoding="utf-8")
    assert source.stem in page
    described: dict[str, Any] = json.loads(
        (pages / f"{source.stem}.json").read_text(encoding="utf-8")
    )
    assert re.sub("<.*?>", "", described["doc"]).strip()
    undocumented = [
        keyword["name"] for keyword in described["keywords"] if len(keyword["shortdoc"]) < 15
    ]
    assert not undocumented


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_keywords_of_libraries_are_typed(pages: Path, source: Path) -> None:
    described = json.loads((pages / f"{source.stem}.json").read_text(encoding="utf-8"))
    if source.suffix != ".py":
        return
    untyped = [
        f"{keyword['name']}: {argument['name']}"
        for keyword in described["keywords"]
        for argument in keyword["args"]
        if argument["name"] and argument["type"] is None
    ]
    assert not untyped


def all_tests() -> Iterator[Any]:
    yield from running.TestSuite.from_file_system(SUITES).all_tests


def own_keywords(suite: Any) -> Iterator[Any]:
    yield from suite.resource.keywords
    for child in suite.suites:
        yield from own_keywords(child)


def test_suites_hold_no_logic() -> None:
    for item in [*all_tests(), *own_keywords(running.TestSuite.from_file_system(SUITES))]:
        for step in item.body:
            assert step.type in (step.KEYWORD, step.VAR), f"{item.name} has {step.type}"


def test_tests_are_short() -> None:
    long = {test.full_name: len(test.body) for test in all_tests() if len(test.body) > LONGEST_TEST}
    assert not long


def test_every_test_has_a_body_and_every_suite_a_documentation() -> None:
    suite = running.TestSuite.from_file_system(SUITES)
    assert all(len(test.body) for test in suite.all_tests)
    pending = [suite]
    while pending:
        current = pending.pop()
        assert current.doc, current.full_name
        pending += current.suites


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_files_hold_no_python_and_no_keyword_that_hides_a_failure(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "${{" not in text
    cells = {cell.strip().lower() for line in text.splitlines() for cell in line.split("    ")}
    assert not {name: why for name, why in BUSINESS_OF_LIBRARIES.items() if name in cells}


def tags_of_the_readme() -> dict[str, re.Pattern[str]]:
    """Return every tag that the README explains; a row such as `T1.1` … `T5.2` has many."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| Tag | Meaning |")[2].partition("\n\n")[0]
    found = {}
    for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        for tag in re.findall("`(.+?)`", cell):
            pattern = re.escape(tag)
            if "…" in cell:
                pattern = re.sub(r"\d", r"\\d", pattern)
                pattern = re.sub(r"^(language\\-).+", r"\1.+", pattern)
            found[tag] = re.compile(pattern)
    return found


def test_every_tag_is_explained_in_the_readme() -> None:
    explained = tags_of_the_readme()
    assert {"must", "contract", "phase-1"} <= set(explained)
    used = {str(tag) for test in all_tests() for tag in test.tags}
    assert not [
        tag
        for tag in sorted(used)
        if not any(pattern.fullmatch(tag) for pattern in explained.values())
    ]
    unused = [tag for tag, it in explained.items() if not any(map(it.fullmatch, used))]
    assert not unused
