from __future__ import annotations

import re
from pathlib import Path

from codewitness.target.settings import KNOWN_SETTINGS


def test_ci_runs_the_commands_of_the_readme(project_root: Path) -> None:
    readme = (project_root / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python3 -m venv \.venv .*$", readme, flags=re.MULTILINE)
    assert len(commands) == 2
    script = (project_root / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^ +'(python3 -m venv .*)'$", script, flags=re.MULTILINE) == commands[::-1]


def test_readme_lists_every_setting(project_root: Path) -> None:
    readme = (project_root / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| Setting |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == list(KNOWN_SETTINGS)
