"""What stands between this machine with its settings and a run: every obstacle with its remedy."""

from __future__ import annotations

import logging
import platform
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path

from codewitness.embedded.service import ServiceNotStarted
from codewitness.execution.credentials import BackendCredentials, describe_claims
from codewitness.execution.languages import LANGUAGES
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import ExecutionError, PlatformFault
from codewitness.execution.redaction import redact
from codewitness.execution.sandbox_pool import contain
from codewitness.reporting.diagnosis import explain
from codewitness.reporting.known_issues import read_known_issues
from codewitness.reporting.visible import cut, plain
from codewitness.reporting.walk import Walk
from codewitness.session_pool.credentials import SCOPE, chosen_credential, fetch_token
from codewitness.target.capabilities import CAPABILITIES, State
from codewitness.target.deployment_walk import Deployment, walk_deployment
from codewitness.target.service_under_test import ServiceUnderTest
from codewitness.target.settings import Settings, SettingsError, TargetKind

WALK_WITHIN = 30.0
"""Seconds that the walk along a given deployment may take."""

_OLDEST_PYTHON = (3, 10)
_LONGEST_LINE = 600
_PIN = re.compile(r"^([\w.-]+)==(\S+) \\$", re.MULTILINE)
_ACQUIRED = re.compile(r"acquired a token from (\w+)")
_WITHOUT_WALLS = "process limits only"


class Health(Enum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        health: Whether it is as it should be.
        seen: What was found, free of secrets.
        remedy: What to do about it; empty where nothing needs to be done.
    """

    name: str
    health: Health
    seen: str
    remedy: str = ""


@dataclass(frozen=True)
class Skip:
    """Tests that a run with these settings will skip.

    Attributes:
        tests: Which tests.
        why: The reason.
        remedy: What would let them run.
    """

    tests: str
    why: str
    remedy: str


@dataclass(frozen=True)
class Examination:
    """What the doctor found.

    Attributes:
        checks: Everything that was looked at, in order.
        skips: What a run will skip, as far as can be foreseen.
        elapsed: Seconds that it took.
    """

    checks: Sequence[Check]
    skips: Sequence[Skip]
    elapsed: float

    @property
    def broken(self) -> Sequence[Check]:
        """What has to be put right before a run is worth its time."""
        return [check for check in self.checks if check.health is Health.BROKEN]


def examine_machine(requirements: Path | None = None) -> Examination:
    """Look at this machine alone: versions, sandbox, tool-chains.

    Args:
        requirements: File with the packages that a run needs, pinned.
    """
    start = time.monotonic()
    checks = [_python(), *([_packages(requirements)] if requirements else [])]
    containment = contain("auto", 0)
    local = LocalExecutor(containment=containment)
    try:
        walls = containment.description != _WITHOUT_WALLS
        checks.append(
            Check(
                "sandbox of this machine",
                Health.OK if walls else Health.WARNING,
                "; ".join((containment.description, *containment.notes)),
                "" if walls else "install bubblewrap (Linux only), or run without isolation tests",
            )
        )
        checks.append(_tool_chains(local))
    finally:
        local.close()
    return Examination(checks, (), time.monotonic() - start)


def _python() -> Check:
    found = f"Python {platform.python_version()} on {platform.system()}"
    if sys.version_info < _OLDEST_PYTHON:
        return Check("Python", Health.BROKEN, found, "use Python 3.10 or later")
    return Check("Python", Health.OK, found)


def _packages(requirements: Path) -> Check:
    name, remedy = "packages", f"pip install -r {requirements.name}"
    # What is needed on some platforms only carries a condition, and is not looked at.
    pins = dict(_PIN.findall(requirements.read_text(encoding="utf-8")))
    found = {package: _installed(package) for package in pins}
    missing = [package for package, version in found.items() if version is None]
    if missing:
        return Check(name, Health.BROKEN, f"missing: {', '.join(missing)}", remedy)
    others = [
        f"{package} {version} instead of {pins[package]}"
        for package, version in found.items()
        if version != pins[package]
    ]
    if others:
        return Check(name, Health.WARNING, ", ".join(others), remedy)
    told = f"Robot Framework {found['robotframework']}; " if "robotframework" in found else ""
    return Check(name, Health.OK, f"{told}all {len(pins)} as pinned in {requirements.name}")


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _tool_chains(local: LocalExecutor) -> Check:
    name = "tool-chains of this machine"
    here = {runtime.language: runtime.version for runtime in local.runtimes()}
    told = ", ".join(f"{language} {version}" for language, version in here.items())
    missing = [language for language in LANGUAGES if language.name not in here]
    if not missing:
        return Check(name, Health.OK, told)
    tools = ", ".join(tool for language in missing for tool in language.tools)
    told += f"; not {', '.join(language.name for language in missing)}"
    return Check(
        name, Health.WARNING, told, f"install {tools}, if those languages are to be tested"
    )


def examine_target(
    settings: Settings, environ: Mapping[str, str], known_issues: Path
) -> Examination:
    """Look at what a run with these settings will meet.

    A given deployment is walked first; nothing else is asked of a broken one. Else programs are
    executed, as the first test of a run does, and one for each capability.

    Args:
        settings: Effective settings.
        environ: Environment of the run.
        known_issues: File of known issues where the settings name none.
    """
    start = time.monotonic()
    examined = _Target(settings, environ)
    checks = [_files(settings, known_issues), *examined.checks()]
    return Examination(checks, list(examined.skips), time.monotonic() - start)


def _files(settings: Settings, known_issues: Path) -> Check:
    name = "known issues"
    path = Path(settings["KNOWN_ISSUES"] or known_issues)
    try:
        issues = read_known_issues(path)
    except ValueError as error:
        return Check(name, Health.BROKEN, str(error), "correct the file")
    return Check(name, Health.OK, f"{len(issues)} listed in {path.name}")


class _Target:
    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._given = settings.kind in (TargetKind.BACKEND, TargetKind.POOL)
        self.skips: list[Skip] = []

    def checks(self) -> Iterator[Check]:
        yield from self._credentials()
        if self._given:
            try:
                walk = self._walk()
            except ValueError as error:
                yield Check("target", Health.BROKEN, str(error), "correct the setting")
                return
            if walk.broken is not None:
                yield _of_walk(walk)
                return
        yield from self._open()

    # Credentials

    def _credentials(self) -> Iterator[Check]:
        try:
            backend = BackendCredentials.from_environment(self._environ)
        except ValueError as error:
            yield Check("credentials", Health.BROKEN, str(error), "correct the variable")
            return
        if not self._given:
            told = "none needed: the embedded services make their own"
            yield Check("credentials", Health.OK, f"{told}{'; yours stay unused' * bool(backend)}")
            return
        if self._settings["ENDPOINT"]:
            if backend.scope:
                yield examination_of_token("credentials of the backend", backend.scope)
            else:
                yield Check("credentials of the backend", Health.OK, backend.describe())
        if self._settings["POOL_MANAGEMENT_ENDPOINT"]:
            yield examination_of_token("credentials of the pool", SCOPE)

    # The target

    def _walk(self) -> Walk:
        settings = self._settings
        deployment = Deployment(
            settings["ENDPOINT"] or None,
            settings["POOL_MANAGEMENT_ENDPOINT"] or None,
            BackendCredentials.from_environment(self._environ),
            verify=settings["VERIFY_TLS"],
            ca_bundle=settings["CA_BUNDLE"] or None,
        )
        return walk_deployment(deployment, link_within=WALK_WITHIN / 2, within=WALK_WITHIN)

    def _open(self) -> Iterator[Check]:
        try:
            service = ServiceUnderTest(self._settings)
        except SettingsError as error:
            yield Check("target", Health.BROKEN, str(error), "correct the setting")
            return
        except ServiceNotStarted as error:
            yield Check("target", Health.BROKEN, str(error), "see what the service said")
            return
        try:
            service.open()
            yield Check(
                "target",
                Health.OK,
                f"{service.name} answered in {service.first_latency or 0:.2f} s",
            )
            yield self._place(service)
            yield self._languages(service)
            yield from self._capabilities(service)
            self._foresee(service)
        except ExecutionError as error:
            yield _of_error("target", error)
        finally:
            service.close()
        if service.sessions_used is not None:
            health = Health.WARNING if service.sessions_used.left else Health.OK
            yield Check("sessions used for this", health, str(service.sessions_used))

    def _place(self, service: ServiceUnderTest) -> Check:
        name = "where code runs"
        if not service.knows_pool:
            return Check(name, Health.OK, service.whereabouts.evidence)
        testimony = service.testimony or service.testify(compare=False)
        if testimony.in_pool:
            return Check(name, Health.OK, testimony.verdict)
        required = self._settings["REQUIRE_POOL"]
        return Check(
            name,
            Health.BROKEN if required else Health.WARNING,
            testimony.verdict,
            testimony.diagnosis.cure if testimony.diagnosis else "",
        )

    def _languages(self, service: ServiceUnderTest) -> Check:
        name = "languages"
        try:
            listed = service.runtimes()
        except PlatformFault as fault:
            return _of_error(name, fault)
        told = ", ".join(f"{runtime.language} {runtime.version}" for runtime in listed)
        known = {it for runtime in listed for it in (runtime.language, *runtime.aliases)}
        for language in LANGUAGES:
            if language.name not in known:
                self._skip(
                    f"tagged language-{language.name}",
                    f"the service does not list {language.name}",
                    "install its tool-chain where the programs run",
                )
        return Check(name, Health.OK if listed else Health.WARNING, told or "none is listed")

    def _capabilities(self, service: ServiceUnderTest) -> Iterator[Check]:
        name = "capabilities"
        found = [service.capabilities.find(capability) for capability in CAPABILITIES]
        honoured = [it.name for it in found if it.state is State.HONOURED]
        if honoured:
            yield Check(name, Health.OK, f"honoured: {', '.join(honoured)}")
        for finding in found:
            if finding.state is State.HONOURED:
                continue
            self._skip(
                f"that need {finding.name}",
                f"{finding.name} is {finding.state.value}",
                "the service has to learn it",
            )
            if finding.state is State.IGNORED:
                yield Check(
                    name,
                    Health.WARNING,
                    finding.evidence,
                    f"one contract test will fail and name it; if that is known, list "
                    f"{finding.name} under DEVIATIONS",
                )

    # What will be skipped

    def _skip(self, tests: str, why: str, remedy: str) -> None:
        self.skips.append(Skip(tests, why, remedy))

    def _foresee(self, service: ServiceUnderTest) -> None:
        settings, told = self._settings, service.whereabouts.provenance
        if told is not None and told.sandbox == _WITHOUT_WALLS:
            self._skip(
                "of isolation and hostile programs",
                "the service says that it runs programs without a sandbox",
                "install bubblewrap where the programs run",
            )
        if told is None or told.session is None:
            self._skip(
                "of sessions being reused",
                "the service's answers name no session",
                "test a target with sessions",
            )
        if not service.knows_pool:
            self._skip(
                "of the given pool, and of where code ran",
                "no session pool is known behind the target",
                "give POOL_MANAGEMENT_ENDPOINT",
            )
        if not settings["POOL_MANAGEMENT_ENDPOINT"]:
            self._skip("tagged costly", "they are about real pools", "give one, and COSTLY=true")
        elif not settings["COSTLY"]:
            self._skip("tagged costly", "they take minutes, or many sessions", "COSTLY=true")
        if not settings["HOSTILE"]:
            self._skip(
                "tagged dangerous",
                f"HOSTILE=false ({settings.entries['HOSTILE'].origin})",
                "HOSTILE=true on a target that is yours to attack",
            )


def examination_of_token(name: str, scope: str) -> Check:
    """Get a token from azure-identity, and tell which credential gave it, never the token.

    Args:
        name: Name of the check.
        scope: What the token shall be good for.
    """
    with _credential_that_answers() as answered:
        try:
            token = fetch_token(scope)
        except PlatformFault as fault:
            return _of_error(name, fault)
    who = answered[-1] if answered else chosen_credential()
    return Check(name, Health.OK, f"{who} gave a token for {scope}: {describe_claims(token.token)}")


@contextmanager
def _credential_that_answers() -> Iterator[list[str]]:
    """Collect the names of the credentials from which azure-identity says it has a token."""
    names: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            names.extend(_ACQUIRED.findall(record.getMessage()))

    logger, listener = logging.getLogger("azure.identity"), Listener(logging.INFO)
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield names
    finally:
        logger.setLevel(level)
        logger.removeHandler(listener)


def _of_walk(walk: Walk) -> Check:
    diagnosis = walk.broken.diagnosis if walk.broken else None
    seen = f"{walk.headline}{f'; likely cause: {diagnosis.cause}' if diagnosis else ''}"
    return Check("target", Health.BROKEN, seen, diagnosis.cure if diagnosis else "")


def _of_error(name: str, error: ExecutionError) -> Check:
    diagnosis = explain(error)
    return Check(name, Health.BROKEN, f"{error}; likely cause: {diagnosis.cause}", diagnosis.cure)


def examinations_as_text(examinations: Sequence[Examination]) -> str:
    """Return what was found, one line for each check and skip, without secrets."""
    checks = [check for it in examinations for check in it.checks]
    skips = [skip for it in examinations for skip in it.skips]
    lines = [
        _line(check.health.value, f"{check.name}: {check.seen}", "to do", check.remedy)
        for check in checks
    ]
    lines += [
        _line("skip", f"tests {skip.tests}: {skip.why}", "to run them", skip.remedy)
        for skip in skips
    ]
    counted = Counter(check.health for check in checks)
    told = ", ".join(f"{counted[health]} {health.value}" for health in Health)
    elapsed = sum(it.elapsed for it in examinations)
    groups = f"{len(skips)} group{'' if len(skips) == 1 else 's'} of tests"
    return "\n".join([*lines, "", f"In {elapsed:.1f} s: {told}; skipped: {groups}"])


def _line(state: str, seen: str, towards: str, remedy: str) -> str:
    shown = cut(plain(redact(" ".join(seen.split()))), _LONGEST_LINE)
    return f"{state:8} {shown}{f'; {towards}: {plain(redact(remedy))}' if remedy else ''}"
