"""Requests, results and the Executor seam, in the words of the Piston v2 contract.

Everything here is a frozen value: an Executor turns an :class:`ExecutionRequest`
into an :class:`ExecutionResult` or raises one of the errors below. What a program
does (fails, overruns, crashes) is a result; what the *service* does wrong is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

from codewitness.execution.redaction import redact

Encoding = Literal["utf8", "base64", "hex"]


@dataclass(frozen=True)
class SourceFile:
    """One file of a request.

    Attributes:
        content: The file's bytes as they shall lie in the job folder.
        name: Path relative to the job folder; ``None`` lets the service choose.
        encoding: How the content travels over the wire. Only ``utf8`` files can be
            the program; the first of them is.
    """

    content: bytes
    name: str | None = None
    encoding: Encoding = "utf8"


@dataclass(frozen=True)
class Limits:
    """Limits of one execution; ``None`` leaves a limit to the executor's default.

    Units follow the wire: milliseconds for times, bytes for sizes.
    """

    run_timeout: float | None = None
    run_cpu_time: float | None = None
    run_memory_limit: int | None = None
    compile_timeout: float | None = None
    compile_cpu_time: float | None = None
    compile_memory_limit: int | None = None


@dataclass(frozen=True)
class ExecutionRequest:
    """One program with its input.

    Attributes:
        language: Canonical name or alias of the language.
        files: The program's files; the first ``utf8`` one is the program.
        version: Semantic-version range such as ``*``, ``3`` or ``>=3.11``.
        stdin: Bytes for standard input. Over the wire they travel as UTF-8 text.
        args: Command-line arguments, in order.
        limits: Limits asked for.
    """

    language: str
    files: tuple[SourceFile, ...]
    version: str = "*"
    stdin: bytes = b""
    args: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Stage:
    """What one stage (compile or run) did.

    Attributes:
        stdout: Standard output, byte for byte where the executor can know it.
        stderr: Standard error.
        output: Both streams in order of arrival, or ``None`` where not known.
        code: Exit code; ``None`` when the stage did not exit by itself.
        signal: Name of the signal that ended the stage (``SIGSEGV``), or ``None``.
        status: ``None``, ``RE``, ``SG``, ``TO``, ``OL``, ``EL`` or ``XX`` (contract, section 3).
        message: The same for people.
        cpu_time: Processor time in milliseconds.
        wall_time: Elapsed time in milliseconds.
        memory: Peak memory in bytes.
    """

    stdout: bytes = b""
    stderr: bytes = b""
    output: bytes | None = None
    code: int | None = None
    signal: str | None = None
    status: str | None = None
    message: str | None = None
    cpu_time: float | None = None
    wall_time: float | None = None
    memory: int | None = None

    @property
    def ending(self) -> str:
        """How the stage ended, in words."""
        facts = []
        if self.code is not None:
            facts.append(f"exit code {self.code}")
        if self.signal:
            facts.append(f"signal {self.signal}")
        if self.status:
            facts.append(f"status {self.status}")
        if self.message:
            facts.append(self.message)
        return ", ".join(facts) or "no exit code"

    def exited(self, code: int) -> bool:
        """Tell whether the stage ended by itself, with this exit code."""
        # RE is how services mark an exit code other than 0. Absent and empty mean the same.
        normal = (None, "") if code == 0 else (None, "", "RE")
        return self.code == code and not self.signal and self.status in normal


@dataclass(frozen=True)
class Provenance:
    """Who answered, and where the code ran as far as that is known.

    Attributes:
        executor: Who executed: ``local``, ``session-pool``, ``backend <url>``.
        sandbox: Containment in force, such as ``bubblewrap 0.8.0`` or
            ``process limits only``; ``None`` when unknown.
        session: Session identifier, where one was used.
        session_new: Whether that session was allocated for this request.
        degraded: Why this is not the executor that was meant, or ``None``.
        notes: Anything else worth showing beside the result.
    """

    executor: str
    sandbox: str | None = None
    session: str | None = None
    session_new: bool | None = None
    degraded: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExecutionResult:
    """The answer to one request.

    Attributes:
        language: Canonical name of the language that ran.
        version: Concrete version that ran.
        run: The run stage; a copy of ``compile`` when compilation failed.
        provenance: Who answered.
        compile: The compile stage, or ``None`` when there was none.
        elapsed: Seconds between asking and having the whole answer.
        raw: The parsed JSON answer, for executors that got one; checks of optional
            fields look here, because absent and null differ.
        retries: One line for every attempt that came before this answer.
    """

    language: str
    version: str
    run: Stage
    provenance: Provenance
    compile: Stage | None = None
    elapsed: float = 0.0
    raw: Mapping[str, Any] | None = None
    retries: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Robot logs what a keyword returns at level TRACE, and output may echo a credential.
        return redact(
            f"<{self.language} {self.version}: exit code {self.run.code}, "
            f"{len(self.run.stdout)} bytes on stdout, {len(self.run.stderr)} on stderr>"
        )


@dataclass(frozen=True)
class Runtime:
    """A language in one installed version, as ``GET /api/v2/runtimes`` lists it."""

    language: str
    version: str
    aliases: tuple[str, ...] = ()
    runtime: str | None = None


class Executor(Protocol):
    """Runs programs. Implementations are safe to call from several threads."""

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Run one program and wait for its end.

        Raises:
            RequestRefused: The request is not one that this executor can run.
            PlatformFault: The executor is out of order; the program is not to blame.
        """

    def runtimes(self) -> Sequence[Runtime]:
        """Return the languages that :meth:`execute` accepts.

        Raises:
            PlatformFault: The executor can't tell.
        """

    def close(self) -> None:
        """Release everything held; no execution survives this call."""


class ExecutionError(Exception):
    """Common base of what an Executor raises."""


class RequestRefused(ExecutionError):
    """The service understood that it must not run this request (HTTP 4xx).

    Attributes:
        status: HTTP status that carries the refusal.
        message: The service's own words, empty when it gave none.
        body: The whole body as received, for the report.
    """

    def __init__(self, message: str, status: int = 400, body: str = "") -> None:
        super().__init__(message or f"refused with HTTP {status}")
        self.message = message
        self.status = status
        self.body = body


class FaultKind(Enum):
    """Causes of a platform fault that a client can tell apart."""

    NAME_NOT_RESOLVED = "name not resolved"
    NOTHING_LISTENING = "nothing listening"
    TLS = "TLS failure"
    TIMEOUT = "no answer in time"
    CONNECTION_CUT = "connection cut"
    REDIRECTED = "redirected"
    UNAUTHENTICATED = "not authenticated"
    FORBIDDEN = "not allowed"
    WRONG_ADDRESS = "wrong address"
    CAPACITY = "out of capacity"
    SERVER_ERROR = "server error"
    NOT_THE_API = "answer is not the execute API's"
    BAD_ANSWER = "answer breaks the contract"
    PLATFORM_ERROR_AS_RESULT = "platform error delivered as a result"
    SANDBOX = "sandbox out of order"


class PlatformFault(ExecutionError):
    """The platform, not the program, failed.

    Attributes:
        kind: What happened.
        detail: What was observed, in one or a few lines, free of secrets.
        cause: The likely cause and what to do, in words for an operator.
        status: HTTP status, when an answer arrived.
        body: Start of the body, when one arrived.
        elapsed: Seconds until the fault was known.
        retries: One line for every attempt that came before.
    """

    def __init__(
        self,
        kind: FaultKind,
        detail: str,
        *,
        cause: str = "",
        status: int | None = None,
        body: str = "",
        elapsed: float = 0.0,
        retries: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{kind.value}: {detail}")
        self.kind = kind
        self.detail = detail
        self.cause = cause
        self.status = status
        self.body = body
        self.elapsed = elapsed
        self.retries = retries
