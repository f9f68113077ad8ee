"""Print the failures of a run as annotations that CI services show on the lines of the tests."""

from __future__ import annotations

import argparse
import html
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from robot.api import ExecutionResult

MOST = 50
"""Annotations at most; GitHub shows ten of a step."""

_LONGEST = 1000


@dataclass(frozen=True)
class Failure:
    """A failed test.

    Attributes:
        name: The test's name.
        file: Its file, relative to the project's folder.
        line: Its line there; the first where it has none of its own.
        message: Beginning of its message.
    """

    name: str
    file: str
    line: int
    message: str


def failures(output: Path) -> Iterator[Failure]:
    """Yield the failed tests of an output.xml in their order."""
    for test in ExecutionResult(output).suite.all_tests:
        if test.failed:
            message = _plain(test.message)[:_LONGEST]
            yield Failure(test.name, _in_project(test.source), test.lineno or 1, message)


def _plain(message: str) -> str:
    """Return a message without the markup that merged results have."""
    if not message.startswith("*HTML*"):
        return message
    return html.unescape(re.sub(r"<[^>]*>", " ", message.removeprefix("*HTML*"))).strip()


def _in_project(source: Path | None) -> str:
    """Return a path relative to the project, wherever the project was when the test ran."""
    parts = source.parts if source else ()
    return "/".join(parts[parts.index("suites") :]) if "suites" in parts else "suites"


def for_github(failure: Failure) -> str:
    """Return the workflow command for GitHub Actions."""
    title = _escaped(failure.name).replace(":", "%3A").replace(",", "%2C")
    where = f"file={failure.file},line={failure.line},title={title}"
    return f"::error {where}::{_escaped(failure.message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def for_azure(failure: Failure) -> str:
    """Return the logging command for Azure Pipelines, which shows one line."""
    first = failure.message.partition("\n")[0]
    where = f"type=error;sourcepath={failure.file};linenumber={failure.line}"
    return f"##vso[task.logissue {where}]{failure.name}: {first}".replace("\r", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the annotations; return 0, since the run itself says whether it failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path, help="output.xml of the run")
    styles = {"github": for_github, "azure": for_azure}
    parser.add_argument(
        "--style",
        choices=styles,
        default="azure" if "TF_BUILD" in os.environ else "github",
        help="whose annotations (default: found out from the environment)",
    )
    options = parser.parse_args(arguments)
    found = list(failures(options.output))
    for failure in found[:MOST]:
        print(styles[options.style](failure))
    if len(found) > MOST:
        print(f"{len(found) - MOST} more failures are in the report")
    return 0


if __name__ == "__main__":
    sys.exit(main())
