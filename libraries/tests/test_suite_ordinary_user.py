"""An ordinary user, without any privilege, gets the same result."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from robot.api import ExecutionResult

from tests.robot_runs import FEW_CASES, PROJECT, environment

NOBODY = 65534
PARTS = ("libraries", "resources", "suites", "test_cases", "variables")
PROBE = """\
import sys, aiohttp, jsonschema, psutil, robot, yaml
print("%d.%d" % sys.version_info[:2])
"""

# Enough to run programs at once, under limits, in a compiled language, and with files.
TESTS = ("must", "P5", "language-c")
QUICK_TESTS = ("T1.1", "T2.2", "T4.2", "language-c")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A copy of the project that everybody can read, with a folder that everybody can write."""
    # Not below pytest's own folder, which only its owner can enter.
    with tempfile.TemporaryDirectory(prefix="ordinary-user-") as name:
        folder = Path(name)
        for part in PARTS:
            leave_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / part, folder / part, ignore=leave_out)
        shutil.rmtree(folder / "libraries" / "tests")
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        for writable in ("results", "tmp"):
            (folder / writable).mkdir()
            (folder / writable).chmod(0o777)
        yield folder


def run_as_user(command: list[str], environ: dict[str, str], folder: Path) -> tuple[int, str]:
    """Run a command as an ordinary user; as this one, if it is ordinary."""
    options = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        finished = subprocess.run(  # type: ignore[call-overload]
            command,
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
            **options,
        )
    except PermissionError as error:
        return 126, str(error)
    return finished.returncode, finished.stdout


def python_for_everybody(folder: Path) -> tuple[str, dict[str, str]]:
    """Return a Python that an ordinary user can start and the environment that it needs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = Path(sysconfig.get_path("purelib"))
    copy = folder / "packages"
    refused = []
    for source in (packages, copy):
        if source is copy:
            # The environment may lie in a folder that only its owner can enter.
            shutil.copytree(packages, copy, symlinks=True)
        environ = environment(
            HOME=str(folder / "tmp"),
            TMPDIR=str(folder / "tmp"),
            PYTHONPATH=str(source),
            PYTHONDONTWRITEBYTECODE="1",
        )
        for candidate in (sys.executable, f"/usr/bin/python{version}", "/usr/bin/python3"):
            code, said = run_as_user([candidate, "-c", PROBE], environ, folder)
            if code == 0 and said.strip() == version:
                return candidate, environ
            refused.append(f"{candidate}: {said.strip()[-300:]}")
    pytest.fail(
        f"No Python {version} on this machine can be started by an ordinary user; install one "
        "in /usr/bin, or run these tests as an ordinary user:\n" + "\n".join(refused)
    )


@pytest.mark.parametrize(
    "tags", [QUICK_TESTS, pytest.param(TESTS, marks=pytest.mark.thorough)], ids=["some", "all"]
)
def test_plan_passes_for_an_ordinary_user(open_folder: Path, tags: tuple[str, ...]) -> None:
    python, environ = python_for_everybody(open_folder)
    selection = [*FEW_CASES, *(option for tag in tags for option in ("--include", tag))]
    code, console = run_as_user(
        [python, "-m", "robot", "--outputdir", "results", *selection, "suites"],
        environ,
        open_folder,
    )
    output = open_folder / "results" / "output.xml"
    assert output.exists(), console
    suite = ExecutionResult(output).suite
    failed = [f"{test.name}: {test.message[:500]}" for test in suite.all_tests if test.failed]
    assert not failed
    assert code == 0, console
    assert not [test.name for test in suite.all_tests if test.skipped]
    assert "in bubblewrap" in suite.metadata["Answered by"]
    assert not list((open_folder / "tmp").iterdir())
