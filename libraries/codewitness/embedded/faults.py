"""The catalogue of faults: every way in which a backend may be broken on purpose.

Each property that the suite promises to check has at least one fault here that takes exactly
this property away from an otherwise healthy backend. The project's own tests start a backend
with ``--fault <name>`` and expect the suite to fail and to say what is wrong.

What the contract lets a healthy service do is no fault: a character split between two pieces of
output may come as U+FFFD, ``compile`` may be absent, ``run_cpu_time`` may be ignored, and a file
name that leaves the job folder may get an empty 500 or be contained.
"""

from __future__ import annotations

import base64
import difflib
import math
import re
import shlex
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from codewitness.embedded import preludes, spoiling
from codewitness.embedded.lax_sandbox import STATE, Laxity, LaxSandbox, SharedProcesses
from codewitness.embedded.spoiling import Spoiler
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    SourceFile,
    Stage,
)
from codewitness.execution.piston import text_to_bytes


@dataclass(frozen=True)
class Fault:
    """One way to be broken.

    Attributes:
        name: What ``--fault`` takes.
        summary: What a broken service does, in one line.
        group: The property's family.
        claimed_by: Name of the test that finds it, whose failure message must have the words.
        expect_words: Words of which the suite's failure message must contain all, in any case.
        spoiler: Breaks the executor behind the backend.
        middleware: Makes what breaks the backend's answers.
        also_needs: Names of tests that must run before the claiming one, where a fault comes late.
        request_deadline: Seconds that a request need not take more than to find it; ``None``
            where it makes nobody wait.
    """

    name: str
    summary: str
    group: str
    claimed_by: str = field(kw_only=True)
    expect_words: tuple[str, ...] = ()
    spoiler: Spoiler | None = None
    middleware: Callable[[], Middleware] | None = None
    also_needs: tuple[str, ...] = ()
    request_deadline: int | None = None

    def middlewares(self) -> tuple[Middleware, ...]:
        """Return new middlewares for one application."""
        return () if self.middleware is None else (self.middleware(),)


def faulty(executor: Executor, fault: Fault) -> Executor:
    """Return an executor that has a fault; the executor itself when the fault lies elsewhere."""
    return executor if fault.spoiler is None else fault.spoiler(executor)


def find_fault(name: str) -> Fault:
    """Return the fault of a name.

    Raises:
        LookupError: There is none; the message has the nearest names.
    """
    try:
        return FAULTS[name]
    except KeyError:
        near = difflib.get_close_matches(name, FAULTS, n=3, cutoff=0.4)
        near = near or [it for it in FAULTS if name in it][:3]
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise LookupError(f"no fault is called {name!r}: {hint}--list-faults has all") from None


def _stdout() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *words: str, claimed_by: str) -> Fault:
        return Fault(
            name, summary, "stdout", ("stdout", *words), spoiler=spoiler, claimed_by=claimed_by
        )

    text, raw = spoiling.changed_text, spoiling.changed_stdout
    return [
        fault(
            "stdout-final-newline-stripped",
            "strips the newline at the end of stdout",
            text(lambda it: it.removesuffix("\n")),
            claimed_by="Blank Lines Are Kept",
        ),
        fault(
            "stdout-newline-added",
            "adds a newline at the end of stdout",
            text(lambda it: it + "\n"),
            claimed_by="Missing Final Newline Stays Missing",
        ),
        fault(
            "stdout-stripped",
            "strips white space at both ends of stdout",
            text(str.strip),
            claimed_by="Blank Lines At Both Ends Are Kept",
        ),
        fault(
            "stdout-blank-lines-dropped",
            "drops blank lines from stdout",
            text(lambda it: re.sub(r"(?m)^[ \t]*\n", "", it)),
            claimed_by="Blank Lines Are Kept",
        ),
        fault(
            "stdout-trailing-spaces-stripped",
            "strips spaces at the ends of stdout's lines",
            text(lambda it: re.sub(r"[ \t]+(?=\r?\n|\Z)", "", it)),
            claimed_by="Runs Of Spaces Are Kept",
        ),
        fault(
            "stdout-spaces-collapsed",
            "collapses runs of spaces in stdout into one",
            text(lambda it: re.sub(r" +", " ", it)),
            claimed_by="Runs Of Spaces Are Kept",
        ),
        fault(
            "stdout-tabs-expanded",
            "turns tabs in stdout into spaces",
            text(lambda it: it.replace("\t", "    ")),
            claimed_by="Tabs Are Kept",
        ),
        fault(
            "stdout-crlf-to-lf",
            "turns CRLF in stdout into LF",
            text(lambda it: it.replace("\r\n", "\n")),
            claimed_by="Windows Line Ends Are Kept",
        ),
        fault(
            "stdout-lf-to-crlf",
            "turns LF in stdout into CRLF",
            text(lambda it: re.sub(r"(?<!\r)\n", "\r\n", it)),
            claimed_by="Blank Lines Are Kept",
        ),
        fault(
            "stdout-lines-reordered",
            "answers stdout's lines in another order",
            text(lambda it: "".join(reversed(it.splitlines(keepends=True)))),
            claimed_by="Order Of Lines Is Kept",
        ),
        fault(
            "stdout-first-line-only",
            "answers only the first line of stdout",
            text(lambda it: it[: it.find("\n") + 1] or it),
            claimed_by="Order Of Lines Is Kept",
        ),
        fault(
            "stdout-last-line-lost",
            "loses the last line of stdout, as an unflushed buffer does",
            text(lambda it: "".join(it.splitlines(keepends=True)[:-1])),
            claimed_by="Order Of Lines Is Kept",
        ),
        fault(
            "stdout-doubled",
            "answers stdout twice",
            text(lambda it: it * 2),
            claimed_by="Blank Lines Are Kept",
        ),
        fault(
            "stdout-dropped",
            "answers an empty stdout",
            raw(lambda _: b""),
            claimed_by="T1.1 Simple Print Statement",
        ),
        fault(
            "stdout-cut-at-64k",
            "cuts stdout at 65,535 bytes and says nothing",
            raw(lambda it: it[:65535]),
            claimed_by="Output Of 64 KiB Arrives Whole",
        ),
        fault(
            "stdout-html-escaped",
            "escapes stdout for HTML",
            text(lambda it: it.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")),
            claimed_by="Markup And Quotes Are Kept",
        ),
        fault(
            "stdout-latin-1",
            "reads the UTF-8 of stdout as Latin-1",
            raw(lambda it: it.decode("latin-1").encode()),
            claimed_by="European Letters Are Kept",
        ),
        fault(
            "stdout-ascii-only",
            "replaces what is not ASCII in stdout by question marks",
            text(lambda it: it.encode("ascii", "replace").decode()),
            claimed_by="European Letters Are Kept",
        ),
        fault(
            "stdout-nfc-normalised",
            "composes combining characters in stdout",
            text(lambda it: unicodedata.normalize("NFC", it)),
            claimed_by="Combining Characters Of Stdout Are Kept",
        ),
    ]


def _stderr() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *words: str, claimed_by: str) -> Fault:
        return Fault(
            name, summary, "stderr", words or ("stderr",), spoiler=spoiler, claimed_by=claimed_by
        )

    return [
        fault(
            "stderr-merged-into-stdout",
            "answers stderr within stdout",
            spoiling.changed_run(
                lambda run: replace(run, stdout=run.stdout + run.stderr, stderr=b"")
            ),
            claimed_by="Line On Stderr Is Kept",
        ),
        fault(
            "stderr-in-both",
            "answers stderr in stdout, too",
            spoiling.changed_run(lambda run: replace(run, stdout=run.stdout + run.stderr)),
            "stdout",
            claimed_by="Line On Stderr Is Kept",
        ),
        fault(
            "streams-swapped",
            "answers stdout as stderr and stderr as stdout",
            spoiling.changed_run(lambda run: replace(run, stdout=run.stderr, stderr=run.stdout)),
            "stdout",
            claimed_by="Streams Are Kept Apart",
        ),
        fault(
            "stderr-lost",
            "answers an empty stderr",
            spoiling.changed_stderr(lambda _: b""),
            claimed_by="T3.2 Runtime Error",
        ),
        fault(
            "stderr-cut",
            "answers only the first 100 bytes of stderr",
            spoiling.changed_stderr(lambda it: it[:100]),
            claimed_by="Streams Are Kept Apart",
        ),
        fault(
            "stderr-last-line-only",
            "answers only the last line of stderr",
            spoiling.changed_stderr(lambda it: b"".join(it.splitlines(keepends=True)[-1:])),
            claimed_by="Traceback Is Whole",
        ),
        fault(
            "sys-exit-text-lost",
            "loses the text that a program ends with, as in sys.exit(text)",
            spoiling.changed_run(
                lambda run: (
                    replace(run, stderr=b"", output=None)
                    if run.code == 1 and b"Traceback" not in run.stderr
                    else run
                )
            ),
            claimed_by="Text Given To Exit Is On Stderr",
        ),
    ]


def _exit_codes() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *words: str, claimed_by: str) -> Fault:
        return Fault(
            name,
            summary,
            "exit code",
            words or ("exit code",),
            spoiler=spoiler,
            claimed_by=claimed_by,
        )

    code = spoiling.changed_code
    return [
        fault(
            "exit-code-nonzero-becomes-1",
            "answers 1 for every exit code but 0",
            code(lambda it: min(it, 1)),
            claimed_by="Low Exit Codes Are Exact",
        ),
        fault(
            "exit-code-wrapped",
            "answers exit codes above 127 as negative numbers",
            code(lambda it: it - 256 if it > 127 else it),
            claimed_by="High Exit Codes Are Exact",
        ),
        fault(
            "exit-code-7-bits",
            "answers exit codes modulo 128",
            code(lambda it: it % 128),
            claimed_by="High Exit Codes Are Exact",
        ),
        fault(
            "exit-code-null-on-success",
            "answers null instead of exit code 0",
            code(lambda it: it or None),
            claimed_by="T1.1 Simple Print Statement",
        ),
        fault(
            "exit-code-always-0",
            "answers exit code 0 for every program",
            code(lambda _: 0),
            claimed_by="Low Exit Codes Are Exact",
        ),
        fault(
            "exit-code-0-becomes-1",
            "answers 1 instead of 0, as `exitCode || 1` does",
            code(lambda it: it or 1),
            claimed_by="T1.1 Simple Print Statement",
        ),
        fault(
            "exit-code-124-becomes-timeout",
            "reports a program that leaves with 124 as stopped at its time limit",
            spoiling.changed_run(
                lambda run: replace(run, code=None, signal="SIGKILL") if run.code == 124 else run
            ),
            claimed_by="Exit Code That May Stand For A Time Limit Is Exact",
        ),
        fault(
            "broken-pipe-as-success",
            "answers exit code 0 for programs that a broken pipe killed",
            spoiling.changed_run(
                lambda run: (
                    replace(run, code=0, signal=None, status=None, message=None)
                    if run.signal == "SIGPIPE"
                    else run
                )
            ),
            "signal",
            claimed_by="Broken Pipe Is Told",
        ),
        fault(
            "signal-death-as-success",
            "answers exit code 0 for programs that a signal killed",
            spoiling.changed_run(
                lambda run: (
                    replace(run, code=0, signal=None, status=None, message=None)
                    if run.status == "SG"
                    else run
                )
            ),
            "signal",
            claimed_by="Segmentation Fault Is Told",
        ),
        fault(
            "signal-on-success",
            "answers SIGTERM beside exit code 0",
            spoiling.changed_run(
                lambda run: replace(run, signal="SIGTERM") if run.code == 0 else run
            ),
            "exit code",
            "signal",
            claimed_by="T1.1 Simple Print Statement",
        ),
        fault(
            "compile-errors-hidden",
            "answers a success without output for programs that don't compile",
            spoiling.changed_result(
                lambda _, result: (
                    replace(result, compile=Stage(code=0), run=Stage(code=0))
                    if result.compile is not None and result.compile.code != 0
                    else result
                )
            ),
            "compil",
            claimed_by="Compiler Error Is Told",
        ),
        fault(
            "compile-errors-only-in-compile",
            "answers an empty run stage for programs that don't compile",
            spoiling.changed_result(
                lambda _, result: (
                    replace(result, run=Stage())
                    if result.compile is not None and result.compile.code != 0
                    else result
                )
            ),
            "compil",
            claimed_by="Compiler Error Is Told",
        ),
    ]


def _stdin() -> list[Fault]:
    def fault(
        name: str,
        summary: str,
        spoiler: Spoiler,
        *words: str,
        claimed_by: str,
        request_deadline: int | None = None,
    ) -> Fault:
        return Fault(
            name,
            summary,
            "stdin",
            words or ("stdin",),
            spoiler=spoiler,
            claimed_by=claimed_by,
            request_deadline=request_deadline,
        )

    stdin = spoiling.changed_stdin
    return [
        fault(
            "stdin-ignored",
            "gives no program any input",
            stdin(lambda _: ""),
            claimed_by="T2.1 Reading From Stdin",
        ),
        fault(
            "stdin-trimmed",
            "strips white space at both ends of stdin",
            stdin(str.strip),
            claimed_by="Spaces Of Stdin Arrive",
        ),
        fault(
            "stdin-newline-doubled",
            "adds a newline to stdin that has one",
            stdin(lambda it: it + "\n"),
            claimed_by="One Line Of Stdin Arrives",
        ),
        fault(
            "stdin-first-line-only",
            "gives only the first line of stdin",
            stdin(lambda it: it[: it.find("\n") + 1] or it),
            claimed_by="T2.2 Multiple Input Lines",
        ),
        fault(
            "stdin-blank-lines-dropped",
            "drops blank lines from stdin",
            stdin(lambda it: re.sub(r"(?m)^[ \t]*\n", "", it)),
            claimed_by="Blank Lines Of Stdin Arrive",
        ),
        fault(
            "stdin-cut-at-4k",
            "cuts stdin at 4,096 characters",
            stdin(lambda it: it[:4096]),
            claimed_by="Stdin As Large As The Service Takes Arrives Whole",
        ),
        fault(
            "stdin-crlf-to-lf",
            "turns CRLF in stdin into LF",
            stdin(lambda it: it.replace("\r\n", "\n")),
            claimed_by="Windows Line Ends Of Stdin Arrive",
        ),
        fault(
            "stdin-latin-1",
            "reads the UTF-8 of stdin as Latin-1",
            stdin(lambda it: it.encode("utf-8", "surrogatepass").decode("latin-1")),
            claimed_by="Letters Of Stdin Arrive",
        ),
        fault(
            "stdin-emoji-lost",
            "drops characters beyond the basic plane from stdin",
            stdin(lambda it: "".join(c for c in it if c <= "\uffff")),
            claimed_by="Emoji Of Stdin Arrive",
        ),
        fault(
            "stdin-byte-order-mark-lost",
            "takes a byte order mark at the beginning of stdin away",
            stdin(lambda it: it.removeprefix("\ufeff")),
            "stdin",
            claimed_by="Byte Order Mark Of Stdin Arrives",
        ),
        fault(
            "stdin-nfc-normalised",
            "composes combining characters in stdin",
            stdin(lambda it: unicodedata.normalize("NFC", it)),
            claimed_by="Combining Characters Of Stdin Are Kept",
        ),
        fault(
            "stdin-must-be-read",
            "fails programs that don't read their input",
            spoiling.changed_result(_fail_where_stdin_is_unread),
            claimed_by="Large Stdin Left Unread Does No Harm",
        ),
        fault(
            "stdin-stays-open",
            "never ends stdin: programs that read it to the end hang",
            spoiling.changed_request(preludes.before_python(preludes.OPEN_STDIN)),
            claimed_by="Stdin Is Read To Its End",
            request_deadline=12,
        ),
    ]


def _fail_where_stdin_is_unread(
    request: ExecutionRequest, result: ExecutionResult
) -> ExecutionResult:
    source = b"".join(file.content for file in request.files)
    if request.stdin.strip() and not re.search(rb"stdin|input|fileno|read\(0", source):
        broken = replace(result.run, code=1, stderr=b"[Errno 32] Broken pipe\n", output=None)
        return replace(result, run=broken)
    return result


def _args() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *, claimed_by: str) -> Fault:
        return Fault(name, summary, "arguments", ("arg",), spoiler=spoiler, claimed_by=claimed_by)

    args = spoiling.changed_args
    return [
        fault(
            "args-ignored",
            "gives no program any arguments",
            args(lambda _: ()),
            claimed_by="Arguments Reach The Program",
        ),
        fault(
            "args-joined",
            "joins all arguments to one",
            args(lambda it: (" ".join(it),) if it else ()),
            claimed_by="Arguments Keep Their Order",
        ),
        fault(
            "args-split-on-spaces",
            "splits arguments at spaces",
            args(lambda it: " ".join(it).split()),
            claimed_by="Arguments Keep Their Spaces",
        ),
        fault(
            "args-through-a-shell",
            "loses quotes in arguments, as an unquoted shell command does",
            args(lambda it: tuple(_unquoted(each) for each in it)),
            claimed_by="Arguments Keep Their Quotes",
        ),
        fault(
            "args-reordered",
            "reverses the arguments",
            args(lambda it: it[::-1]),
            claimed_by="Arguments Keep Their Order",
        ),
        fault(
            "args-empty-dropped",
            "drops empty arguments",
            args(lambda it: tuple(filter(None, it))),
            claimed_by="Empty Argument Is Kept",
        ),
    ]


def _unquoted(argument: str) -> str:
    try:
        return " ".join(shlex.split(argument)) if argument.strip() else argument
    except ValueError:
        return argument.replace('"', "").replace("'", "")


def _files() -> list[Fault]:
    def fault(
        name: str,
        summary: str,
        change: Callable[[ExecutionRequest], ExecutionRequest],
        *,
        claimed_by: str,
    ) -> Fault:
        spoiler = spoiling.changed_request(change)
        return Fault(name, summary, "files", ("file",), spoiler=spoiler, claimed_by=claimed_by)

    return [
        fault(
            "files-only-first",
            "keeps only the first file of a request",
            lambda it: replace(it, files=it.files[:1]),
            claimed_by="Further Files Lie Beside The Program",
        ),
        fault(
            "files-sub-folders-flattened",
            "puts files of sub-folders into the job folder itself",
            lambda it: replace(it, files=tuple(map(_flattened, it.files))),
            claimed_by="Files May Lie In Sub-Folders",
        ),
        fault(
            "files-base64-not-decoded",
            "writes base64 content as it came",
            _undecoded("base64", lambda content: base64.b64encode(content)),
            claimed_by="Base64 Content Is Decoded",
        ),
        fault(
            "files-hex-not-decoded",
            "writes hexadecimal content as it came",
            _undecoded("hex", lambda content: content.hex().encode()),
            claimed_by="Hex Content Is Decoded",
        ),
        fault(
            "files-latin-1",
            "reads the UTF-8 of programs as Latin-1",
            lambda it: replace(it, files=tuple(map(_as_latin_1, it.files))),
            claimed_by="Characters In The Program Are Kept",
        ),
        fault(
            "working-directory-elsewhere",
            "runs Python programs in another working directory than their files'",
            preludes.before_python("__import__('os').chdir('/')"),
            claimed_by="Files May Lie In Sub-Folders",
        ),
        Fault(
            "files-outside-the-job-folder",
            "writes files of Python programs wherever their names say, with .. too",
            "files",
            ("outside",),
            spoiler=spoiling.changed_request(_let_out),
            middleware=lambda: spoiling.changed_body(_disguised),
            claimed_by="File Name That Leaves The Job Folder Does No Harm",
        ),
        fault(
            "files-leading-dot-lost",
            "takes dots and slashes away from the beginning of file names",
            lambda it: replace(
                it,
                files=tuple(
                    replace(file, name=file.name.lstrip("./") if file.name else None)
                    for file in it.files
                ),
            ),
            claimed_by="File Names May Begin With A Dot",
        ),
        fault(
            "files-names-ignored",
            "gives files names of its own",
            lambda it: replace(it, files=tuple(replace(file, name=None) for file in it.files)),
            claimed_by="Program Keeps Its File Name",
        ),
        fault(
            "files-last-is-program",
            "runs the last file instead of the first",
            lambda it: replace(it, files=it.files[::-1]) if it.files[-1].encoding == "utf8" else it,
            claimed_by="Further Files Lie Beside The Program",
        ),
        fault(
            "program-is-not-main",
            "runs Python programs with another __name__ than __main__",
            preludes.before_python("__name__ = 'program'"),
            claimed_by="Program Runs As A Script",
        ),
    ]


def _flattened(file: SourceFile) -> SourceFile:
    return file if file.name is None else replace(file, name=PurePosixPath(file.name).name)


def _undecoded(
    encoding: str, encode: Callable[[bytes], bytes]
) -> Callable[[ExecutionRequest], ExecutionRequest]:
    def change(request: ExecutionRequest) -> ExecutionRequest:
        files = (
            replace(file, content=encode(file.content)) if file.encoding == encoding else file
            for file in request.files
        )
        return replace(request, files=tuple(files))

    return change


def _as_latin_1(file: SourceFile) -> SourceFile:
    if file.encoding != "utf8":
        return file
    return replace(file, content=file.content.decode("latin-1").encode())


_DISGUISE = "disguised-"


def _disguised(document: Any) -> Any:
    """Give files whose names leave the job folder names that no check minds."""
    if isinstance(document, dict) and isinstance(document.get("files"), list):
        for file in document["files"]:
            name = file.get("name") if isinstance(file, dict) else None
            if isinstance(name, str) and (".." in name or name.startswith("/")):
                file["name"] = _DISGUISE + text_to_bytes(name).hex()
    return document


def _let_out(request: ExecutionRequest) -> ExecutionRequest:
    names = [file.name for file in request.files if (file.name or "").startswith(_DISGUISE)]
    for name in filter(None, names):
        wanted = bytes.fromhex(name.removeprefix(_DISGUISE)).decode("utf-8", "replace")
        move = f"__import__('shutil').move({name!r}, {wanted!r})"
        request = preludes.with_statement(request, move)
    return request


def _independence() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *words: str, claimed_by: str) -> Fault:
        return Fault(name, summary, "independence", words, spoiler=spoiler, claimed_by=claimed_by)

    def always(stdout: bytes) -> Spoiler:
        return spoiling.changed_run(lambda _: Stage(stdout, code=0))

    return [
        fault(
            "cached-by-code",
            "answers a program that it has seen from memory, whatever its input",
            spoiling.CachedByCode,
            "stdout",
            claimed_by="Same Program Gets Its New Stdin",
        ),
        fault(
            "cached-by-request",
            "answers a request that it has seen, input and all, from memory",
            spoiling.CachedByRequest,
            "stdout",
            claimed_by="Identical Requests Are Executed Anew",
        ),
        fault(
            "stale-answers",
            "answers every request with the result of the one before",
            spoiling.Stale,
            "stdout",
            claimed_by="T1.1 Simple Print Statement",
        ),
        fault(
            "swapped-answers",
            "exchanges the results of requests that are under way at the same time",
            spoiling.Swapped,
            "token",
            claimed_by="Ten Simultaneous Programs Overlap",
        ),
        fault(
            "canned-answer",
            "answers every request with the same text",
            always(b"Hello, World!\n"),
            "stdout",
            claimed_by="T1.1 Simple Print Statement",
        ),
        fault(
            "mock-execution",
            "answers 'Mock execution for python', as a placeholder image does",
            spoiling.changed_result(
                lambda request, result: replace(
                    result,
                    run=Stage(f"Mock execution for {request.language}\n".encode(), code=0),
                )
            ),
            "mock",
            claimed_by="T1.1 Simple Print Statement",
        ),
        fault(
            "language-ignored",
            "runs every program as Python",
            spoiling.changed_request(lambda it: replace(it, language="python", version="*")),
            "language",
            claimed_by="Bash Program Greets",
        ),
    ]


def _undecodable(run: Stage) -> Stage:
    try:
        run.stdout.decode()
    except UnicodeDecodeError as error:
        return Stage(stderr=f"{error}\n".encode(), code=1)
    return run


def _without_sign_of_the_limit(run: Stage) -> Stage:
    limit = 128 * 1024
    if run.status in ("OL", "EL"):
        run = Stage(run.stdout, run.stderr, code=0)
    return replace(run, stdout=run.stdout[:limit], stderr=run.stderr[:limit], output=None)


def _bytes() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *words: str, claimed_by: str) -> Fault:
        return Fault(
            name, summary, "bytes", words or ("stdout",), spoiler=spoiler, claimed_by=claimed_by
        )

    raw = spoiling.changed_stdout
    return [
        fault(
            "invalid-utf8-fails",
            "answers a decoding error for output that is not UTF-8",
            spoiling.changed_run(_undecodable),
            claimed_by="Bytes That Are Not Utf-8 Do Not Break The Answer",
        ),
        fault(
            "invalid-utf8-dropped",
            "drops bytes of the output that are not UTF-8",
            raw(lambda it: it.decode("utf-8", "ignore").encode()),
            claimed_by="Bytes That Are Not Utf-8 Do Not Break The Answer",
        ),
        fault(
            "invalid-utf8-of-stderr-dropped",
            "drops bytes of stderr that are not UTF-8",
            spoiling.changed_stderr(lambda it: it.decode("utf-8", "ignore").encode()),
            "stderr",
            claimed_by="Bytes That Are Not Utf-8 Do Not Break Stderr",
        ),
        fault(
            "nul-cuts-output",
            "ends stdout at the first NUL byte",
            raw(lambda it: it.partition(b"\0")[0]),
            claimed_by="NUL Does Not End The Output",
        ),
        fault(
            "nul-dropped",
            "drops NUL bytes from stdout",
            raw(lambda it: it.replace(b"\0", b"")),
            claimed_by="NUL Does Not End The Output",
        ),
        fault(
            "ansi-stripped",
            "strips ANSI escape sequences from stdout",
            raw(lambda it: re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", it)),
            claimed_by="Terminal Colours Are Kept",
        ),
        fault(
            "output-limit-hidden",
            "cuts output over 128 KiB and over its own limit, and calls it a success",
            spoiling.changed_run(_without_sign_of_the_limit),
            "cut",
            claimed_by="Output Beyond Any Limit Is Whole Or Visibly Cut",
        ),
    ]


def _lax(laxity: Laxity) -> Spoiler:
    return lambda executor: LaxSandbox(executor, laxity)


# Made up; they only have to look like what must never be in a program's environment.
_SECRETS = {
    "AZURE_CLIENT_SECRET": "not~a~real~secret~0123456789abcdef",
    "BACKEND_API_KEY": "not-a-real-key-0123456789abcdef",
    "DATABASE_PASSWORD": "not-a-real-password",
}


def _isolation() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *words: str, claimed_by: str) -> Fault:
        return Fault(name, summary, "isolation", words, spoiler=spoiler, claimed_by=claimed_by)

    def shared(folder: str) -> Spoiler:
        return _lax(Laxity(shared_folders=frozenset({folder})))

    keeping = preludes.before_python(preludes.keeping_environment(f"{STATE}/environment"))

    return [
        fault(
            "shared-working-directory",
            "runs all programs in the same working directory",
            shared("job"),
            "working directory",
            claimed_by="No File Survives In The Working Directory",
        ),
        fault(
            "shared-home",
            "gives all programs the same home",
            shared("home"),
            "home",
            claimed_by="No File Survives In The Home",
        ),
        fault(
            "shared-tmp",
            "gives all programs the same /tmp",
            shared("tmp"),
            "/tmp",
            claimed_by="No File Survives In Tmp",
        ),
        fault(
            "shared-dev-shm",
            "gives all programs the same /dev/shm",
            shared("shm"),
            "/dev/shm",
            claimed_by="No File Survives In Shared Memory",
        ),
        fault(
            "shared-environment",
            "keeps environment variables that a program sets for the next one",
            lambda executor: spoiling.changed_request(keeping)(shared("state")(executor)),
            "environment",
            claimed_by="No Environment Variable Survives",
        ),
        fault(
            "background-processes-survive",
            "leaves background processes of a program running",
            SharedProcesses,
            "process",
            claimed_by="No Background Process Survives",
        ),
        fault(
            "secrets-in-environment",
            "hands its own secrets to programs as environment variables",
            _lax(Laxity(environment=_SECRETS)),
            "environment",
            claimed_by="Environment Holds No Secrets",
        ),
        fault(
            "network-shared",
            "lets programs connect to what listens on its machine, itself included",
            _lax(Laxity(shared_network=True)),
            "port",
            claimed_by="Ports Of The Service Are Out Of Reach",
        ),
    ]


def _not_reported(run: Stage) -> Stage:
    return replace(run, code=0, signal=None, status=None, message=None)


def _limits() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *words: str, claimed_by: str) -> Fault:
        return Fault(name, summary, "limits", words, spoiler=spoiler, claimed_by=claimed_by)

    def killed(ending: Callable[[Stage], Stage]) -> Spoiler:
        return spoiling.killed_as(ending, "TO")

    def mostly_busy(run: Stage) -> bool:
        # On a busy machine a program that computes gets a part of the time only.
        return run.cpu_time is not None and run.cpu_time > 0.2 * (run.wall_time or 0)

    return [
        fault(
            "run-timeout-ignored",
            "lets every program run for 10 s, whatever run_timeout says",
            spoiling.changed_request(spoiling.without_time_limits),
            "run_timeout",
            claimed_by="Run Timeout Has An Effect",
        ),
        fault(
            "run-timeout-ignored-when-busy",
            "lets programs that keep the processor busy run for 10 s",
            spoiling.rerun_without_limit(mostly_busy),
            "run_timeout",
            claimed_by="Busy Program Is Stopped At Its Run Timeout",
        ),
        fault(
            "run-timeout-ignored-when-idle",
            "lets programs that sleep run for 10 s, as a processor time limit does",
            spoiling.rerun_without_limit(lambda run: not mostly_busy(run)),
            "run_timeout",
            claimed_by="Run Timeout Has An Effect",
        ),
        fault(
            "run-timeout-in-whole-seconds",
            "rounds run_timeout up to whole seconds",
            spoiling.changed_request(
                lambda it: replace(
                    it,
                    limits=replace(
                        it.limits,
                        run_timeout=math.ceil((it.limits.run_timeout or 3000) / 1000) * 1000,
                    ),
                )
            ),
            "run_timeout",
            claimed_by="Run Timeout Is Not Rounded",
        ),
        fault(
            "run-timeout-too-early",
            "stops programs after a quarter of run_timeout",
            spoiling.changed_request(
                lambda it: replace(
                    it,
                    limits=replace(it.limits, run_timeout=(it.limits.run_timeout or 3000) / 4),
                )
            ),
            "run_timeout",
            claimed_by="Program Within Its Run Timeout Is Not Cut",
        ),
        fault(
            "timeout-as-success",
            "answers exit code 0 for programs that it stopped",
            killed(_not_reported),
            "run_timeout",
            claimed_by="Program That Takes Too Long Is Reported As Stopped",
        ),
        fault(
            "timeout-as-exit-code-1",
            "answers exit code 1 and nothing else for programs that it stopped",
            killed(lambda run: replace(_not_reported(run), code=1)),
            "run_timeout",
            claimed_by="Program That Takes Too Long Is Reported As Stopped",
        ),
        fault(
            "timeout-loses-output",
            "drops what a program had written when it was stopped",
            killed(lambda run: replace(run, stdout=b"", stderr=b"", output=None)),
            "stdout",
            claimed_by="Output Before A Timeout Is Kept",
        ),
        fault(
            "broken-after-timeout",
            "fails on the two requests that follow a timeout",
            spoiling.after_limit(spoiling.break_down, 2, "TO"),
            "after",
            claimed_by="Service Is Well Right After A Timeout",
        ),
        fault(
            "slow-after-timeout",
            "needs 3 s more for the two requests that follow a timeout",
            spoiling.after_limit(lambda: time.sleep(3), 2, "TO"),
            "after",
            claimed_by="Service Is Well Right After A Timeout",
        ),
        fault(
            "memory-limit-ignored",
            "gives programs all the memory they want, whatever run_memory_limit says",
            spoiling.changed_request(
                lambda it: replace(it, limits=replace(it.limits, run_memory_limit=None))
            ),
            "memory",
            claimed_by="Memory Limit Has An Effect",
        ),
        fault(
            "background-child-holds-answer",
            "waits with the answer until a background child closes stdout",
            spoiling.waiting_for_children(longest=9000),
            "background",
            claimed_by="Background Child Does Not Hold Back The Answer",
        ),
    ]


_REFUSALS = {
    # kind: (words of the refusal, status, what is wrong with the request, who notices)
    "no-language": (
        "language is required",
        400,
        "without a language",
        "Request Without Language Is Refused",
    ),
    "no-version": (
        "version is required",
        400,
        "without a version or with a number",
        "Request Without Version Is Refused",
    ),
    "files-not-an-array": (
        "files is required",
        400,
        "whose files are no array",
        "Files That Are No List Are Refused",
    ),
    "no-content": (
        "content is required",
        400,
        "with a file without content",
        "File Without Content Is Refused",
    ),
    "no-files": ("files must include", 400, "without files", "Empty List Of Files Is Refused"),
    "limit-not-a-number": (
        "must be a number",
        400,
        "with a limit that is no number",
        "Time Limit That Is No Number Is Refused",
    ),
    "negative-limit": (
        "must be non-negative",
        400,
        "with a negative limit",
        "Negative Time Limit Is Refused",
    ),
    "limit-too-high": (
        "cannot exceed",
        400,
        "with a limit above the configured one",
        "Time Limit Above Every Ceiling Is Refused",
    ),
    "stdin-not-a-string": (
        None,
        400,
        "whose stdin is no string",
        "Stdin That Is A Number Is Refused",
    ),
    "malformed-json": (
        "request body is not valid JSON",
        400,
        "whose body is not JSON",
        "Malformed JSON Is Refused",
    ),
    "body-not-an-object": (
        "request body must be",
        400,
        "whose body is no JSON object",
        "Body That Is No Object Is Refused",
    ),
    "oversized-body": (
        "request body exceeds",
        400,
        "whose body is too long",
        "Oversized Body Is Refused Or Served",
    ),
    "content-type": (
        "must be of type",
        415,
        "of another content type",
        "Wrong Content Type Is Refused",
    ),
}


def _bad_requests() -> list[Fault]:
    faults = []
    for kind, (words, status, what, claimed_by) in _REFUSALS.items():
        faults.append(
            _refusal(
                f"accepts-{kind}",
                f"answers 200 to a request {what}",
                words,
                spoiling.nothing_ran,
                status,
                claimed_by,
            )
        )
        faults.append(
            _refusal(
                f"crashes-on-{kind}",
                f"answers 500 to a request {what}",
                words,
                spoiling.crashed,
                status,
                claimed_by,
            )
        )
    for known, kind, accepted, crashed in (
        (False, "language", "Unknown Language Is Refused", "Unknown Language Is Refused"),
        (
            True,
            "version",
            "Unknown Version Is Refused",
            "Unknown Version Of A Known Language Is Refused",
        ),
    ):
        faults.append(
            Fault(
                f"accepts-unknown-{kind}",
                f"answers 200 to a request of an unknown {kind}",
                "bad requests",
                (kind,),
                spoiler=spoiling.unknown_runtime_gets(_run_anyway, language_known=known),
                claimed_by=accepted,
            )
        )
        faults.append(
            Fault(
                f"crashes-on-unknown-{kind}",
                f"answers 500 to a request of an unknown {kind}",
                "bad requests",
                (kind,),
                spoiler=spoiling.unknown_runtime_gets(_crash, language_known=known),
                claimed_by=crashed,
            )
        )
    faults.append(
        Fault(
            "accepts-other-case",
            "takes names of languages in any case",
            "bad requests",
            ("language",),
            spoiler=spoiling.changed_request(lambda it: replace(it, language=it.language.lower())),
            claimed_by="Language In Other Case Is Refused",
        )
    )
    faults.append(
        Fault(
            "accepts-latest",
            "takes the word latest for a version",
            "bad requests",
            ("version",),
            spoiler=spoiling.changed_request(
                lambda it: replace(it, version="*") if it.version == "latest" else it
            ),
            claimed_by="Version Latest Is Refused",
        )
    )
    faults.append(
        Fault(
            "broken-after-bad-request",
            "fails on the two requests that follow one that it refused",
            "bad requests",
            ("after",),
            middleware=lambda: spoiling.broken_after_refusal(2),
            claimed_by="Request Without Language Is Refused",
        )
    )
    return faults


def _refusal(
    name: str,
    summary: str,
    words: str | None,
    answer: Callable[[], web.Response],
    status: int,
    claimed_by: str,
) -> Fault:
    return Fault(
        name,
        summary,
        "bad requests",
        ("4xx",),
        middleware=lambda: spoiling.changed_refusal(words, answer, status),
        claimed_by=claimed_by,
    )


def _run_anyway(
    executor: Executor, request: ExecutionRequest, _refusal: Exception
) -> ExecutionResult:
    result = executor.execute(replace(request, language="python", version="*"))
    return replace(result, language=request.language, version=request.version)


def _crash(_executor: Executor, request: ExecutionRequest, _refusal: Exception) -> ExecutionResult:
    raise KeyError(request.language)


def _runtimes() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *words: str, claimed_by: str) -> Fault:
        return Fault(
            name,
            summary,
            "runtimes",
            words or ("runtimes",),
            spoiler=spoiler,
            claimed_by=claimed_by,
        )

    def answer(
        name: str, summary: str, change: Callable[[list[dict[str, Any]]], Any], *, claimed_by: str
    ) -> Fault:
        return Fault(
            name,
            summary,
            "runtimes",
            ("runtimes",),
            middleware=lambda: spoiling.changed_runtimes(change),
            claimed_by=claimed_by,
        )

    def without_aliases(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: it[key] for key in ("language", "version")} for it in listed]

    return [
        fault(
            "runtimes-list-too-much",
            "lists a language that execute refuses",
            spoiling.ListsTooMuch,
            claimed_by="Every Listed Runtime Is Executed",
        ),
        fault(
            "runtimes-aliases-unknown",
            "lists aliases that execute refuses",
            spoiling.WithoutAliases,
            "alias",
            claimed_by="Every Listed Runtime Is Executed",
        ),
        fault(
            "runtimes-versions-refused",
            "lists versions that execute refuses",
            spoiling.WithoutListedVersions,
            claimed_by="Every Listed Runtime Is Executed",
        ),
        fault(
            "runtimes-lack-python",
            "does not list Python, which it executes",
            spoiling.WithoutPython,
            claimed_by="Python Is Listed",
        ),
        fault(
            "version-ranges-refused",
            "takes whole versions and * only, no ranges",
            spoiling.WithoutVersionRanges,
            "version",
            claimed_by="Version With Wildcard Is Understood",
        ),
        answer(
            "runtimes-empty",
            "lists no language at all",
            lambda _: [],
            claimed_by="Python Is Listed",
        ),
        answer(
            "runtimes-not-a-list",
            "answers an object",
            lambda it: {"runtimes": it},
            claimed_by="List Of Runtimes Matches The Contract",
        ),
        answer(
            "runtimes-without-aliases",
            "leaves aliases out",
            without_aliases,
            claimed_by="List Of Runtimes Matches The Contract",
        ),
    ]


def _shapes() -> list[Fault]:
    def fault(
        name: str,
        summary: str,
        change: Callable[[dict[str, Any]], Any],
        word: str,
        claimed_by: str = "T5.1 Full Flow Through Backend API",
    ) -> Fault:
        return Fault(
            name,
            summary,
            "shape",
            (word,),
            middleware=lambda: spoiling.changed_answer(change),
            claimed_by=claimed_by,
        )

    def run(**fields: Any) -> Callable[[dict[str, Any]], Any]:
        return lambda answer: answer | {"run": answer["run"] | fields}

    def without(*names: str) -> Callable[[dict[str, Any]], Any]:
        return lambda answer: {key: answer[key] for key in answer if key not in names}

    def run_without(name: str) -> Callable[[dict[str, Any]], Any]:
        return lambda answer: answer | {"run": without(name)(answer["run"])}

    def code_as_string(answer: dict[str, Any]) -> dict[str, Any]:
        code = answer["run"]["code"]
        return answer | {"run": answer["run"] | {"code": None if code is None else str(code)}}

    def lines(answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"run": answer["run"] | {"stdout": answer["run"]["stdout"].splitlines()}}

    def stdout_alone(answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"run": answer["run"] | {"output": answer["run"]["stdout"]}}

    def wrapped(answer: dict[str, Any]) -> dict[str, Any]:
        stage = answer["run"]
        return {
            "properties": {
                "status": "Succeeded",
                "stdout": stage["stdout"],
                "stderr": stage["stderr"],
                "exitCode": stage["code"],
            }
        }

    return [
        fault("answer-lacks-run", "leaves run out", without("run"), "run"),
        fault("answer-lacks-version", "leaves version out", without("version"), "version"),
        fault("answer-lacks-language", "leaves language out", without("language"), "language"),
        fault("answer-lacks-code", "leaves run.code out", run_without("code"), "code"),
        fault("answer-lacks-stdout", "leaves run.stdout out", run_without("stdout"), "stdout"),
        fault("answer-lacks-stderr", "leaves run.stderr out", run_without("stderr"), "stderr"),
        fault("answer-code-as-string", "answers exit codes as text", code_as_string, "code"),
        fault("answer-stdout-null", "answers null as stdout", run(stdout=None), "stdout"),
        fault("answer-stderr-null", "answers null as stderr", run(stderr=None), "stderr"),
        fault("answer-stdout-as-lines", "answers stdout as a list", lines, "stdout"),
        fault("answer-run-null", "answers null as run", lambda it: it | {"run": None}, "run"),
        fault("answer-in-a-list", "answers a list", lambda it: [it], "object"),
        fault(
            "answer-of-another-api",
            "answers another API's fields: properties.stdout, properties.exitCode",
            wrapped,
            "run",
        ),
        fault("answer-signal-as-number", "answers a signal number", run(signal=9), "signal"),
        fault("answer-status-unknown", "answers a status of its own", run(status="OK"), "status"),
        fault("answer-message-as-object", "answers no text", run(message={}), "message"),
        fault("answer-output-as-list", "answers output as a list", run(output=[]), "output"),
        fault("answer-wall-time-as-text", "adds a unit", run(wall_time="12 ms"), "wall_time"),
        fault("answer-cpu-time-negative", "answers -1", run(cpu_time=-1), "cpu_time"),
        fault("answer-memory-as-text", "adds a unit", run(memory="12 MB"), "memory"),
        fault(
            "answer-memory-zero",
            "answers 0 as memory",
            run(memory=0),
            "memory",
            claimed_by="Memory Is Plausible",
        ),
        fault(
            "answer-wall-time-zero",
            "answers 0 as wall_time",
            run(wall_time=0),
            "wall_time",
            claimed_by="Wall Time Is Plausible",
        ),
        fault(
            "answer-cpu-time-huge",
            "answers a day of cpu_time",
            run(cpu_time=86_400_000),
            "cpu_time",
            claimed_by="Processor Time Is Plausible",
        ),
        fault(
            "answer-output-lacks-stderr",
            "answers stdout as output",
            stdout_alone,
            "output",
            claimed_by="Output Holds Both Streams",
        ),
        fault(
            "answer-other-version",
            "answers a version that is not the one that ran",
            lambda it: it | {"version": "3.1.4"},
            "version",
            claimed_by="Version Of The Answer Is The One That Ran",
        ),
        fault(
            "answer-compile-as-text",
            "answers the compiler's output as text",
            lambda it: it | {"compile": "ok"},
            "compile",
        ),
        Fault(
            "answer-echoes-language",
            "answers the alias that was sent instead of the language's name",
            "shape",
            ("language",),
            spoiler=spoiling.changed_result(
                lambda request, result: replace(result, language=request.language)
            ),
            claimed_by="Alias Of A Language Is Understood",
        ),
        Fault(
            "answer-echoes-version",
            "answers the version range that was sent instead of a version",
            "shape",
            ("version",),
            spoiler=spoiling.changed_result(
                lambda request, result: replace(result, version=request.version)
            ),
            claimed_by="Version Of The Answer Is Concrete",
        ),
    ]


def _platform() -> list[Fault]:
    def fault(name: str, summary: str, stage: Stage, *words: str) -> Fault:
        return Fault(
            name,
            summary,
            "platform",
            ("platform", *words),
            spoiler=spoiling.changed_run(lambda _: stage),
            claimed_by="T1.1 Simple Print Statement",
        )

    def told(stderr: str) -> Stage:
        return Stage(stderr=stderr.encode(), code=1)

    return [
        fault(
            "sandbox-error-as-result",
            "answers 200 with status XX: its sandbox does not work",
            Stage(status="XX", message="Internal error"),
        ),
        fault(
            "platform-error-in-stderr",
            "answers 200, exit code 1 and the pool's 403 as the program's stderr",
            told("Azure Session Pool Error: 403 Forbidden\n"),
            "403",
        ),
        fault(
            "missing-settings-in-stderr",
            "answers 200, exit code 1 and a missing setting as the program's stderr",
            told("ERROR: POOL_MANAGEMENT_ENDPOINT not configured\n"),
            "POOL_MANAGEMENT_ENDPOINT",
        ),
        fault(
            "authentication-error-in-stderr",
            "answers 200, exit code 1 and a failed authentication as the program's stderr",
            told("ERROR: Azure authentication failed: no credential could get a token\n"),
            "authentication",
        ),
        fault(
            "executor-error-in-stderr",
            "answers 200, exit code 1 and the executor's 502 as the program's stderr",
            told("Piston API error: 502 Bad Gateway\n"),
            "502",
        ),
        Fault(
            "everything-succeeds-empty",
            "answers exit code 0 and no output for every program, even one that crashes",
            "platform",
            ("stdout",),
            spoiler=spoiling.changed_run(lambda _: Stage(code=0)),
            claimed_by="T1.1 Simple Print Statement",
        ),
    ]


def _speed() -> list[Fault]:
    return [
        Fault(
            "slow",
            "needs 1.5 s more for every request",
            "speed",
            ("latency",),
            spoiler=spoiling.delayed(1.5),
            claimed_by="T4.1 Sequential Requests",
        ),
        Fault(
            "slow-first-request",
            "needs 6 s more for its first request",
            "speed",
            ("cold",),
            spoiler=spoiling.sometimes(spoiling.delayed(6), lambda number: number == 0),
            claimed_by="Cold Start Meets The Plan",
        ),
        Fault(
            "simultaneous-refused",
            "answers 503 to more than five requests at once",
            "speed",
            ("503",),
            spoiler=spoiling.at_most(5),
            claimed_by="T4.2 Concurrent Requests",
        ),
        Fault(
            "one-at-a-time",
            "runs simultaneous requests one after the other",
            "speed",
            ("overlap",),
            spoiler=spoiling.OneAtATime,
            claimed_by="Ten Simultaneous Programs Overlap",
        ),
        Fault(
            "memory-leaked",
            "keeps 1 MiB of memory for every request",
            "speed",
            ("MiB", "services"),
            spoiler=spoiling.Hoarding,
            claimed_by="Services Keep Nothing Of The Soak",
        ),
    ]


def _sometimes() -> list[Fault]:
    one_in_25, late = spoiling.one_in(25), spoiling.from_number(150)

    def fault(name: str, summary: str, spoiler: Spoiler, when: Callable[[int], bool]) -> Fault:
        return Fault(
            name,
            summary,
            "sometimes",
            (),
            spoiler=spoiling.sometimes(spoiler, when),
            claimed_by="Many Runs Give Their Own Results",
            also_needs=("Simultaneous Runs Give Their Own Results",),
        )

    stdout_dropped = spoiling.changed_stdout(lambda _: b"")
    exit_code_lost = spoiling.changed_code(lambda _: 0)
    return [
        fault(
            "1-in-25-drops-stdout",
            "answers an empty stdout to one request in 25",
            stdout_dropped,
            one_in_25,
        ),
        fault(
            "1-in-25-loses-exit-code",
            "answers exit code 0 to one request in 25",
            exit_code_lost,
            one_in_25,
        ),
        fault(
            "1-in-25-ignores-stdin",
            "gives one program in 25 no input",
            spoiling.changed_stdin(lambda _: ""),
            one_in_25,
        ),
        fault("1-in-25-crashes", "answers 500 to one request in 25", _fails, one_in_25),
        fault(
            "1-in-25-stale",
            "answers an older result to one request in 25",
            spoiling.Stale,
            one_in_25,
        ),
        fault(
            "after-150-loses-exit-code",
            "answers exit code 0 from request 151 on",
            exit_code_lost,
            late,
        ),
        fault(
            "after-150-drops-stdout",
            "answers an empty stdout from request 151 on",
            stdout_dropped,
            late,
        ),
        fault("after-150-crashes", "answers 500 from request 151 on", _fails, late),
        Fault(
            "1-in-50-crashes",
            "answers 500 to one request in 50",
            "sometimes",
            ("500", "50"),
            spoiler=spoiling.sometimes(_fails, spoiling.one_in(50)),
            claimed_by="Every Request In Turn Succeeds",
        ),
    ]


def _fails(executor: Executor) -> Executor:
    def crash(request: ExecutionRequest) -> ExecutionRequest:
        raise MemoryError(request.language)

    return spoiling.changed_request(crash)(executor)


def _routes() -> list[Fault]:
    def fault(
        name: str, summary: str, middleware: Middleware, word: str, *, claimed_by: str
    ) -> Fault:
        return Fault(
            name, summary, "routes", (word,), middleware=lambda: middleware, claimed_by=claimed_by
        )

    def elsewhere(request: web.Request) -> bool:
        return request.path.rstrip("/") not in ("", spoiling.EXECUTE, spoiling.RUNTIMES)

    def with_slash(request: web.Request) -> bool:
        return request.path != "/" and request.path.endswith("/")

    def got(request: web.Request) -> bool:
        return request.method == "GET" and request.path == spoiling.EXECUTE

    def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": request.path.rstrip("/")})

    return [
        fault(
            "trailing-slash-redirected",
            "redirects paths that end in a slash",
            spoiling.answering(redirect, with_slash),
            "307",
            claimed_by="Trailing Slash Makes No Difference",
        ),
        fault(
            "trailing-slash-not-found",
            "answers 404 to paths that end in a slash",
            spoiling.answering(
                lambda _: web.json_response({"message": "Not Found"}, status=404), with_slash
            ),
            "404",
            claimed_by="Trailing Slash Makes No Difference",
        ),
        fault(
            "get-execute-accepted",
            "answers 200 to GET of the execute route",
            spoiling.answering(lambda _: spoiling.nothing_ran(), got),
            "GET",
            claimed_by="Get On The Execute Route Is Refused",
        ),
        fault(
            "unknown-route-accepted",
            "answers 200 and an HTML page to routes that it does not have",
            spoiling.answering(lambda _: spoiling.page("Welcome", 200), elsewhere),
            "4xx",
            claimed_by="Unknown Route Is Refused",
        ),
    ]


def _transport() -> list[Fault]:
    def fault(
        name: str,
        summary: str,
        middleware: Middleware,
        *words: str,
        request_deadline: int | None = None,
    ) -> Fault:
        return Fault(
            name,
            summary,
            "transport",
            words,
            middleware=lambda: middleware,
            claimed_by="T1.1 Simple Print Statement",
            request_deadline=request_deadline,
        )

    def always(answer: Callable[[web.Request], web.Response]) -> Middleware:
        return spoiling.answering(answer)

    def refused(status: int, message: str, **headers: str) -> Middleware:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"message": message}
        return always(lambda _: web.json_response(body, status=status, headers=named))

    def login(request: web.Request) -> web.Response:
        if request.path == "/login":
            return spoiling.page("Sign in", 200)
        return web.Response(status=302, headers={"Location": "/login?next=" + request.path})

    return [
        fault(
            "html-error-page",
            "answers 502 and an HTML page to everything",
            always(lambda _: spoiling.page("502 Bad Gateway", 502)),
            "502",
        ),
        fault(
            "html-page-as-200",
            "answers 200 and an HTML page to everything",
            always(lambda _: spoiling.page("Welcome", 200)),
            "HTML",
        ),
        fault("redirect-to-login", "redirects everything to a login page", always(login), "login"),
        fault(
            "unauthorised",
            "answers 401 to everything",
            refused(401, "Unauthorized", WWW_Authenticate="Bearer"),
            "401",
        ),
        fault("forbidden", "answers 403 to everything", refused(403, "Forbidden"), "403"),
        fault("not-found", "answers 404 to everything", refused(404, "Not Found"), "404"),
        fault(
            "too-many-requests",
            "answers 429 to everything",
            refused(429, "Requests limited to 1 per 200ms", Retry_After="1"),
            "429",
        ),
        fault(
            "server-error",
            "answers 500 without a body to everything",
            always(lambda _: spoiling.crashed()),
            "500",
        ),
        fault("unavailable", "answers 503 to everything", refused(503, "Unavailable"), "503"),
        fault(
            "empty-answer",
            "answers 200 without a body to everything",
            always(lambda _: web.Response(content_type="application/json")),
        ),
        fault(
            "connection-cut",
            "cuts the connection in the middle of every answer",
            spoiling.cut_answer,
            "cut",
        ),
        fault("json-truncated", "answers half of its JSON", spoiling.truncated_json, "JSON"),
        fault(
            "never-answers",
            "accepts requests and answers none",
            spoiling.silent,
            "time",
            request_deadline=3,
        ),
    ]


def _containment() -> list[Fault]:
    def fault(name: str, summary: str, spoiler: Spoiler, *words: str, claimed_by: str) -> Fault:
        return Fault(name, summary, "containment", words, spoiler=spoiler, claimed_by=claimed_by)

    def out_of_memory(run: Stage) -> bool:
        return b"MemoryError" in run.stderr or run.code == 137

    def crash_on_odd_names(request: ExecutionRequest) -> ExecutionRequest:
        if any(len(file.name or "") > 255 for file in request.files):
            raise MemoryError(request.language)
        return request

    return [
        fault(
            "processes-unlimited",
            "lets a program start any number of processes",
            lambda executor: SharedProcesses(executor, process_limit=None, outliving=False),
            "400 processes",
            claimed_by="Fork Bomb Is Contained",
        ),
        fault(
            "processes-visible",
            "lets programs see each other's processes and their arguments",
            lambda executor: SharedProcesses(executor, outliving=False),
            "cmdline",
            claimed_by="Two Runs At Once See Nothing Of Each Other",
        ),
        fault(
            "output-unlimited",
            "keeps and answers as much output as a program writes",
            lambda executor: LaxSandbox(executor, Laxity(), output_limit=1 << 30),
            "bounded",
            claimed_by="Endless Standard Output Is Cut",
        ),
        fault(
            "broken-after-flood",
            "answers 500 to the two requests after a program that wrote too much",
            spoiling.after_limit(spoiling.break_down, 2, "OL", "EL"),
            "500",
            claimed_by="Endless Output On Both Streams Is Cut",
        ),
        fault(
            "capabilities-kept",
            "lets programs keep the privileges that set up their sandbox",
            _lax(Laxity(capabilities=True)),
            "granted mount",
            claimed_by="Privileges Are Refused",
        ),
        fault(
            "shared-var",
            "gives all programs the same /var, and lets them write there",
            _lax(Laxity(shared_folders=frozenset({"var"}))),
            "system folder",
            claimed_by="No File Survives In System Folders",
        ),
        fault(
            "out-of-memory-as-success",
            "answers exit code 0 for programs that ran out of memory",
            spoiling.changed_run(lambda run: _not_reported(run) if out_of_memory(run) else run),
            "success",
            claimed_by="Memory Hog Is Stopped",
        ),
        fault(
            "closed-stdout-ends-program",
            "takes the end of a program's stdout for its own",
            spoiling.changed_request(preludes.before_python(preludes.END_WITH_STDOUT)),
            "exit code",
            claimed_by="Closed Streams Do Not Hide The Exit Code",
        ),
        fault(
            "crashes-on-long-file-name",
            "answers 500 to a file name of more than 255 characters",
            spoiling.changed_request(crash_on_odd_names),
            "500",
            claimed_by="Odd File Names Do No Harm",
        ),
    ]


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        *_stdout(), *_stderr(), *_exit_codes(), *_stdin(), *_args(), *_files(), *_independence(),
        *_bytes(), *_isolation(), *_limits(), *_bad_requests(), *_runtimes(), *_shapes(),
        *_platform(), *_speed(), *_sometimes(), *_routes(), *_transport(), *_containment(),
    )
}  # fmt: skip
"""All faults by name."""
