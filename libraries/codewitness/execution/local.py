"""Execution in a sandbox on this machine."""

from __future__ import annotations

import math
import posixpath
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import PureWindowsPath
from typing import Literal

from codewitness.execution.languages import LANGUAGES, Language, Program, ask_version
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Provenance,
    RequestRefused,
    Runtime,
    SourceFile,
    Stage,
)
from codewitness.execution.sandbox import (
    Containment,
    Sandbox,
    StageLimits,
    StageOutcome,
    interpreter,
)
from codewitness.execution.sandbox_pool import contain
from codewitness.execution.versions import Version, format_version, highest_match

RUN_TIME = 3000.0
"""Milliseconds that a program may run and compute when the request does not say."""

COMPILE_TIME = 10000.0
"""The same for its compilation."""

OUTPUT_LIMIT = 1 << 20
"""Bytes of stdout and of stderr."""


@dataclass(frozen=True)
class _Installed:
    """A language that programs can be run in."""

    language: Language
    tools: Mapping[str, str]
    version: Version


class LocalExecutor:
    """Runs programs in sandboxes on this machine.

    Args:
        sandbox: ``bubblewrap`` insists on real walls, ``none`` does without them, ``auto``
            takes them where they work. Every result says what was in force.
        output_limit: Bytes of stdout and of stderr; a program that writes more is killed.
        ready: Sandboxes that are started ahead of their use, so that a program need not wait
            for one. Each is used once.
        containment: Takes the place of what ``sandbox`` and ``ready`` say.
        completes_stdin: Whether stdin that does not end with a newline gets one, as Piston does.

    Raises:
        PlatformFault: Bubblewrap was insisted on and does not work.
    """

    def __init__(
        self,
        *,
        sandbox: Literal["auto", "bubblewrap", "none"] = "auto",
        output_limit: int = OUTPUT_LIMIT,
        ready: int = 2,
        containment: Containment | None = None,
        completes_stdin: bool = True,
    ) -> None:
        self._output_limit = output_limit
        self._completes_stdin = completes_stdin
        self._containment = containment or contain(sandbox, ready)
        self._provenance = Provenance(
            "local", sandbox=self._containment.description, notes=self._containment.notes
        )

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Run one program in a sandbox of its own."""
        start = time.perf_counter()
        installed = self._find(request.language, request.version)
        language = installed.language
        names = _file_names(request.files, language)
        program = _program(request, names)
        with self._containment.open() as sandbox:
            files = zip(names, request.files, strict=True)
            sandbox.write_files({name: file.content for name, file in files})
            compiled, run = self._run(installed, program, request, sandbox)
        return ExecutionResult(
            language.name,
            format_version(installed.version),
            run,
            self._provenance,
            compiled,
            elapsed=time.perf_counter() - start,
        )

    def runtimes(self) -> Sequence[Runtime]:
        """Return the languages whose tool-chains are on this machine."""
        return [
            Runtime(
                it.language.name,
                format_version(it.version),
                it.language.aliases,
                it.language.runtime,
            )
            for it in self._installed
        ]

    def close(self) -> None:
        """End everything that still runs."""
        self._containment.close()

    @cached_property
    def _installed(self) -> tuple[_Installed, ...]:
        with ThreadPoolExecutor(len(LANGUAGES)) as threads:
            return tuple(it for it in threads.map(self._look_up, LANGUAGES) if it is not None)

    def _find(self, name: str, version: str) -> _Installed:
        language = next((it for it in LANGUAGES if name in (it.name, *it.aliases)), None)
        installed = None if language is None else self._look_up(language)
        if installed is None or highest_match(version, [installed.version]) is None:
            raise RequestRefused(f"{name}-{version} runtime is unknown")
        return installed

    def _look_up(self, language: Language) -> _Installed | None:
        if language.name == "python":
            return _Installed(language, {"python": interpreter()}, sys.version_info[:3])
        tools = {name: self._containment.find_tool(name) for name in language.tools}
        found = {name: path for name, path in tools.items() if path is not None}
        if len(found) < len(tools):
            return None
        version = ask_version(found[language.tools[0]], language.version_option)
        return None if version is None else _Installed(language, found, version)

    def _run(
        self, installed: _Installed, program: Program, request: ExecutionRequest, sandbox: Sandbox
    ) -> tuple[Stage | None, Stage]:
        language = installed.language
        commands = language.plan(program, installed.tools, sandbox.layout)
        asked = request.limits
        compiled = None
        if commands.compile is not None:
            limits = self._limits(
                asked.compile_timeout,
                asked.compile_cpu_time,
                asked.compile_memory_limit,
                COMPILE_TIME,
                language,
            )
            compiled = _stage(sandbox.run(commands.compile, None, limits))
            if compiled.code != 0:
                return compiled, compiled
        limits = self._limits(
            asked.run_timeout, asked.run_cpu_time, asked.run_memory_limit, RUN_TIME, language
        )
        stdin = request.stdin
        if self._completes_stdin and not stdin.endswith(b"\n"):
            stdin += b"\n"
        return compiled, _stage(sandbox.run(commands.run, stdin, limits))

    def _limits(
        self,
        wall: float | None,
        cpu: float | None,
        memory: int | None,
        default: float,
        language: Language,
    ) -> StageLimits:
        return StageLimits(
            _seconds(wall, default),
            _seconds(cpu, default),
            None if language.memory == "nothing" else _bytes(memory),
            self._output_limit,
            counts_address_space=language.memory == "address space",
        )


def _seconds(milliseconds: float | None, default: float) -> float | None:
    chosen = default if milliseconds is None else milliseconds
    return None if math.isinf(chosen) else chosen / 1000


def _file_names(files: Sequence[SourceFile], language: Language) -> list[str]:
    """Return every file's name in the job folder."""
    program = next((index for index, file in enumerate(files) if file.encoding == "utf8"), None)
    names = []
    for index, file in enumerate(files):
        if file.name is not None:
            names.append(_checked(file.name, index))
        elif index == program:
            names.append(language.file_name(file.content.decode("utf-8", "replace")))
        else:
            names.append(f"file{index}.code")
    return names


def _checked(name: str, index: int) -> str:
    """Return a file's path in its shortest form, if it stays in the job folder."""
    normal = posixpath.normpath(name)
    if not name or "\0" in name or normal == "." or name.endswith("/"):
        raise RequestRefused(f"files[{index}].name must name a file")
    # Either separator counts, whatever the system.
    first = posixpath.normpath(name.replace("\\", "/")).split("/")[0]
    if name.startswith("/") or PureWindowsPath(name).anchor or first == "..":
        raise RequestRefused(f"files[{index}].name tries to escape the job folder")
    return normal


def _program(request: ExecutionRequest, names: Sequence[str]) -> Program:
    texts = [
        (name, file.content)
        for name, file in zip(names, request.files, strict=True)
        if file.encoding == "utf8"
    ]
    if not texts:
        raise RequestRefused("files must include at least one utf8 encoded file")
    if any("\0" in word for word in request.args):
        raise RequestRefused("args must not contain NUL characters")
    return Program(
        sources=tuple(name for name, _ in texts),
        main=texts[0][1].decode("utf-8", "replace"),
        args=request.args,
        memory=_bytes(request.limits.run_memory_limit),
    )


def _bytes(limit: int | None) -> int | None:
    # Piston's -1 means none.
    return limit if limit is not None and limit > 0 else None


_MESSAGES = {
    "wall time": ("TO", "Time limit exceeded (wall clock)"),
    "CPU time": ("TO", "Time limit exceeded"),
    "stdout": ("OL", "stdout length exceeded"),
    "stderr": ("EL", "stderr length exceeded"),
}


def _stage(outcome: StageOutcome) -> Stage:
    """Return what happened in the words of the contract."""
    killer = status = message = None
    if outcome.end != "itself":
        killer = "SIGKILL"
        status, message = _MESSAGES[outcome.end]
    elif outcome.signal is not None:
        killer = _signal_name(outcome.signal)
        status, message = "SG", f"Caught fatal signal {outcome.signal}"
    elif outcome.code:
        status, message = "RE", f"Exited with error status {outcome.code}"
    return Stage(
        outcome.stdout,
        outcome.stderr,
        outcome.output,
        outcome.code,
        killer,
        status,
        message,
        cpu_time=_milliseconds(outcome.cpu_time),
        wall_time=_milliseconds(outcome.wall_time),
        memory=outcome.memory,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
