"""Past runs on the command line: what changed, and a page that shows them."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codewitness.embedded.arguments import bounded_number
from codewitness.embedded.cli import CommandError, UsageError

_PAGE = "dashboard.html"
_TEXT = "history.md"
_DASHBOARD_WITHIN = 600.0
# Its command may not be on the path, and it has no module to run.
_DASHBOARD = "from robotframework_dashboard.main import main; main()"


def add_history(commands: Any) -> None:
    """Add the command ``history`` to the others."""
    parser = commands.add_parser(
        "history",
        usage="%(prog)s PLACE [PLACE ...] [OPTION ...]",
        help="say what changed over past runs, and make a page of them",
        description=(
            "Read past runs and print what fails since when, what is slower since when, what is "
            f"flaky, and what the run before had and the latest lacks. The same is in {_TEXT}, and "
            f"{_PAGE} shows all runs; it needs the package robotframework-dashboard and nothing "
            "from the network. Exit code 1: something vanished; 2: wrong usage."
        ),
    )
    parser.set_defaults(command=_history)
    parser.add_argument(
        "places",
        nargs="+",
        type=Path,
        metavar="PLACE",
        help="an output.xml, or a folder with some in it, such as the artefacts of CI runs",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("results/history"),
        metavar="FOLDER",
        help="folder for what is made (default: results/history)",
    )
    parser.add_argument(
        "--most",
        type=lambda text: int(bounded_number(text, "a number of runs from 1", int, 1)),
        default=100,
        metavar="N",
        help="look at the latest N runs only (default 100)",
    )


def _history(options: argparse.Namespace) -> None:
    # Imported here: a service must not wait for what only this command needs.
    from codewitness.reporting.history import history_as_markdown, read_history

    try:
        history = read_history(options.places, options.most)
    except ValueError as error:
        raise UsageError(str(error)) from None
    told = history_as_markdown(history)
    print(told, flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / _TEXT).write_text(told, encoding="utf-8")
    _make_page([run.source for run in history.runs], options.output / _PAGE)
    if history.vanished:
        raise CommandError(f"missing since the run before: {len(history.vanished)}, listed above")


def _make_page(outputs: Sequence[Path], page: Path) -> None:
    named = [word for path in outputs for word in ("-o", str(path.resolve()))]
    with tempfile.TemporaryDirectory(prefix="codewitness-") as folder:
        command = [sys.executable, "-c", _DASHBOARD, *named]
        command += ["-d", f"{folder}/runs.db", "-n", str(page.resolve()), "-t", "History"]
        command += ["--offlinedependencies", "true", "--listruns", "false"]
        made = subprocess.run(
            command, capture_output=True, text=True, timeout=_DASHBOARD_WITHIN, check=False
        )
    if made.returncode or not page.exists():
        said = (made.stderr or made.stdout).strip().splitlines()[-1:] or ["nothing"]
        raise CommandError(
            f"{page} was not made: {said[0]}. Is robotframework-dashboard there? "
            "pip install -r requirements-dev.txt"
        )
