"""Command line of the embedded services: ``python libraries/codewitness --help``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if not __package__:
    # Started as a folder: Python put this folder on the path instead of the one around it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from codewitness.embedded.cli import main
from codewitness.execution.core_dumps import forbid_core_dumps
from codewitness.kill_matrix.cli import add_kill_matrix
from codewitness.target.diagnose_cli import add_diagnose
from codewitness.target.doctor_cli import add_doctor
from codewitness.target.history_cli import add_history
from codewitness.target.load_cli import add_load
from codewitness.target.plan_cli import add_plan
from codewitness.target.rerun_cli import add_rerun


def _add_commands(commands: Any) -> None:
    add_diagnose(commands)
    add_doctor(commands)
    add_rerun(commands)
    add_history(commands)
    add_plan(commands)
    add_load(commands)
    add_kill_matrix(commands)


if __name__ == "__main__":
    forbid_core_dumps()
    raise SystemExit(main(add_commands=_add_commands))
