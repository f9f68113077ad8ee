"""The suite runs on Windows too; here, everything that Windows lacks is taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from codewitness.embedded.service import start_service
from tests.robot_runs import environment, run_robot
from tests.test_layout import LOCUSTFILE

# psutil itself has one implementation per system and needs that of this one.
WITHOUT_POSIX = """\
import sys

import psutil

for name in "crypt fcntl grp nis pty pwd resource spwd syslog termios tty".split():
    sys.modules[name] = None
"""


@pytest.fixture
def portable_environment(project_root: Path, tmp_path: Path) -> dict[str, str]:
    """An environment whose Python processes cannot import POSIX-only modules."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_POSIX)
    path = os.pathsep.join([str(tmp_path), str(project_root / "libraries")])
    return {**os.environ, "PYTHONPATH": path}


def test_every_library_is_imported_without_posix_modules(
    project_root: Path, portable_environment: dict[str, str]
) -> None:
    libraries = project_root / "libraries"
    modules = [
        ".".join(path.relative_to(libraries).with_suffix("").parts)
        for path in [*libraries.glob("*.py"), *(libraries / "codewitness").rglob("*.py")]
        if path.name not in {"__init__.py", "__main__.py", LOCUSTFILE}
    ]
    assert modules
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    importing = subprocess.run(
        [sys.executable, "-c", program, *modules],
        env=portable_environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert importing.returncode == 0, importing.stderr


def test_posix_modules_are_really_gone(portable_environment: dict[str, str]) -> None:
    importing = subprocess.run(
        [sys.executable, "-c", "import fcntl"],
        env=portable_environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"import of fcntl halted" in importing.stderr


@pytest.mark.thorough
def test_sections_1_to_3_pass_against_a_backend_without_posix_modules(
    portable_environment: dict[str, str], tmp_path: Path
) -> None:
    sections = ["1 Basic Code Execution", "2 Input And Output", "3 Error Handling"]
    # What the others add is work for the backend, which is not the one that must be portable.
    few = ["--exclude", "R1", "--exclude", "language-*"]
    chosen = [option for section in sections for option in ("--suite", f"*.{section}")]
    environ = environment(PYTHONPATH=portable_environment["PYTHONPATH"])
    with start_service(["backend", "--port", "0"]) as service:
        options = ["-v", f"ENDPOINT:{service.url}", *chosen, *few]
        run = run_robot(tmp_path / "results", *options, environ=environ)
    assert run.returncode == 0, run.brief
    assert not run.skipped
    assert len(run.passed) > 80
