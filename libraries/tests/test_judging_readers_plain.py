"""Folders without ceremony: pairs, lists, folders of inputs and outputs, and programs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from codewitness.judging.comparison import EXACT, TRIMMED
from codewitness.judging.languages import ENDINGS
from codewitness.judging.problem import BrokenProblem, Problem
from codewitness.judging.readers.plain import read_plain
from tests.problem_folders import ECHO, Tree, problems_of, whole, without, write_tree

PAIR: Tree = {"main.py": ECHO, "1.in": "one\n", "1.out": "one\n"}


def contents(problem: Problem) -> dict[str, tuple[bytes, bytes]]:
    return {each.name: (each.stdin.read(), each.expected.read()) for each in problem.cases}


@pytest.mark.parametrize(
    ("data", "cases"),
    [
        ({"a.in": "q", "a.out": "r"}, {"a": (b"q", b"r")}),
        ({"a.in": "q", "a.ans": "r"}, {"a": (b"q", b"r")}),
        ({"a.in": "q", "a.a": "r"}, {"a": (b"q", b"r")}),
        ({"a.in": "q", "a.expected": "r"}, {"a": (b"q", b"r")}),
        ({"a.in": "q", "a.ans": "r", "b.in": "s", "b.out": "t"}, {"a": b"qr", "b": b"st"}),
        ({"01": "q", "01.a": "r", "02": "s", "02.a": "t"}, {"01": b"qr", "02": b"st"}),
        ({"big": "q", "big.a": "r"}, {"big": b"qr"}),
        ({"input1.txt": "q", "output01.txt": "r"}, {"input1": b"qr"}),
        ({"tests/01": "q", "tests/01.a": "r"}, {"01": b"qr"}),
        ({"test/a-1.in": "q", "test/a-1.out": "r"}, {"a-1": b"qr"}),
        ({"tests/input7.txt": "q", "tests/output7.txt": "r"}, {"input7": b"qr"}),
        ({"input/input00.txt": "q", "output/output00.txt": "r"}, {"input00": b"qr"}),
        ({"input/input2.txt": "q", "output/output02.txt": "r"}, {"input2": b"qr"}),
        ({"in/x_1.txt": "q", "out/x_1.txt": "r"}, {"x_1": b"qr"}),
        ({"in/x_1.txt": "q", "in/y_1.txt": "s", "out/x_1.txt": "r", "out/y_1.txt": "t"}, {}),
        ({"inputs/1.in": "q", "answers/1.ans": "r"}, {"1": b"qr"}),
        ({"input/9": "q", "input/10": "s", "output/9": "r", "output/10": "t"}, {}),
    ],
)
def test_inputs_are_paired_with_outputs(
    tmp_path: Path, data: Tree, cases: Mapping[str, tuple[bytes, bytes] | bytes]
) -> None:
    problem = whole(write_tree(tmp_path / "echo", {"main.py": ECHO, **data}))
    found = contents(problem)
    assert len(found) == len(data) / 2
    assert all(given + expected in (b"qr", b"st") for given, expected in found.values())
    for name, both in cases.items():
        assert b"".join(found[name]) == (both if isinstance(both, bytes) else b"".join(both))
    assert [file.name for file in problem.submissions[0].program.files] == ["main.py"]
    assert {each.comparison for each in problem.cases} == {TRIMMED}


def test_cases_of_two_folders_come_in_natural_order(tmp_path: Path) -> None:
    names = ["1", "2", "10", "21"]
    data = {f"{folder}/{name}.txt": "x" for folder in ("in", "out") for name in reversed(names)}
    problem = whole(write_tree(tmp_path, {"main.py": ECHO, **data}))
    assert [each.name for each in problem.cases] == names


def test_settings_and_errors_of_inputs_in_a_folder(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "main.py": ECHO,
            "case.yaml": "comparison: exact\nargs: [a]\n",
            "tests/1.in": "",
            "tests/1.ans": "x",
            "tests/1.err": "no",
            "tests/1.yaml": "exit_code: 2\n",
        },
    )
    (case,) = whole(tmp_path).cases
    assert case.stderr
    assert (case.stderr.read(), case.exit_code, case.args) == (b"no", 2, ("a",))
    assert case.comparison == EXACT


@pytest.mark.parametrize(
    ("added", "removed", "problems"),
    [
        ({"1.ans": ""}, [], ["1.ans and 1.out: outputs of the same name; keep one of them"]),
        ({"02": ""}, [], ["02: an input without an output; add 02.a or delete it"]),
        ({"02.a": ""}, [], ["02.a: an output without an input; add 02.in or delete it"]),
        (
            {"1": "", "1.a": ""},
            [],
            [
                "1 and 1.in: inputs of the same name; keep one of them",
                "1.a and 1.out: outputs of the same name; keep one of them",
                "1.in: a second input 1; rename it with its output",
            ],
        ),
        (
            {"tests/1.in": "", "tests/1.out": "x"},
            [],
            ["1.in and tests/1.in: inputs in several layouts; keep one of them"],
        ),
        (
            {"tests/1.in": "", "tests/1.out": "x", "tests/odd": ""},
            ["1.in", "1.out"],
            ["tests/odd: belongs to no input; inputs are called"],
        ),
        (
            {"tests/": ""},
            ["1.in", "1.out"],
            ["tests: empty; add a program, X.in and X.out, or delete it", "no inputs: "],
        ),
        (
            {"input/1": "x"},
            ["1.in", "1.out"],
            ["input: not one folder of inputs and one of outputs", "no inputs: "],
        ),
        (
            {"input/1": "", "input/2": "", "output/2": "x"},
            ["1.in", "1.out"],
            ["input/1: an input without an output; add an output 1 or delete it"],
        ),
        (
            {"input/1.txt": "", "input/01.txt": "", "output/1.txt": "x"},
            ["1.in", "1.out"],
            ["input/01.txt and input/1.txt: inputs of the same name; keep one of them"],
        ),
        (
            {"input/a": "", "output/a": "x", "output/b": "x"},
            ["1.in", "1.out"],
            ["output/b: an output without an input; add an input b or delete it"],
        ),
        (
            {"cases.json": "[]"},
            [],
            [
                "cases.json: holds no case; add one, or delete the file",
                "cases.json and 1.in: inputs in several layouts; keep one of them",
            ],
        ),
        (
            {"cases.json": "[]", "tests.yaml": "[]"},
            ["1.in", "1.out"],
            ["cases.json and tests.yaml: each may be the list of cases; keep one of them"],
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy(
    tmp_path: Path, added: Tree, removed: list[str], problems: list[str]
) -> None:
    write_tree(tmp_path, {**without(PAIR, *removed), **added})
    found = read_plain(tmp_path)
    assert isinstance(found, BrokenProblem)
    for told in problems:
        assert any(told in each for each in found.problems), found.problems


def as_json(items: object) -> str:
    return json.dumps(items)


def as_yaml(items: object) -> str:
    return str(yaml.safe_dump(items))


LISTS = [
    [{"id": "a", "input": "q\n", "expected_output": "r\n"}],
    [{"name": "a", "stdin": "q\n", "stdout": "r\n"}],
    [{"id": "a", "input": ["q"], "output": ["r"]}],
    [{"id": "a", "input": {"stdin": "q\n"}, "output": {"stdout": "r\n"}}],
    [{"id": "a", "input_file": "x/q.txt", "expected_output_file": "x/r.txt"}],
    {"cases": [{"id": "a", "input": "q\n", "expected": "r\n", "explanation": "why"}]},
    {"test_cases": [{"id": "a", "input": "q\n", "expected_output": "r\n", "args": ["1"]}]},
]


@pytest.mark.parametrize("items", LISTS)
@pytest.mark.parametrize(
    ("name", "dump"),
    [("cases.json", as_json), ("odd.json", as_json), ("tests.yaml", as_yaml), ("x.yml", as_yaml)],
)
def test_list_is_read(tmp_path: Path, items: object, name: str, dump: object) -> None:
    assert callable(dump)
    write_tree(tmp_path / "echo", {"main.py": ECHO, name: dump(items)})
    if "input_file" in str(items):
        write_tree(tmp_path / "echo", {"x/q.txt": "q\n", "x/r.txt": "r\n"})
    problem = whole(tmp_path)
    assert contents(problem) == {"a": (b"q\n", b"r\n")}
    assert [file.name for file in problem.submissions[0].program.files] == ["main.py"]


def test_list_keeps_its_order_and_numbers_its_cases(tmp_path: Path) -> None:
    items = [{"input": str(number), "expected_output": "x"} for number in range(12)]
    problem = whole(write_tree(tmp_path, {"main.py": ECHO, "cases.json": as_json(items)}))
    assert [each.name for each in problem.cases[:2]] == ["01", "02"]
    assert [each.stdin.read() for each in problem.cases] == [b"%d" % n for n in range(12)]


def test_inputs_and_outputs_in_two_lists(tmp_path: Path) -> None:
    items = {"inputs": ["q", ["a", "b"]], "outputs": ["r", "s"]}
    problem = whole(write_tree(tmp_path, {"main.py": ECHO, "tests.json": as_json(items)}))
    assert contents(problem) == {"1": (b"q", b"r"), "2": (b"a\nb\n", b"s")}


def test_settings_hold_for_the_cases_of_a_list(tmp_path: Path) -> None:
    items = [
        {"input": "", "output": "x"},
        {"input": "", "output": "x", "args": ["b"], "exit_code": 0, "stderr": "e"},
    ]
    settings = "args: [a]\nexit_code: 3\ncomparison: exact\n"
    write_tree(tmp_path, {"main.py": ECHO, "cases.json": as_json(items), "case.yaml": settings})
    first, second = whole(tmp_path).cases
    assert (first.args, first.exit_code, first.comparison) == (("a",), 3, EXACT)
    assert (second.args, second.exit_code) == (("b",), 0)
    assert second.stderr
    assert second.stderr.read() == b"e"


ITEM = {"input": "q", "output": "r"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cases.json: no JSON: Expecting value in line 1; mend it"),
        ("[{]", "cases.json: no JSON: "),
        (b"\xff\xfe", "cases.json: not UTF-8 text; save it as UTF-8"),
        ("[" * 100_000, "cases.json: no JSON: "),
        ("9" * 10_000, "cases.json: no "),
        ('[{"input": "", "input": ""}]', "the key 'input' stands twice in one place; keep one"),
        ("{}", "cases.json: no list; write a list of cases, or one below 'cases'"),
        ("5", "cases.json: no list; write a list of cases with input and expected_output"),
        ("[]", "cases.json: holds no case; add one, or delete the file"),
        ("[5]", "cases.json: case 1: no mapping; write keys such as input and expected_output"),
        (as_json([{"output": "r"}]), "case 1: has no input; add it, or input_file with the name"),
        (as_json([{"input": "q"}]), "case 1: has no expected_output; add it, or expected_output_f"),
        (as_json([ITEM, {**ITEM, "x": 1}]), "case 2: unknown key 'x'; known are id, name, input,"),
        (as_json([{**ITEM, "stdin": "q"}]), "input and stdin say the same; keep one of them"),
        (
            as_json([{**ITEM, "input": 5}]),
            "case 1: input must be text or a list of lines; put",
        ),
        (as_json([{**ITEM, "output": [5]}]), "case 1: expected_output must be text or a list of"),
        (as_json([{**ITEM, "input": "\ud800"}]), "case 1: input holds half of a surrogate pair"),
        (as_json([{**ITEM, "args": "a"}]), "case 1: args must be a list of texts"),
        (as_json([{**ITEM, "exit_code": 256}]), "case 1: exit_code must be a whole number from 0"),
        (as_json([{**ITEM, "exit_code": True}]), "case 1: exit_code must be a whole number from 0"),
        (as_json([{**ITEM, "id": "a\n"}]), "case 1: id must be at most 200 characters, all of"),
        (as_json([{**ITEM, "id": ""}]), "case 1: id must be text or a whole number"),
        (as_json([{**ITEM, "id": "a"}] * 2), "case 2: a second case 'a'; give it an id of its own"),
        (as_json({"inputs": ["a"], "outputs": []}), "1 inputs and 0 outputs; each input needs its"),
        (as_json({"inputs": [], "fn_name": "f"}), "its cases call the function 'fn_name', but"),
        (
            as_json([{"input_file": "../q", "output": "r"}]),
            "case 1: input_file must be the name of a file beside the list or below it",
        ),
        (as_json([{"input_file": "q", "output": "r"}]), "cases.json: case 1: q: can't be read ("),
    ],
)
def test_list_that_makes_no_sense_is_refused(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    write_tree(tmp_path, {"main.py": ECHO, "cases.json": text})
    found = problems_of(tmp_path)
    assert any(problem in each for each in found), found
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b: c", "tests.yaml: no YAML: mapping values are not allowed"),
        ("&a [*a]", "tests.yaml: "),
        ("- input: &a [&b [&c [x, x], *c, *c], *b]\n  output: *a", "input must be text or a list"),
    ],
)
def test_yaml_list_that_makes_no_sense_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    write_tree(tmp_path, {"main.py": ECHO, "tests.yaml": text})
    (found,) = problems_of(tmp_path)
    assert problem in found


@pytest.mark.parametrize("mark", ["", "\N{BYTE ORDER MARK}"])
@pytest.mark.parametrize("name", ["cases.json", "cases.yaml"])
def test_list_of_any_editor_is_read(tmp_path: Path, mark: str, name: str) -> None:
    text = json.dumps([ITEM], indent=1).replace("\n", "\r\n")
    write_tree(tmp_path, {"main.py": ECHO, name: mark + text})
    assert contents(whole(tmp_path)) == {"1": (b"q", b"r")}


def test_list_may_name_files_of_two_folders(tmp_path: Path) -> None:
    item = {"input_file": "input/1.txt", "expected_output_file": "output/1.txt"}
    files = {"input/1.txt": "q", "output/1.txt": "r"}
    write_tree(tmp_path, {"main.py": ECHO, "cases.json": as_json([item]), **files})
    assert contents(whole(tmp_path)) == {"1": (b"q", b"r")}
    write_tree(tmp_path, {"input/2.txt": ""})
    assert problems_of(tmp_path) == (
        "input/2.txt: not named in cases.json; add it there or delete it",
    )


def test_settings_and_errors_in_a_folder_of_inputs(tmp_path: Path) -> None:
    data = {"in/1": "", "in/1.yaml": "exit_code: 2", "in/1.err": "e", "out/1": "x"}
    (case,) = whole(write_tree(tmp_path, {"main.py": ECHO, **data})).cases
    assert case.stderr
    assert (case.exit_code, case.stderr.read()) == (2, b"e")


def test_scalars_of_a_yaml_list_stay_text(tmp_path: Path) -> None:
    text = "- {id: 010, input: yes, output: 1.0, exit_code: 3}\n"
    (case,) = whole(write_tree(tmp_path, {"main.py": ECHO, "cases.yaml": text})).cases
    assert (case.name, case.stdin.read(), case.exit_code) == ("010", b"yes", 3)
    assert case.expected.read() == b"1.0"


def test_json_beside_pairs_is_a_file_of_the_program(tmp_path: Path) -> None:
    problem = whole(write_tree(tmp_path, {**PAIR, "table.json": "[]"}))
    names = [file.name for file in problem.submissions[0].program.files]
    assert names == ["main.py", "table.json"]


def test_submissions_may_be_in_folders(tmp_path: Path) -> None:
    programs = {"submissions/accepted/a.py": ECHO, "submissions/wrong_answer/b.c": "int main;"}
    problem = whole(write_tree(tmp_path, {**without(PAIR, "main.py"), **programs}))
    assert [(each.name, each.solves) for each in problem.submissions] == [
        ("accepted/a.py", True),
        ("wrong_answer/b.c", False),
    ]


def test_program_beside_submissions_is_told(tmp_path: Path) -> None:
    write_tree(tmp_path, {**PAIR, "submissions/accepted/a.py": ECHO})
    assert problems_of(tmp_path) == (
        "main.py: beside submissions, where programs are; move it there or delete it",
    )


@pytest.mark.parametrize(
    ("language", "ending"),
    [(language, ending) for language, endings in ENDINGS.items() for ending in endings],
)
def test_ending_says_the_language(tmp_path: Path, language: str, ending: str) -> None:
    problem = whole(write_tree(tmp_path, {**without(PAIR, "main.py"), f"program{ending}": "x"}))
    assert problem.submissions[0].program.language == language


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("a.pl", "use strict;\nprint 1;\n", "perl"),
        ("a.pl", "main :- true.\n:- initialization(main).\n", "prolog"),
        ("a.py", "#!/usr/bin/env python2\n", "python2"),
        ("a.py", "#!/usr/bin/env python3\n", "python"),
    ],
)
def test_content_says_what_the_ending_does_not(
    tmp_path: Path, name: str, text: str, language: str
) -> None:
    problem = whole(write_tree(tmp_path, {**without(PAIR, "main.py"), name: text}))
    assert problem.submissions[0].program.language == language


@pytest.mark.parametrize(
    ("files", "main", "language"),
    [
        ({"main.py": "", "util.py": ""}, "main.py", "python"),
        ({"__main__.py": "", "util.py": ""}, "__main__.py", "python"),
        ({"solver.py": "", "util.py": ""}, "solver.py", "python"),
        ({"Main.java": "", "Tree.java": ""}, "Main.java", "java"),
        (
            {"Tree.java": "class Tree {}", "Run.java": "public static void main(String[] a)"},
            "Run.java",
            "java",
        ),
        ({"a.cpp": "int f() {}", "b.cpp": "int main() {}", "f.h": ""}, "b.cpp", "c++"),
        ({"a.c": "int f() {}", "b.cpp": "int main() {}"}, "b.cpp", "c++"),
        ({"a.go": "func main() {}", "b.go": "func f() {}"}, "a.go", "go"),
        ({"lib.rs": "", "app.rs": "fn main() {}"}, "app.rs", "rust"),
        ({"A.kt": "fun main() {}", "B.kt": ""}, "A.kt", "kotlin"),
        ({"src/main.py": "", "src/util/a.py": ""}, "src/main.py", "python"),
        ({"words.txt": "", "only.rb": ""}, "only.rb", "ruby"),
    ],
)
def test_file_to_run_is_found(tmp_path: Path, files: Tree, main: str, language: str) -> None:
    programs = {f"submissions/accepted/solver/{name}": text for name, text in files.items()}
    problem = whole(write_tree(tmp_path, {**without(PAIR, "main.py"), **programs}))
    program = problem.submissions[0].program
    assert (program.files[0].name, program.language) == (main, language)
    assert {file.name for file in program.files} == set(files)


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "", "b.py": ""},
        {"a.py": "", "b.js": ""},
        {"a.c": "int main() {}", "b.c": "int main() {}"},
        {"a.java": "", "b.java": ""},
    ],
)
def test_doubtful_program_is_told(tmp_path: Path, files: Tree) -> None:
    programs = {f"submissions/accepted/solver/{name}": text for name, text in files.items()}
    write_tree(tmp_path, {**without(PAIR, "main.py"), **programs})
    (problem,) = problems_of(tmp_path)
    assert f"{' and '.join(files)}: each may be the program; say 'entrypoint: …'" in problem


FILES = st.sampled_from(
    [
        *("main.py", "other.c", "1.in", "1.out", "1.ans", "1.a", "1", "2", "02.a", "1.err"),
        *("1.yaml", "case.yaml", "cases.json", "tests.yaml", "x.json", "input1.txt"),
        *("output01.txt", "tests/1.in", "tests/1.out", "tests/x", "test/01", "test/01.a"),
        *("input/1", "output/1", "in/2.txt", "out/2.txt", "input/a/b", "submissions/accepted/a.py"),
        *("submissions/wrong_answer/b.py", "submissions/c.py", "README.md", "odd/x"),
    ]
)
CONTENTS = st.sampled_from(
    [
        b'[{"input": "a", "output": "b"}]',
        b'[{"input_file": "1.in", "output_file": "1.out"}]',
        b"args: [a]",
        b"program: other.c",
        b"- a",
    ]
)


@given(tree=st.dictionaries(FILES, CONTENTS | st.binary(max_size=20), max_size=8))
def test_any_folder_is_read_without_losing_anything(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "case")
        for file, content in tree.items():
            # A name can't be a file and a folder.
            if not any(other.startswith(f"{file}/") for other in tree):
                write_tree(folder, {file: content})
        folder.mkdir(exist_ok=True)
        problem = read_plain(folder)
    if isinstance(problem, BrokenProblem):
        assert problem.problems
        return
    used = {str(each.path.relative_to(folder)) for each in problem.submissions[0].program.files}
    for submission in problem.submissions:
        used |= {str(each.path.relative_to(folder)) for each in submission.program.files}
    used |= {"submissions/" + each.name for each in problem.broken_submissions}
    for case in problem.cases:
        for data in (case.stdin, case.expected, case.stderr):
            if data and data.path:
                used.add(str(data.path.relative_to(folder)))
    settings = {"README.md", "case.yaml"} | {f"{case.name}.yaml" for case in problem.cases}
    lists = {"cases.json", "tests.yaml", "x.json"} if "list" in problem.layout else set()
    assert tree.keys() <= used | settings | lists
