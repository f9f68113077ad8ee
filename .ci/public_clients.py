"""Run public clients of session pools and of Piston against the embedded services.

Every client gets a virtual environment of its own with its public package, unmodified and at a
fixed version, and an embedded service of its own. A small program beside this one uses it as its
documentation says: it executes, looks for what is kept, uploads, lists, downloads and provokes
errors, with the tokens of azure-identity's DefaultAzureCredential. Needs a package index.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "libraries"))

from codewitness.embedded.service import RunningService, start_service  # noqa: E402

PROGRAMS = Path(__file__).with_suffix("")
INSTALL_WITHIN = 1200.0
RUN_WITHIN = 300.0

STEPS = ("execute", "state", "input", "upload", "list", "download", "errors")
"""Columns of the table that are always there; further ones come as programs name them."""

Outcomes = dict[str, str]
"""What became of each step: ``ok``, or what differed."""

# What the identity service is told, so that a pool answers with a status.
_REFUSED: Mapping[str, Mapping[str, Any]] = {
    "401": {"audience": "https://management.azure.com"},
    "403": {"audience": None, "roles": []},
}


@dataclass(frozen=True)
class Client:
    """A public client.

    Attributes:
        name: Name in the table.
        requirements: Its package, and what that needs without saying so, for pip.
        program: File of the program that uses it.
        kind: Kind of session pool that it is for; ``None`` for a client of Piston.
        needs_tls: Whether it takes nothing but https.
    """

    name: str
    requirements: tuple[str, ...]
    program: str
    kind: str | None = None
    needs_tls: bool = False


_LANGCHAIN = ("langchain-azure-dynamic-sessions==1.0.4",)

CLIENTS = (
    Client("langchain-python", _LANGCHAIN, "langchain_python.py", "python"),
    Client("langchain-bash", _LANGCHAIN, "langchain_bash.py", "shell"),
    Client(
        "semantic-kernel",
        ("semantic-kernel==1.45.0",),
        "semantic_kernel_tool.py",
        "python",
        needs_tls=True,
    ),
    # Its extra leaves out the HTTP library that it uses.
    Client(
        "autogen", ("autogen-ext[azure]==0.7.5", "aiohttp==3.14.5"), "autogen_executor.py", "python"
    ),
    Client(
        "llama-index",
        ("llama-index-tools-azure-code-interpreter==0.7.0",),
        "llama_index_tool.py",
        "python",
    ),
    Client(
        "code-interpreter",
        ("azure-dynamic-sessions-code-interpreter==1.0.0",),
        "code_interpreter_tool.py",
        "python",
    ),
    Client("aiopyston", ("aiopyston==1.2.1",), "aiopyston_client.py"),
    Client("piston_rspy", ("piston_rspy==0.4.3",), "piston_rspy_client.py"),
)


class NotRun(Exception):
    """A client that could not be installed or did not come to its end."""


def install(client: Client, cache: Path) -> Path:
    """Return the Python of an environment that holds the client, made unless it is there.

    Raises:
        NotRun: The package can't be had.
    """
    folder = cache / re.sub(r"[^\w.=-]+", "-", " ".join(client.requirements))
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [*pip, *client.requirements],
        ):
            _finish(command, None, INSTALL_WITHIN)
        complete.touch()
    return python


def try_out(client: Client, python: Path, *, tls: bool) -> Outcomes:
    """Return what became of each step of a client.

    Args:
        client: The client.
        python: Python of its environment.
        tls: Whether a session pool speaks https also where the client does not ask for it.

    Raises:
        NotRun: Its program did not come to its end.
    """
    with _service(client, tls=tls) as service:
        environment = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir()}
        if client.kind is None:
            return _run(client, python, environment | {"BACKEND": service.url})
        environment |= service.details["environment"]
        outcomes = _run(client, python, environment)
        for status, changes in _REFUSED.items():
            _configure_identity(service, changes)
            outcomes |= _run(client, python, environment, status)
        return outcomes


@contextlib.contextmanager
def _service(client: Client, *, tls: bool) -> Iterator[RunningService]:
    arguments = ["backend"]
    if client.kind is not None:
        # Two, so that a program can fill it.
        arguments = ["session-pool", "--kind", client.kind, "--max-sessions", "2"]
        if tls or client.needs_tls:
            arguments.append("--tls")
    with start_service(arguments, ready_within=60) as service:
        yield service


def _configure_identity(service: RunningService, changes: Mapping[str, Any]) -> None:
    request = urllib.request.Request(
        f"{service.details['control_url']}/identity", json.dumps(changes).encode()
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open(request, timeout=30).close()


def _run(client: Client, python: Path, environment: Mapping[str, str], *arguments: str) -> Outcomes:
    program = [str(python), str(PROGRAMS / client.program), *arguments]
    said = _finish(program, environment, RUN_WITHIN)
    lines = [line for line in said.splitlines() if line.startswith('{"step": ')]
    return {told["step"]: told["outcome"] for told in map(json.loads, lines)}


def _finish(command: Sequence[str], environment: Mapping[str, str] | None, within: float) -> str:
    """Run a command to its end and return what it printed."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotRun(f"not done within {within:g} s: {' '.join(command)}") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise NotRun(f"exit code {done.returncode}, it said {last[0]}: {' '.join(command)}")
    return done.stdout


def table(outcomes: Mapping[str, Outcomes]) -> str:
    """Return clients by steps in Markdown, with what differed below."""
    named = dict.fromkeys([*STEPS, *(step for each in outcomes.values() for step in each)])
    columns = [step for step in named if any(step in each for each in outcomes.values())]
    rows = [["client", *columns], ["---"] * (len(columns) + 1)]
    differences = []
    for name, steps in outcomes.items():
        cells = {step: "ok" if outcome == "ok" else "FAILED" for step, outcome in steps.items()}
        rows.append([name, *(cells.get(step, "-") for step in columns)])
        differences += [
            f"{name}, {step}: {outcome}" for step, outcome in steps.items() if outcome != "ok"
        ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([*lines, *(["", *differences] if differences else [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the clients and print the table; return 1 when a step failed, else 0."""
    options = _parse(arguments)
    outcomes: dict[str, Outcomes] = {}
    with contextlib.ExitStack() as stack:
        cache: Path = options.cache or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cache.mkdir(parents=True, exist_ok=True)
        for client in CLIENTS:
            if options.only and client.name not in options.only:
                continue
            print(f"{client.name}: {' '.join(client.requirements)}", file=sys.stderr, flush=True)
            try:
                python = install(client, cache.resolve())
                outcomes[client.name] = try_out(client, python, tls=options.tls)
            except NotRun as error:
                outcomes[client.name] = {"run": str(error)}
    print(table(outcomes))
    return 0 if all(it == "ok" for steps in outcomes.values() for it in steps.values()) else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[client.name for client in CLIENTS],
        metavar="NAME",
        help="try this client alone; can be repeated: %(choices)s",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="keep the environments here and use them again (default: make and remove them)",
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="let every session pool speak https, not only for the clients that insist on it",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
