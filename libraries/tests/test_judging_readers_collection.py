"""Folders of problems: which reader each gets, and what is no problem."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from codewitness.judging.problem import BrokenProblem, Problem, RefusedProblem
from codewitness.judging.readers.collection import CasesError, read_problems
from tests.problem_folders import ECHO, LATEST, PACKAGE, Tree, problems_of, whole, write_tree

PAIR: Tree = {"main.py": ECHO, "1.in": "one\n", "1.out": "one\n"}


def below(prefix: str, tree: Tree) -> dict[str, str | bytes]:
    return {f"{prefix}/{name}": content for name, content in tree.items()}


def test_every_layout_gets_its_reader(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            **below("b-package", PACKAGE),
            **below("c-latest", LATEST),
            **below("a-pairs", PAIR),
            "d-list/main.py": ECHO,
            "d-list/cases.json": '[{"input": "", "output": "x"}]',
            "e-folders/main.py": ECHO,
            "e-folders/input/1.txt": "",
            "e-folders/output/1.txt": "x",
        },
    )
    found = {each.name: each for each in read_problems(tmp_path)}
    assert list(found) == ["a-pairs", "b-package", "c-latest", "d-list", "e-folders"]
    layouts = [each.layout for each in found.values() if isinstance(each, Problem)]
    assert layouts == [
        "pairs of files",
        "problem package, legacy",
        "problem package, 2025-09",
        "list of cases in cases.json",
        "folders of inputs and outputs",
    ]


@pytest.mark.parametrize("tree", [PACKAGE, LATEST, PAIR])
def test_folder_may_be_a_problem_itself(tmp_path: Path, tree: Tree) -> None:
    assert whole(write_tree(tmp_path / "one", tree)).name == "one"


def test_problems_of_several_contests_are_found(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            **below("2024/finals/b", PACKAGE),
            **below("2024/finals/a", PACKAGE),
            **below("2023/a10", PACKAGE),
            **below("2023/a9", PAIR),
            "README.md": "",
        },
    )
    names = [each.name for each in read_problems(tmp_path)]
    assert names == ["2023/a9", "2023/a10", "2024/finals/a", "2024/finals/b"]


def test_contests_keep_other_files_beside_packages(tmp_path: Path) -> None:
    write_tree(tmp_path, {**below("a", PACKAGE), "contest.yaml": "", "a.py": "", "b.zip": b"PK"})
    found = read_problems(tmp_path)
    assert [each.name for each in found] == ["a", "a.py", "b.zip"]
    assert isinstance(found[1], BrokenProblem)
    assert isinstance(found[2], BrokenProblem)
    assert found[2].problems == ("b.zip: a packed problem; unpack it into a folder",)


def test_documents_beside_packages_are_no_problem(tmp_path: Path) -> None:
    documents = {"slides/a.pdf": b"%PDF", "slides/pictures/b.PNG": b""}
    write_tree(tmp_path, {**below("a", PACKAGE), **documents})
    refused = read_problems(tmp_path)[1]
    assert isinstance(refused, RefusedProblem)
    assert (refused.name, refused.reason) == ("slides", "it holds nothing but documents")


@pytest.mark.parametrize(
    "more",
    [{"b/x.tex": "", "b/main.py": ""}, {"b/1.in": ""}, {"b/input1.txt": ""}, {"b/": ""}],
)
def test_half_a_case_beside_packages_is_told(tmp_path: Path, more: Tree) -> None:
    broken = read_problems(write_tree(tmp_path, {**below("a", PACKAGE), **more}))[1]
    assert isinstance(broken, BrokenProblem), broken


def test_stray_file_beside_plain_problems_is_told(tmp_path: Path) -> None:
    write_tree(tmp_path, {**below("a", PAIR), "notes.txt": ""})
    broken = read_problems(tmp_path)[1]
    assert isinstance(broken, BrokenProblem)
    assert broken.problems == ("notes.txt: not a folder, as a test case is; move it into one",)


def test_package_of_polygon_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a/problem.xml": "", "a/check.cpp": "", "a/tests/01": ""})
    (refused,) = read_problems(tmp_path)
    assert isinstance(refused, RefusedProblem)
    assert "copy its tests and a program to a folder of their own" in refused.reason


def test_empty_folder_is_told(tmp_path: Path) -> None:
    write_tree(tmp_path, {**below("a", PAIR), "2024/none/": ""})
    broken = read_problems(tmp_path)[0]
    assert isinstance(broken, BrokenProblem)
    assert (broken.name, broken.problems) == (
        "2024/none",
        ("none: empty; add a program, X.in and X.out, or delete it",),
    )


def test_broken_problem_hides_no_other(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {**below("a", PACKAGE), "a/problem.yaml": "{", **below("b", PAIR), **below("c", LATEST)},
    )
    assert [type(each) for each in read_problems(tmp_path)] == [BrokenProblem, Problem, Problem]


@pytest.mark.parametrize("tree", [{}, {"README.md": "", ".git/config": ""}])
def test_folder_without_anything_is_an_error(tmp_path: Path, tree: Tree) -> None:
    with pytest.raises(CasesError, match="holds no case: add a folder with a program"):
        read_problems(write_tree(tmp_path, tree))


@pytest.mark.parametrize("made", [True, False])
def test_what_is_no_folder_is_an_error(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "x").touch()
    with pytest.raises(CasesError, match=r"x can't be read \(.+\): name the right one in TEST_"):
        read_problems(tmp_path / "x")


@pytest.fixture
def links(tmp_path: Path) -> None:
    """Makes sure that symbolic links can be made, which Windows allows to some only."""
    try:
        (tmp_path / "probe").symlink_to("nowhere")
    except OSError as error:
        pytest.skip(f"no symbolic links on this machine: {error}")
    (tmp_path / "probe").unlink()


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("..", "loop: a link to a folder that it lies in; remove it"),
        (".", "loop: a link to a folder that it lies in; remove it"),
        ("loop", "loop: can't be read ("),
        ("nowhere", "loop: not a folder, as a test case is; move it into one"),
    ],
)
def test_link_that_leads_back_or_nowhere_is_told(tmp_path: Path, target: str, told: str) -> None:
    write_tree(tmp_path, below("a/b", PAIR))
    (tmp_path / "a/loop").symlink_to(target)
    found = {each.name: each for each in read_problems(tmp_path)}
    broken = found["a/loop"] if "a/loop" in found else found["a"]
    assert isinstance(broken, BrokenProblem)
    assert any(told in each for each in broken.problems), broken.problems


@pytest.mark.usefixtures("links")
def test_links_to_problems_are_followed(tmp_path: Path) -> None:
    write_tree(tmp_path / "elsewhere/real", PACKAGE)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/linked").symlink_to(tmp_path / "elsewhere/real")
    assert [each.name for each in read_problems(tmp_path / "root")] == ["linked"]


@pytest.mark.thorough
def test_ten_thousand_cases_are_not_held(tmp_path: Path) -> None:
    data = write_tree(tmp_path, PACKAGE) / "data/secret"
    for number in range(10_000):
        (data / f"{number}.in").write_bytes(b"x" * 4000)
        (data / f"{number}.ans").write_bytes(b"x" * 4000)
    tracemalloc.start()
    started = time.monotonic()
    problem = whole(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(problem.cases) == 10_001
    assert [each.name for each in problem.cases[1:4]] == ["secret/0", "secret/1", "secret/2"]
    assert peak < 40 << 20
    assert time.monotonic() - started < 120


def test_names_that_would_spoil_a_report_are_shown_escaped(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a\x1b[1m/x.in": "", "b/1.in": "", "b/1.out": "x", "b/m.py": ""})
    found = read_problems(tmp_path)
    assert found[0].name == "a\\x1b[1m"


def test_problems_of_a_package_are_told_together(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {**PACKAGE, "data/secret/3.in": "", "data/secret/4.ans": "", "data/secret/5.files/x": ""},
    )
    problems = problems_of(tmp_path)
    for name in ("3.in", "4.ans", "5.files"):
        assert any(f"data/secret/{name}: " in each for each in problems), problems
