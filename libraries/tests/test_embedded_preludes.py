from __future__ import annotations

from typing import Any

import pytest

from codewitness.embedded.preludes import executing, with_statement
from codewitness.execution.model import ExecutionRequest, SourceFile


def prefixed(code: str, statement: str, language: str = "python") -> str:
    request = ExecutionRequest(language, (SourceFile(code.encode()), SourceFile(b"other")))
    files = with_statement(request, statement).files
    assert files[1] == SourceFile(b"other")
    return files[0].content.decode()


@pytest.mark.parametrize(
    "code",
    [
        "result = 1",
        "",
        "\n\nresult = 1",
        "for result in [1]:\n    pass",
        "if True: result = 1",
        "# -*- coding: utf-8 -*-\nresult = 1",
        "@staticmethod\ndef f(): pass\nresult = 1",
        "from __future__ import annotations\nresult = 1",
        "from __future__ import (\n    annotations,\n)\nresult = 1",
        '"""Text."""\nfrom __future__ import annotations; result = 1',
    ],
)
def test_program_runs_after_the_statement(code: str) -> None:
    seen: dict[str, Any] = {}
    exec(compile(prefixed(code, "first = 2"), "program", "exec", dont_inherit=True), seen)
    assert seen["first"] == 2
    assert seen.get("result", 1) == 1


def test_line_numbers_stay() -> None:
    code = "value = 1\nraise ValueError"
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (where it is raised matters here)
        exec(compile(prefixed(code, "pass"), "program", "exec", dont_inherit=True), {})
    assert caught.traceback[-1].lineno == 1


def test_errors_of_indentation_stay() -> None:
    with pytest.raises(IndentationError):
        compile(prefixed(" value = 1", "pass"), "program", "exec")


def test_code_leaves_no_names() -> None:
    seen: dict[str, Any] = {}
    exec(executing("import os\nname = os.getcwd()"), seen)
    assert set(seen) == {"__builtins__"}


def test_other_languages_stay_as_they_are() -> None:
    assert prefixed("echo", "pass", "bash") == "echo"
