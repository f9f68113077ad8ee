"""Verdict on one run of a case: what a judge calls it, and everything in which it differs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from codewitness.execution.model import ExecutionError, ExecutionResult, Limits, Stage
from codewitness.judging.cases import CaseInput, TestCase
from codewitness.judging.comparison import Comparison, Difference, compare
from codewitness.judging.problem import Case, ProblemLimits

TIME_LIMIT = 2.0
"""Seconds of processor time that a run may take where neither problem nor user says."""

# By how much services may overshoot a limit before it counts as not enforced.
_OVERSHOOT = 1.1
_OVERSHOOT_SECONDS = 1.0
# A run that was killed this near below a limit is taken to have been killed for it.
_NEARLY = 0.95
# Share of elapsed time that compilers compute, and far less only where they get no processor.
_BUSY = 0.5


class Verdict(str, Enum):
    """What a judge calls a run, in the order in which it decides.

    The first that is true of a run is its verdict, so that a run which did not end as it should
    is never accepted, whatever it wrote.
    """

    JE = "JE"
    CE = "CE"
    TLE = "TLE"
    MLE = "MLE"
    OLE = "OLE"
    RTE = "RTE"
    WA = "WA"
    AC = "AC"

    @property
    def words(self) -> str:
        """The verdict in words."""
        return _WORDS[self]

    def __str__(self) -> str:
        return self.value


_WORDS = {
    Verdict.JE: "not judged, the fault of service or judge",
    Verdict.CE: "not compiled",
    Verdict.TLE: "too slow",
    Verdict.MLE: "too much memory",
    Verdict.OLE: "too much output",
    Verdict.RTE: "crashed",
    Verdict.WA: "wrong answer",
    Verdict.AC: "accepted",
}


@dataclass(frozen=True)
class Validation:
    """What came of looking at an output.

    Attributes:
        verdict: ``AC``, ``WA``, or ``JE`` when the output could not be judged.
        reason: What decided, in words.
        difference: The first difference from the output expected, where outputs are compared.
        judge_message: What the problem's own validator told judges.
        team_message: What it told whoever wrote the program.
        stream: Where the difference is, ``stdout`` or ``stderr``.
    """

    verdict: Verdict
    reason: str
    difference: Difference | None = None
    judge_message: str = ""
    team_message: str = ""
    stream: str = "stdout"


class OutputValidator(Protocol):
    """Judges outputs of runs that ended as they should. Safe to use from several threads."""

    def validate(self, output: bytes, case: Case) -> Validation:
        """Judge an output; whatever goes wrong is ``JE`` and never an exception."""


class DefaultValidator:
    """Compares outputs with what is expected, as each case says."""

    def validate(self, output: bytes, case: Case) -> Validation:
        """Judge an output."""
        try:
            difference = compare(case.expected.read(), output, case.comparison)
        except OSError as error:
            return Validation(Verdict.JE, f"the output expected can't be read: {error.strerror}")
        if difference is None:
            return Validation(Verdict.AC, f"matches, compared {case.comparison}")
        return Validation(Verdict.WA, f"{difference} ({difference.rule})", difference)


@dataclass(frozen=True)
class JudgingLimits:
    """Limits at which runs are judged; ``None`` judges nothing by one.

    Attributes:
        time: Seconds of processor time from which on a run is too slow.
        wider_time: Seconds from which on it is too slow however slow the machine is; at least
            ``time``. What is too slow at one of them alone is sensitive to the time limit.
        memory: Bytes.
        output: Bytes of standard output.
    """

    time: float | None = None
    wider_time: float | None = None
    memory: int | None = None
    output: int | None = None

    def to_ask(self) -> Limits:
        """Return the limits to ask of a service, wide enough to judge by both times.

        Elapsed time gets more room than processor time, because a busy machine costs only the
        former.
        """
        wider = self.wider_time
        return Limits(
            run_timeout=None if wider is None else 1000 * (2 * wider + 1),
            run_cpu_time=None if wider is None else 1000 * wider,
            run_memory_limit=self.memory,
        )


def judging_limits(limits: ProblemLimits, time: float | None = None) -> JudgingLimits:
    """Return the limits at which a problem is judged.

    Args:
        limits: What the problem sets.
        time: Seconds of processor time where the problem sets none.
    """
    chosen = limits.time or time or TIME_LIMIT
    return JudgingLimits(chosen, chosen * limits.time_limit_to_tle, limits.memory, limits.output)


@dataclass(frozen=True)
class CaseVerdict:
    """Verdict on one run.

    Attributes:
        verdict: The verdict at the time limit.
        at_wider_limit: The verdict at the wider one.
        reason: What decided, in words.
        run: What the run did; ``None`` when no program ran.
        validation: What came of looking at its output, where it came to that.
        time: Seconds that it is judged by: processor time, else elapsed time; ``None`` when the
            service tells neither.
        remark: What the time says of machine and service; mostly empty.
    """

    verdict: Verdict
    at_wider_limit: Verdict
    reason: str
    run: Stage | None = None
    validation: Validation | None = None
    time: float | None = None
    remark: str = ""

    @property
    def is_sensitive(self) -> bool:
        """Whether the verdict hangs on the time limit."""
        return self.verdict is not self.at_wider_limit

    def __str__(self) -> str:
        told = f"{self.verdict} ({self.verdict.words}): {self.reason}"
        return f"{told}; {self.remark}" if self.remark else told


def judge(
    outcome: ExecutionResult | ExecutionError,
    case: Case,
    validator: OutputValidator,
    limits: JudgingLimits,
) -> CaseVerdict:
    """Judge the execution of a program on a case.

    Args:
        outcome: What came of it.
        case: The case.
        validator: Looks at the output of a run that ended as it should, and at no other.
        limits: Limits to judge it by; the run was allowed at least :meth:`JudgingLimits.to_ask`.
    """
    if isinstance(outcome, ExecutionError):
        return _without_run(Verdict.JE, str(outcome))
    compilation, run = outcome.compile, outcome.run
    for stage in (compilation, run):
        if stage is not None and stage.status == "XX":
            return _without_run(Verdict.JE, f"the service is out of order: {stage.ending}")
    if compilation is not None and not compilation.exited(0):
        if waited := _waited(compilation):
            return _without_run(Verdict.JE, f"the compiler was stopped, and {waited}")
        return _without_run(Verdict.CE, compilation.ending)
    time = _time(run, outcome)
    if (
        limits.time is not None
        and _was_timed_out(run, time, limits)
        and (longest := _longest(run, outcome)) is not None
        and longest < _NEARLY * limits.time
    ):
        reason = f"the service stopped it after {longest:.3g} s of the {limits.time:g} s"
        return CaseVerdict(Verdict.JE, Verdict.JE, f"{reason} that it may take", run, time=time)
    wrong = _wrong_end(run, case, limits)
    slow = _too_slow(run, time, limits.time, limits)
    slow_at_wider = _too_slow(run, time, limits.wider_time, limits)
    validation = None
    if wrong is None and not slow_at_wider:
        validation = _validate(run, case, validator)
        wrong = validation.verdict, validation.reason
        if validation.verdict is Verdict.JE:
            return CaseVerdict(*(Verdict.JE, *wrong), run, validation, time)
    ending = wrong or (Verdict.TLE, slow_at_wider)
    at_wider = Verdict.TLE if slow_at_wider else ending[0]
    verdict, reason = (Verdict.TLE, slow) if slow else ending
    remark = _remark(run, time, limits)
    if verdict is not at_wider:
        wider = f"{limits.wider_time:g} s"
        remark = f"sensitive to time limit: {at_wider} at {wider}, so that the machine may be slow"
    return CaseVerdict(verdict, at_wider, reason, run, validation, time, remark)


def _without_run(verdict: Verdict, reason: str) -> CaseVerdict:
    return CaseVerdict(verdict, verdict, reason)


def _time(run: Stage, outcome: ExecutionResult) -> float | None:
    """Return the seconds that a run is judged by."""
    if run.cpu_time is not None:
        return run.cpu_time / 1000
    if run.wall_time is not None:
        return run.wall_time / 1000
    # Of a run that was killed and not told why, the time of the whole call is better than none.
    return outcome.elapsed if _was_killed_unexplained(run) and not outcome.retries else None


def _waited(stage: Stage) -> str:
    """Say that a stage was stopped for time that it mostly waited; empty when it was not."""
    if stage.status != "TO" or stage.cpu_time is None or stage.wall_time is None:
        return ""
    if stage.cpu_time >= _BUSY * stage.wall_time:
        return ""
    return (
        f"had computed for {stage.cpu_time / 1000:.3g} s of {stage.wall_time / 1000:.3g} s that"
        f" went by: the machine is too busy to judge by"
    )


def _longest(run: Stage, outcome: ExecutionResult) -> float | None:
    known = [each / 1000 for each in (run.cpu_time, run.wall_time) if each is not None]
    return max(known) if known else _time(run, outcome)


def _was_killed_unexplained(run: Stage) -> bool:
    # Services of the older kind say no more than this of a run that passed a limit.
    return run.code is None and run.signal == "SIGKILL" and not run.status


def _was_timed_out(run: Stage, time: float | None, limits: JudgingLimits) -> bool:
    if run.status == "TO":
        return True
    if time is None or limits.time is None:
        return False
    return _was_killed_unexplained(run) and time >= _NEARLY * limits.time


def _too_slow(run: Stage, time: float | None, limit: float | None, limits: JudgingLimits) -> str:
    """Say why a run is too slow for a limit; empty when it is not."""
    if _was_timed_out(run, time, limits):
        return f"stopped at a time limit{'' if time is None else f', after {time:.3g} s'}"
    if time is None or limit is None or time <= limit:
        return ""
    kind = "processor time" if run.cpu_time is not None else "elapsed time"
    return f"{time:.3g} s of {kind}, more than {limit:g} s"


def _wrong_end(run: Stage, case: Case, limits: JudgingLimits) -> tuple[Verdict, str] | None:
    """Return the verdict on a run that did not end as it should, whatever it wrote."""
    memory, most = run.memory, limits.memory
    if memory is not None and most is not None:
        killed = run.signal == "SIGKILL" and run.status not in ("TO", "OL", "EL")
        if memory > most or (killed and memory >= _NEARLY * most):
            return Verdict.MLE, f"{memory:,} bytes of memory, where {most:,} are allowed"
    if run.status in ("OL", "EL"):
        return Verdict.OLE, run.ending
    if limits.output is not None and len(run.stdout) > limits.output:
        told = f"{len(run.stdout):,} bytes of output, where {limits.output:,} are allowed"
        return Verdict.OLE, told
    if not run.exited(case.exit_code):
        return Verdict.RTE, f"expected exit code {case.exit_code}, got {run.ending}"
    return None


def _validate(run: Stage, case: Case, validator: OutputValidator) -> Validation:
    validation = validator.validate(run.stdout, case)
    if validation.verdict is not Verdict.AC or case.stderr is None:
        return validation
    try:
        difference = compare(case.stderr.read(), run.stderr, case.comparison)
    except OSError as error:
        return Validation(Verdict.JE, f"the stderr expected can't be read: {error.strerror}")
    if difference is None:
        return validation
    reason = f"stderr, {difference} ({difference.rule})"
    return Validation(Verdict.WA, reason, difference, stream="stderr")


def _remark(run: Stage, time: float | None, limits: JudgingLimits) -> str:
    """Say what a run's time tells of machine and service, where it tells anything."""
    wall = None if run.wall_time is None else run.wall_time / 1000
    if limits.time is None or limits.wider_time is None or time is None:
        return ""
    if _was_timed_out(run, time, limits):
        if run.cpu_time is not None and time < _NEARLY * limits.time:
            elapsed = "" if wall is None else f" of {wall:.3g} s that went by"
            return (
                f"it computed for {time:.3g} s{elapsed}: it waits for something, or the machine is"
                f" too busy to judge by"
            )
        return ""
    asked = limits.wider_time if run.cpu_time is not None else 2 * limits.wider_time + 1
    if time > asked * _OVERSHOOT + _OVERSHOOT_SECONDS:
        return (
            f"limit not enforced: it ended by itself after {time:.3g} s, where {asked:g} s were"
            f" allowed"
        )
    return ""


@dataclass(frozen=True)
class Mismatch:
    """One respect in which a run is not what was expected.

    Attributes:
        subject: ``compilation``, ``exit code``, ``stdout`` or ``stderr``.
        expected: Bytes of an output as they are, anything else in words.
        received: The same for what the run did.
        detail: What makes the difference, in words.
    """

    subject: str
    expected: bytes | str
    received: bytes | str
    detail: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}"


def mismatches(
    case: TestCase, given: CaseInput, run: Stage, compilation: Stage | None = None
) -> list[Mismatch]:
    """Return in what a run differs from what its case expects; nothing when it matches.

    How the program ended comes first: one that was killed, ran out of time or left with
    another exit code never matches, even if its output does.

    Args:
        case: The case that ran.
        given: The input that it ran with.
        run: The run stage.
        compilation: The compile stage, where there was one. When it failed it is all there is to
            say, because no program ran.
    """
    if compilation is not None and not compilation.exited(0):
        return [
            Mismatch("compilation", "success", compilation.ending, f"failed: {compilation.ending}")
        ]
    found = []
    if not run.exited(given.exit_code):
        expected, received = f"exit code {given.exit_code}", run.ending
        found.append(
            Mismatch("exit code", expected, received, f"expected {expected}, got {received}")
        )
    found += _output_mismatch("stdout", given.expected, run.stdout, case.comparison)
    if given.stderr is not None:
        found += _output_mismatch("stderr", given.stderr, run.stderr, case.comparison)
    return found


def _output_mismatch(
    subject: str, expected: bytes, received: bytes, comparison: Comparison
) -> list[Mismatch]:
    difference = compare(expected, received, comparison)
    return [Mismatch(subject, expected, received, str(difference))] if difference else []
