"""What keeps the project tidy: its folders, its layers, its requirements."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import codewitness

FOLDERS = {"suites", "resources", "libraries", "test_cases", "variables", "results"}
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "requirements-locust.txt")
FILES = {
    "README.md",
    "LICENSE",
    "pyproject.toml",
    "robot.toml",
    "azure-pipelines.yml",
    *REQUIREMENTS,
}

# Loaded by Locust alone, in an environment of its own.
LOCUSTFILE = "locustfile.py"

POSIX_MODULES = re.compile(r"crypt|fcntl|grp|nis|posix|pty|pwd|resource|spwd|syslog|termios|tty")
POSIX_ATTRIBUTES = re.compile(
    r"os\.(fork(pty)?|(get|set)(e?[gu]id|pgid|pgrp|sid)|killpg|mkfifo|posix_spawnp?|sched_\w+"
    r"|wait([34]|pid|id)?|WNOHANG|O_NO\w+)"
    r"|signal\.SIG(ALRM|CHLD|HUP|KILL|QUIT|STOP|USR[12])"
    r"|socket\.AF_UNIX"
)

# What a package may import of its neighbours. Nothing points at a layer above.
NEIGHBOURS: dict[str, set[str]] = {
    "execution": set(),
    "judging": {"execution"},
    "measuring": set(),
    "reporting": {"execution", "measuring", "session_pool"},
    "session_pool": {"execution", "measuring"},
    "embedded": {"execution", "measuring", "session_pool"},
    "distributed": {"execution", "judging", "measuring"},
    "target": {
        "distributed",
        "execution",
        "judging",
        "measuring",
        "reporting",
        "session_pool",
        "embedded",
    },
    "kill_matrix": {"embedded", "target"},
}
NETWORK = {"aiohttp", "azure", "http", "requests", "socket", "ssl", "urllib3"}

REQUIREMENT = re.compile(r"([a-z0-9-]+)==(\S+)((?: ; [^\\]+?)?) \\")


def tracked_files(root: Path) -> list[Path]:
    """Return what git tracks or would track, relative to the project's folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=60).stdout
    paths = [Path(os.fsdecode(name)) for name in listed.split(b"\0") if name]
    return [path for path in paths if (root / path).is_file()]


def python_files(root: Path) -> list[Path]:
    """Return every Python file of the libraries and of their tests."""
    return sorted((root / "libraries").rglob("*.py"))


def is_test(path: Path) -> bool:
    """Tell whether a Python file belongs to the libraries' own tests."""
    return path.parent.name == "tests"


def run_on_import(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield every node that is evaluated when the module is imported."""
    pending: list[ast.AST] = list(nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += node.orelse
            continue
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += [*node.decorator_list, *node.args.defaults]
            pending += [default for default in node.args.kw_defaults if default]
        elif not isinstance(node, ast.Lambda):
            pending += ast.iter_child_nodes(node)


def imported_names(node: ast.AST) -> list[str]:
    """Return the dotted names of the modules that an import statement asks for."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module]
    return []


def posix_only_uses(source: bytes) -> list[str]:
    """Return what a module imports or touches on import that Windows does not have."""
    found = []
    for node in run_on_import(ast.parse(source).body):
        found += [name for name in imported_names(node) if POSIX_MODULES.fullmatch(name)]
        if isinstance(node, ast.ImportFrom):
            attributes = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            attributes = [ast.unparse(node)] if isinstance(node, ast.Attribute) else []
        found += [name for name in attributes if POSIX_ATTRIBUTES.fullmatch(name)]
    return found


def all_imports(path: Path) -> set[str]:
    """Return the dotted names of all modules that a file imports, early or late."""
    return {
        name for node in ast.walk(ast.parse(path.read_bytes())) for name in imported_names(node)
    }


def requirements(path: Path) -> dict[str, bool]:
    """Return the names in a requirements file, and whether the project asks for them itself."""
    found: dict[str, bool] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if requirement := REQUIREMENT.fullmatch(line):
            name = requirement[1]
            found.setdefault(name, False)
        elif line == "    # direct":
            found[name] = True
    return found


def test_top_level_holds_only_the_layout(project_root: Path) -> None:
    top = {path.parts[0] for path in tracked_files(project_root)}
    unexpected = {name for name in top - FOLDERS - FILES if not name.startswith(".")}
    assert not unexpected
    assert top >= FOLDERS | FILES


def test_nothing_names_a_machine_or_a_registry(project_root: Path) -> None:
    # Brackets keep the patterns from finding themselves.
    places = [re.escape(str(project_root)), re.escape(sys.prefix), r"/Users/[a-z]", r"/opt/[p]ypi"]
    registries = [
        r"pypi[.]org",
        r"pythonhosted[.]org",
        r"--(extra-)?index-ur[l]",
        r"--find-link[s]",
    ]
    pattern = re.compile("|".join(places + registries).encode())
    found = [
        f"{path}: {match[0].decode()}"
        for path in tracked_files(project_root)
        for match in pattern.finditer((project_root / path).read_bytes())
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl",
        "try:\n    import pwd\nexcept ImportError:\n    pwd = None",
        "from resource import getrlimit",
        "from os import setsid",
        "import os\nclass Owner:\n    root = os.geteuid() == 0",
        "import signal\ndef end(how=signal.SIGKILL): ...",
    ],
)
def test_posix_only_use_is_found(source: str) -> None:
    assert posix_only_uses(source.encode())


@pytest.mark.parametrize(
    "source",
    [
        "def lock():\n    import fcntl",
        "import os\ndef end():\n    os.killpg(1, 9)",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pwd",
        "import signal\nsignal.SIGTERM",
    ],
)
def test_portable_use_is_let_through(source: str) -> None:
    assert not posix_only_uses(source.encode())


def test_nothing_posix_only_happens_on_import(project_root: Path) -> None:
    found = {
        str(path.relative_to(project_root)): uses
        for path in python_files(project_root)
        if (uses := posix_only_uses(path.read_bytes()))
    }
    assert not found


def test_package_does_not_know_robot(project_root: Path) -> None:
    for path in (project_root / "libraries" / "codewitness").rglob("*.py"):
        roots = {name.partition(".")[0] for name in all_imports(path)}
        assert not roots & {"robot", "RequestsLibrary", "pabot"}, path
        # Locust changes the interpreter that imports it.
        assert not roots & {"locust", "gevent"} or path.name == LOCUSTFILE, path


@pytest.mark.parametrize("package", NEIGHBOURS)
def test_imports_point_down(project_root: Path, package: str) -> None:
    for path in (project_root / "libraries" / "codewitness" / package).rglob("*.py"):
        names = all_imports(path)
        own = {name.split(".")[1] for name in names if name.startswith("codewitness.")}
        assert own <= NEIGHBOURS[package] | {package}, path
        if package in {"judging", "measuring"}:
            assert not {name.partition(".")[0] for name in names} & NETWORK, path
            assert "urllib.request" not in names, path


def test_what_is_imported_is_required(project_root: Path) -> None:
    runtime = requirements(project_root / "requirements.txt")
    development = requirements(project_root / "requirements-dev.txt")
    own = {path.stem for path in python_files(project_root)} | {"codewitness", "tests"}
    own |= {path.stem for path in (project_root / ".ci").glob("*.py")}
    distributions = packages_distributions()
    for path in python_files(project_root):
        if path.name == LOCUSTFILE:
            continue
        asked_for = development if is_test(path) else runtime
        for name in {name.partition(".")[0] for name in all_imports(path)}:
            if name in own or name in sys.stdlib_module_names:
                continue
            # A namespace package such as azure comes from several distributions.
            candidates = {each.lower().replace("_", "-") for each in distributions[name]}
            assert any(asked_for.get(each) for each in candidates), f"{path} imports {name}"


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements_are_pinned_by_hash(project_root: Path, name: str) -> None:
    pinned = False
    for line in (project_root / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("    --hash=sha256:"):
            pinned = True
        elif not line.startswith("    #"):
            assert REQUIREMENT.fullmatch(line), line
            pinned = False
        else:
            assert pinned, line
    assert pinned


def test_requirements_follow_pyproject(project_root: Path) -> None:
    text = (project_root / "pyproject.toml").read_text(encoding="utf-8")
    runtime, development = (
        {
            name.lower()
            for line in text.partition(f"\n{start} = [\n")[2].partition("\n]")[0].splitlines()
            for name in re.findall(r'^    "([\w-]+)', line)
        }
        for start in ("dependencies", "dev")
    )
    assert runtime
    assert development
    direct = requirements(project_root / "requirements.txt")
    assert {name for name in direct if direct[name]} == runtime
    direct = requirements(project_root / "requirements-dev.txt")
    assert {name for name in direct if direct[name]} == runtime | development


def test_requirements_files_agree(project_root: Path) -> None:
    pins: list[set[tuple[str, str]]] = []
    for name in REQUIREMENTS:
        text = (project_root / name).read_text(encoding="utf-8")
        # Without its condition, which follows from whatever else needs the package.
        pins.append({(match[1], match[2]) for match in REQUIREMENT.finditer(text)})
    runtime, *others = pins
    assert all(runtime <= other for other in others)


def test_version_is_stated_once_and_again(project_root: Path) -> None:
    text = (project_root / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{codewitness.__version__}"\n' in text


def test_readme_names_every_direct_requirement(project_root: Path) -> None:
    readme = (project_root / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Dependencies")[2].partition("\n## ")[0]
    named = {
        name.strip().lower()
        for row in re.findall(r"^\| ([\w, *-]+) \|", table, re.M)
        for name in row.split(",")
    }
    direct = requirements(project_root / "requirements-dev.txt")
    missing = {name for name in direct if direct[name] and not name.startswith("types-")} - named
    assert not missing
