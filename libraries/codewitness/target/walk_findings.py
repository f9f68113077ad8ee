"""What answers along a deployment's chain say about its links.

Every answer, be it a result or an error, is read as a finding: which link is broken, by what was
seen, and from which causes. A backend tells of what lies behind it in words of its own, in
errors, in results that are none, and in its provenance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from codewitness.execution import causes
from codewitness.execution.causes import Diagnosis, likely_cause
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
    SourceFile,
    Stage,
)
from codewitness.execution.redaction import redact
from codewitness.reporting.diagnosis import (
    CONTROL_EXIT_CODE,
    control_request,
    diagnose_mismatch,
    explain,
    new_nonce,
    platform_error_in,
)
from codewitness.reporting.visible import visible_lines
from codewitness.reporting.walk import Link, LinkState
from codewitness.target.pool_witness import FELL_BACK

NAME = "host name"
CONNECTION = "connection"
TLS = "TLS"
BACKEND = "backend up"
POOL_SETTING = "pool setting"
POOL = "pool reachable"
TOKEN = "token"
ROLE = "role"
SHAPE = "pool request"
PORT = "target port"
SESSION = "free session"
CONTAINER = "container"
FIELDS = "field names"
EXECUTION = "real execution"
EXECUTOR = "who executed"

WANTED: Mapping[str, str] = {
    NAME: "the host name is known here",
    CONNECTION: "something listens at the address",
    TLS: "the certificate is valid, trusted and its host's own",
    BACKEND: "the execute API answers and lets the caller in",
    POOL_SETTING: "the backend knows the address of its session pool",
    POOL: "the pool's host is known, reachable and speaks HTTP",
    TOKEN: "there is a token for the audience of session pools, which has not expired",
    ROLE: "the token's identity may use the pool's sessions",
    SHAPE: "the pool's gateway accepts host, path, identifier and body",
    PORT: "the gateway forwards requests to the container",
    SESSION: "the pool has a session to give",
    CONTAINER: "the container in the session answers",
    FIELDS: "requests and answers have the field names of the Piston v2 API",
    EXECUTION: "programs run: their nonce comes back, with stdout, stderr and exit code",
    EXECUTOR: "the executor that is meant ran the program, not a fallback",
}
"""The links in their order, and what holds where one is whole."""

BEHIND_BACKEND = (POOL_SETTING, POOL, TOKEN, ROLE, SHAPE, PORT, SESSION, CONTAINER)
"""The links that only the answers of a backend, or the pool itself, can show."""

_LINK_OF_ROW = {
    **dict.fromkeys(("I0", "I1", "I2", "I7"), TOKEN),
    **dict.fromkeys(("I3", "I4", "I6"), ROLE),
    **dict.fromkeys(("R5", "R6", "R7", "R8", "R9"), SHAPE),
    **dict.fromkeys(("R1", "R2", "R3", "R4"), PORT),
    **dict.fromkeys(("C1", "C2", "C3", "C4", "C5", "C10"), SESSION),
    **dict.fromkeys(("C6", "C7", "C9"), CONTAINER),
    **dict.fromkeys(("X0", "X2", "X14", "R10"), FIELDS),
    "X4": EXECUTOR,
}
LINK_OF_KIND = {
    FaultKind.NAME_NOT_RESOLVED: NAME,
    FaultKind.NOTHING_LISTENING: CONNECTION,
    FaultKind.TLS: TLS,
}
# Faults after which no other question to the same address has an answer.
_TRANSPORT = (*LINK_OF_KIND, FaultKind.TIMEOUT, FaultKind.CONNECTION_CUT)
# What says that something is wrong, and not where.
_VAGUE = (FaultKind.TIMEOUT, FaultKind.CONNECTION_CUT)

_SPEAKS_OF_POOL = re.compile(
    r"session ?pool|dynamicsessions|azurecontainerapps|POOL_MANAGEMENT_ENDPOINT|"
    r"Azure authentication failed|Piston API error|\bno token for\b|allocating pod|"
    r"Session(sCountExceedsLimit|PropertiesMissing|Request\w+|WithIdentifier\w+)|DynamicApis",
    re.IGNORECASE,
)
_INNER_STATUS = re.compile(r"\b([45]\d\d)\b")
_UNREACHABLE = re.compile(
    r"refused|timed? ?out|resolve|unreachable|max retries|name or service|certificate",
    re.IGNORECASE,
)
# Lets the table of causes know who was asked.
_ASKED_POOL = "(session pool, of which the caller holds no session)"
_MARK = re.compile(r"\s*\(session pool, of which the caller holds [^()]*\)")

FIELDS_FOUND = "stdout, stderr and code are where they belong"

# Short forms of rows that a client can't tell from the one found.
_SHORT = {
    it.row: it
    for it in (
        Diagnosis("the pool's ingress is not enabled", "enable it, then look at the port", "R2"),
        Diagnosis(
            "the container routes none of these paths, or its adapter does not run",
            "read the container's console log: a line per request means it was reached",
            "R3",
        ),
        Diagnosis("the role was given less than 5 minutes ago", "wait 5 minutes and repeat", "I4"),
        Diagnosis(
            "the path is mistyped or of an older API, which gateways answer with 403 too",
            "check the path of the pool's address",
            "R9",
        ),
        Diagnosis(
            "callers use a new random identifier per call",
            "reuse one identifier per user or worker",
            "C1",
        ),
        Diagnosis(
            "sessions are never stopped", "stop them after use, or shorten the cooldown", "C2"
        ),
        Diagnosis("the pool is still warming", "wait for ready instances and repeat", "C3"),
    )
}
# What the table of causes, which sees one answer, does not name beside a row.
_FURTHER = {"R1": ("R2", "R3"), "I3": ("I4", "R9"), "I6": ("I4", "R9"), "C3": ("C1", "C2")}

NO_PORT = Diagnosis(
    "the pool's target port is not set, or setting it did not take effect",
    "show the pool's target port; recreate the pool with it, an update may not do",
    "R1",
)
_SLOW = Diagnosis(
    "what was asked before answered too slowly",
    "repeat, since a first call may have met a cold start; then give the walk more time",
    "C8",
)
_NOT_AS_PROGRAM = Diagnosis(
    "the outcome is not the program's own, as of one that an interpreter runs instead of a process",
    "hand on stdout, stderr and exit code of a process of the program's own",
    "X17",
)


@dataclass(frozen=True)
class Finding:
    """A broken link, and why.

    Attributes:
        link: Its name.
        asked: What was asked.
        seen: What came.
        candidates: Likely causes.
        vague: Whether something is wrong, and not for certain at this link.
        whole: Links of which the same answer shows that they are whole.
    """

    link: str
    asked: str
    seen: str
    candidates: tuple[Diagnosis, ...]
    vague: bool = False
    whole: tuple[str, ...] = ()


class Broken(Exception):
    """A link is broken: the walk ends here."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.seen)
        self.finding = finding


class OutOfTime(Exception):
    """The walk's time is used up."""


@dataclass(frozen=True)
class Executed:
    """Programs that ran through the backend as they should."""

    asked: str
    result: ExecutionResult
    seen: str


# Links


def new_link(name: str, state: LinkState, asked: str, seen: str) -> Link:
    """Return a link without secrets in its texts."""
    return Link(name, WANTED[name], state, redact(asked), redact(seen))


def is_before(name: str, other: str) -> bool:
    """Tell whether a link comes before another one."""
    order = list(WANTED)
    return order.index(name) < order.index(other)


def success_request(nonce: str) -> ExecutionRequest:
    """Return a program that prints a nonce and succeeds."""
    return ExecutionRequest("python", (SourceFile(f"print('{nonce}')\n".encode()),))


def broken_link(finding: Finding) -> Link:
    """Return the link that a finding is about."""
    link = new_link(finding.link, LinkState.BROKEN, finding.asked, finding.seen)
    return replace(link, candidates=finding.candidates)


def out_of_time_at(name: str) -> Finding:
    """Return the finding about a link for which there was no time left."""
    return Finding(name, "", "not known within the time of this walk", (_SLOW,))


# Judging


def judge_programs(
    run: Callable[[ExecutionRequest], ExecutionResult], asked: str
) -> Executed | Finding:
    """Run one program that succeeds and one that exits 3, and judge both.

    Args:
        run: Executes a program, or raises an ExecutionError.
        asked: What is done, in words.
    """
    nonce = new_nonce()
    request = success_request(nonce)
    try:
        result = run(request)
        disguised = platform_error_in(result, request)
        if disguised is not None:
            raise disguised
        control_nonce = new_nonce()
        control = control_request(control_nonce)
        second = run(control)
        disguised = platform_error_in(second, control)
        if disguised is not None:
            raise disguised
    except ExecutionError as error:
        return _judge_error(asked, error)
    expected = f"{nonce}\n".encode()
    seen = f"{_told(result.run)}; a program that exits {CONTROL_EXIT_CODE}: {_told(second.run)}"
    diagnosis = None
    if result.run.stdout != expected or not result.run.exited(0):
        diagnosis = diagnose_mismatch(request, result, second, expected_stdout=expected)
    elif not _is_control(second.run, control_nonce):
        diagnosis = diagnose_mismatch(control, second, second)
        if not diagnosis.row:
            diagnosis = _NOT_AS_PROGRAM
    if diagnosis is None:
        return Executed(asked, result, f"the nonce came back: {seen}")
    link = _LINK_OF_ROW.get(diagnosis.row, EXECUTION)
    whole = (FIELDS,) if link == EXECUTION else ()
    return Finding(link, asked, seen, (diagnosis,), whole=whole)


def _is_control(run: Stage, nonce: str) -> bool:
    # Line ends and trimmed ends are for the suites to judge.
    return (
        run.exited(CONTROL_EXIT_CODE)
        and run.stdout.strip() == nonce.encode()
        and run.stderr.strip() == f"{nonce} on stderr".encode()
    )


def _told(run: Stage) -> str:
    out = visible_lines(run.stdout, 1, 60)[0]
    return f"{run.ending}, stdout {out}"


def _judge_error(asked: str, error: ExecutionError) -> Finding:
    if isinstance(error, RequestRefused):
        text = f"HTTP {error.status}: {error.message or 'without saying why'}"
        diagnosis = explain(error)
        inner = bool(_SPEAKS_OF_POOL.search(f"{error.message}\n{error.body}"))
        link = _LINK_OF_ROW.get(diagnosis.row, SHAPE) if inner else FIELDS
        return Finding(link, asked, redact(text), candidates_of(diagnosis))
    assert isinstance(error, PlatformFault)
    if error.kind is FaultKind.BAD_ANSWER:
        return finding_of(FIELDS, asked, error)
    if error.kind is FaultKind.SANDBOX:
        return finding_of(EXECUTION, asked, error)
    return _inner_finding(error, asked) or replace(
        finding_of(BACKEND, asked, error), vague=error.kind in _VAGUE
    )


def _inner_finding(fault: PlatformFault, asked: str) -> Finding | None:
    """Say which link behind the service is broken, where its answer tells."""
    disguised = fault.kind is FaultKind.PLATFORM_ERROR_AS_RESULT
    if not disguised and not speaks_of_pool(fault):
        return None
    text = fault.detail if disguised else fault.body
    diagnosis = explain(fault)
    named = "POOL_MANAGEMENT_ENDPOINT" in diagnosis.cure and diagnosis.row == "X1"
    if diagnosis.row in ("", "X1", "C6", "C10") and not named and "allocat" not in text:
        diagnosis = _unwrapped(text) or diagnosis
    seen = redact(fault.detail)
    if disguised:
        seen = f"{seen}; delivered as HTTP 200 and as the program's own output (X1)"
    link = _LINK_OF_ROW.get(diagnosis.row, EXECUTION)
    if named:
        link = POOL_SETTING
    elif diagnosis.row.startswith("N"):
        link = POOL
    elif diagnosis.row == "C10" and "allocat" not in text:
        link = EXECUTION
    vague = link == EXECUTION and diagnosis.row in ("", "X1", "C10")
    return Finding(link, asked, seen, candidates_of(diagnosis), vague)


def finding_of_fallback(reason: str, asked: str) -> Finding:
    """Say which link made a backend fall back, by the reason that it gives."""
    seen = f"the answer is marked as degraded (X4): {redact(reason)}"
    # Told as a backend without a fallback tells it.
    detail = f"HTTP 500 from the backend: {reason}"
    fault = PlatformFault(FaultKind.SERVER_ERROR, detail, status=500, body=reason)
    inner = _inner_finding(fault, asked)
    if inner is None or inner.vague:
        return Finding(EXECUTOR, asked, seen, (FELL_BACK,), whole=(FIELDS, EXECUTION))
    return replace(inner, seen=seen)


def _unwrapped(text: str) -> Diagnosis | None:
    """Diagnose what the pool said from the text that a backend made of it."""
    # The address that was asked, and its port, are no statuses.
    words = re.sub(r"\S+://\S+", "", text)
    found = _INNER_STATUS.search(words)
    if found:
        status = int(found[1])
        diagnosis = likely_cause(
            FaultKind.SERVER_ERROR, status=status, detail=f"HTTP {status} {_ASKED_POOL}"
        )
        return diagnosis if status != 404 else NO_PORT
    if _UNREACHABLE.search(words):
        return likely_cause(
            FaultKind.SERVER_ERROR, status=500, detail=f"nothing listening {_ASKED_POOL}"
        )
    return None


def speaks_of_pool(fault: PlatformFault) -> bool:
    """Tell whether a backend's answer is about the pool behind it."""
    # Its detail has the backend's own address, which may look like a pool's.
    return fault.status is not None and bool(_SPEAKS_OF_POOL.search(fault.body))


def finding_of(link: str, asked: str, fault: PlatformFault) -> Finding:
    """Return the finding that a fault breaks a link."""
    seen = redact(_MARK.sub("", fault.detail))
    return Finding(link, asked, seen, candidates_of(explain(fault)))


def finding_in_pool(asked: str, fault: PlatformFault) -> Finding:
    """Say which of a pool's links a fault breaks."""
    finding = finding_of(CONTAINER, asked, fault)
    row = finding.candidates[0].row
    link = _LINK_OF_ROW.get(row, CONTAINER)
    if row.startswith("N"):
        link = POOL if fault.kind in _TRANSPORT else SHAPE
    return replace(finding, link=link)


def candidates_of(diagnosis: Diagnosis) -> tuple[Diagnosis, ...]:
    """Return a diagnosis, and those that a client can't tell from it."""
    first = NO_PORT if diagnosis.row == "R1" else replace(diagnosis, also=())
    rows = dict.fromkeys((*diagnosis.also, *_FURTHER.get(diagnosis.row, ())))
    return (first, *(_SHORT[row] for row in rows if row in _SHORT))


def asked_of_pool(fault: PlatformFault) -> PlatformFault:
    """Let a fault say that a pool was asked, so that its cure names the pool's setting."""
    # An identifier of this walk says nothing to anybody.
    detail = re.sub(r"(\bidentifier=)[\w%-]+", r"\1…", _MARK.sub("", fault.detail))
    return causes.fault(
        fault.kind,
        f"{detail} {_ASKED_POOL}",
        status=fault.status,
        body=fault.body,
        elapsed=fault.elapsed,
        retries=fault.retries,
    )
