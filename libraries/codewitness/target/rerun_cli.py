"""Running what failed again, and putting both results into one, on the command line."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from codewitness.embedded.cli import CommandError, UsageError
from codewitness.reporting.history import AGAIN, FIRST_TRY, read_run

_PROJECT = Path(__file__).resolve().parents[3]


def add_rerun(commands: Any) -> None:
    """Add the command ``rerun`` to the others."""
    parser = commands.add_parser(
        "rerun",
        usage="%(prog)s FOLDER [ROBOT OPTION ...]",
        help="run what failed again, and merge both results",
        description=(
            "Run the tests and test cases again that failed in a run, and put both results into "
            "the folder of the first one. A test that passes now keeps its first message and "
            f"counts as passed at the second try; the first output stays as {FIRST_TRY}. Whatever "
            "follows the folder is handed to robot: give the settings of the first run again. "
            "Exit code 0: everything passes now; 1: something fails again; 2: wrong usage."
        ),
    )
    parser.set_defaults(command=_rerun)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="output folder of the run")
    parser.add_argument("options", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def _rerun(options: argparse.Namespace) -> None:
    folder = options.folder.resolve()
    output, first = folder / "output.xml", folder / FIRST_TRY
    try:
        failed = [name for name, it in read_run(output).tests.items() if it.status == "FAIL"]
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not failed:
        print("Nothing failed: there is nothing to run again.")
        return
    print(f"Failed, run again now: {len(failed)}", flush=True)
    _robot(
        "robot",
        *("-A", "variables/cases.args", "--rerunfailed", str(output)),
        *("--outputdir", str(folder / AGAIN), *options.options, "suites"),
    )
    again = folder / AGAIN / "output.xml"
    if not again.exists():
        raise CommandError("the tests could not be run again, see above")
    output.replace(first)
    _robot(
        "robot.rebot",
        *("--merge", "-A", "variables/results.args", "--outputdir", str(folder)),
        *("--output", "output.xml", str(first), str(again)),
    )
    if not output.exists():
        first.replace(output)
        raise CommandError("the results could not be merged, see above")
    tests = read_run(output).tests
    mended = [name for name in failed if tests[name].passed_on_second_try]
    for name in mended:
        print(f"Passed at the second try: {name}: {tests[name].message}")
    print(f"{len(failed)} had failed: {len(mended)} passed at the second try")
    if any(test.status == "FAIL" for test in tests.values()):
        raise CommandError(f"{len(failed) - len(mended)} did not pass again")


def _robot(module: str, *arguments: str) -> None:
    # From the project's folder, to which the paths in argument files are relative.
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=_PROJECT, check=False)
