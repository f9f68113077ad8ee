"""Output validators that are programs of a problem's own, run in a sandbox on this machine.

They speak the problem package format's protocol: ``validator input answer feedbackdir/ [args]``
with the output to judge on standard input. Exit code 42 accepts it and 43 rejects it; whatever
else happens is the fault of the judge and never of the program whose output is judged.
"""

from __future__ import annotations

import binascii
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codewitness.execution import languages
from codewitness.execution.languages import LANGUAGES, Commands, Language
from codewitness.execution.model import ExecutionError, SourceFile
from codewitness.execution.sandbox import (
    Containment,
    Layout,
    Sandbox,
    StageLimits,
    StageOutcome,
    interpreter,
)
from codewitness.execution.sandbox_pool import contain
from codewitness.judging.problem import Case, Problem, ProblemLimits, Program
from codewitness.judging.verdict import DefaultValidator, OutputValidator, Validation, Verdict

TIME = 60.0
"""Seconds that a validator may take, and its compilation, where the problem does not say."""

MEMORY = 2048 << 20
"""Bytes that each of them may take."""

OUTPUT = 8 << 20
"""Bytes that a validator may write, which nobody reads."""

FEEDBACK = 64 << 10
"""Bytes of one feedback file that are kept."""

ACCEPTS, REJECTS = 42, 43

_JUDGE_MESSAGE, _TEAM_MESSAGE = "judgemessage.txt", "teammessage.txt"
# Not of the format, but of the helper functions that most validators are written with.
_JUDGE_ERROR = "judgeerror.txt"
_POINTS = ("score.txt", "score_multiplier.txt")
# No file of a package begins with a dot, so none can be in the way.
_CASE = ".case"
_INPUT, _ANSWER, _ARTEFACTS = f"{_CASE}/input", f"{_CASE}/answer", f"{_CASE}/artefacts"
_FEEDBACK = f"{_CASE}/feedback"
_LARGEST_ARTEFACT = 64 << 20

# What these run is known and short.
_CHORES = StageLimits(30.0, None, None, 2 * _LARGEST_ARTEFACT)
_PREPARE = """\
import os, sys
feedback, artefacts, place = sys.argv[1:]
os.makedirs(feedback)
for name in os.listdir(artefacts) if os.path.isdir(artefacts) else ():
    os.chmod(os.path.join(artefacts, name), 0o755)
    os.rename(os.path.join(artefacts, name), os.path.join(place, name))
"""
_COLLECT = """\
import binascii, os, sys
root, most, *names = sys.argv[1:]
if not names:
    paths = [os.path.join(at, name) for at, _, files in os.walk(root) for name in files]
    names = [os.path.relpath(path, root) for path in paths]
for name in names:
    path = os.path.join(root, name)
    if os.path.isfile(path) and not os.path.islink(path):
        with open(path, "rb") as file:
            content = file.read(int(most))
        name = name.replace(os.sep, "/").encode("utf-8", "surrogateescape")
        print(binascii.hexlify(name).decode(), binascii.b2a_base64(content, newline=False).decode())
"""


class Validators:
    """Gives problems what judges their outputs; programs are compiled once.

    Args:
        sandbox: Where validators run, as with the local executor.
    """

    def __init__(self, sandbox: Literal["auto", "bubblewrap", "none"] = "auto") -> None:
        self._mode = sandbox
        self._lock = threading.Lock()
        self._containment: Containment | None = None
        self._known: dict[Path, OutputValidator] = {}

    def of(self, problem: Problem) -> OutputValidator:
        """Return what judges the outputs of a problem.

        Raises:
            PlatformFault: It needs a sandbox, and none can be had.
        """
        if not problem.validators:
            return DefaultValidator()
        with self._lock:
            if problem.folder not in self._known:
                if self._containment is None:
                    self._containment = contain(self._mode, ready=1)
                self._known[problem.folder] = ValidatorPrograms(
                    problem.validators, self._containment, problem.limits
                )
            return self._known[problem.folder]

    def close(self) -> None:
        """End everything that still runs."""
        with self._lock:
            if self._containment is not None:
                self._containment.close()


class ValidatorPrograms:
    """Judges outputs with programs, all of which must accept.

    Args:
        programs: The programs, at least one.
        containment: Gives out the sandboxes to run them in.
        limits: Limits of validation.
    """

    def __init__(
        self, programs: Sequence[Program], containment: Containment, limits: ProblemLimits
    ) -> None:
        self._programs = [_ValidatorProgram(each, containment, limits) for each in programs]

    def validate(self, output: bytes, case: Case) -> Validation:
        """Judge an output."""
        validations = []
        for program in self._programs:
            validations.append(program.validate(output, case))
            if validations[-1].verdict is not Verdict.AC:
                break
        last = validations[-1]
        return Validation(
            last.verdict,
            last.reason,
            judge_message="\n".join(each.judge_message for each in validations).strip("\n"),
            team_message="\n".join(each.team_message for each in validations).strip("\n"),
        )


class _NotUsable(Exception):
    """The validator can't be run; the message says why."""


@dataclass(frozen=True)
class _Ready:
    """A program that can be run.

    Attributes:
        language: Its language.
        tools: Executables of the language.
        sources: Its files.
        artefacts: What the compiler made, by names.
    """

    language: Language
    tools: Mapping[str, str]
    sources: Sequence[SourceFile]
    artefacts: Mapping[str, bytes]

    def commands(self, args: Sequence[str], layout: Layout) -> Commands:
        texts = [source for source in self.sources if source.encoding == "utf8"]
        program = languages.Program(
            tuple(source.name or "" for source in texts),
            texts[0].content.decode("utf-8", "replace"),
            tuple(args),
            None,
        )
        return self.language.plan(program, self.tools, layout)

    def files(self) -> dict[str, bytes]:
        """Return its files by their paths in the job folder."""
        files = {source.name or "": source.content for source in self.sources}
        return files | {f"{_ARTEFACTS}/{name}": made for name, made in self.artefacts.items()}


class _ValidatorProgram:
    def __init__(self, program: Program, containment: Containment, limits: ProblemLimits) -> None:
        self._program = program
        self._containment = containment
        self._limits = limits
        self._lock = threading.Lock()
        self._ready: _Ready | _NotUsable | None = None

    def validate(self, output: bytes, case: Case) -> Validation:
        name = self._program.name
        try:
            return self._run(self._compiled(), output, case)
        except _NotUsable as error:
            return Validation(Verdict.JE, f"the validator {name} {error}")
        except ExecutionError as error:
            return Validation(Verdict.JE, f"the validator {name} can't be run: {error}")
        except OSError as error:
            reason = f"{error.filename} can't be read: {error.strerror}"
            return Validation(Verdict.JE, f"the validator {name} can't be run: {reason}")

    def _compiled(self) -> _Ready:
        with self._lock:
            if self._ready is None:
                try:
                    self._ready = self._compile()
                except _NotUsable as error:
                    self._ready = error
        if isinstance(self._ready, _NotUsable):
            raise self._ready
        return self._ready

    def _compile(self) -> _Ready:
        name = self._program.language
        language = next((each for each in LANGUAGES if each.name == name), None)
        tools = {} if language is None else self._tools(language)
        if language is None or len(tools) < len(language.tools):
            raise _NotUsable(f"is written in {name}, which this machine can't run")
        ready = _Ready(language, tools, self._program.read(), {})
        with self._containment.open() as sandbox:
            compile_it = ready.commands((), sandbox.layout).compile
            if compile_it is None:
                return ready
            sandbox.write_files(ready.files())
            time = self._limits.compilation_time or TIME
            memory = self._limits.compilation_memory or MEMORY
            made = sandbox.run(compile_it, None, self._stage(time, memory, language))
            if made.end != "itself" or made.code != 0:
                raise _NotUsable(f"can't be compiled: {_ending(made)}{_said(made)}")
            artefacts = _collect(sandbox, sandbox.layout.artefacts, _LARGEST_ARTEFACT)
        return _Ready(language, tools, ready.sources, artefacts)

    def _tools(self, language: Language) -> dict[str, str]:
        if language.name == "python":
            return {"python": interpreter()}
        found = {name: self._containment.find_tool(name) for name in language.tools}
        return {name: path for name, path in found.items() if path is not None}

    def _stage(self, time: float, memory: int, language: Language) -> StageLimits:
        return StageLimits(
            # Elapsed time is no measure on a busy machine, but all must end.
            2 * time,
            time,
            None if language.memory == "nothing" else memory,
            OUTPUT,
            counts_address_space=language.memory == "address space",
        )

    def _run(self, ready: _Ready, output: bytes, case: Case) -> Validation:
        given, answer = case.stdin.read(), case.expected.read()
        time = self._limits.validation_time or TIME
        memory = self._limits.validation_memory or MEMORY
        with self._containment.open() as sandbox:
            layout = sandbox.layout
            sandbox.write_files({**ready.files(), _INPUT: given, _ANSWER: answer})
            places = (f"{layout.job}/{_FEEDBACK}", f"{layout.job}/{_ARTEFACTS}", layout.artefacts)
            _do(sandbox, _PREPARE, *places)
            paths = (f"{layout.job}/{_INPUT}", f"{layout.job}/{_ANSWER}", f"{places[0]}/")
            commands = ready.commands((*paths, *case.validator_args), layout)
            stage = self._stage(time, memory, ready.language)
            outcome = sandbox.run(commands.run, output, stage)
            names = (_JUDGE_MESSAGE, _TEAM_MESSAGE, _JUDGE_ERROR, *_POINTS)
            feedback = _collect(sandbox, places[0], FEEDBACK, names)
        return self._validation(outcome, feedback)

    def _validation(self, outcome: StageOutcome, feedback: Mapping[str, bytes]) -> Validation:
        name = self._program.name
        messages = [_decoded(feedback, each) for each in (_JUDGE_MESSAGE, _TEAM_MESSAGE)]
        told = messages[0].partition("\n")[0]
        says = f": {told}" if told else _said(outcome)
        if outcome.end != "itself" or outcome.code not in (ACCEPTS, REJECTS):
            error = _decoded(feedback, _JUDGE_ERROR).partition("\n")[0]
            says = f": {error}" if error else says
            reason = (
                f"the validator {name} ended with {_ending(outcome)}, where {ACCEPTS} accepts and"
                f" {REJECTS} rejects{says}"
            )
            return Validation(Verdict.JE, reason, None, *messages)
        if outcome.code == ACCEPTS:
            return Validation(Verdict.AC, f"the validator {name} accepts{says}", None, *messages)
        if points := [each for each in _POINTS if each in feedback]:
            reason = f"the validator {name} rejects, and gives points in {points[0]} all the same"
            return Validation(Verdict.JE, reason, None, *messages)
        return Validation(Verdict.WA, f"the validator {name} rejects{says}", None, *messages)


def _do(sandbox: Sandbox, script: str, *args: str) -> bytes:
    """Have a small script of this module's do something in a sandbox."""
    outcome = sandbox.run([interpreter(), "-I", "-S", "-c", script, *args], None, _CHORES)
    if outcome.end != "itself" or outcome.code != 0:
        raise _NotUsable(f"can't be attended to: {_ending(outcome)}{_said(outcome)}")
    return outcome.stdout


def _collect(
    sandbox: Sandbox, folder: str, most: int, names: Sequence[str] = ()
) -> dict[str, bytes]:
    """Return files of a folder in a sandbox, all unless some are named.

    Args:
        sandbox: The sandbox.
        folder: The folder.
        most: Bytes of one file.
        names: Names of those to return, as far as they are there.
    """
    found = {}
    for line in _do(sandbox, _COLLECT, folder, str(most), *names).splitlines():
        name, _, content = line.partition(b" ")
        found[binascii.unhexlify(name).decode("utf-8", "replace")] = binascii.a2b_base64(content)
    return found


def _decoded(feedback: Mapping[str, bytes], name: str) -> str:
    return feedback.get(name, b"").decode("utf-8", "replace").strip()


def _ending(outcome: StageOutcome) -> str:
    if outcome.end != "itself":
        return f"too much {outcome.end}" if "std" in outcome.end else f"its {outcome.end} used up"
    return f"exit code {outcome.code}" if outcome.signal is None else f"signal {outcome.signal}"


def _said(outcome: StageOutcome) -> str:
    lines = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
    named = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    return f": {named.strip()}" if named else ""
