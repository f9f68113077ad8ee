"""What the keyword libraries of one Robot Framework process share.

There is one service under test, one way to show a failure and one way to skip. The keyword
libraries stay thin: they convert arguments and call what is here or in :mod:`codewitness`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

from robot.api import FatalError, SkipExecution, logger
from robot.libraries.BuiltIn import BuiltIn
from robot.version import get_version

from codewitness.embedded.service import ServiceNotStarted
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    PlatformFault,
    Runtime,
)
from codewitness.execution.piston import request_to_json
from codewitness.execution.redaction import redact
from codewitness.reporting.card import Mismatch, answer_card, fault_card, mismatch_card
from codewitness.reporting.curl import curl_line
from codewitness.reporting.diagnosis import (
    control_request,
    diagnose_mismatch,
    diagnose_timing,
    explain,
    new_nonce,
)
from codewitness.reporting.difference import difference_table
from codewitness.reporting.summary import settings_table, versions
from codewitness.reporting.visible import as_text
from codewitness.target.breaker import ServiceDown
from codewitness.target.capabilities import Finding, State
from codewitness.target.pool_witness import Testimony
from codewitness.target.rendezvous import Rendezvous, RendezvousLost, find_owner
from codewitness.target.service_under_test import ServiceUnderTest
from codewitness.target.settings import Settings, SettingsError, TargetKind, resolve

PROJECT = Path(__file__).resolve().parent.parent
"""Folder of the project, wherever Robot was started."""

PROGRAMS = PROJECT / "resources" / "programs"
"""Folder of the programs that tests name by their files."""

NONCE_IN_FILES = "@NONCE@"
"""Text in a program's file that becomes the current test's token."""

LONG_BODY = 2000
"""Bytes from which on an expected or received body is saved beside the log."""

LONG_LINES = 12
"""Lines from which on it is, too."""

BODIES = "bodies"
"""Folder of what is saved, beside the log."""

LONG_REQUEST = 250
"""Bytes from which on a request is saved beside the log, for the curl line to name."""

WAIT_FOR_OTHERS = 600.0
"""Seconds that the last process of a pabot run waits for others where everything was skipped."""

IN_POOL = "In the session pool"
"""Name of what the top of the report says about code that shall run in a session pool."""

_REQUIRED = "The session pool is required, and code was not seen to run there. "
_PLACE_CLAUSE = "where the session pool is required, code runs in one of its sessions"


class NoUsableService(FatalError):
    """There is nothing to test. Robot ends the run with this one message."""

    ROBOT_SUPPRESS_NAME = True


_service: ServiceUnderTest | None = None
_out_of_order: str | None = None
_rendezvous: Rendezvous | None = None
_documented_skips: set[str] = set()
_saved = 0


def settings() -> Settings:
    """Return the effective settings of this run.

    Raises:
        SettingsError: A setting can't be used.
    """
    variables = BuiltIn()
    return resolve(lambda name: variables.get_variable_value(f"${{{name}}}"), os.environ)


def service() -> ServiceUnderTest:
    """Return the service under test; the first call starts and tries it.

    Raises:
        NoUsableService: No other test shall wait for the same end.
    """
    global _service, _out_of_order
    if _out_of_order is not None:
        raise NoUsableService(_out_of_order)
    if _service is None:
        opened = _open()
        if isinstance(opened, str):
            _out_of_order = opened
            set_metadata({"Nothing was tested": opened.partition("\n")[0]})
            raise NoUsableService(opened)
        _service = opened
        _describe(opened)
    return _service


def is_run_by_pabot() -> bool:
    """Whether this process has a part of a run only, which pabot has given it."""
    return _pabot_number("PABOTQUEUEINDEX") is not None


def _pabot_number(name: str) -> int | None:
    value = BuiltIn().get_variable_value(f"${{{name}}}")
    return None if value is None else int(value)


def rendezvous() -> Rendezvous | None:
    """Return where the processes of a pabot run meet; ``None`` in a process that has the whole run.

    Raises:
        RendezvousLost: They can't meet.
    """
    global _rendezvous
    index = _pabot_number("PABOTQUEUEINDEX")
    # Below 0 stands for pabot itself, which only looks for what there is to be run.
    if _rendezvous is None and index is not None and index >= 0:
        _rendezvous = Rendezvous(find_owner("pabot"), index)
    return _rendezvous


def note_decided() -> None:
    """Tell the other processes of a pabot run, if any, that a test has passed or failed."""
    if (others := rendezvous()) is not None:
        others.note_decided()


def nothing_is_decided_elsewhere() -> bool:
    """Whether every test that other processes ran was skipped; only the last of them knows."""
    others = rendezvous()
    if others is None:
        return True
    if not _pabot_number("PABOTISLASTEXECUTIONINPOOL"):
        return False
    processes = (_pabot_number("PABOTQUEUEINDEX") or 0) + 1
    return others.nothing_is_decided(processes, WAIT_FOR_OTHERS)


def leave_others() -> None:
    """Leave the other processes of a pabot run, at the end of this one's part."""
    global _rendezvous
    if _rendezvous is not None:
        _rendezvous.close()
        _rendezvous = None


def _open() -> ServiceUnderTest | str:
    try:
        opened = ServiceUnderTest(settings(), rendezvous())
    except (SettingsError, ServiceNotStarted, RendezvousLost) as error:
        return str(error)
    set_metadata(
        {
            "Tested": f"{opened.name} ({opened.settings.chosen_by})",
            # Robot sorts by name: what was found comes before what was set.
            "Your settings": settings_table(opened.settings.entries.values()),
        }
    )
    try:
        opened.open()
    except PlatformFault as fault:
        request = control_request(new_nonce())
        card = fault_card(
            fault,
            request,
            expected="an answer of the execute API",
            diagnosis=explain(fault),
            where=opened.name,
            repeat=_curl_of(opened, request),
        )
        opened.close()
        return f"{card}{_walk_of(opened)}"
    testimony = opened.testimony
    if testimony is not None and not testimony.in_pool:
        set_metadata({IN_POOL: testimony.verdict})
        card = place_card(opened, testimony)
        opened.close()
        return f"{_REQUIRED}{card}{_walk_of(opened)}"
    return opened


def _curl_of(target: ServiceUnderTest, request: ExecutionRequest) -> str:
    body = request_to_json(request)
    return curl_line(target.executor.execute_url, body, target.executor.curl_options)


def _walk_of(target: ServiceUnderTest) -> str:
    """Return the command that walks a deployment from outside in, where one was given."""
    options = {"--endpoint": "ENDPOINT", "--pool": "POOL_MANAGEMENT_ENDPOINT"}
    given = [
        f"{option} {quote(redact(target.settings[name]))}"
        for option, name in options.items()
        if target.settings[name]
    ]
    command = f"python libraries/codewitness diagnose {' '.join(given)}"
    return f"\nFind where    {command}" if given else ""


def place_card(target: ServiceUnderTest, testimony: Testimony) -> str:
    """Return the failure card for code that was not seen to run in the session pool."""
    request = testimony.request
    return mismatch_card(
        Mismatch(
            "place of execution",
            "equals",
            "a session of the pool, by evidence",
            testimony.verdict,
            _PLACE_CLAUSE,
        ),
        request,
        testimony.result,
        diagnosis=testimony.diagnosis,
        where=target.name,
    )


def testify(*, compare: bool) -> Testimony:
    """Return what is known of whether the target executes in its session pool, asked anew."""
    testimony = service().testify(compare=compare)
    logger.info(f"{IN_POOL}: {testimony.verdict}")
    return testimony


def pool_is_missed() -> str:
    """Return a failure card if the pool is required and code no longer runs there, else nothing."""
    if _service is None or not _service.settings["REQUIRE_POOL"]:
        return ""
    testimony = _service.testify(compare=False)
    return "" if testimony.in_pool else f"{_REQUIRED}{place_card(_service, testimony)}"


def final_metadata() -> dict[str, str]:
    """Close the service, and return what is known of the whole run at its end, by name."""
    service = _service
    if service is None:
        return {}
    # Another suite of the run may need a service again, and then opens one.
    close_service()
    values = dict(service.record.metadata())
    values |= _place_in_pool(service)
    if service.sessions_used is not None:
        values["Sessions"] = redact(str(service.sessions_used))
    return values


def _place_in_pool(target: ServiceUnderTest) -> dict[str, str]:
    if target.testimony is not None:
        return {IN_POOL: redact(target.testimony.verdict)}
    if target.knows_pool:
        return {IN_POOL: "not proven: the pool was not asked in this run, only its backend"}
    if target.settings.kind is TargetKind.BACKEND:
        return {IN_POOL: redact(target.testify().verdict)}
    return {}


def give_up(reason: str) -> None:
    """Let nothing be tested in this run: what decides about its outcome can't be read."""
    global _out_of_order
    _out_of_order = reason


def close_service() -> None:
    """Close the service under test, if there is one, and end it if it was started here."""
    global _service
    if _service is not None:
        _service.close()
        _service = None


def usual_latency() -> float:
    """Return the median of the seconds that executions of this run took so far."""
    return 0.0 if _service is None else _service.record.median_latency


def opened_service() -> ServiceUnderTest | None:
    """Return the service under test if a test has needed it so far."""
    return _service


def runtimes() -> Sequence[Runtime]:
    """Return what the service lists; the current test fails where it lists nothing."""
    try:
        return service().runtimes()
    except ExecutionError as error:
        fail_with(error, None, "the list of runtimes")


def require_language(language: str) -> None:
    """Skip the current test unless the service lists a language, or has it as an alias."""
    listed = runtimes()
    if not any(language in (runtime.language, *runtime.aliases) for runtime in listed):
        known = ", ".join(sorted({runtime.language for runtime in listed})) or "none"
        skip(f"The service does not list {language}; it lists {known}.")


def find_capability(name: str) -> Finding:
    """Return what is known of a capability; the current test fails where nothing can be."""
    try:
        return service().capabilities.find(name)
    except ExecutionError as error:
        fail_with(error, None, f"an answer to the probe of {name}")


def pool_fault_options() -> tuple[str, ...]:
    """Return the options that build the run's fault into a private session pool."""
    fault = settings().pool_fault
    return ("--fault", fault) if fault else ()


def has_capability(name: str) -> bool:
    """Tell whether the service has a capability; the current test fails where nothing can be."""
    return find_capability(name).state is State.HONOURED


def require_capability(name: str) -> None:
    """Skip the current test unless the service has a capability."""
    finding = find_capability(name)
    if finding.state is not State.HONOURED:
        skip(f"Needs the capability {name}, which is {finding.state.value}: {finding.evidence}.")


def skip(reason: str) -> NoReturn:
    """Skip the current test with a reason that the run's guard accepts."""
    _documented_skips.add(reason)
    raise SkipExecution(reason)


def is_documented_skip(message: str) -> bool:
    """Whether a SKIP was made by :func:`skip`, or was asked for on the command line."""
    return message in _documented_skips or (
        bool(re.match(r"Test skipped using ", message)) and "'robot:skip'" not in message
    )


def document_skip(message: str) -> None:
    """Let the run's guard accept a SKIP with this message."""
    _documented_skips.add(message)


def nonce() -> str:
    """Return the current test's token, which is new for every test."""
    token: str = BuiltIn().get_variable_value("${NONCE}")
    return token


def read_program(path: str) -> str:
    """Return a program from :data:`PROGRAMS`, with the current test's token in it."""
    file = PROGRAMS / path
    try:
        code = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"Program '{file}' can't be read: {error.strerror}.") from error
    return code.replace(NONCE_IN_FILES, nonce())


def clause_of_test() -> str:
    """Return what the plan says about the current test, from its tags; empty if nothing."""
    tags = BuiltIn().get_variable_value("${TEST TAGS}") or []
    plan = [tag for tag in tags if re.fullmatch(r"[TPR]\d(\.\d)?", tag)]
    return f"test plan, {' and '.join(plan)}" if plan else ""


def fail(
    mismatch: Mismatch,
    request: ExecutionRequest | None,
    result: ExecutionResult | None,
    *,
    where: str = "",
) -> NoReturn:
    """Fail the current test with a failure card.

    The service is asked to run a control program first: what comes back tells a service that
    is broken altogether from one that is wrong about this request only.

    Args:
        mismatch: What is wrong.
        request: What was sent, when it was one request.
        result: Its result.
        where: Where it ran, if not in the service under test.
    """
    clauses = filter(None, (clause_of_test(), mismatch.clause))
    mismatch = replace(mismatch, clause="; ".join(clauses))
    diagnosis = diagnose_timing(mismatch.subject)
    if diagnosis is None and request is not None and result is not None:
        expected = mismatch.expected if mismatch.subject == "stdout" else None
        diagnosis = diagnose_mismatch(
            request,
            result,
            service().control(new_nonce()),
            expected_stdout=expected if isinstance(expected, bytes) else None,
        )
    stdin = request.stdin if request else b""
    saved = _save(mismatch, stdin)
    files = {label: file for label, file in saved.items() if file.startswith(f"{BODIES}/")}
    if table := difference_table(mismatch, stdin, files):
        logger.info(table, html=True)
    raise AssertionError(
        mismatch_card(
            mismatch,
            request,
            result,
            diagnosis=diagnosis,
            where=where or where_it_ran(result),
            repeat=repeat_line(request),
            saved=saved,
        )
    )


def fail_answer(mismatch: Mismatch, answer: HttpAnswer) -> NoReturn:
    """Fail the current test because of a raw answer."""
    clauses = filter(None, (clause_of_test(), mismatch.clause))
    target = service()
    sent = answer.call
    body = sent.body or b""
    file = save_beside_log("request.bin", body) if len(body) > LONG_REQUEST else None
    told = {name: sent.headers[name] for name in ("Content-Type",) if name in sent.headers}
    raise AssertionError(
        answer_card(
            replace(mismatch, clause="; ".join(clauses)),
            replace(answer, call=replace(sent, headers=told)),
            where=target.name,
            repeat=curl_line(
                answer.url, sent.body, _curl_options(), sent.method, told, body_file=file
            ),
        )
    )


def fail_with(
    error: ExecutionError, request: ExecutionRequest | None, expected: str, *, where: str = ""
) -> NoReturn:
    """Fail the current test because there was no result to judge; see :func:`fail`."""
    if isinstance(error, ServiceDown):
        raise AssertionError(f"PLATFORM FAULT, not the program's: {error.detail}") from error
    raise AssertionError(
        fault_card(
            error,
            request,
            expected=expected,
            diagnosis=explain(error),
            where=where or service().name,
            clause=clause_of_test(),
            repeat=repeat_line(request),
        )
    ) from error


def where_it_ran(result: ExecutionResult | None) -> str:
    """Say who answered and where code ran, as far as that is known."""
    target = service()
    if result is None:
        return target.name
    told = result.provenance
    parts = [f"answered by {told.executor}"]
    if told.sandbox:
        parts.append(f"in {told.sandbox}")
    if told.session:
        parts.append(f"session {told.session} ({'new' if told.session_new else 'reused'})")
    if told.degraded:
        parts.append(f"DEGRADED: {told.degraded}")
    parts.append(f"code ran {target.whereabouts.evidence.partition(';')[0]}")
    return f"{target.name}; {', '.join(parts)}"


def repeat_line(request: ExecutionRequest | None) -> str:
    """Return a curl line that repeats a request, without secrets."""
    if request is None:
        return ""
    try:
        body = request_to_json(request)
    except ExecutionError:
        return ""
    text = json.dumps(body).encode()
    file = save_beside_log("request.json", text) if len(text) > LONG_REQUEST else None
    return curl_line(service().executor.execute_url, body, _curl_options(), body_file=file)


def save_beside_log(name: str, content: bytes) -> str:
    """Write a body into the output folder and return its name relative to the log.

    Secrets in it are redacted, the rest stays as it is, to the byte. A folder that can't be
    written costs the saved body, never the message.
    """
    global _saved
    variables = BuiltIn()
    folder = Path(variables.get_variable_value("${OUTPUT DIR}")) / BODIES
    _saved += 1
    file = folder / f"{_saved:03}-{name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(redact(as_text(content)).encode("utf-8", "surrogateescape"))
    except OSError as error:
        return f"could not be saved: {error.strerror}"
    return f"{folder.name}/{file.name}"


def set_metadata(values: Mapping[str, Any]) -> None:
    """Show values at the top of the log and the report."""
    robot = BuiltIn()
    for name, value in values.items():
        robot.set_suite_metadata(name, redact(str(value)), top=True)


def _curl_options() -> tuple[str, ...]:
    return () if _service is None else _service.executor.curl_options


def _save(mismatch: Mismatch, stdin: bytes) -> dict[str, str]:
    bodies = {"expected": mismatch.expected, "received": mismatch.received, "stdin": stdin}
    name = re.sub(r"\W+", "-", mismatch.subject)
    return {
        label: save_beside_log(f"{name}-{label}.bin", body)
        for label, body in bodies.items()
        if isinstance(body, bytes) and (len(body) > LONG_BODY or body.count(b"\n") > LONG_LINES)
    }


def _describe(target: ServiceUnderTest) -> None:
    whereabouts = target.whereabouts
    set_metadata(
        {
            "Where code ran": whereabouts.evidence,
            "Versions": versions(get_version(), _listed(target)),
        }
        | _place_in_pool(target)
    )
    logger.console(redact(f"\nAnswers: {target.name}; code runs {whereabouts.evidence}"))
    if whereabouts.on_this_machine and target.settings.kind is TargetKind.BACKEND:
        logger.warn(
            f"The backend at {target.executor.base_url} runs code on this very machine. That is "
            "right for a backend under development, and wrong for a deployed one."
        )


def _listed(target: ServiceUnderTest) -> Sequence[Runtime]:
    try:
        return target.runtimes()
    except ExecutionError:
        # A list that is wrong or missing fails the tests about it, not this summary.
        return ()
