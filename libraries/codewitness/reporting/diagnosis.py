"""Reading a wrong result: what in the service would explain it, and what to do about it.

Everything here is a pure function of what was sent and what came back. Platform faults carry
their likely cause from where they are raised (:mod:`codewitness.execution.causes`); this
module adds those that only a result shows, and the help of a *control program* whose outcome
is known in every detail.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from codewitness.execution.causes import Diagnosis, fault, likely_cause
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
from codewitness.reporting.traces import without_traces
from codewitness.reporting.visible import cut, plain

__all__ = [
    "Diagnosis",
    "control_request",
    "diagnose_mismatch",
    "diagnose_timing",
    "explain",
    "new_nonce",
    "platform_error_in",
]

CONTROL_EXIT_CODE = 3
_DEFAULT_RUN_TIMEOUT = 3000.0
_DEFAULT_OUTPUT_LIMIT = 1024
_NONCE = re.compile(rb"nonce-[0-9a-f]{16}")
_PYTHON_NAMES = frozenset({"python", "python2", "python3", "py", "py3"})
_VIRTUAL_MACHINES = frozenset({"java", "javascript", "js", "node", "node-js", "kotlin", "scala"})


def new_nonce() -> str:
    """Return a token that no other program prints and that diagnoses recognise as such."""
    return f"nonce-{secrets.token_hex(8)}"


def control_request(nonce: str) -> ExecutionRequest:
    """Return the control program: it prints the nonce, says so on stderr too, and exits 3."""
    program = (
        "import sys\n"
        f"print('{nonce}')\n"
        f"print('{nonce} on stderr', file=sys.stderr)\n"
        f"sys.exit({CONTROL_EXIT_CODE})\n"
    )
    return ExecutionRequest("python", (SourceFile(program.encode(), "control.py"),))


# Platform errors in the clothes of results.

_PLATFORM_TEXT = re.compile(
    r"\s*(?:"
    r"Azure Session Pool Error: *(?P<pool>\d{3})?"
    r"|ERROR: POOL_MANAGEMENT_ENDPOINT not configured"
    r"|ERROR: Azure authentication failed:"
    r"|Piston API error: *(?P<piston>\d{3})?"
    r")"
)
_MOCK_TEXT = re.compile(r"\s*Mock execution for\b")
_INNER_STATUS = re.compile(r"\b([45]\d\d)\b")
_TEXT_SHOWN = 500


def platform_error_in(
    result: ExecutionResult, request: ExecutionRequest | None = None
) -> PlatformFault | None:
    """Find the platform's fault in what looks like a program's result.

    Backends turn such faults into HTTP 200, exit code 1 and a text on stderr. To keep programs
    that print such a text apart, it must *begin* a stderr that has no traceback, with an empty
    stdout and exit code 1; a placeholder's text must begin the only stream that has any. And
    the text must not be in what was sent. A status ``XX`` says the same openly.

    Args:
        result: Any result.
        request: What was sent for it, if known.

    Returns:
        A fault of kind ``PLATFORM_ERROR_AS_RESULT`` whose cause is that of the fault inside,
        or ``None`` when the result is the program's own.
    """
    for name, stage in (("compile", result.compile), ("run", result.run)):
        if stage is not None and stage.status == "XX":
            said = f": {stage.message}" if stage.message else ""
            return _delivered(f"{name} has status XX{said}", None, result)
    run = result.run
    text = _as_text(run.stderr or run.stdout)
    if run.stdout and run.stderr:
        return None
    found = _MOCK_TEXT.match(text)
    if found is None:
        found = _PLATFORM_TEXT.match(_as_text(run.stderr))
        if found is None or run.code != 1 or run.stdout or "Traceback (most" in text:
            return None
    # A program builds its text around a number that it does not hold itself.
    words = found[0].strip().rstrip("0123456789 ")
    if request is not None and words.encode() in _sent(request):
        return None
    return _delivered(_platform_text(run), _inner_status(text), result)


def _platform_text(run: Stage) -> str:
    text = redact(without_traces(_as_text(run.stderr or run.stdout)))
    said = cut(plain(" ".join(text.split())), _TEXT_SHOWN)
    return f"run.{'stderr' if run.stderr else 'stdout'} is the platform's own text: {said}"


def _delivered(detail: str, inner_status: int | None, result: ExecutionResult) -> PlatformFault:
    inner = f" (inner status {inner_status})" if inner_status else ""
    error = fault(
        FaultKind.PLATFORM_ERROR_AS_RESULT,
        detail + inner,
        status=inner_status,
        elapsed=result.elapsed,
        retries=result.retries,
    )
    # The cause is that of the inner status; the answer itself was a 200.
    error.status = 200
    return error


def _inner_status(text: str) -> int | None:
    found = _INNER_STATUS.search(text)
    return int(found[1]) if found else None


def explain(error: ExecutionError) -> Diagnosis:
    """Return the likely cause of an error, and the cure."""
    if isinstance(error, RequestRefused):
        return _explain_refusal(error)
    if not isinstance(error, PlatformFault):
        return likely_cause(FaultKind.SERVER_ERROR)
    status = error.status
    if error.kind is FaultKind.PLATFORM_ERROR_AS_RESULT:
        inner = re.search(r"\(inner status (\d+)\)$", error.detail)
        status = int(inner[1]) if inner else None
    general = likely_cause(error.kind, status=status, detail=error.detail, body=error.body)
    if not error.cause or error.cause == str(general):
        return general
    # Whoever raised it knew more than the table does.
    cause, _, cure = error.cause.partition(". To do: ")
    return Diagnosis(cause, cure.rstrip("."))


def _explain_refusal(error: RequestRefused) -> Diagnosis:
    if error.status == 422:
        return Diagnosis(
            "the backend validates by its web framework instead of Piston's rules",
            "read the field named in the message; where Piston accepts such a request, list it "
            "as a deviation",
            "R10",
        )
    if "runtime is unknown" in error.message or "nsupported language" in error.message:
        return Diagnosis(
            "the service has no such language or version; its image may be older than its code",
            "compare with the runtimes list; after adding a language deploy under a new tag",
            "X6",
        )
    if "cannot exceed the configured limit" in error.message:
        return Diagnosis(
            "the service's ceiling is lower than the limit asked for",
            "ask for no more than the number in the message",
            "L1",
        )
    # A refusal that names its cause, such as a pool's behind the backend.
    named = likely_cause(
        FaultKind.SERVER_ERROR, status=error.status, detail=error.message, body=error.body
    )
    if named.row:
        return named
    return Diagnosis(
        "the service does not take this request",
        "compare it with the contract, sections 1 and 2, by the service's own words",
    )


# Results that are not what the program should have given.


@dataclass(frozen=True)
class _Case:
    """Everything that a rule may look at."""

    request: ExecutionRequest
    result: ExecutionResult
    control: ExecutionResult | ExecutionError | None
    expected: bytes | None

    @property
    def run(self) -> Stage:
        return self.result.run

    @property
    def control_run(self) -> Stage | None:
        return self.control.run if isinstance(self.control, ExecutionResult) else None

    @property
    def stdout(self) -> bytes:
        return self.result.run.stdout

    @property
    def text(self) -> str:
        """All that the program, its compiler and the platform said."""
        stages = [self.result.run] + ([self.result.compile] if self.result.compile else [])
        said = [part for it in stages for part in (it.stderr, it.stdout)]
        return _as_text(b"\n".join(said)) + "\n".join(it.message or "" for it in stages)

    @property
    def sent(self) -> bytes:
        return _sent(self.request)

    @property
    def language(self) -> str:
        return self.request.language.lower()

    @property
    def run_timeout(self) -> float:
        """Seconds after which the program is stopped, as far as is known."""
        return (self.request.limits.run_timeout or _DEFAULT_RUN_TIMEOUT) / 1000

    def output_was(self, *damaged: bytes) -> bool:
        """Whether the output is the expected one, damaged in one of these ways."""
        if not self.expected or self.stdout == self.expected:
            return False
        return self.stdout in damaged


@dataclass(frozen=True)
class _Rule:
    row: str
    fits: Callable[[_Case], bool]
    cause: str
    cure: str


def _failed_alike(case: _Case) -> bool:
    """Whether the control program met the same error, which is the platform's then."""
    run, control = case.run, case.control_run
    return (
        control is not None
        and bool(run.stderr)
        and (run.stderr, run.code) == (control.stderr, control.code)
        and not _NONCE.search(control.stdout + control.stderr)
    )


def _silent(stage: Stage) -> bool:
    return not stage.stdout and not stage.stderr and stage.code == 0


def _answers_all_with_success(case: _Case) -> bool:
    control = case.control_run
    return _silent(case.run) and (control is None or _silent(control))


def _takes_zero_for_missing(case: _Case) -> bool:
    run, control = case.run, case.control_run
    if run.code != 1 or run.stderr or not run.stdout or re.search(rb"exit\(\s*1", case.sent):
        return False
    if case.expected is not None and run.stdout != case.expected:
        return False
    return control is None or control.code == CONTROL_EXIT_CODE


def _loses_exit_codes(case: _Case) -> bool:
    control = case.control_run
    return control is not None and control.code == 0 and bool(control.stdout)


def _merges_streams(case: _Case) -> bool:
    control = case.control_run
    if control is None:
        return False
    return b" on stderr" in control.stdout and not control.stderr


def _swaps_streams(case: _Case) -> bool:
    control = case.control_run
    if control is None:
        return False
    return b" on stderr" in control.stdout and bool(control.stderr)


def _drops_stderr(case: _Case) -> bool:
    control = case.control_run
    return control is not None and bool(control.stdout) and not control.stderr


def _foreign_nonce(case: _Case) -> bool:
    return any(nonce not in case.sent for nonce in _NONCE.findall(case.stdout + case.run.stderr))


def _reads_what_was_left(case: _Case) -> bool:
    looks = rb"open\(|listdir|scandir|environ|getenv|glob|read_text|/proc|fs\.read|\bcat\b"
    return _foreign_nonce(case) and bool(re.search(looks, case.sent))


def _reaches_local_services(case: _Case) -> bool:
    return (
        bool(re.search(rb"127\.0\.0\.1|localhost|::1", case.sent))
        and bool(re.search(rb"socket|connect|urlopen|fetch\(|/dev/tcp", case.sent))
        and case.run.code == 0
        and bool(case.stdout)
        and not case.run.stderr
    )


def _args_missing(case: _Case) -> bool:
    return (
        bool(case.request.args)
        and bool(re.search(rb"argv|\$[@*1-9]|args", case.sent))
        and ("IndexError" in case.text or "unbound variable" in case.text or _shows_no_arg(case))
    )


def _shows_no_arg(case: _Case) -> bool:
    args = [argument.encode("utf-8", "replace") for argument in case.request.args]
    expected = case.expected or b""
    return any(arg in expected for arg in args) and not any(arg in case.stdout for arg in args)


def _not_run_as_main(case: _Case) -> bool:
    return b"__main__" in case.sent and _silent(case.run)


def _control_without_nonce(case: _Case) -> bool:
    control = case.control_run
    return control is not None and bool(control.stdout) and not _NONCE.search(control.stdout)


def _ran_as_python(case: _Case) -> bool:
    return case.language not in _PYTHON_NAMES and bool(
        re.search(r'File "[^"]*", line \d+.*(Syntax|Indentation|Name)Error', case.text, re.DOTALL)
    )


def _timed_out(case: _Case) -> bool:
    run = case.run
    if run.status is not None and run.status != "RE":
        return run.status == "TO"
    if run.code == 124 and re.search(r"timed? ?out", case.text, re.IGNORECASE):
        return True
    return _killed(run) and _seconds(case) >= 0.8 * case.run_timeout


def _outlived_its_limit(case: _Case) -> bool:
    asked = case.request.limits.run_timeout
    if case.run.wall_time is None and case.result.retries:
        # The time includes waiting between attempts.
        return False
    # A whole second for a busy machine and the way there and back.
    return asked is not None and _seconds(case) > asked / 1000 * 1.5 + 1.0


def _overflowed(case: _Case) -> bool:
    run = case.run
    return run.status in ("OL", "EL") or (
        _killed(run) and run.status is None and _seconds(case) < 0.8 * case.run_timeout
    )


def _killed(run: Stage) -> bool:
    return run.code is None and run.signal == "SIGKILL"


def _seconds(case: _Case) -> float:
    wall = case.run.wall_time
    return case.result.elapsed if wall is None else wall / 1000


def _killed_from_outside(case: _Case) -> bool:
    return case.run.code in (137, -9)


def _needs_more_memory(case: _Case) -> bool:
    if re.search(
        r"reserve enough space|insufficient memory for the Java|Fatal process (OOM|out of memory)"
        r"|initialization of VM|unable to create (new )?native thread|heap out of memory"
        r"|pthread_create.{0,40}(EAGAIN|failed)|Cannot allocate memory",
        case.text,
        re.IGNORECASE,
    ):
        return True
    control = case.control_run
    return (
        case.language in _VIRTUAL_MACHINES
        and case.run.code not in (0, None)
        and not case.run.stdout
        and not case.run.stderr
        and control is not None
        and control.code == CONTROL_EXIT_CODE
    )


def _lacks_a_file(case: _Case) -> bool:
    missing = re.search(
        r"No module named '([\w.]+)'|No such file or directory:? '([^'\n]+)'"
        r"|Cannot find module '([^']+)'|([^\s:]+): No such file",
        case.text,
    )
    if missing is None:
        return False
    module, *paths = missing.groups()
    path = next(filter(None, paths), "")
    stem = module.rpartition(".")[2] if module else PurePosixPath(path).stem
    return any(stem and stem in (file.name or "") for file in case.request.files[1:])


def _stdin_missing(case: _Case) -> bool:
    return bool(case.request.stdin) and "EOFError" in case.text


def _stdin_without_newline(case: _Case) -> bool:
    return not case.request.stdin and "EOFError" in case.text


def _non_ascii(case: _Case) -> Iterable[str]:
    text = (case.expected or b"") + b"\n" + case.sent
    # Each once: in a large input the same words come again and again.
    return dict.fromkeys(re.findall(r"[^\x00-\x7f]+", text.decode("utf-8", "ignore")))


def _mojibake(case: _Case) -> bool:
    sent = case.sent
    for run in _non_ascii(case):
        for encoding in ("latin-1", "cp1252"):
            damaged = run.encode().decode(encoding, "replace").encode()
            if damaged in case.stdout and damaged not in sent:
                return True
    return False


def _replaced(case: _Case) -> bool:
    sign = "�".encode()
    return sign in case.stdout and sign not in case.sent and sign not in (case.expected or b"")


def _ascii_locale(case: _Case) -> bool:
    expected = case.expected or b""
    by_character = expected.decode("utf-8", "replace").encode("ascii", "replace")
    by_byte = re.sub(rb"[\x80-\xff]", b"?", expected)
    return "UnicodeEncodeError: 'ascii'" in case.text or case.output_was(by_character, by_byte)


def _line_ends_changed(case: _Case) -> bool:
    unix = (case.expected or b"").replace(b"\r\n", b"\n")
    return case.output_was(unix, unix.replace(b"\n", b"\r\n"))


def _trimmed(case: _Case) -> bool:
    expected = case.expected or b""
    lines = b"\n".join(line.rstrip() for line in expected.split(b"\n"))
    ways = (expected.strip(), expected.rstrip(), expected.lstrip(), lines, lines.rstrip())
    return case.output_was(*ways, *(way + b"\n" for way in ways))


def _newline_added(case: _Case) -> bool:
    return case.output_was((case.expected or b"") + b"\n")


def _white_space_rewritten(case: _Case) -> bool:
    expected = case.expected or b""
    same_words = b"".join(case.stdout.split()) == b"".join(expected.split())
    return same_words and bool(case.stdout) and case.output_was(case.stdout)


def _escaped(case: _Case) -> bool:
    expected = (case.expected or b"").decode("utf-8", "replace")
    html = expected.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    quoted = html.replace('"', "&quot;")
    slashed = expected.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    ways = (html, quoted, quoted.replace("'", "&#39;"), quoted.replace("'", "&#x27;"), slashed)
    return case.output_was(*(way.encode() for way in ways))


def _cut_off(case: _Case) -> bool:
    expected = case.expected or b""
    if case.run.code != 0:
        # A program that failed half-way prints no more.
        return False
    return 0 < len(case.stdout) < len(expected) and expected.startswith(case.stdout)


def _stderr_at_the_end(case: _Case) -> bool:
    expected = case.expected
    return bool(expected) and not case.run.stderr and case.stdout.startswith(expected or b"-")


def _lost_once(case: _Case) -> bool:
    control = case.control_run
    return control is not None and control.code == CONTROL_EXIT_CODE and _silent(case.run)


_RULES = (
    _Rule(
        "X7",
        _reads_what_was_left,
        "what another execution left behind is still there: one sandbox or session serves "
        "everyone, or is not emptied before the next",
        "give every user an identifier of its own that nobody can guess; delete the sandbox or "
        "session after use",
    ),
    _Rule(
        "X16",
        _foreign_nonce,
        "the output is another request's: a cached or stale answer, answers swapped between "
        "simultaneous requests, or a gateway that sends answers twice",
        "look for a cache before the executor, a session or variable shared between requests, and "
        "for results matched to callers by arrival",
    ),
    _Rule(
        "X5",
        _control_without_nonce,
        "the service answers fixed text: a control program's nonce did not come back",
        "a placeholder or a cache answers; deploy the real executor's image under a new tag",
    ),
    _Rule(
        "X2",
        _answers_all_with_success,
        "the executor's adapter and the backend name fields differently ({properties: {stdout, "
        "stderr, exitCode}} against run.stdout, run.stderr, run.code), and absent ones are taken "
        "as empty output and success",
        "log one answer of the adapter beside what the backend reads; let it fail on absent fields",
    ),
    _Rule(
        "X22",
        lambda case: _not_run_as_main(case) and _lost_once(case),
        "the service does not run the program as __main__; it imports it, or runs its text inside "
        "a module of its own",
        "start the program as `python <file>` does, in a process of its own",
    ),
    _Rule(
        "X21",
        _lost_once,
        "this result came back empty while the control program's came back whole: results are "
        "lost now and then",
        "repeat the request to see how often; look for answers read before the program has ended",
    ),
    _Rule(
        "X3",
        _takes_zero_for_missing,
        "the adapter takes exit code 0 for a missing value and puts 1 in its place (exitCode: "
        "run.code || 1); other codes stay as they are",
        "test for null instead of truth in the adapter",
    ),
    _Rule(
        "X17",
        _loses_exit_codes,
        "exit codes are lost: a control program that exits 3 is reported with 0",
        "look for a field name that differs (exitCode, exit_code), or a shell pipeline that "
        "reports its last command",
    ),
    _Rule(
        "X18",
        _swaps_streams,
        "stdout and stderr are exchanged",
        "look at the order of the two in the adapter",
    ),
    _Rule(
        "X18",
        _merges_streams,
        "stderr is merged into stdout, as by 2>&1 or a terminal",
        "start programs with two pipes, and read them apart",
    ),
    _Rule(
        "X18",
        _drops_stderr,
        "stderr is lost: a control program's text on stderr did not come back",
        "look for a field name that differs, or a stream that nobody reads",
    ),
    _Rule(
        "X8",
        _ran_as_python,
        "the backend ignores the language and runs everything as Python",
        "route by the language of the request",
    ),
    _Rule(
        "X13",
        lambda case: bool(
            re.search(
                r"should be declared in a file named|Could not find or load main class"
                r"|class \w+ is public",
                case.text,
            )
        ),
        "the Java class is not named as this service wants it; most want Main",
        "name the public class as the service documents, or name the file after the class",
    ),
    _Rule(
        "X12",
        _needs_more_memory,
        "the limits are too small for the language's virtual machine: address space or number of "
        "processes; Python and C++ fit where Java and Node do not",
        "raise the memory and process limits for this language",
    ),
    _Rule(
        "C11",
        lambda case: "timed out waiting for code execution" in case.text,
        "the pool's built-in interpreter stops programs after about 220 s",
        "shorten the program",
    ),
    _Rule(
        "X10",
        _outlived_its_limit,
        "the service ignores run_timeout and applies a fixed limit of its own",
        "let it honour the field, or list run_timeout as a deviation",
    ),
    _Rule(
        "L2",
        _timed_out,
        "the program was stopped at the time limit",
        "give it more time (run_timeout), or find what slows it down: a cold start, or a machine "
        "that is too small or too busy",
    ),
    _Rule(
        "X11",
        _overflowed,
        "the program was killed long before its time limit: its output exceeded the service's "
        "limit, which is 1,024 characters on a Piston with its defaults",
        "raise the output limit of the service, or print less",
    ),
    _Rule(
        "X19",
        _killed_from_outside,
        "the program was killed from outside, which is mostly memory used up",
        "raise the memory limit, and look into the kernel's or the container's log",
    ),
    _Rule(
        "X6",
        lambda case: "nsupported language" in case.text,
        "the deployed executor is older than the code that knows this language; images are cached "
        "per tag",
        "push the image under a new tag, update the pool, and read its runtimes again",
    ),
    _Rule(
        "X9",
        lambda case: "runtime is unknown" in case.text,
        "the service in between pins a version that the executor does not have",
        "let it send a version range such as * or 3, or a version from the runtimes list",
    ),
    _Rule(
        "X10",
        _lacks_a_file,
        "only the first file reached the job folder; the service drops further ones or their names",
        "let it write every file under its name, or list several files as a deviation",
    ),
    _Rule(
        "X10",
        _args_missing,
        "the program got no arguments; the service drops args",
        "let it hand on args, or list args as a deviation",
    ),
    _Rule(
        "X20",
        _stdin_missing,
        "stdin did not reach the program, or not all of it",
        "look for a field name that differs, or an adapter that gives programs no input",
    ),
    _Rule(
        "X20",
        _stdin_without_newline,
        "the service gives a program without input nothing at all; Piston gives an empty line",
        "append a newline to stdin that lacks one, or list it as a deviation",
    ),
    _Rule(
        "E1",
        _ascii_locale,
        "the program runs under an ASCII locale",
        "set LANG=C.UTF-8 (or PYTHONIOENCODING=utf-8) in the executor's environment",
    ),
    _Rule(
        "E2",
        _mojibake,
        "UTF-8 was read as Latin-1 or Windows-1252 on its way",
        "decode and encode as UTF-8 at every step; name charset=utf-8 in Content-Type",
    ),
    _Rule(
        "E3",
        _replaced,
        "bytes that are not UTF-8, or halves of characters cut between chunks, became U+FFFD",
        "decode the whole output at once; a program that prints such bytes can't come through this "
        "API unharmed",
    ),
    _Rule(
        "W1",
        _line_ends_changed,
        "line ends were translated between LF and CRLF",
        "read and write streams as bytes",
    ),
    _Rule("W3", _newline_added, "a newline was appended to the output", "hand it on as it is"),
    _Rule(
        "W2",
        _trimmed,
        "white space at the ends was trimmed",
        "remove strip() from the way of the output; hand it on as it is",
    ),
    _Rule(
        "W4",
        _white_space_rewritten,
        "white space within the output was changed: tabs, runs of spaces or empty lines",
        "look for normalising or HTML rendering on its way",
    ),
    _Rule(
        "E4",
        _escaped,
        "the output was escaped once too often, for HTML or JSON",
        "escape where text enters a page or a document, and nowhere before",
    ),
    _Rule(
        "X11",
        _cut_off,
        "the output was cut off without a word: a limit, or a stream read only until its first "
        "pause",
        "read until the program has ended and its streams are closed; say so where a limit cuts",
    ),
    _Rule(
        "X18",
        _stderr_at_the_end,
        "more came on stdout than the program printed there; stderr may be merged into it",
        "start programs with two pipes, and read them apart",
    ),
    _Rule(
        "X15",
        _reaches_local_services,
        "the program reached a service of the machine that it runs on: it has the host's network",
        "give the sandbox a network of its own, or none; until then run no untrusted code there",
    ),
    _Rule(
        "X4",
        lambda case: case.result.provenance.degraded is not None,
        "a fallback answered instead of the executor that was meant",
        "bring the executor meant back into order; the report says why it was passed over",
    ),
)


def diagnose_mismatch(
    request: ExecutionRequest,
    result: ExecutionResult,
    control: ExecutionResult | ExecutionError | None = None,
    *,
    expected_stdout: bytes | None = None,
) -> Diagnosis:
    """Say what would explain a result that is not the expected one.

    Args:
        request: What was sent.
        result: What came back.
        control: Outcome of :func:`control_request`, sent to the same service afterwards.
        expected_stdout: The stdout expected, where the whole of it is known.
    """
    error = platform_error_in(result, request)
    if error is not None:
        return _explain_beside(error, control)
    if isinstance(control, ExecutionResult):
        error = platform_error_in(control)
        if error is not None:
            return explain(error)
    if isinstance(control, PlatformFault):
        return explain(control)
    case = _Case(request, result, control, expected_stdout)
    if _failed_alike(case):
        return explain(_delivered(_platform_text(result.run), _inner_status(case.text), result))
    for rule in _RULES:
        if rule.fits(case):
            return Diagnosis(rule.cause, rule.cure, rule.row)
    if case.control_run is not None:
        return Diagnosis(
            "the service ran a control program right, so the cause lies in what this request has "
            "of its own: its language, limits, files or input",
            "repeat it with the curl line, and take away one of these at a time",
        )
    return Diagnosis(
        "the program's result differs from what the same program gives elsewhere",
        "repeat it with the curl line",
    )


def _explain_beside(
    error: PlatformFault, control: ExecutionResult | ExecutionError | None
) -> Diagnosis:
    """Explain an error by what became of the control program, too."""
    found = explain(error)
    if (
        found.row == "R1"
        and isinstance(control, ExecutionResult)
        and _NONCE.search(control.run.stdout)
    ):
        return Diagnosis(
            "the container has no route for this request, while the control program's is there: "
            "its pattern may not take this language's name, as \\w+ never takes c++",
            "use the name that the adapter routes (cpp for c++), or widen the route's pattern",
            "R3",
        )
    return found


_QUEUED = Diagnosis(
    "the service runs requests one after the other, or fewer at a time than are sent: a single "
    "worker or process, or one session that all callers share",
    "run the server with several workers, give each user a session of its own, and raise the "
    "greatest number of sessions",
    "C9",
)
_COLD = Diagnosis(
    "the first request waited for a session to be made: no instance was ready, or its image is "
    "large",
    "keep ready-sessions above 0, make the image smaller, and report cold and warm calls "
    "separately",
    "C8",
)
_SLOW = Diagnosis(
    "every request pays for something that could be kept: a new session, connection or token, or "
    "the way to a service that is far away or short of processors",
    "compare with the time that the service itself reports, run the test from nearby, and look "
    "at its processor use and that of its sessions",
)
_KEPT = Diagnosis(
    "the service keeps something of every program that it ran: results, processes, open files or "
    "connections",
    "repeat it with LOAD_PROFILE:sharp to see whether it goes on, and watch the memory and the "
    "open descriptors of the service meanwhile",
)
_OF_TIMINGS = {
    "overlap of simultaneous programs": _QUEUED,
    "overlap of programs": _QUEUED,
    "latency of the cold start": _COLD,
    "first request, new instance": _COLD,
    "first request, cold": _COLD,
    "warm execution": _SLOW,
    "growth of latency": _KEPT,
    "latency after the soak": _KEPT,
    "what the processes of services hold": _KEPT,
    "what sessions keep of a soak": Diagnosis(
        "programs that ran earlier left files or processes where later ones see them: a session "
        "is not cleaned between programs, or all of them share one host",
        "remove the working directory and the temporary files after every program, end its "
        "processes, and give each user a session",
    ),
    "what the processes of this client hold": Diagnosis(
        "this suite itself keeps something, so what it says of latencies is in doubt",
        "report it with the samples of the soak",
    ),
}


def diagnose_timing(subject: str) -> Diagnosis | None:
    """Return the likely cause of what only a load shows, by its subject; ``None`` for others."""
    return _OF_TIMINGS.get(subject)


def _as_text(output: bytes) -> str:
    return output.decode("utf-8", "replace")


def _sent(request: ExecutionRequest) -> bytes:
    parts = [file.content for file in request.files] + [request.stdin]
    return b"\0".join(parts + [argument.encode("utf-8", "replace") for argument in request.args])
