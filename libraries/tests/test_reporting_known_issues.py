"""The file of known issues: read strictly, with messages that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from robot import running
from robot.utils import normalize

from codewitness.reporting.known_issues import (
    KnownIssue,
    comparable,
    find_known_issue,
    read_known_issues,
    unmatched,
)
from tests.robot_runs import SUITES

ENTRY = "- test: T2.2 Multiple lines\n  reference: EXEC-17\n  reason: Lines get lost.\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known.yaml"


def test_own_file_can_be_read(project_root: Path) -> None:
    read_known_issues(project_root / "variables" / "known_issues.yaml")


def test_example_in_the_own_file_is_right(project_root: Path, file: Path) -> None:
    text = (project_root / "variables" / "known_issues.yaml").read_text(encoding="utf-8")
    example = [line[2:] for line in text.splitlines() if line.startswith(("# - ", "#   "))]
    file.write_text("\n".join(example), encoding="utf-8")
    issues = read_known_issues(file)
    assert len(issues) == 1
    tests = running.TestSuite.from_file_system(SUITES).all_tests
    assert not unmatched(issues, [str(test.name) for test in tests])


@pytest.mark.parametrize("text", ["", "[]\n", "# nothing\n", "---\n"])
def test_nothing_known(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert read_known_issues(file) == {}


def test_entries_in_the_order_of_the_file(file: Path) -> None:
    file.write_text(ENTRY + ENTRY.replace("T2.2", "A.B.T1.1"), encoding="utf-8")
    issues = read_known_issues(file)
    assert [issue.test for issue in issues.values()] == [
        "T2.2 Multiple lines",
        "A.B.T1.1 Multiple lines",
    ]
    found = find_known_issue(issues, "T2.2 Multiple lines", "X.T2.2 Multiple lines")
    assert found == KnownIssue("T2.2 Multiple lines", "EXEC-17", "Lines get lost.")


def test_test_is_found_by_name_and_by_full_name(file: Path) -> None:
    short, full = ENTRY, ENTRY.replace("T2.2", "Suites.Io.T2.2")
    file.write_text(short, encoding="utf-8")
    issues = read_known_issues(file)
    assert find_known_issue(issues, "T2.2 Multiple lines", "X.T2.2 Multiple lines")
    assert find_known_issue(issues, "T2.2 Multiple", "X.T2.2 Multiple") is None
    file.write_text(short + full, encoding="utf-8")
    issues = read_known_issues(file)
    found = find_known_issue(issues, "T2.2 Multiple lines", "Suites.Io.T2.2 Multiple lines")
    assert found is not None
    assert found.test == "Suites.Io.T2.2 Multiple lines"


@pytest.mark.parametrize(
    "name", ["T2.2 Multiple Lines", "t2.2 multiple_lines", "T2.2MultipleLines", "T2.2  Straße _x "]
)
def test_names_are_compared_as_robot_compares_them(file: Path, name: str) -> None:
    assert comparable(name) == normalize(name, ignore="_")
    file.write_text(ENTRY, encoding="utf-8")
    found = find_known_issue(read_known_issues(file), name, f"X.{name}")
    assert (found is None) == ("Straße" in name)


def test_entries_about_no_test_of_the_run(file: Path) -> None:
    text = ENTRY + ENTRY.replace("T2.2", "A.B.T1.1") + ENTRY.replace("T2.2", "T9.9")
    file.write_text(text, encoding="utf-8")
    issues = read_known_issues(file)
    names = ["T2.2 Multiple Lines", "A.B.T2.2 Multiple Lines", "a.b.t1.1 multiple lines"]
    assert [issue.test for issue in unmatched(issues, names)] == ["T9.9 Multiple lines"]
    assert unmatched({}, names) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("test: a\n", "expected a list"),
        ("just words\n", "expected a list"),
        ("- just words\n", "entry 1 is 'just words'"),
        (ENTRY + "- []\n", r"entry 2 is \[\]"),
        (ENTRY + "  since: 2025\n", "entry 1 has the unknown key 'since'"),
        (ENTRY.replace("  reason: Lines get lost.\n", ""), "entry 1 has no 'reason'"),
        (ENTRY.replace("Lines get lost.", ""), "entry 1 has no 'reason'"),
        (ENTRY.replace("EXEC-17", "17"), "entry 1: 'reference' is 17, .* put it in quotes"),
        (ENTRY.replace("T2.2 Multiple lines", "2.2"), "entry 1: 'test' is 2.2, .* quotes"),
        (ENTRY * 2, "entry 2 repeats the test 'T2.2 Multiple lines'"),
        (ENTRY + ENTRY.replace("M", "m"), "entry 2 repeats the test 'T2.2 multiple lines'"),
        (ENTRY + ENTRY.replace("- test", "  test"), "'test' stands twice"),
        (ENTRY.replace("Lines get", "Lines: get"), "no valid YAML .* line 3, .* quotes"),
        ("- !!python/object/apply:os.getcwd []\n", "no valid YAML"),
    ],
)
def test_wrong_file_says_where_and_what_to_do(file: Path, text: str, told: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=told) as caught:
        read_known_issues(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_file(tmp_path: Path, file: Path) -> None:
    with pytest.raises(ValueError, match=r"known.yaml: .*No such file.*KNOWN_ISSUES"):
        read_known_issues(file)
    with pytest.raises(ValueError, match="can't be read"):
        read_known_issues(tmp_path)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="UTF-8"):
        read_known_issues(file)
