"""Command line of the embedded services: ``python libraries/codewitness --help``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if not __package__:
    # Started as a folder: Python put this folder on the path instead of the one around it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from codewitness.embedded.cli import main
from codewitness.target.diagnose_cli import add_diagnose
from codewitness.target.plan_cli import add_plan


def _add_commands(commands: Any) -> None:
    add_diagnose(commands)
    add_plan(commands)


if __name__ == "__main__":
    raise SystemExit(main(add_commands=_add_commands))
