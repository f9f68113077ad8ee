from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codewitness.judging.comparison import TOKENS
from codewitness.judging.problem import (
    Case,
    Content,
    NamedFile,
    Problem,
    ProblemLimits,
    Program,
    Submission,
)
from codewitness.judging.validators import Validators
from codewitness.judging.verdict import DefaultValidator, Validation, Verdict

PYTHON = """\
import sys
given, answer, feedback, *args = sys.argv[1:]
{body}
"""
SUM_IN_C = """\
#include <stdio.h>
#include "protocol.h"

int main(int argc, char **argv) {
    long first, second, answer, output;
    FILE *given = fopen(argv[1], "r"), *expected = fopen(argv[2], "r");
    if (!given || fscanf(given, "%ld %ld", &first, &second) != 2) return 1;
    if (!expected || fscanf(expected, "%ld", &answer) != 1) return 1;
    if (first + second != answer) return 1;
    return scanf("%ld", &output) == 1 && output == answer ? ACCEPT : REJECT;
}
"""
SUM_IN_CPP = """\
#include <fstream>
#include <iostream>
#include <string>

int main(int, char **argv) {
    std::ifstream given(argv[1]);
    std::ofstream message(std::string(argv[3]) + "judgemessage.txt");
    long first, second, output;
    given >> first >> second;
    if (std::cin >> output && output == first + second) return 42;
    message << "expected " << first + second << "\\n";
    return 43;
}
"""


@pytest.fixture(scope="module")
def validators() -> Iterator[Validators]:
    found = Validators()
    yield found
    found.close()


def problem_of(
    folder: Path,
    *programs: Mapping[str, str],
    language: str = "python",
    limits: ProblemLimits | None = None,
) -> Problem:
    """Return a problem with these programs as its validators, the first file of each to be run."""
    found = []
    for number, files in enumerate(programs):
        place = folder / f"validator{number}"
        place.mkdir()
        for name, content in files.items():
            (place / name).write_text(content)
        named = tuple(NamedFile(name, place / name) for name in files)
        found.append(Program(f"validator{number}", language, named))
    return Problem(
        name=folder.name,
        folder=folder,
        layout="test",
        submissions=(Submission("a.py", Program("a.py", "python", ())),),
        cases=(case_of(),),
        validators=tuple(found),
        limits=limits or ProblemLimits(),
    )


def case_of(given: bytes = b"1 2\n", answer: bytes = b"3\n", args: tuple[str, ...] = ()) -> Case:
    return Case("secret/1", Content(held=given), Content(held=answer), validator_args=args)


def judged_by(
    validators: Validators,
    folder: Path,
    body: str,
    output: bytes = b"3\n",
    case: Case | None = None,
    **limits: float,
) -> Validation:
    problem = problem_of(
        folder,
        {"main.py": PYTHON.format(body=body)},
        limits=ProblemLimits(**limits),  # type: ignore[arg-type]
    )
    return validators.of(problem).validate(output, case or case_of())


def test_problem_without_programs_has_its_outputs_compared(
    validators: Validators, tmp_path: Path
) -> None:
    validator = validators.of(problem_of(tmp_path))
    assert isinstance(validator, DefaultValidator)
    case = Case("1", Content(), Content(held=b"a b\n"), comparison=TOKENS)
    assert validator.validate(b"A\nB", case).verdict is Verdict.AC
    wrong = validator.validate(b"a c", case)
    assert wrong.verdict is Verdict.WA
    assert wrong.difference is not None
    assert wrong.difference.token == 2
    assert "words must be equal" in wrong.reason


@pytest.mark.parametrize(
    ("language", "files"),
    [
        ("c", {"main.c": SUM_IN_C, "protocol.h": "enum { ACCEPT = 42, REJECT = 43 };\n"}),
        ("c++", {"check.cpp": SUM_IN_CPP}),
        (
            "python",
            {
                "__main__.py": "import sys, summing\nsys.exit(summing.judge(*sys.argv[1:4]))",
                "summing.py": (
                    "import sys\ndef judge(given, answer, feedback):\n"
                    "    with open(given) as file: total = sum(map(int, file.read().split()))\n"
                    "    return 42 if sys.stdin.read().split() == [str(total)] else 43"
                ),
                "__init__.py": "",
            },
        ),
    ],
    ids=["c", "c++", "python"],
)
def test_programs_judge(
    validators: Validators, tmp_path: Path, language: str, files: Mapping[str, str]
) -> None:
    validator = validators.of(problem_of(tmp_path, files, language=language))
    assert validator.validate(b"3\n", case_of()).verdict is Verdict.AC
    assert validator.validate(b"4\n", case_of()).verdict is Verdict.WA
    with ThreadPoolExecutor(4) as threads:
        outputs = [b"3\n", b"7\n", b"3", b""]
        several = list(threads.map(validator.validate, outputs, [case_of()] * 4))
    assert [str(each.verdict) for each in several] == ["AC", "WA", "AC", "WA"]


def test_input_answer_output_and_arguments_arrive_to_the_byte(
    validators: Validators, tmp_path: Path
) -> None:
    given, answer, output = bytes(range(256)), b"\r\n\xff no end", b"\x00\xfe\r\n"
    body = (
        f"assert open(given, 'rb').read() == {given!r}\n"
        f"assert open(answer, 'rb').read() == {answer!r}\n"
        f"assert sys.stdin.buffer.read() == {output!r}\n"
        "assert args == ['float_tolerance', '1e-6', 'two words', ''], args\n"
        "sys.exit(42)"
    )
    case = case_of(given, answer, ("float_tolerance", "1e-6", "two words", ""))
    found = judged_by(validators, tmp_path, body, output, case)
    assert found.verdict is Verdict.AC, found.reason


def test_validator_need_not_read_an_output(validators: Validators, tmp_path: Path) -> None:
    found = judged_by(validators, tmp_path, "sys.exit(43)", b"x" * 5_000_000)
    assert found.verdict is Verdict.WA


def test_feedback_is_told(validators: Validators, tmp_path: Path) -> None:
    body = (
        "import os\n"
        "assert feedback.endswith('/') and os.listdir(feedback) == []\n"
        "open(feedback + 'judgemessage.txt', 'w').write('off by one\\nin case 1\\n')\n"
        "open(feedback + 'teammessage.txt', 'w').write('almost')\n"
        "sys.exit(43)"
    )
    problem = problem_of(tmp_path, {"main.py": PYTHON.format(body=body)})
    # The second run finds nothing of the first.
    for _ in range(2):
        found = validators.of(problem).validate(b"4", case_of())
        assert found.verdict is Verdict.WA, found.reason
        assert found.reason == "the validator validator0 rejects: off by one"
        assert found.judge_message == "off by one\nin case 1"
        assert found.team_message == "almost"


def test_working_directory_holds_the_program_and_nothing_else(
    validators: Validators, tmp_path: Path
) -> None:
    body = "import os\nsys.exit(42 if sorted(os.listdir()) == ['.case', 'main.py'] else 43)"
    assert judged_by(validators, tmp_path, body).verdict is Verdict.AC


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit(0)", "ended with exit code 0, where 42 accepts and 43 rejects"),
        ("print('accepted')", "exit code 0"),
        ("sys.exit(1)", "exit code 1"),
        ("sys.exit(44)", "exit code 44"),
        ("1 / 0", "exit code 1, where 42 accepts and 43 rejects: ZeroDivisionError"),
        ("import os; os.kill(os.getpid(), 11)", "signal 11"),
        ("import os; os.abort()", "signal 6"),
        ("while True: print('x' * 10000)", "too much stdout"),
        (
            "open(feedback + 'judgeerror.txt', 'w').write('no such file'); sys.exit(1)",
            "exit code 1, where 42 accepts and 43 rejects: no such file",
        ),
        (
            "open(feedback + 'score.txt', 'w').write('1'); sys.exit(43)",
            "rejects, and gives points in score.txt all the same",
        ),
    ],
)
def test_whatever_else_happens_is_a_judge_error(
    validators: Validators, tmp_path: Path, body: str, reason: str
) -> None:
    found = judged_by(validators, tmp_path, body)
    assert found.verdict is Verdict.JE
    assert reason in found.reason


def test_validator_that_does_not_end_is_a_judge_error(
    validators: Validators, tmp_path: Path
) -> None:
    found = judged_by(validators, tmp_path, "while True: pass", validation_time=0.5)
    assert found.verdict is Verdict.JE
    assert "time used up" in found.reason


def test_validator_that_does_not_compile_is_a_judge_error_every_time(
    validators: Validators, tmp_path: Path
) -> None:
    problem = problem_of(tmp_path, {"main.c": "int main(void) { return nothing; }"}, language="c")
    for _ in range(2):
        found = validators.of(problem).validate(b"3", case_of())
        assert found.verdict is Verdict.JE
        assert "can't be compiled: exit code 1" in found.reason
        assert "nothing" in found.reason


def test_language_that_is_not_there_is_a_judge_error(
    validators: Validators, tmp_path: Path
) -> None:
    problem = problem_of(tmp_path, {"main.pas": "begin end."}, language="pascal")
    found = validators.of(problem).validate(b"3", case_of())
    assert found.verdict is Verdict.JE
    assert "is written in pascal, which this machine can't run" in found.reason


def test_files_that_have_vanished_are_a_judge_error(validators: Validators, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, {"main.py": "raise SystemExit(42)"})
    case = Case("1", Content(tmp_path / "gone.in"), Content())
    found = validators.of(problem).validate(b"3", case)
    assert found.verdict is Verdict.JE
    assert "gone.in can't be read" in found.reason


def test_every_one_of_several_programs_must_accept(validators: Validators, tmp_path: Path) -> None:
    first = PYTHON.format(body="open(feedback + 'judgemessage.txt', 'w').write('one')\nexit(42)")
    second = PYTHON.format(
        body="open(feedback + 'judgemessage.txt', 'w').write('two')\nexit(42 + (input() != '3'))"
    )
    problem = problem_of(tmp_path, {"a.py": first}, {"b.py": second})
    right = validators.of(problem).validate(b"3\n", case_of())
    wrong = validators.of(problem).validate(b"4\n", case_of())
    assert (right.verdict, right.judge_message) == (Verdict.AC, "one\ntwo")
    assert (wrong.verdict, wrong.judge_message) == (Verdict.WA, "one\ntwo")


def test_programs_are_compiled_once(validators: Validators, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, {"main.c": "int main(void) { return 42; }"}, language="c")
    assert validators.of(problem).validate(b"", case_of()).verdict is Verdict.AC
    (tmp_path / "validator0" / "main.c").write_text("int main(void) { return 43; }")
    assert validators.of(problem).validate(b"", case_of()).verdict is Verdict.AC


def test_validators_run_without_walls_where_there_are_none(tmp_path: Path) -> None:
    without = Validators("none")
    try:
        validator = without.of(problem_of(tmp_path, {"check.cpp": SUM_IN_CPP}, language="c++"))
        assert validator.validate(b"3\n", case_of()).verdict is Verdict.AC
        rejected = validator.validate(b"4\n", case_of())
    finally:
        without.close()
    assert (rejected.verdict, rejected.judge_message) == (Verdict.WA, "expected 3")
