"""Settings of a run, each with the place that it came from.

A setting comes from Robot (``-v`` or ``-V``), else from the environment, else it is the
default. Credentials are no settings: they come from the environment only and are read
where they are used (:mod:`codewitness.execution.credentials`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from codewitness.execution.credentials import CREDENTIAL_VARIABLES
from codewitness.execution.redaction import redact


class SettingsError(ValueError):
    """A setting can't be used; the message names the value and the remedy."""


class TargetKind(Enum):
    """Which flow is under test."""

    EMBEDDED = "embedded"
    LOCAL = "local"
    BACKEND = "backend"


@dataclass(frozen=True)
class Setting:
    """One effective setting.

    Attributes:
        name: Name as written on the command line and in the environment.
        value: Effective value.
        origin: ``Robot variable``, ``environment`` or ``default``.
        meaning: What it decides, for the table at the top of the log.
    """

    name: str
    value: Any
    origin: str
    meaning: str


@dataclass(frozen=True)
class _Known:
    default: Any
    convert: Callable[[str, Any], Any]
    meaning: str


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"true", "yes", "on", "1"}:
        return True
    if text in {"false", "no", "off", "0", ""}:
        return False
    raise SettingsError(f"{name} is '{value}'; use true or false.")


def _text(_name: str, value: Any) -> str:
    return str(value).strip()


def _seconds(name: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds <= 3600:
        raise SettingsError(
            f"{name} is '{value}'; give a number of seconds above 0 and at most 3600."
        )
    return seconds


def _names(name: str, value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if isinstance(items, Mapping) or not hasattr(items, "__iter__"):
        raise SettingsError(
            f"{name} is '{value}'; give a list in a variable file or names separated by commas."
        )
    return tuple(text for text in (str(item).strip() for item in items) if text)


KNOWN_SETTINGS: Mapping[str, _Known] = {
    "ENDPOINT": _Known("", _text, "backend under test; empty for the embedded one"),
    "USE_LOCAL_EXECUTOR": _Known(False, _flag, "Phase 1 of the plan: embedded backend, no pool"),
    "POOL_MANAGEMENT_ENDPOINT": _Known("", _text, "session pool under test"),
    "REQUEST_DEADLINE": _Known(30.0, _seconds, "seconds that one request may take in all"),
    "VERIFY_TLS": _Known(True, _flag, "check the server's certificate"),
    "CA_BUNDLE": _Known("", _text, "file with the certificate authorities to trust"),
    "DEVIATIONS": _Known((), _names, "capabilities that this service is known not to have"),
    "FAULT": _Known("", _text, "fault to build into the embedded backend"),
    "TEST_CASES": _Known("", _text, "folder of test cases; empty for this project's own"),
    "KNOWN_ISSUES": _Known("", _text, "file of known issues; empty for this project's own"),
}


@dataclass(frozen=True)
class Settings:
    """All effective settings of one run."""

    entries: Mapping[str, Setting]

    def __getitem__(self, name: str) -> Any:
        return self.entries[name].value

    @property
    def kind(self) -> TargetKind:
        """The flow under test that these settings choose."""
        if self["ENDPOINT"]:
            return TargetKind.BACKEND
        return TargetKind.LOCAL if self["USE_LOCAL_EXECUTOR"] else TargetKind.EMBEDDED

    @property
    def through_pool(self) -> bool:
        """Whether the embedded flow has a session pool in it; one with a fault has none."""
        return self.kind is TargetKind.EMBEDDED and not self["FAULT"]

    @property
    def chosen_by(self) -> str:
        """Which setting chose the target, and where that setting came from."""
        name = {
            TargetKind.BACKEND: "ENDPOINT",
            TargetKind.LOCAL: "USE_LOCAL_EXECUTOR",
        }.get(self.kind)
        if name is None:
            return "default, because neither ENDPOINT nor USE_LOCAL_EXECUTOR is set"
        return f"{name}, {self.entries[name].origin}"


def resolve(robot_value: Callable[[str], Any], environ: Mapping[str, str]) -> Settings:
    """Find the effective settings.

    Args:
        robot_value: Gives the value of a Robot variable by name, or ``None``.
        environ: Environment of the run.

    Raises:
        SettingsError: A value is unusable, or two settings contradict each other.
    """
    entries = {}
    for name, known in KNOWN_SETTINGS.items():
        given, origin = robot_value(name), "Robot variable"
        if given is None or given == "":
            given, origin = environ.get(name), "environment"
        if given is None or given == "":
            given, origin = known.default, "default"
        entries[name] = Setting(name, known.convert(name, given), origin, known.meaning)
    settings = Settings(entries)
    _check(settings, robot_value)
    return settings


def _check(settings: Settings, robot_value: Callable[[str], Any]) -> None:
    for name in CREDENTIAL_VARIABLES:
        if robot_value(name):
            raise SettingsError(
                f"{name} was given as a Robot variable, which Robot and pabot write to files. "
                f"Set it in the environment instead: export {name}=…"
            )
    endpoint = settings.entries["ENDPOINT"]
    if endpoint.value:
        if settings["USE_LOCAL_EXECUTOR"]:
            local = settings.entries["USE_LOCAL_EXECUTOR"]
            raise SettingsError(
                f"USE_LOCAL_EXECUTOR=true ({local.origin}) and ENDPOINT={_shown(endpoint.value)} "
                f"({endpoint.origin}) contradict each other. Drop USE_LOCAL_EXECUTOR to test "
                f"the backend, or ENDPOINT to test locally."
            )
        if settings["FAULT"]:
            raise SettingsError(
                f"FAULT={settings['FAULT']} works on the embedded backend only, but ENDPOINT is "
                f"{_shown(endpoint.value)}. Drop one of them."
            )
    if settings["POOL_MANAGEMENT_ENDPOINT"]:
        raise SettingsError(
            f"POOL_MANAGEMENT_ENDPOINT={_shown(settings['POOL_MANAGEMENT_ENDPOINT'])}: testing a "
            f"session pool directly is not built yet. Unset it, and give the pool's backend as "
            f"ENDPOINT."
        )


def _shown(url: str) -> str:
    # As it is but for a user name and password, and however wrong the rest of it is.
    return redact(url)
