"""Problem packages: test data, settings, validators, submissions, and what is refused."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.judging.comparison import TOKENS, Comparison, Mode
from codewitness.judging.problem import (
    BrokenProblem,
    Case,
    Expectation,
    Problem,
    RefusedProblem,
    Submission,
)
from tests.problem_folders import (
    ECHO,
    LATEST,
    PACKAGE,
    Tree,
    problems_of,
    read_one,
    whole,
    without,
    write_tree,
)

ALL = frozenset({"AC", "WA", "TLE", "RTE"})
TOLERANT = Comparison(
    Mode.TOKENS,
    float_absolute_tolerance=Decimal("1e-6"),
    float_relative_tolerance=Decimal("1e-6"),
)


def case(problem: Problem, name: str) -> Case:
    (found,) = [each for each in problem.cases if each.name == name]
    return found


def submission(problem: Problem, name: str) -> Submission:
    (found,) = [each for each in problem.submissions if each.name == name]
    return found


@pytest.mark.parametrize(("tree", "version"), [(PACKAGE, "legacy"), (LATEST, "2025-09")])
def test_package_is_read(tmp_path: Path, tree: Tree, version: str) -> None:
    problem = whole(write_tree(tmp_path / "echo", tree))
    assert (problem.name, problem.title) == ("echo", "Echo")
    assert problem.layout == f"problem package, {version}"
    assert [each.name for each in problem.cases] == ["sample/1", "secret/2"]
    assert [each.group for each in problem.cases] == ["sample", "secret"]
    assert [each.stdin.read() for each in problem.cases] == [b"one\n", b"two\n"]
    assert [each.expected.read() for each in problem.cases] == [b"one\n", b"two\n"]
    assert {each.comparison for each in problem.cases} == {TOKENS}
    (only,) = problem.submissions
    assert (only.name, only.filed, only.solves) == ("accepted/echo.py", "accepted", True)
    assert problem.request(only, problem.cases[0]).stdin == b"one\n"


def test_contents_are_not_held(tmp_path: Path) -> None:
    problem = whole(write_tree(tmp_path, PACKAGE))
    (tmp_path / "data/secret/2.in").write_bytes(b"changed")
    assert case(problem, "secret/2").stdin.read() == b"changed"
    assert not any(each.stdin.held or each.expected.held for each in problem.cases)


def test_cases_come_in_natural_order_samples_first(tmp_path: Path) -> None:
    names = ["sample/2", "sample/10", "secret/1", "secret/b/9", "secret/b/10", "secret/c/x/1"]
    data = {f"data/{name}.{end}": "" for name in reversed(names) for end in ("in", "ans")}
    kept = {name: text for name, text in PACKAGE.items() if not name.startswith("data/")}
    write_tree(tmp_path, {**kept, **data})
    assert [each.name for each in whole(tmp_path).cases] == names


def test_package_with_samples_only_is_whole(tmp_path: Path) -> None:
    write_tree(tmp_path, without(PACKAGE, "data/secret/2.in", "data/secret/2.ans"))
    assert [each.name for each in whole(tmp_path).cases] == ["sample/1"]


def test_flags_of_the_legacy_format(tmp_path: Path) -> None:
    flags = "output_validator_flags"
    write_tree(
        tmp_path,
        {
            **PACKAGE,
            "problem.yaml": "validator_flags: case_sensitive\n",
            "data/secret/a/testdata.yaml": f"{flags}: float_tolerance 1e-6\non_reject: break\n",
            "data/secret/a/1.in": "",
            "data/secret/a/1.ans": "",
            "data/secret/a/deep/1.in": "",
            "data/secret/a/deep/1.ans": "",
            "data/secret/b/testdata.yaml": f"{flags}: space_change_sensitive\n",
            "data/secret/b/1.in": "",
            "data/secret/b/1.ans": "",
        },
    )
    problem = whole(tmp_path)
    both = Comparison(
        Mode.TOKENS,
        case_sensitive=True,
        float_absolute_tolerance=Decimal("1e-6"),
        float_relative_tolerance=Decimal("1e-6"),
    )
    assert case(problem, "sample/1").comparison == Comparison(Mode.TOKENS, case_sensitive=True)
    assert case(problem, "secret/a/1").comparison == both
    assert case(problem, "secret/a/deep/1").comparison == both
    assert case(problem, "secret/b/1").comparison == Comparison(Mode.TOKENS, True, True)


def test_later_flag_of_the_legacy_format_wins(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            **PACKAGE,
            "problem.yaml": "validator_flags: float_tolerance 1e-9\n",
            "data/testdata.yaml": "output_validator_flags: float_tolerance 1e-6\n",
        },
    )
    assert {each.comparison for each in whole(tmp_path).cases} == {TOLERANT}


def test_settings_of_groups_and_cases(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            **without(LATEST, "data/secret/2.in", "data/secret/2.ans"),
            "problem.yaml": f"{LATEST['problem.yaml']!s}constants: {{eps: 1e-6}}\n",
            "data/secret/g/test_group.yaml": "args: [a, '1']\nmax_score: 10\n"
            "output_validator_args: [float_tolerance, '{{eps}}']\n",
            "data/secret/g/1.in": "",
            "data/secret/g/1.ans": "",
            "data/secret/g/2.in": "",
            "data/secret/g/2.ans": "",
            "data/secret/g/2.yaml": "args: []\noutput_validator_args: [case_sensitive]\nhint: no\n",
            "data/secret/g/2.files/table/a.csv": "1,2",
        },
    )
    problem = whole(tmp_path)
    first, second = case(problem, "secret/g/1"), case(problem, "secret/g/2")
    assert (first.args, first.comparison) == (("a", "1"), TOLERANT)
    assert (second.args, second.validator_args) == ((), ("case_sensitive",))
    request = problem.request(problem.submissions[0], second)
    assert {file.name: file.content for file in request.files} == {
        "echo.py": ECHO.encode(),
        "table/a.csv": b"1,2",
    }


@pytest.mark.parametrize(
    ("flags", "args"),
    [
        ("--say 'two words'", ("--say", "two words")),
        ("it's so", ("it's", "so")),
        ("{name: check.py, flags: a b}", ("a", "b")),
    ],
)
def test_quotes_hold_flags_together(tmp_path: Path, flags: str, args: tuple[str, ...]) -> None:
    write_tree(
        tmp_path,
        {
            **PACKAGE,
            "problem.yaml": "validation: custom\n",
            "output_validators/check.py": "",
            "data/testdata.yaml": f"output_validator_flags: {flags}\n",
        },
    )
    assert {each.validator_args for each in whole(tmp_path).cases} == {args}


def test_arguments_of_a_draft(tmp_path: Path) -> None:
    draft = "problem_format_version: 2023-07-draft\n"
    write_tree(tmp_path, {**PACKAGE, "problem.yaml": draft, "data/secret/2.args": "a 'b c'\n"})
    assert case(whole(tmp_path), "secret/2").args == ("a", "b c")


def test_file_of_a_case_takes_the_place_of_the_programs(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            **without(LATEST, "submissions/accepted/echo.py"),
            "submissions/accepted/echo/main.py": ECHO,
            "submissions/accepted/echo/data.txt": "its own",
            "data/secret/2.files/data.txt": "the case's",
            "data/secret/2.files/README.md": "read me",
            "data/secret/2.files/x.out": "",
        },
    )
    problem = whole(tmp_path)
    files = problem.request(problem.submissions[0], case(problem, "secret/2")).files
    assert [(file.name, file.content) for file in files] == [
        ("main.py", ECHO.encode()),
        ("data.txt", b"the case's"),
        ("README.md", b"read me"),
        ("x.out", b""),
    ]


def test_data_that_tests_validators_is_let_be(tmp_path: Path) -> None:
    more = {"data/invalid_input/a.in": "", "data/valid_output/b.in": ""}
    assert len(whole(write_tree(tmp_path, {**LATEST, **more})).cases) == 2


@pytest.mark.parametrize("name", ["1.hint", "1.desc", "1.png", "1.out", "1.in.statement"])
def test_files_for_people_are_let_be(tmp_path: Path, name: str) -> None:
    write_tree(tmp_path, {**PACKAGE, f"data/sample/{name}": "", "data/sample/9.interaction": ""})
    problem = whole(tmp_path)
    assert len(problem.cases) == 2
    assert problem.notes == ()


def test_what_is_passed_over_is_told(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {**PACKAGE, "data/secret/gen.py": "", "data/secret/-x": "", "include/klingon/a": ""},
    )
    notes = whole(tmp_path).notes
    assert "data: 2 files are no test data by their names" in notes
    assert "include/klingon: not used, as it is named after no known language" in notes


@pytest.mark.parametrize(
    ("tree", "added", "removed", "problem"),
    [
        (PACKAGE, {}, ["data/secret/2.ans"], "data/secret/2.in: an input without an answer; add"),
        (PACKAGE, {}, ["data/secret/2.in"], "data/secret/2.ans: an answer without an input; add"),
        (
            PACKAGE,
            {"data/secret/3.files/a": ""},
            [],
            "secret/3.files: belongs to no case; add",
        ),
        (PACKAGE, {"data/secret/3.yaml": ""}, [], "data/secret/3.yaml: belongs to no case; add 3"),
        (PACKAGE, {"data/secret/a b.in": ""}, [], "a b.in: a name with characters that the format"),
        (PACKAGE, {"data/secret/2.files": ""}, [], "data/secret/2.files: not a folder; replace it"),
        (PACKAGE, {"data/secret/g/": ""}, [], "data/secret/g: no test case; add one, or delete"),
        (PACKAGE, {"data/3.in": ""}, [], "data/3.in: neither in sample nor in secret; move it"),
        (PACKAGE, {"data/tests/3.in": ""}, [], "data/tests: neither sample nor secret; rename it"),
        (LATEST, {"data/secret/g/1.in": "", "data/secret/g/1.ans": ""}, [], "beside groups"),
        (LATEST, {"data/secret/2.yaml": "x: 1"}, [], "2.yaml: unknown key 'x'; known are args,"),
        (LATEST, {"data/secret/2.yaml": "args: a"}, [], "2.yaml: args: must be a list of texts"),
        (LATEST, {"data/secret/test_group.yaml": "x: 1"}, [], "test_group.yaml: x: unknown key"),
        (LATEST, {"data/secret/test_group.yaml": "{"}, [], "test_group.yaml: no YAML: "),
        (PACKAGE, {"problem.yaml": "a: b: c"}, [], "problem.yaml: no YAML: mapping values"),
        (PACKAGE, {"problem.yaml": b"name: \xff"}, [], "problem.yaml: no YAML: "),
        (PACKAGE, {"problem.yaml": "- a"}, [], "problem.yaml: no mapping"),
        (PACKAGE, {"problem.yaml": "problem_format_version: 1999"}, [], "'1999' is none that is"),
        (PACKAGE, {"problem.yaml": "type: quiz"}, [], "quiz: unknown kind of problem"),
        (PACKAGE, {"problem.yaml": "validation: maybe"}, [], "maybe: unknown kind of problem"),
        (PACKAGE, {"problem.yaml": "validation: custom"}, [], "there is no output_validators; add"),
        (PACKAGE, {"problem.yaml": "validator_flags: loose"}, [], "unknown argument 'loose'"),
        (PACKAGE, {"problem.yaml": "limits: {memory: much}"}, [], "limits: memory: must be a numb"),
        (PACKAGE, {"problem.yaml": "limits: 3"}, [], "limits: must be lines such as"),
        (LATEST, {"problem.yaml": "problem_format_version: 2025-09\nx: 1"}, [], "unknown key 'x'"),
        (PACKAGE, {}, ["submissions/accepted/echo.py"], "submissions: can't be read ("),
        (
            PACKAGE,
            {"submissions/wrong_answer/a.py": ""},
            ["submissions/accepted/echo.py"],
            "submissions: none is filed as accepted; add one to submissions/accepted",
        ),
        (
            PACKAGE,
            {"submissions/accepted/echo.xyz": ""},
            ["submissions/accepted/echo.py"],
            "echo.xyz: unknown language; end its name in .py",
        ),
        (LATEST, {"output_validator/": ""}, [], "output_validator: empty; add the program"),
        (
            LATEST,
            {"output_validator/a/a.py": "", "output_validator/b/b.py": ""},
            [],
            "output_validator: a and b: the format 2025-09 has one output validator; keep one",
        ),
        (LATEST, {"output_validator/a.xyz": ""}, [], "a.xyz: unknown language"),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy(
    tmp_path: Path,
    tree: Tree,
    added: Mapping[str, str | bytes],
    removed: list[str],
    problem: str,
) -> None:
    write_tree(tmp_path / "echo", {**without(tree, *removed), **added})
    (found,) = problems_of(tmp_path / "echo")
    assert problem in found


def test_package_without_cases_is_broken(tmp_path: Path) -> None:
    write_tree(
        tmp_path, {"data/secret/": "", "submissions/accepted/a.py": "", "problem.yaml": "name: a"}
    )
    assert problems_of(tmp_path) == ("data: no test case; add data/secret/X.in with X.ans",)


@pytest.mark.parametrize(
    ("tree", "settings", "reason"),
    [
        (PACKAGE, "validation: custom interactive\n", "it is interactive: its program talks with"),
        (PACKAGE, "validation: custom multi-pass\n", "it is multi-pass: its program runs again"),
        (LATEST, "type: interactive\n", "it is interactive: "),
        (LATEST, "type: [pass-fail, multi-pass]\n", "it is multi-pass: "),
        (LATEST, "type: [interactive, multi-pass]\n", "; it is multi-pass: "),
        (LATEST, "type: submit-answer\n", "it is submit-answer: answers are submitted"),
    ],
)
def test_kinds_that_can_not_be_judged_are_refused(
    tmp_path: Path, tree: Tree, settings: str, reason: str
) -> None:
    write_tree(tmp_path, {**tree, "problem.yaml": f"{tree['problem.yaml']!s}{settings}"})
    problem = read_one(tmp_path)
    assert isinstance(problem, RefusedProblem)
    assert reason in problem.reason


@pytest.mark.parametrize(
    "added",
    [
        {"output_validator/build": "#!/bin/sh\n"},
        {"output_validator/mine/build": "#!/bin/sh\n"},
        {"static_validator/check.py": ""},
        {"data/secret/test_group.yaml": "static_validation_score: 5\n"},
    ],
)
def test_what_would_judge_otherwise_is_refused(tmp_path: Path, added: Tree) -> None:
    write_tree(tmp_path, {**LATEST, **added})
    assert isinstance(read_one(tmp_path), RefusedProblem)


@pytest.mark.parametrize(
    ("added", "language", "files"),
    [
        ({"output_validators/check.py": ""}, "python", ["check.py"]),
        ({"output_validators/check/check.cc": ""}, "c++", ["check.cc"]),
        (
            {"output_validators/validate.cc": "int main() {}", "output_validators/validate.h": ""},
            "c++",
            ["validate.cc", "validate.h"],
        ),
        (
            {
                "output_validators/v/util.cpp": "int two() { return 2; }",
                "output_validators/v/check.cpp": "int main(int argc, char **argv) {}",
                "output_validators/v/util.h": "int two();",
            },
            "c++",
            ["check.cpp", "util.cpp", "util.h"],
        ),
        (
            {"output_validators/v/__init__.py": "", "output_validators/v/__main__.py": ""},
            "python",
            ["__main__.py", "__init__.py"],
        ),
        ({"output_validators/v/run": "#!/bin/sh\n"}, "bash", ["run"]),
    ],
)
def test_output_validator_is_read(
    tmp_path: Path, added: Tree, language: str, files: list[str]
) -> None:
    settings = "validation: custom\nvalidator_flags: strict 3\n"
    write_tree(tmp_path, {**PACKAGE, **added, "problem.yaml": settings})
    problem = whole(tmp_path)
    (validator,) = problem.validators
    assert (validator.language, [file.name for file in validator.files]) == (language, files)
    assert problem.cases[0].validator_args == ("strict", "3")


def test_all_validators_of_the_legacy_format_are_read(tmp_path: Path) -> None:
    validators = {"output_validators/a.py": "", "output_validators/b.py": ""}
    write_tree(tmp_path, {**PACKAGE, **validators, "problem.yaml": "validation: custom\n"})
    assert [each.name for each in whole(tmp_path).validators] == ["a.py", "b.py"]


def test_default_validation_uses_no_validator(tmp_path: Path) -> None:
    write_tree(tmp_path, {**PACKAGE, "output_validators/a.py": ""})
    problem = whole(tmp_path)
    assert problem.validators == ()
    assert problem.notes == ("output_validators: not used, as validation is default",)


def test_limits_are_read(tmp_path: Path) -> None:
    limits = """limits:
      time_limit: 1.5
      time_multipliers: {ac_to_time_limit: 3, time_limit_to_tle: 2.5}
      memory: 64
      output: 2
      compilation_time: 7
      code: 9
    """
    write_tree(tmp_path, {**LATEST, "problem.yaml": f"{LATEST['problem.yaml']!s}{limits}"})
    found = whole(tmp_path).limits
    assert (found.time, found.ac_to_time_limit, found.time_limit_to_tle) == (1.5, 3, 2.5)
    assert (found.memory, found.output, found.compilation_time) == (64 << 20, 2 << 20, 7)


@pytest.mark.parametrize(
    ("name", "text"),
    [(".timelimit", "3\n"), ("domjudge-problem.ini", "name='x'\r\ntimelimit='3'\r\n")],
)
def test_time_limit_of_domjudge_is_read(tmp_path: Path, name: str, text: str) -> None:
    write_tree(tmp_path, {**without(PACKAGE, "problem.yaml"), name: text})
    found = whole(tmp_path).limits
    assert (found.time, found.ac_to_time_limit, found.time_limit_to_tle) == (3, 5, 2)


@pytest.mark.parametrize("mark", ["", "\N{BYTE ORDER MARK}"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_settings_of_any_editor_are_read(tmp_path: Path, mark: str, newline: str) -> None:
    settings = newline.join(
        [f"{mark}problem_format_version: 2025-09", "name:", "  sv: Eko", "  en: Echo", ""]
    )
    write_tree(tmp_path, {**LATEST, "problem.yaml": settings})
    assert whole(tmp_path).title == "Echo"


def test_statement_is_found(tmp_path: Path) -> None:
    texts = {"statement/problem.de.md": "", "statement/problem.en.tex": "", "statement/x.png": ""}
    write_tree(tmp_path, {**LATEST, **texts})
    assert whole(tmp_path).statement == tmp_path / "statement/problem.en.tex"


DEFAULTS = {
    "accepted": Expectation(frozenset({"AC"})),
    "rejected": Expectation(required=frozenset({"WA", "TLE", "RTE"})),
    "wrong_answer": Expectation(frozenset({"AC", "WA"}), frozenset({"WA"})),
    "time_limit_exceeded": Expectation(frozenset({"AC", "TLE"}), frozenset({"TLE"})),
    "run_time_error": Expectation(frozenset({"AC", "RTE"}), frozenset({"RTE"})),
    "brute_force": Expectation(
        frozenset({"AC", "TLE", "RTE"}), frozenset({"TLE", "RTE"}), time_limit="none"
    ),
}


@pytest.mark.parametrize("filed", DEFAULTS)
def test_folder_says_what_to_expect(tmp_path: Path, filed: str) -> None:
    write_tree(tmp_path, {**LATEST, f"submissions/{filed}/x.py": ""})
    found = submission(whole(tmp_path), f"{filed}/x.py")
    assert found.expectations == (DEFAULTS[filed],)
    assert found.solves == (filed == "accepted")


@pytest.mark.parametrize(
    ("filed", "expectation"),
    [
        ("wrong_answer", Expectation(overall=frozenset({"WA"}))),
        ("time_limit_exceeded", Expectation(required=frozenset({"TLE"}))),
        ("run_time_error", Expectation(required=frozenset({"RTE"}))),
        ("output_limit", Expectation(overall=frozenset({"OLE"}))),
    ],
)
def test_legacy_folder_says_what_to_expect(
    tmp_path: Path, filed: str, expectation: Expectation
) -> None:
    write_tree(tmp_path, {**PACKAGE, f"submissions/{filed}/x.py": ""})
    assert submission(whole(tmp_path), f"{filed}/x.py").expectations == (expectation,)


def test_nothing_is_expected_of_an_unknown_folder(tmp_path: Path) -> None:
    write_tree(tmp_path, {**LATEST, "submissions/odd/x.py": ""})
    problem = whole(tmp_path)
    assert submission(problem, "odd/x.py").expectations == ()
    assert (
        "submissions/odd/x.py: nothing is promised of it, not even by its folder" in problem.notes
    )


def test_scoring_problem_promises_less(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            **PACKAGE,
            "problem.yaml": "type: scoring\n",
            "submissions/partially_accepted/x.py": "",
            "submissions/wrong_answer/x.py": "",
        },
    )
    problem = whole(tmp_path)
    assert problem.scoring
    assert submission(problem, "partially_accepted/x.py").expectations == (Expectation(),)
    assert submission(problem, "wrong_answer/x.py").expectations == (
        Expectation(required=frozenset({"WA"})),
    )


def test_solving_submissions_come_first(tmp_path: Path) -> None:
    more = {"submissions/accepted/a10.py": "", "submissions/accepted/a9.py": ""}
    write_tree(tmp_path, {**LATEST, **more, "submissions/a/x.py": ""})
    assert [each.name for each in whole(tmp_path).submissions] == [
        "accepted/a9.py",
        "accepted/a10.py",
        "accepted/echo.py",
        "a/x.py",
    ]


@pytest.mark.parametrize(
    ("tag", "expectation"),
    [
        ("CORRECT", Expectation(frozenset({"AC"}))),
        ("TIMELIMIT, wrong-answer", Expectation(overall=frozenset({"TLE", "WA"}))),
        ("CORRECT, RUN-ERROR", Expectation(overall=frozenset({"AC", "RTE"}))),
        ("CHECK-MANUALLY", Expectation()),
    ],
)
def test_comment_of_domjudge_wins(tmp_path: Path, tag: str, expectation: Expectation) -> None:
    program = f"# @EXPECTED_RESULTS@: {tag}\r\n"
    write_tree(tmp_path, {**PACKAGE, "submissions/mixed/x.py": program})
    assert submission(whole(tmp_path), "mixed/x.py").expectations == (expectation,)


@pytest.mark.parametrize("filed", ["wrong_answer", "time_limit_exceeded", "run_time_error"])
def test_comment_of_domjudge_counts_for_nothing_in_folders_of_all_judges(
    tmp_path: Path, filed: str
) -> None:
    tree = {f"submissions/{filed}/x.py": "# @EXPECTED_RESULTS@: CORRECT\n"}
    problem = whole(write_tree(tmp_path, {**LATEST, **tree}))
    assert submission(problem, f"{filed}/x.py").expectations == (DEFAULTS[filed],)


def test_submissions_set_aside_by_their_names_are_told_and_left_out(tmp_path: Path) -> None:
    aside = {"submissions/accepted/a.cs.disabled": "", "submissions/accepted/b.template/x": ""}
    problem = whole(write_tree(tmp_path, {**PACKAGE, **aside}))
    assert [each.name for each in problem.submissions] == ["accepted/echo.py"]
    assert problem.notes == (
        "submissions/accepted/a.cs.disabled: set aside by its name, and not judged",
        "submissions/accepted/b.template: set aside by its name, and not judged",
    )


@pytest.mark.parametrize(
    ("part", "main"),
    [
        (("input.pl", "read(X) :-\n  x.\n"), ("solve.pl", "[input].\nmain :-\n  halt.\n")),
        (("greet.js", "export const solve = 1"), ("solve.js", "import { x } from './greet.js'")),
        (("words.rb", "solve = 1"), ("solve.rb", "require_relative 'x'\nrequire './words'")),
        (("words.sh", "solve=1"), ("solve.sh", "  . ./words.sh")),
    ],
)
def test_file_that_others_load_is_not_the_one_to_run(
    tmp_path: Path, part: tuple[str, str], main: tuple[str, str]
) -> None:
    tree = {f"submissions/accepted/two/{name}": content for name, content in (part, main)}
    problem = whole(write_tree(tmp_path, {**PACKAGE, **tree}))
    assert submission(problem, "accepted/two").program.files[0].name == main[0]


@pytest.mark.parametrize("other", ["import a\n", ""])
def test_files_of_which_either_may_be_the_one_to_run_are_ambiguous(
    tmp_path: Path, other: str
) -> None:
    texts = {"a.py": "import b\n" if other else "", "b.py": other}
    tree = {f"submissions/accepted/two/{name}": text for name, text in texts.items()}
    (broken,) = whole(write_tree(tmp_path, {**PACKAGE, **tree})).broken_submissions
    assert "a.py and b.py: each may be the program" in broken.reason


def rules(tmp_path: Path, settings: str, tree: Tree = LATEST) -> Problem:
    more = {"submissions/wrong_answer/off.py": "", "submissions/wrong_answer/deep/main.py": ""}
    return whole(write_tree(tmp_path, {**tree, **more, "submissions/submissions.yaml": settings}))


def test_rule_named_like_a_folder_replaces_its_default(tmp_path: Path) -> None:
    problem = rules(tmp_path, "wrong_answer: {permitted: [AC, WA, RTE]}\n")
    assert submission(problem, "wrong_answer/off.py").expectations == (
        Expectation(frozenset({"AC", "WA", "RTE"}), frozenset({"WA"})),
    )


def test_rule_named_like_a_folder_replaces_a_legacy_default(tmp_path: Path) -> None:
    problem = rules(tmp_path, "wrong_answer: {permitted: [AC, WA]}\n", PACKAGE)
    assert submission(problem, "wrong_answer/off.py").expectations == (
        Expectation(frozenset({"AC", "WA"})),
    )


def test_rule_for_some_submissions_adds_to_the_default(tmp_path: Path) -> None:
    problem = rules(
        tmp_path, "wrong_answer/{off,on}*: {message: 'off by', use_for_time_limit: lower}\n"
    )
    assert submission(problem, "wrong_answer/off.py").expectations == (
        DEFAULTS["wrong_answer"],
        Expectation(message="off by", time_limit="lower"),
    )
    assert submission(problem, "wrong_answer/deep").expectations == (DEFAULTS["wrong_answer"],)


def test_spaces_in_alternatives_of_a_rule_do_not_count(tmp_path: Path) -> None:
    problem = rules(tmp_path, "wrong_answer/*:\n  'secret/{ 1, 2 }': {required: [WA]}\n")
    *_, secret = submission(problem, "wrong_answer/off.py").expectations
    assert [secret.concerns(each) for each in problem.cases] == [False, True]


def test_rule_for_some_cases(tmp_path: Path) -> None:
    problem = rules(
        tmp_path, "wrong_answer/*:\n  sample: {permitted: [AC]}\n  secret/*2: {required: [WA]}\n"
    )
    default, samples, secret = submission(problem, "wrong_answer/off.py").expectations
    first, second = problem.cases
    assert default == DEFAULTS["wrong_answer"]
    assert (samples.permitted, samples.concerns(first), samples.concerns(second)) == (
        frozenset({"AC"}),
        True,
        False,
    )
    assert (secret.required, secret.concerns(first), secret.concerns(second)) == (
        frozenset({"WA"}),
        False,
        True,
    )
    assert not submission(problem, "wrong_answer/off.py").solves


def test_rule_says_language_and_entry_point(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {"submissions/accepted/two/a.txt": "", "submissions/accepted/two/b.txt": ECHO},
    )
    problem = rules(tmp_path, "accepted/two: {language: python3, entrypoint: b.txt}\n")
    program = submission(problem, "accepted/two").program
    assert (program.language, program.files[0].name) == ("python", "b.txt")


def test_rule_that_matches_nothing_is_told(tmp_path: Path) -> None:
    problem = rules(tmp_path, "wrong_answer/of.py: {permitted: [AC]}\nbrute_force: {}\n")
    assert problem.notes == (
        "submissions/submissions.yaml: wrong_answer/of.py matches no submission",
    )


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("accepted: [AC]", "accepted: must be lines such as 'permitted: [AC, WA]'"),
        ("accepted: {permitted: [OK]}", "accepted: permitted: must be a list of AC, RTE, TLE, WA"),
        ("accepted: {allowed: x}", "accepted: unknown key 'allowed'; known are language,"),
        ("a/*: {sample: {language: c}}", "a/*: unknown key 'language'; known are permitted,"),
        ("accepted: {language: klingon}", "accepted: unknown language 'klingon'"),
        ("a/*: {use_for_time_limit: maybe}", "use_for_time_limit: must be one of true, false,"),
        ("'{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}': {}", "more than 1000 alter"),
        ("{", "submissions.yaml: no YAML: "),
    ],
)
def test_rules_that_make_no_sense_are_refused(tmp_path: Path, settings: str, problem: str) -> None:
    write_tree(tmp_path, {**LATEST, "submissions/submissions.yaml": settings})
    (found,) = problems_of(tmp_path)
    assert problem in found


@pytest.mark.parametrize(
    ("added", "name", "reason"),
    [
        ({"submissions/wrong_answer/x.xyz": ""}, "wrong_answer/x.xyz", "x.xyz: unknown language"),
        ({"submissions/wrong_answer/x.py": b"\xff"}, "wrong_answer/x.py", "x.py: not UTF-8 text"),
        (
            {"submissions/wrong_answer/two/a.py": "", "submissions/wrong_answer/two/b.py": ""},
            "wrong_answer/two",
            "submissions/wrong_answer/two: a.py and b.py: each may be the program; say 'entrypoint",
        ),
        ({"submissions/wrong_answer/none/": ""}, "wrong_answer/none", "none: no program; add one"),
        ({"submissions/wrong_answer/a\nb.py": ""}, "wrong_answer/a\\nb.py", "rename it"),
        ({"submissions/stray.py": ""}, "stray.py", "submissions/stray.py: in no folder that says"),
    ],
)
def test_submission_that_can_not_be_run_is_told_and_hides_no_other(
    tmp_path: Path, added: Mapping[str, str | bytes], name: str, reason: str
) -> None:
    problem = whole(write_tree(tmp_path, {**LATEST, **added}))
    (broken,) = problem.broken_submissions
    assert broken.name == name
    assert reason in broken.reason
    assert [each.name for each in problem.submissions] == ["accepted/echo.py"]


@pytest.mark.parametrize("name", ["Main.class", "a.out", "x.o", "README.md", ".hidden", "x.pyc"])
def test_by_products_are_no_submissions(tmp_path: Path, name: str) -> None:
    problem = whole(write_tree(tmp_path, {**LATEST, f"submissions/accepted/{name}": b"\xff"}))
    assert len(problem.submissions) == 1
    assert not problem.broken_submissions


def test_constants_may_have_variants(tmp_path: Path) -> None:
    constants = 'constants: {half: {value: 0.5, GERMAN: "0,5"}, n: 5}\n'
    program = "{{half}} {{half.GERMAN}} {{half.FRENCH}} {{n}}"
    tree = {
        **LATEST,
        "problem.yaml": f"{LATEST['problem.yaml']!s}{constants}",
        "output_validator/x.py": program,
        "submissions/accepted/x.py": program,
    }
    problem = whole(write_tree(tmp_path, tree))
    (validator,) = problem.validators
    assert validator.read()[0].content == b"0.5 0,5 {{half.FRENCH}} 5"
    (source,) = submission(problem, "accepted/x.py").program.read()
    assert source.content == b"0.5 {{half.GERMAN}} {{half.FRENCH}} 5"


@pytest.mark.parametrize("value", ["{GERMAN: '0,5'}", "[1, 2]", "{value: [1]}"])
def test_constants_without_a_value_are_told(tmp_path: Path, value: str) -> None:
    settings = f"{LATEST['problem.yaml']!s}constants: {{half: {value}}}\n"
    assert problems_of(write_tree(tmp_path, {**LATEST, "problem.yaml": settings})) == (
        "problem.yaml: constants: must be lines such as 'max_n: 100'",
    )


def test_included_files_and_constants(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            **LATEST,
            "problem.yaml": f"{LATEST['problem.yaml']!s}constants: {{n: 5, unused: x}}\n",
            "submissions/accepted/echo.py": "print({{n}}, {{other}})",
            "submissions/accepted/echo.c": "int answer() { return {{n}}; }",
            "include/default/echo.txt": "{{n}}",
            "include/c/main.c": "int main() { return answer(); }",
        },
    )
    problem = whole(tmp_path)
    python = submission(problem, "accepted/echo.py").program.read()
    assert [(each.name, each.content) for each in python] == [
        ("echo.py", b"print(5, {{other}})"),
        ("echo.txt", b"5"),
    ]
    c = submission(problem, "accepted/echo.c").program.read()
    assert [each.name for each in c] == ["main.c", "echo.c", "echo.txt"]
    assert c[1].content == b"int answer() { return 5; }"


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
    ("place", "target", "problem"),
    [
        ("data/secret/loop", "..", "data/secret/loop: a link to a folder that it lies in; remove"),
        ("data/secret/loop", ".", "data/secret/loop: a link to a folder that it lies in; remove"),
        ("data/secret/3.in", "3.in", "data/secret/3.in: can't be read ("),
        ("data/secret/2.yaml", "nowhere", "data/secret/2.yaml: can't be read ("),
        ("data/secret/testdata.yaml", "/dev/null", "testdata.yaml: not a regular file; replace"),
    ],
)
def test_links_that_lead_nowhere_or_back_are_told(
    tmp_path: Path, place: str, target: str, problem: str
) -> None:
    write_tree(tmp_path, {**PACKAGE, "data/secret/3.ans": ""})
    if not place.endswith("3.in"):
        (tmp_path / "data/secret/3.ans").unlink()
    (tmp_path / place).symlink_to(target)
    (found,) = problems_of(tmp_path)
    assert problem in found


@pytest.mark.usefixtures("links")
def test_link_that_leads_back_in_a_program_is_told(tmp_path: Path) -> None:
    write_tree(tmp_path, {**PACKAGE, "submissions/wrong_answer/two/main.py": ""})
    (tmp_path / "submissions/wrong_answer/two/again").symlink_to("..")
    (broken,) = whole(tmp_path).broken_submissions
    assert "two/again: a link to a folder that it lies in; remove it" in broken.reason


@pytest.mark.usefixtures("links")
def test_links_to_other_cases_are_followed(tmp_path: Path) -> None:
    write_tree(tmp_path, PACKAGE)
    for ending in ("in", "ans"):
        (tmp_path / f"data/secret/1.{ending}").symlink_to(f"../sample/1.{ending}")
    assert case(whole(tmp_path), "secret/1").stdin.read() == b"one\n"


def test_huge_files_are_refused_unread(tmp_path: Path) -> None:
    write_tree(tmp_path, PACKAGE)
    for name in ("data/secret/2.in", "problem.yaml"):
        with (tmp_path / name).open("r+b") as file:
            file.truncate(300 << 20)
    assert problems_of(tmp_path) == (
        "problem.yaml: 300 MiB, more than the 256 MiB that are judged; make it smaller",
    )
    (tmp_path / "problem.yaml").write_text("name: x")
    assert problems_of(tmp_path) == (
        "data/secret/2.in: 300 MiB, more than the 256 MiB that are judged; make it smaller",
    )


PATHS = st.sampled_from(
    [
        *("problem.yaml", "data/testdata.yaml", "data/secret/1.in", "data/secret/1.ans"),
        *("data/secret/2.ans", "data/secret/1.yaml", "data/secret/1.args", "data/secret/g/1.in"),
        *("data/secret/g/1.ans", "data/secret/g/test_group.yaml", "data/sample/1.in"),
        *("data/sample/1.ans", "data/secret/1.files/x", "data/secret/odd", "include/c/x.c"),
        *("submissions/accepted/a.py", "submissions/accepted/d/main.c", "submissions/x"),
        *("submissions/wrong_answer/b.py", "submissions/submissions.yaml"),
        *("output_validator/v.py", "output_validators/v/v.cc", ".timelimit"),
    ]
)
SETTINGS = st.sampled_from(
    [
        *(b"problem_format_version: 2025-09", b"validation: custom", b"type: scoring"),
        *(b"args: [a]", b"output_validator_flags: case_sensitive", b"limits: {time_limit: 1}"),
        *(b"- a", b"{", b"accepted: {permitted: [AC]}", b"a: &a {b: *a}", b"constants: {a: 1}"),
    ]
)


@given(tree=st.dictionaries(PATHS, SETTINGS | st.binary(max_size=30), max_size=14))
def test_any_package_is_read_without_losing_a_case(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write_tree(Path(name, "package"), {"data/secret/": "", **tree})
        problem = read_one(folder)
    if isinstance(problem, BrokenProblem):
        assert problem.problems
        assert all(": " in each for each in problem.problems)
    elif isinstance(problem, Problem):
        inputs = {path[5:-3] for path in tree if path.startswith("data/") and path.endswith(".in")}
        assert {each.name for each in problem.cases} == inputs
        assert any(each.solves for each in problem.submissions)


@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
@pytest.mark.parametrize(
    "name",
    [
        *("problem.yaml", "data/secret/testdata.yaml", "data/secret/2.yaml"),
        *("data/secret/2.args", "submissions/submissions.yaml"),
    ],
)
def test_any_settings_are_read_or_refused(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        problem = read_one(write_tree(Path(folder, "echo"), {**PACKAGE, name: content}))
    if isinstance(problem, BrokenProblem):
        assert problem.problems
