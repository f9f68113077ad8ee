"""Every command of the README: its options exist, and, but for clouds and machines, it works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pabot.arguments import parse_args as parse_pabot
from robot.errors import Information
from robot.rebot import Rebot
from robot.run import RobotFramework

from codewitness.__main__ import _add_commands
from codewitness.embedded.cli import _parser
from codewitness.embedded.service import RunningService, start_service
from tests.robot_runs import PROJECT, environment

README = PROJECT / "README.md"
COMMAND_LINE = "libraries/codewitness"

LONG = ("benchmark", "kill-matrix")
"""Commands that measure for minutes."""

QUICK_SCRIPTS = (".ci/keyword_docs.py", ".ci/check_secrets.py")
"""Scripts that are over in seconds."""

SERVING = ("backend", "session-pool", "broken-deployments", "transport-proxy")
"""Commands that serve until they are interrupted."""

OTHERS = ("az", "cd", "echo", "export", "mkdir", "pip", "pytest", "python3", "robocop")
"""Programs whose options are checked elsewhere, or that are everybody's."""

PLAN = "test_session_pool.py"
"""The plan's own command, which the README translates."""


class Command(NamedTuple):
    """A command with the environment that stands before it; ``$`` in one means a shell's work."""

    words: tuple[str, ...]
    environ: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        return re.sub(r"^\.\w+/bin/", "", self.words[0])

    @property
    def text(self) -> str:
        return " ".join(self.words)


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of a text's bash blocks, and those between backquotes."""
    blocks = r"^ *```bash\n(.*?)^ *```"
    for block in re.findall(blocks, text, flags=re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split(" && "):
                if part.strip():
                    yield _parse(part)
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    starts = r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:robot|rebot|pabot|robocop|python|\.ci/\w+)\b"
    for quoted in re.findall(r"`([^`]+)`", prose):
        told = " ".join(quoted.split())
        # A bare name is only talked about.
        if re.match(starts + (r"" if told.startswith(".ci/") else r" "), told) and PLAN not in told:
            yield _parse(told)


def _parse(line: str) -> Command:
    words = shlex.split(line, comments=True)
    environ = []
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        environ.append(words.pop(0))
    return Command(tuple(words), tuple(environ))


def complaint(command: Command) -> str:
    """Return what is wrong with the options of a command; empty for nothing."""
    program, words = command.program, list(command.words[1:])
    try:
        if program == "robot":
            RobotFramework().parse_arguments(words)
        elif program == "rebot":
            Rebot().parse_arguments(words)
        elif program == "pabot":
            parse_pabot(words)
        elif program == "python" and words[0] == COMMAND_LINE:
            _parser(_add_commands).parse_args(words[1:])
        elif program == "python" and words[0] == "-m":
            return "" if words[1] in ("pytest", "robot.libdoc") else f"no module {words[1]} known"
        elif program == "python":
            return "" if (PROJECT / words[0]).exists() else f"there is no {words[0]}"
        elif program.startswith(".ci/"):
            return "" if (PROJECT / program).exists() else f"there is no {program}"
        elif program not in OTHERS:
            return f"what is {program}?"
    except Information:
        return ""
    except (Exception, SystemExit) as error:
        return str(error) or "wrong usage"
    return ""


ALL = list(dict.fromkeys(commands(README.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.text[:60])
def test_options_exist(command: Command) -> None:
    assert not complaint(command), command.text


@pytest.mark.parametrize(
    "line",
    [
        "robot --no-such-option suites/",
        "rebot --processes 2 a.xml",
        "pabot --shards 1/2 suites/",
        "python libraries/codewitness diagnoze",
        "python libraries/codewitness plan --student 5 --service-time x",
        "python .ci/no_such_script.py",
        "python -m no.module",
        "frobnicate --now",
    ],
)
def test_wrong_command_is_found(line: str) -> None:
    assert complaint(_parse(line))


def test_commands_are_found_wherever_they_stand() -> None:
    text = "Run `A=b robot x` or `robot`.\n\n"
    text += "```bash\na && b \\\n  c  # why\n```\n\n   ```bash\n   d 'e f'\n   ```\n"
    assert list(commands(text)) == [
        Command(("a",)),
        Command(("b", "c")),
        Command(("d", "e f")),
        Command(("robot", "x"), ("A=b",)),
    ]


def test_what_takes_long_is_run_by_ci() -> None:
    run = "".join((PROJECT / ".ci" / name).read_text("utf-8") for name in ("run", "nightly"))
    for command in ALL:
        if _is_for_elsewhere(command) or _is_executed(command):
            continue
        if command.program == "python" and "-m" not in command.words:
            script = " ".join(command.words[1:3]) if command.words[1] == COMMAND_LINE else ""
            assert (script or command.words[1]) in run, command.text


def _is_for_elsewhere(command: Command) -> bool:
    """Whether a command needs another machine, or the environment of Locust."""
    named = any(re.search(r"<(?!BACKEND_URL|POOL_URL)", word) for word in command.words)
    return named or "--remote-workers" in command.words or command.words[0].startswith(".locust/")


def _is_executed(command: Command) -> bool:
    """Whether a command is executed below; what is not, others of these tests or CI run."""
    words = command.words
    if command.program in ("rebot", "pabot", *OTHERS) or ".ci/" in command.program:
        return False
    if _is_for_elsewhere(command):
        return False
    if command.program == "python":
        if words[1] == COMMAND_LINE:
            return words[2] not in LONG
        return words[1:3] == ("-m", "robot.libdoc") or words[1] in QUICK_SCRIPTS
    return True


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project after somebody has followed the README: its examples are in there.

    The folder ``failed`` holds the results of a run in which a test has failed.
    """
    folder = tmp_path_factory.mktemp("copy") / "project"
    folder.mkdir()
    for name in ("suites", "resources", "libraries", "test_cases", "variables", ".ci"):
        shutil.copytree(PROJECT / name, folder / name)
    for path in PROJECT.glob("*.t[ox][mt]*"):
        shutil.copy(path, folder)
    (folder / "test_cases" / "doubled").mkdir()
    for name, text in (("main.py", "print(2 * int(input()))"), ("1.in", "21"), ("1.out", "42")):
        (folder / "test_cases" / "doubled" / name).write_text(f"{text}\n", encoding="utf-8")
    for file, test in example_tests(README.read_text(encoding="utf-8")):
        with (folder / file).open("a", encoding="utf-8") as suite:
            suite.write(f"\n{test}")
    failing = "robot -v FAULT:stdout-dropped --include T1.1 --outputdir failed suites/"
    done = execute(_parse(failing), folder)
    assert done.returncode == 1, done.stdout
    return folder


def example_tests(text: str) -> Iterator[tuple[str, str]]:
    """Yield the tests that a text says to add to suites, each with the file of its suite."""
    for match in re.finditer(
        r"^( *)```robotframework\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL
    ):
        files = re.findall(r"`(suites/\S+?\.robot)`", text[: match.start()])
        if "***" not in match[2] and files:
            yield files[-1], re.sub(rf"^{match[1]}", "", match[2], flags=re.MULTILINE)


@pytest.fixture(scope="module")
def pool() -> Iterator[RunningService]:
    with start_service(["session-pool"]) as service:
        yield service


@pytest.fixture(scope="module")
def backend(pool: RunningService) -> Iterator[RunningService]:
    identity = environment(**pool.details["environment"])
    with start_service(["backend", "--pool", pool.url], environment=identity) as service:
        yield service


def execute(command: Command, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    scripts = str(Path(sys.executable).parent)
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    given = dict(each.split("=", 1) for each in command.environ)
    return subprocess.run(
        [shutil.which(command.program, path=path) or command.program, *command.words[1:]],
        cwd=folder,
        env=environment(PATH=path, **given, **environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    "command", [it for it in ALL if _is_executed(it)], ids=lambda command: command.text[:60]
)
def test_command_works(
    command: Command, copy: Path, pool: RunningService, backend: RunningService
) -> None:
    urls = {"<BACKEND_URL>": backend.url, "<POOL_URL>": pool.url}
    words = [re.sub("<[A-Z_]+>", lambda found: urls[found[0]], word) for word in command.words]
    shutil.rmtree(copy / "results", ignore_errors=True)
    shutil.copytree(copy / "failed", copy / "results")
    if command.program == "robot" and (
        "must" in words or not {"--include", "-A", "--test"} & {*words}
    ):
        # One suite stands for all: they are run by others.
        words[1:1] = ["--suite", "*.Planned Tests Of Section 1"]
    if command.program == "python" and words[1] == COMMAND_LINE and words[2] in SERVING:
        words.append("--until-stdin-closes")
    ready = Command(tuple(words), command.environ)
    identity = dict(pool.details["environment"])
    # What the pool says of itself would be the target of every run.
    del identity["POOL_MANAGEMENT_ENDPOINT"]
    done = execute(ready, copy, **identity)
    # A fault that is built in is to be found.
    finds_fault = any(word.startswith("FAULT:") for word in words)
    assert bool(done.returncode) == finds_fault, done.stdout[-3000:]
