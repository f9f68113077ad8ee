from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.execution.model import ExecutionRequest, Limits, SourceFile
from codewitness.judging.cases import (
    LANGUAGES,
    BrokenCase,
    CaseInput,
    CasesError,
    TestCase,
    read_cases,
)
from codewitness.judging.comparison import EXACT, TOKENS, TRIMMED, Comparison, Mode

GOOD: Mapping[str, str | bytes] = {
    "main.py": "print(input())\n",
    "1.in": "one\n",
    "1.out": "one\n",
}


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(raw)
    return folder


def read_one(root: Path) -> TestCase | BrokenCase:
    (case,) = read_cases(root)
    return case


def whole(root: Path) -> TestCase:
    case = read_one(root)
    assert isinstance(case, TestCase), case
    return case


def problems_of(root: Path) -> tuple[str, ...]:
    case = read_one(root)
    assert isinstance(case, BrokenCase)
    assert case.problems
    return case.problems


def test_a_folder_with_nothing_but_files_is_a_case(tmp_path: Path) -> None:
    folder = write(tmp_path / "echo", GOOD)
    assert read_cases(tmp_path) == [
        TestCase(
            name="echo",
            folder=folder,
            description="",
            language="python",
            files=(SourceFile(b"print(input())\n", "main.py"),),
            inputs=(CaseInput("1", b"one\n", b"one\n"),),
            comparison=TRIMMED,
            run_timeout=None,
        )
    ]


def test_every_setting_is_read(tmp_path: Path) -> None:
    settings = """\
        description: Says what it read.
        language: python
        program: echo.txt
        args: [--times, 2, yes, 010, '']
        exit_code: 3
        comparison: tokens case_sensitive
        run_timeout: 1500
    """
    write(
        tmp_path / "echo",
        {
            "echo.txt": "print(input())",
            "other.py": "",
            "case.yaml": settings,
            "a.in": "x",
            "a.out": "x",
            "a.err": "warning",
            "b.in": "x",
            "b.out": "x",
            "b.yaml": "args: []\nexit_code: 0\n",
        },
    )
    case = whole(tmp_path)
    assert case.description == "Says what it read."
    assert case.language == "python"
    assert [file.name for file in case.files] == ["echo.txt", "other.py"]
    assert case.comparison == Comparison(Mode.TOKENS, case_sensitive=True)
    assert case.run_timeout == 1500
    assert case.inputs == (
        CaseInput("a", b"x", b"x", ("--times", "2", "yes", "010", ""), 3, b"warning"),
        CaseInput("b", b"x", b"x", (), 0, None),
    )


def test_request_holds_what_the_case_says(tmp_path: Path) -> None:
    write(tmp_path / "echo", {**GOOD, "case.yaml": "args: [x]\nrun_timeout: 700\n"})
    case = whole(tmp_path)
    assert case.request(case.inputs[0]) == ExecutionRequest(
        language="python",
        files=(SourceFile(b"print(input())\n", "main.py"),),
        version="*",
        stdin=b"one\n",
        args=("x",),
        limits=Limits(run_timeout=700),
    )


@pytest.mark.parametrize(
    ("ending", "language"),
    [(ending, language) for language, endings in LANGUAGES.items() for ending in endings],
)
def test_ending_says_the_language(tmp_path: Path, ending: str, language: str) -> None:
    write(tmp_path / "case", {f"program{ending}": "x", "1.in": "", "1.out": "x"})
    assert whole(tmp_path).language == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_settings_say_the_language(tmp_path: Path, language: str) -> None:
    write(
        tmp_path / "case",
        {"program": "x", "case.yaml": f"language: {language}", "1.in": "", "1.out": "x"},
    )
    assert whole(tmp_path).language == language


@pytest.mark.parametrize(
    ("text", "comparison"),
    [
        ("exact", EXACT),
        ("trimmed", TRIMMED),
        ("tokens", TOKENS),
        ("tokens space_change_sensitive", Comparison(Mode.TOKENS, space_change_sensitive=True)),
        ("tokens space_change_sensitive case_sensitive", Comparison(Mode.TOKENS, True, True)),
    ],
)
def test_settings_say_the_comparison(tmp_path: Path, text: str, comparison: Comparison) -> None:
    write(tmp_path / "case", {**GOOD, "case.yaml": f"comparison: {text}"})
    assert whole(tmp_path).comparison == comparison


@pytest.mark.parametrize("settings", ["", "# nothing\n", "---\n", "\N{BYTE ORDER MARK}"])
def test_settings_may_be_empty(tmp_path: Path, settings: str) -> None:
    write(tmp_path / "case", {**GOOD, "case.yaml": settings})
    assert whole(tmp_path).comparison == TRIMMED


def test_main_is_the_program_among_several_files(tmp_path: Path) -> None:
    write(tmp_path / "case", {"a.py": "", "Main.py": "import a", "1.in": "", "1.out": "x"})
    write(tmp_path / "case", {"data.bin": b"\xff\x00", "table.csv": "1,2"})
    assert whole(tmp_path).files == (
        SourceFile(b"import a", "Main.py"),
        SourceFile(b"", "a.py"),
        SourceFile(b"\xff\x00", "data.bin", "base64"),
        SourceFile(b"1,2", "table.csv"),
    )


def test_files_in_no_language_do_not_compete_for_the_program(tmp_path: Path) -> None:
    write(tmp_path / "case", {**GOOD, "main.txt": "", "a.csv": ""})
    assert whole(tmp_path).files[0].name == "main.py"


def test_inputs_come_in_natural_order(tmp_path: Path) -> None:
    numbers = ["1", "2", "03", "3", "10", "21", "100"]
    pairs = {f"{n}.{end}": "x" for n in reversed(numbers) for end in ("in", "out")}
    write(tmp_path / "case", {"main.py": "", **pairs})
    assert [each.name for each in whole(tmp_path).inputs] == numbers


def test_cases_come_in_natural_order(tmp_path: Path) -> None:
    names = ["case-1", "case-2", "case-10", "case-10a", "other"]
    for name in reversed(names):
        write(tmp_path / name, GOOD)
    assert [case.name for case in read_cases(tmp_path)] == names


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("input1.txt", "output1.txt"),
        ("input01.txt", "output1.txt"),
        ("input7.txt", "output007.txt"),
    ],
)
def test_numbers_pair_whatever_their_padding(tmp_path: Path, given: str, expected: str) -> None:
    write(tmp_path / "case", {"main.py": "", given: "question", expected: "answer"})
    stem = given.partition(".")[0]
    assert whole(tmp_path).inputs == (CaseInput(stem, b"question", b"answer"),)


def test_numbered_inputs_take_settings_and_errors(tmp_path: Path) -> None:
    write(
        tmp_path / "case",
        {
            "main.py": "",
            "input1.txt": "",
            "output1.txt": "",
            "input1.yaml": "exit_code: 2",
            "input1.err": "no",
        },
    )
    assert whole(tmp_path).inputs == (CaseInput("input1", b"", b"", (), 2, b"no"),)


def test_names_of_pairs_are_compared_as_text(tmp_path: Path) -> None:
    pairs = {"1.in": "a", "1.out": "b", "01.in": "c", "01.out": "d"}
    write(tmp_path / "case", {"main.py": "", **pairs})
    assert [(each.stdin, each.expected) for each in whole(tmp_path).inputs] == [
        (b"c", b"d"),
        (b"a", b"b"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(".hidden", ".1.in.swp", "main.py~", "#main.py#", "2.in~", "1.out.bak", "main.py.orig"),
        *("README.md", "Thumbs.db", "desktop.ini"),
    ],
)
def test_litter_is_ignored(tmp_path: Path, name: str) -> None:
    write(tmp_path / "case", {**GOOD, name: b"\xff"})
    write(tmp_path, {name: b"\xff"})
    assert len(whole(tmp_path).files) == 1


def test_compiled_python_is_ignored(tmp_path: Path) -> None:
    write(write(tmp_path / "case", GOOD) / "__pycache__", {"main.cpython-311.pyc": b"\x00"})
    assert len(whole(tmp_path).files) == 1


@given(
    inputs=st.lists(
        st.tuples(st.binary(max_size=40), st.binary(min_size=1, max_size=40)), min_size=1
    )
)
def test_bytes_are_kept_as_they_are(inputs: list[tuple[bytes, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name, "case"), {"main.py": "", "case.yaml": "comparison: exact"})
        for index, (stdin, expected) in enumerate(inputs):
            write(folder, {f"{index}.in": stdin, f"{index}.out": expected})
        case = whole(Path(name))
    assert [(each.stdin, each.expected) for each in case.inputs] == inputs


@pytest.mark.parametrize(
    ("added", "removed", "problem"),
    [
        ({"2.in": ""}, (), "2.in: an input without an output; add 2.out or delete it"),
        ({"2.out": ""}, (), "2.out: an output without an input; add 2.in or delete it"),
        ({"input3.txt": ""}, (), "input3.txt: an input without an output; add output3.txt or"),
        ({"input3.in": ""}, (), "input3.in: an input without an output; add input3.out or"),
        ({"output03.txt": ""}, (), "output03.txt: an output without an input; add input3.txt or"),
        (
            {"input1.txt": "", "output1.txt": "", "output01.txt": ""},
            (),
            "output01.txt and output1.txt: outputs of the same number; keep one of them",
        ),
        (
            {"input1.txt": "", "input01.txt": "", "output1.txt": ""},
            (),
            "input01.txt and input1.txt: inputs of the same number; keep one of them",
        ),
        (
            {"input1.txt": "", "output1.txt": "", "input1.in": "", "input1.out": ""},
            (),
            "input1.txt: a second input input1; rename it",
        ),
        ({}, ("1.in", "1.out"), "no inputs: inputs are called X.in or inputN.txt"),
        ({"2.ans": ""}, (), "2.ans: an output without an input; add 2.in or delete it"),
        ({"1.OUT": ""}, (), "1.OUT: belongs to no input; inputs are called"),
        ({"Input1.txt": ""}, (), "Input1.txt: belongs to no input"),
        ({"input_1.txt": ""}, (), "input_1.txt: belongs to no input"),
        ({"expected.txt": ""}, (), "expected.txt: belongs to no input"),
        ({"2.err": ""}, (), "2.err: belongs to no input"),
        ({"2.yaml": ""}, (), "2.yaml: belongs to no input"),
        ({"case.yml": ""}, (), "case.yml: belongs to no input"),
        ({}, ("main.py",), "no program; add one whose name ends in .py"),
        ({"a.py": "", "b.sh": ""}, ("main.py",), "a.py and b.sh: each may be the program"),
        ({"main.js": ""}, (), "main.js and main.py: each may be the program; say 'program: …'"),
        ({"main.xyz": ""}, ("main.py",), "main.xyz: unknown language; end its name in .py"),
        ({"main.py": b"print('\xe9')"}, (), "main.py: not UTF-8 text"),
        ({"case.yaml": "program: gone.py"}, (), "program: there is no file gone.py; mend the name"),
        ({"case.yaml": "program: 1.in"}, (), "case.yaml: program: there is no file 1.in"),
        ({"1.out": ""}, (), "no input expects any output"),
        ({"1.out": " \n"}, (), "no input expects any output"),
        ({"1.out": "", "1.err": ""}, (), "no input expects any output"),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy(
    tmp_path: Path, added: dict[str, str | bytes], removed: tuple[str, ...], problem: str
) -> None:
    files = {name: content for name, content in GOOD.items() if name not in removed}
    write(tmp_path / "case", {**files, **added})
    (found,) = problems_of(tmp_path)
    assert problem in found


@pytest.mark.parametrize(
    "added",
    [
        {"1.err": "x"},
        {"1.yaml": "exit_code: 1"},
        {"1.out": " \n", "case.yaml": "comparison: exact"},
        {"2.in": "", "2.out": "x"},
    ],
)
def test_empty_output_is_fine_where_something_else_shows_that_the_program_ran(
    tmp_path: Path, added: dict[str, str]
) -> None:
    write(tmp_path / "case", {**GOOD, "1.out": "", **added})
    whole(tmp_path)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("args: [", "case.yaml: no YAML: expected the node content"),
        ("a: b: c", "case.yaml: no YAML: mapping values are not allowed here in line 1"),
        (b"description: \xff", "case.yaml: no YAML: "),
        ("[" * 3000, "case.yaml: no YAML: "),
        ("? [a]\n: b", "case.yaml: no YAML: "),
        ("[]", "case.yaml: no mapping; write lines such as 'exit_code: 1'"),
        ("- args", "case.yaml: no mapping; write lines such as 'exit_code: 1'"),
        ("exit code 1", "case.yaml: no mapping"),
        ("exitcode: 1", "case.yaml: unknown key 'exitcode'; known are description, language,"),
        ("exit_code: 1\nexit_code: 2", "case.yaml: a key stands there twice"),
        ("exit_code: one", "case.yaml: exit_code: must be a whole number, not 'one'"),
        ("exit_code: 1.5", "case.yaml: exit_code: must be a whole number, not '1.5'"),
        ("exit_code: -1", "case.yaml: exit_code: must be a whole number"),
        ("exit_code: 256", "case.yaml: exit_code: must lie between 0 and 255, but is 256"),
        ("exit_code: [1]", "case.yaml: exit_code: must be a whole number, not ['1']"),
        ("exit_code:", "case.yaml: exit_code: must be a whole number, not ''"),
        ("run_timeout: 0", "case.yaml: run_timeout: must lie between 1 and"),
        ("args: one", "case.yaml: args: must be a list of texts"),
        ("args: [[one]]", "case.yaml: args: must be a list of texts"),
        ("args: &a [*a]", "case.yaml: no YAML: found unconstructable recursive node in line 1"),
        ("args: {a: b}", "case.yaml: args: must be a list of texts"),
        ("language: klingon", "case.yaml: language: unknown language 'klingon'; known are python,"),
        ("language: [python]", "case.yaml: language: must be text"),
        ("program: {}", "case.yaml: program: must be text"),
        ("description: [a]", "case.yaml: description: must be text"),
        ("comparison: fuzzy", "case.yaml: comparison: 'fuzzy' is none; say one of exact, trimmed,"),
        ("comparison: tokens loose", "case.yaml: comparison: unknown argument 'loose'"),
        ("comparison: ' '", "case.yaml: comparison: ' ' is none"),
        ("comparison: [tokens]", "case.yaml: comparison: must be text"),
        ("comparison: exact case_sensitive", "case_sensitive: only for the comparison 'tokens'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, settings: str | bytes, problem: str
) -> None:
    write(tmp_path / "case", {**GOOD, "case.yaml": settings})
    (found,) = problems_of(tmp_path)
    assert problem in found


def test_settings_of_an_input_are_few(tmp_path: Path) -> None:
    write(tmp_path / "case", {**GOOD, "1.yaml": "comparison: exact"})
    assert problems_of(tmp_path) == ("1.yaml: unknown key 'comparison'; known are args, exit_code",)


def test_all_problems_of_a_case_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path / "case", {"2.in": "", "3.out": "", "case.yaml": "colour: red", "4.ans": ""})
    problems = problems_of(tmp_path)
    for part in ("2.in: ", "3.out: ", "4.ans: ", "case.yaml: unknown key", "no program"):
        assert any(part in problem for problem in problems), part


@pytest.mark.parametrize("name", ["main.py", "1.in", "1.out", "case.yaml", "extra"])
def test_folder_in_place_of_a_file_is_one_problem(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "case", {**GOOD, "case.yaml": ""})
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    assert problems_of(tmp_path) == (
        f"{name}: a folder, but a test case is flat; move its files up",
    )


@pytest.fixture
def links(tmp_path: Path) -> None:
    """Makes sure that symbolic links can be made, which Windows allows to some only."""
    try:
        (tmp_path / "probe").symlink_to("nowhere")
    except OSError as error:
        pytest.skip(f"no symbolic links on this machine: {error}")
    (tmp_path / "probe").unlink()


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize("name", ["main.py", "1.in", "1.out"])
@pytest.mark.parametrize("target", ["nowhere", "itself"])
def test_link_that_leads_nowhere_is_one_problem(tmp_path: Path, name: str, target: str) -> None:
    folder = write(tmp_path / "case", GOOD)
    (folder / name).unlink()
    (folder / name).symlink_to(name if target == "itself" else target)
    (problem,) = problems_of(tmp_path)
    assert problem.startswith(f"{name}: can't be read (")
    assert problem.endswith("; replace or delete it")


@pytest.mark.usefixtures("links")
def test_links_are_followed(tmp_path: Path) -> None:
    real = write(tmp_path / "elsewhere" / "real", {**GOOD, "common.py": "shared"})
    (real / "main.py").unlink()
    (real / "main.py").symlink_to("common.py")
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(real)
    case = whole(root)
    assert case.name == "linked"
    assert case.files[0] == SourceFile(b"shared", "main.py")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sockets in folders")
def test_special_file_is_a_problem_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "case", GOOD)
    # Relative, because the path of a socket must be short.
    monkeypatch.chdir(folder)
    (folder / "1.in").unlink()
    with socket.socket(socket.AF_UNIX) as special:
        special.bind("1.in")
        assert problems_of(tmp_path) == ("1.in: not a regular file; replace it by one",)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses such names itself")
@pytest.mark.parametrize(
    ("name", "shown"), [("a\nb", "a\\nb"), ("\x1b[1m", "\\x1b[1m"), ("\x07", "\\x07")]
)
def test_name_that_would_spoil_a_report_is_a_problem(tmp_path: Path, name: str, shown: str) -> None:
    write(tmp_path / name, {**GOOD, f"{name}.txt": ""})
    case = read_one(tmp_path)
    assert case == BrokenCase(
        shown,
        tmp_path / name,
        (
            f"{shown}: a name with characters that can't be shown; rename it",
            f"{shown}.txt: a name with characters that can't be shown; rename it",
        ),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_name_that_is_not_utf8_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path / "caf\udce9", GOOD)
    assert read_one(tmp_path).name == "caf\\udce9"
    assert problems_of(tmp_path) == (
        "caf\\udce9: a name with characters that can't be shown; rename it",
    )


def test_names_in_any_language_are_fine(tmp_path: Path) -> None:
    pair = {"größe 日本 \N{ROCKET}.in": "", "größe 日本 \N{ROCKET}.out": "x"}
    write(tmp_path / "Fälle (neu)", {"main.py": "", **pair})
    assert whole(tmp_path).inputs[0].name == "größe 日本 \N{ROCKET}"


def test_empty_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert problems_of(tmp_path) == ("nothing: empty; add a program, X.in and X.out, or delete it",)


def test_stray_file_beside_the_cases_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": "print()"})
    case = read_one(tmp_path)
    assert case == BrokenCase(
        "main.py",
        tmp_path / "main.py",
        ("main.py: not a folder, as a test case is; move it into one",),
    )


def test_broken_case_hides_no_other(tmp_path: Path) -> None:
    write(tmp_path / "a", GOOD)
    (tmp_path / "b").mkdir()
    write(tmp_path / "c", {**GOOD, "case.yaml": "{"})
    write(tmp_path / "d", GOOD)
    assert [type(case) for case in read_cases(tmp_path)] == [
        TestCase,
        BrokenCase,
        BrokenCase,
        TestCase,
    ]


def test_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CasesError, match=r"gone can't be read \(.+\): name the right one in TEST_"):
        read_cases(tmp_path / "gone")


def test_root_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.touch()
    with pytest.raises(CasesError, match=r"file can't be read \(.+\): name the right one in TEST_"):
        read_cases(root)


@pytest.mark.parametrize("litter", [{}, {"README.md": "", ".gitkeep": ""}])
def test_root_without_cases_is_an_error(tmp_path: Path, litter: dict[str, str]) -> None:
    write(tmp_path, litter)
    with pytest.raises(CasesError, match="holds no case: add a folder with a program"):
        read_cases(tmp_path)


NAMES = st.sampled_from(
    [
        *("main.py", "Main.java", "other.sh", "1.in", "1.out", "01.in", "input1.txt"),
        *("output01.txt", "output1.txt", "1.err", "1.yaml", "input1.yaml", "case.yaml"),
        *(".x", "a~", "2.ans", "z", "é"),
    ]
)
YAML = st.sampled_from([b"args: [a]", b"exit_code: 1", b"program: z", b"language: c", b"- a", b"{"])
FOLDERS = st.dictionaries(NAMES, st.none() | YAML | st.binary(max_size=30), max_size=8)


@given(tree=st.dictionaries(st.sampled_from("abcd"), FOLDERS, min_size=1))
def test_any_tree_is_read_without_losing_anything(tree: dict[str, dict[str, bytes | None]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder, contents in tree.items():
            (root / folder).mkdir()
            for file, content in contents.items():
                if content is None:
                    (root / folder / file).mkdir()
                else:
                    (root / folder / file).write_bytes(content)
        cases = read_cases(root)
    assert [case.name for case in cases] == sorted(tree)
    for case in cases:
        if isinstance(case, BrokenCase):
            assert case.problems
            continue
        files = tree[case.name]
        stems = {file.rpartition(".")[0] for file in files if file.endswith(".in")}
        stems |= {file[:-4] for file in files if file.startswith("input") and file[-4:] == ".txt"}
        assert {each.name for each in case.inputs} == stems
        # Every file is the program's, test data or litter; none is lost.
        known = {file.name for file in case.files} | {".x", "a~", "case.yaml"}
        for file in files.keys() - known:
            assert file.rpartition(".")[0] in stems or file.startswith("output"), file


@given(settings=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
def test_any_settings_are_read_or_refused(settings: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        write(Path(name, "case"), {**GOOD, "case.yaml": settings})
        case = read_one(Path(name))
    if isinstance(case, BrokenCase):
        assert all(problem.startswith("case.yaml: ") for problem in case.problems)
    else:
        assert case.inputs == (CaseInput("1", b"one\n", b"one\n"),)


def test_copy_of_a_case_is_a_case_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "first", GOOD)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    assert [case.name for case in read_cases(tmp_path)] == ["first", "second"]
