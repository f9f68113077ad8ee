"""The examination before a run on the command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from codewitness.embedded.cli import CommandError, UsageError

_PROJECT = Path(__file__).resolve().parents[3]
_DESCRIPTION = (
    "Say what a run with the same settings will meet: every setting with its origin, versions, "
    "sandbox and tool-chains of this machine, credentials (which one answered, never the token), "
    "the target, and which tests will be skipped and why. Without a target the embedded one is "
    "started. Exit code 0: nothing is broken; 1: something is; 2: a setting can't be used."
)
_EPILOG = (
    "Settings come from -v and -V as for robot, else from the environment. Credentials come from "
    "the environment alone. A given deployment is walked as `diagnose` does; where that meets "
    "nothing broken, about ten programs are executed."
)


def add_doctor(commands: Any) -> None:
    """Add the command ``doctor`` to the others."""
    parser = commands.add_parser(
        "doctor",
        usage="%(prog)s [-v NAME:VALUE ...] [-V FILE ...] [--endpoint URL] [--pool URL]",
        help="say what a run will meet: settings, machine, credentials, target, skips",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(command=_doctor)
    parser.add_argument(
        "-v",
        "--variable",
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="a setting, as given to robot; can be repeated",
    )
    parser.add_argument(
        "-V",
        "--variablefile",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a YAML or JSON file of settings, as given to robot; can be repeated",
    )
    parser.add_argument(
        "--endpoint", metavar="URL", help="the backend, the same as -v ENDPOINT:URL"
    )
    parser.add_argument(
        "--pool", metavar="URL", help="the pool, the same as -v POOL_MANAGEMENT_ENDPOINT:URL"
    )


def _doctor(options: argparse.Namespace) -> None:
    # Imported here: a service must not wait for what only this command needs.
    from codewitness.reporting.summary import settings_lines
    from codewitness.target.doctor import examinations_as_text, examine_machine, examine_target
    from codewitness.target.settings import KNOWN_SETTINGS, SettingsError, resolve

    given = _given(options)
    known = {_comparable(name) for name in KNOWN_SETTINGS}
    for name in given:
        if _comparable(name) not in known:
            raise UsageError(
                f"'{name}' is no setting of this suite; there are {', '.join(KNOWN_SETTINGS)}"
            )
    values = {_comparable(name): value for name, value in given.items()}
    try:
        settings = resolve(lambda name: values.get(_comparable(name)), os.environ)
    except SettingsError as error:
        raise UsageError(str(error)) from None
    print("\n".join(settings_lines(settings.entries.values())))
    print(f"\nTarget: {settings.kind.value} ({settings.chosen_by})\n", flush=True)
    examinations = [
        examine_machine(_PROJECT / "requirements.txt"),
        examine_target(settings, os.environ, _PROJECT / "variables" / "known_issues.yaml"),
    ]
    print(examinations_as_text(examinations), flush=True)
    broken = [check.name for examination in examinations for check in examination.broken]
    if broken:
        raise CommandError(f"broken: {', '.join(broken)}")


def _given(options: argparse.Namespace) -> Mapping[str, Any]:
    """Return what the command line gives; as with robot, -v wins over -V, the first over later."""
    given: dict[str, Any] = {}
    for text in options.variable:
        name, colon, value = text.partition(":")
        if not colon:
            raise UsageError(f"-v {text} has no value; write -v NAME:VALUE")
        given.setdefault(name, value)
    for name, value in (("ENDPOINT", options.endpoint), ("POOL_MANAGEMENT_ENDPOINT", options.pool)):
        if value is not None:
            given.setdefault(name, value)
    for path in options.variablefile:
        for name, value in _read(path).items():
            given.setdefault(str(name), value)
    return given


def _read(path: Path) -> Mapping[Any, Any]:
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise UsageError(f"{path} is no YAML or JSON file; only robot reads others")
    try:
        # JSON is YAML, too.
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} can't be read: {' '.join(str(error).split())}") from None
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"{path} holds no names with values")
    return content or {}


def _comparable(name: str) -> str:
    """Return a variable's name without what Robot Framework does not tell apart."""
    return name.strip("${}").replace(" ", "").replace("_", "").lower()
