"""Settings of a run, each with the place that it came from.

A setting comes from Robot (``-v`` or ``-V``), else from the environment, else it is the
default. Credentials are no settings: they come from the environment only and are read
where they are used (:mod:`codewitness.execution.credentials`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from codewitness.embedded.service import POOL_FAULT
from codewitness.execution.credentials import CREDENTIAL_VARIABLES
from codewitness.execution.redaction import redact

_POOL = "POOL_MANAGEMENT_ENDPOINT"
_URLS = ("ENDPOINT", _POOL)
_MOST_SESSIONS = 10_000


class SettingsError(ValueError):
    """A setting can't be used; the message names the value and the remedy."""


class TargetKind(Enum):
    """Which flow is under test."""

    EMBEDDED = "embedded"
    LOCAL = "local"
    BACKEND = "backend"
    POOL = "session pool"


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


def _count(name: str, value: Any) -> int:
    text = "" if isinstance(value, bool) else str(value).strip()
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_SESSIONS):
        raise SettingsError(
            f"{name} is '{value}'; give a whole number from 1 to {_MOST_SESSIONS:,}."
        )
    return int(text)


def _concurrency(name: str, value: Any) -> int:
    return 0 if value == 0 or str(value).strip() == "0" else _count(name, value)


def _submissions(name: str, value: Any) -> str:
    text = str(value).strip().lower()
    if text not in ("accepted", "all"):
        raise SettingsError(
            f"{name} is '{value}'; use accepted (one that solves each problem) or all."
        )
    return text


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
    "POOL_MANAGEMENT_ENDPOINT": _Known(
        "", _text, "session pool under test, or behind the backend when ENDPOINT is given, too"
    ),
    "REQUIRE_POOL": _Known(False, _flag, "fail unless code runs in the pool's sessions"),
    "MAX_SESSIONS_USED": _Known(12, _count, "sessions that a run may open in the pool given"),
    "COSTLY": _Known(False, _flag, "run tests that take minutes, or many sessions, of a real pool"),
    "HOSTILE": _Known(True, _flag, "run programs that harm a service which does not contain them"),
    "THOROUGH": _Known(False, _flag, "run what is tagged thorough, too"),
    "REQUEST_DEADLINE": _Known(30.0, _seconds, "seconds that one request may take in all"),
    "VERIFY_TLS": _Known(True, _flag, "check the server's certificate"),
    "CA_BUNDLE": _Known("", _text, "file with the certificate authorities to trust"),
    "DEVIATIONS": _Known((), _names, "capabilities that this service is known not to have"),
    "FAULT": _Known(
        "", _text, "fault to build into the embedded backend, or into all embedded pools"
    ),
    "TRANSPORT_FAULT": _Known("", _text, "what to do to the transport to the embedded backend"),
    "TEST_CASES": _Known("", _text, "folder of test cases; empty for this project's own"),
    "CASES": _Known((), _names, "patterns of the test cases to run; all when empty"),
    "SUBMISSIONS": _Known("accepted", _submissions, "programs run on test cases: accepted, or all"),
    "CONCURRENCY": _Known(0, _concurrency, "test cases executed at once; found when 0"),
    "LOAD_PROFILE": _Known("short", _text, "how much the performance section measures"),
    "LOCUST": _Known("", _text, "command of Locust, or none; looked for when empty"),
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
        if self["POOL_MANAGEMENT_ENDPOINT"]:
            return TargetKind.POOL
        return TargetKind.LOCAL if self["USE_LOCAL_EXECUTOR"] else TargetKind.EMBEDDED

    @property
    def through_pool(self) -> bool:
        """Whether the embedded flow has a session pool in it; one with another fault has none."""
        broken = self["TRANSPORT_FAULT"] or (self["FAULT"] and not self.pool_fault)
        return self.kind is TargetKind.EMBEDDED and not broken

    @property
    def pool_fault(self) -> str:
        """The fault that is to be built into session pools; empty for none."""
        return str(self["FAULT"]) if self["FAULT"].startswith(POOL_FAULT) else ""

    @property
    def chosen_by(self) -> str:
        """Which setting chose the target, and where that setting came from."""
        name = {
            TargetKind.BACKEND: "ENDPOINT",
            TargetKind.LOCAL: "USE_LOCAL_EXECUTOR",
            TargetKind.POOL: _POOL,
        }.get(self.kind)
        if name is None:
            return (
                "default, because none of ENDPOINT, USE_LOCAL_EXECUTOR and "
                "POOL_MANAGEMENT_ENDPOINT is set"
            )
        chosen = f"{name}, {self.entries[name].origin}"
        if self[_POOL] and name != _POOL:
            chosen += f"; its pool by {_POOL}, {self.entries[_POOL].origin}"
        return chosen


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
        if given == "" and name in _URLS:
            raise SettingsError(
                f"{name} was given as a Robot variable, and is empty: is the variable that it was "
                f"to come from set? Leave {name} out to test something else."
            )
        if given is None or given == "":
            given, origin = environ.get(name), "environment"
        if given is None or given == "":
            given, origin = known.default, "default"
        entries[name] = Setting(name, known.convert(name, given), origin, known.meaning)
    settings = Settings(_harmless_where_given(_with_required_pool(entries)))
    _check(settings, robot_value)
    return settings


def _with_required_pool(entries: dict[str, Setting]) -> dict[str, Setting]:
    """Require the pool that is given: whoever names it wants to know that code runs there."""
    required = entries["REQUIRE_POOL"]
    if not entries[_POOL].value or required.value:
        return entries
    if required.origin != "default":
        raise SettingsError(
            f"REQUIRE_POOL=false ({required.origin}) and {_given(entries[_POOL])} contradict each "
            f"other: the pool is given so that code is seen to run there. Drop one of them."
        )
    return {**entries, "REQUIRE_POOL": replace(required, value=True, origin=f"{_POOL} is given")}


def _harmless_where_given(entries: dict[str, Setting]) -> dict[str, Setting]:
    """Attack nobody else's service unless that is asked for."""
    hostile = entries["HOSTILE"]
    given = next((name for name in _URLS if entries[name].value), None)
    if given is None or hostile.origin != "default":
        return entries
    return {**entries, "HOSTILE": replace(hostile, value=False, origin=f"{given} is given")}


def _check(settings: Settings, robot_value: Callable[[str], Any]) -> None:
    for name in CREDENTIAL_VARIABLES:
        if robot_value(name):
            raise SettingsError(
                f"{name} was given as a Robot variable, which Robot and pabot write to files. "
                f"Set it in the environment instead: export {name}=…"
            )
    _check_target(settings)
    pool = settings.entries[_POOL]
    if _is_built_in(pool.value):
        raise SettingsError(
            f"{_given(pool)} is the address of a built-in interpreter pool, which does not speak "
            f"the Piston v2 API that this suite tests. Give a custom-container pool, such as "
            f"https://<pool>.<environment>.<region>.azurecontainerapps.io, or, for a backend in "
            f"front of the built-in one, ENDPOINT alone."
        )


def _check_target(settings: Settings) -> None:
    local = settings.entries["USE_LOCAL_EXECUTOR"]
    for name, tested in (("ENDPOINT", "the backend"), (_POOL, "the pool")):
        url = settings.entries[name]
        if url.value and local.value:
            raise SettingsError(
                f"USE_LOCAL_EXECUTOR=true ({local.origin}) and {_given(url)} contradict each "
                f"other. Drop USE_LOCAL_EXECUTOR to test {tested}, or {name} to test locally."
            )
        for fault in ("FAULT", "TRANSPORT_FAULT"):
            if url.value and settings[fault]:
                raise SettingsError(
                    f"{fault}={settings[fault]} works on the embedded backend only, but {name} is "
                    f"{_shown(url.value)}. Drop one of them."
                )
    required = settings.entries["REQUIRE_POOL"]
    for name in ("USE_LOCAL_EXECUTOR", "FAULT", "TRANSPORT_FAULT"):
        if required.value and settings[name] and not settings.through_pool:
            raise SettingsError(
                f"REQUIRE_POOL=true ({required.origin}) and {name}={_as_typed(settings[name])} "
                f"({settings.entries[name].origin}) contradict each other: that target has no "
                f"session pool. Drop one of them."
            )


def _is_built_in(url: str) -> bool:
    """Tell whether a URL has the form of a built-in pool's, also of the older one."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return (
        host.endswith((".dynamicsessions.io", ".acasessions.io"))
        or "/sessionpools/" in parts.path.lower()
    )


def _given(setting: Setting) -> str:
    return f"{setting.name}={_shown(setting.value)} ({setting.origin})"


def _as_typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(url: str) -> str:
    # As it is but for a user name and password, and however wrong the rest of it is.
    return redact(url)
