"""Folders of problems written for one test, and what their readers make of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from codewitness.judging.problem import BrokenProblem, Problem
from codewitness.judging.readers.collection import AnyProblem, read_problems

Tree = Mapping[str, str | bytes]
"""Contents of files by their paths below a folder; a path that ends in ``/`` is a folder."""

ECHO = "print(input())\n"

PACKAGE: Tree = {
    "problem.yaml": "name: Echo\n",
    "data/sample/1.in": "one\n",
    "data/sample/1.ans": "one\n",
    "data/secret/2.in": "two\n",
    "data/secret/2.ans": "two\n",
    "submissions/accepted/echo.py": ECHO,
}
"""A package of the legacy format."""

LATEST: Tree = {
    **PACKAGE,
    "problem.yaml": "problem_format_version: 2025-09\nname: Echo\nuuid: 1\n",
}
"""A package of the format 2025-09."""


def write_tree(folder: Path, tree: Tree) -> Path:
    """Write files, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tree.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def without(tree: Tree, *names: str) -> dict[str, str | bytes]:
    """Return a tree without some of its files."""
    return {name: content for name, content in tree.items() if name not in names}


def read_one(folder: Path) -> AnyProblem:
    """Return the only problem below a folder."""
    (problem,) = read_problems(folder)
    return problem


def whole(folder: Path) -> Problem:
    """Return the only problem below a folder, which must be fit for use."""
    problem = read_one(folder)
    assert isinstance(problem, Problem), problem
    return problem


def problems_of(folder: Path) -> tuple[str, ...]:
    """Return what is wrong with the only problem below a folder."""
    problem = read_one(folder)
    assert isinstance(problem, BrokenProblem), problem
    return problem.problems
