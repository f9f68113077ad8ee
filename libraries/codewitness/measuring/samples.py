"""Samples: what one request of a load did and when, kept raw and as JSON lines.

Every figure is computed from samples, so that whoever doubts a figure can compute it again.
A sample is never dropped: failed requests and those of the warm-up stay, marked as such.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from codewitness.measuring.statistics import percentile

SCHEMA = 1
"""Version of the file format, in the first line of every file."""

OK = "ok"
"""Outcome of a request that got the right answer; every other outcome is a failure."""

MOST_LAG = 0.010
"""Seconds by which starts may be late at the 99th percentile, unless other limits are given."""

_MOST_LAG_OF_BAR = 0.05
_MOST_CPU = 0.8
_MOST_CLOCK_SHIFT = 0.5


class Warmth(Enum):
    """What a request met, as far as there is evidence; figures of different ones never mix.

    ``COLD`` is a new session of which nobody knows whether an instance was ready for it.
    Nothing is ``WARM`` unless it is known to be.
    """

    NEW_INSTANCE = "new instance"
    READY_INSTANCE = "ready instance"
    COLD = "cold"
    WARM = "warm"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sample:
    """One request of a load; times in seconds since the load began.

    Attributes:
        number: Position in the plan, from 0.
        planned: When the request was to start: by the schedule in the open model, when its
            slot was free in the closed one.
        started: When it was sent.
        ended: When its whole answer was there, or when it was given up.
        outcome: :data:`OK` or the kind of failure, such as ``refused`` or ``timed out``.
        error: Name of the failure, such as ``HTTP 429``; empty when there was none.
        detail: What was observed of the failure, free of secrets.
        warmth: What the request met.
        evidence: How that is known.
        status: HTTP status, when an answer arrived.
        session: Session that the answer names.
        connection_reused: Whether the connection had served earlier requests.
        ran_from: When the program started by its own clock, in seconds since the epoch.
        ran_until: When it ended.
        warm_up: Whether a rule fixed before the load leaves this sample out of the figures.
    """

    number: int
    planned: float
    started: float
    ended: float
    outcome: str = OK
    error: str = ""
    detail: str = ""
    warmth: Warmth = Warmth.UNKNOWN
    evidence: str = ""
    status: int | None = None
    session: str | None = None
    connection_reused: bool | None = None
    ran_from: float | None = None
    ran_until: float | None = None
    warm_up: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the request got the right answer."""
        return self.outcome == OK

    @property
    def response_time(self) -> float:
        """Seconds from the planned start to the end: what a user waits."""
        return self.ended - self.planned

    @property
    def service_time(self) -> float:
        """Seconds from sending to the end: what the service and the network took."""
        return self.ended - self.started

    @property
    def start_lag(self) -> float:
        """Seconds by which the generator was late."""
        return self.started - self.planned


_FIELDS = tuple(field.name for field in fields(Sample))
_DEFAULTS = {
    field.name: field.default
    for field in fields(Sample)
    if field.default is not MISSING and field.name != "warmth"
}


@dataclass(frozen=True)
class Generator:
    """How the load generator itself fared, so that its own limits are not taken for a service's.

    Attributes:
        planned: Number of starts that were due.
        dropped: Planned times of starts that were left out, because too many were in flight.
        lag: 99th percentile of the start lag, in seconds.
        cpu_share: Processor time of this process over elapsed time; 1 is one core.
        seconds: How long the load took.
        clock_shift: Seconds by which the wall clock moved against the monotonic one, as it
            does when a machine sleeps.
    """

    planned: int
    dropped: tuple[float, ...]
    lag: float
    cpu_share: float
    seconds: float
    clock_shift: float = 0.0

    def objection(self, bar: float | None = None, most_lag: float = MOST_LAG) -> str:
        """Say why the run tells more about the generator than about the service.

        Args:
            bar: Threshold that the figures will be judged against, in seconds. A lag of more
                than a twentieth of it spoils the judgement.
            most_lag: A longer lag does so whatever the bar, in seconds.

        Returns:
            The reason, empty when there is none.
        """
        if bar is not None:
            most_lag = min(most_lag, _MOST_LAG_OF_BAR * bar)
        if self.dropped:
            return (
                f"{len(self.dropped)} of {self.planned} planned starts were dropped, because too "
                "many requests were in flight"
            )
        if self.lag > most_lag:
            return (
                f"starts were late by {1000 * self.lag:.1f} ms at the 99th percentile; at most "
                f"{1000 * most_lag:.1f} ms are allowed"
            )
        if self.cpu_share > _MOST_CPU:
            return (
                f"the generator used {self.cpu_share:.0%} of a processor core; at most "
                f"{_MOST_CPU:.0%} are allowed"
            )
        if abs(self.clock_shift) > _MOST_CLOCK_SHIFT:
            return f"the clock jumped by {self.clock_shift:+.1f} s during the load"
        return ""

    def format(self) -> str:
        """Return the generator's own figures for people."""
        return (
            f"generator: {self.planned} starts planned, {len(self.dropped)} dropped, late by "
            f"{1000 * self.lag:.1f} ms at the 99th percentile, {self.cpu_share:.0%} of a core, "
            f"{self.seconds:.1f} s"
        )


@dataclass(frozen=True)
class Run:
    """One load from its first start to its last answer.

    Attributes:
        samples: All samples, in the order of the plan.
        generator: How the generator fared; ``None`` when the file ends before it says so,
            because the load was broken off.
        header: What the load was: schedule, seed, target, versions.
    """

    samples: tuple[Sample, ...]
    generator: Generator | None
    header: Mapping[str, Any]

    @property
    def counted(self) -> tuple[Sample, ...]:
        """The samples that figures are made of: all but those of the warm-up."""
        return tuple(sample for sample in self.samples if not sample.warm_up)

    def objection(self, bar: float | None = None, most_lag: float = MOST_LAG) -> str:
        """Say why nothing can be concluded from this run; see :meth:`Generator.objection`."""
        if self.generator is None:
            return "the load was broken off"
        return self.generator.objection(bar, most_lag)


def select(samples: Iterable[Sample], *warmths: Warmth) -> list[Sample]:
    """Return the samples that met one of these."""
    return [sample for sample in samples if sample.warmth in warmths]


def count_outcomes(samples: Iterable[Sample]) -> dict[str, int]:
    """Return how often each outcome came, most frequent first; failures by their names."""
    counts: dict[str, int] = {}
    for sample in samples:
        name = sample.error or sample.outcome
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda entry: -entry[1]))


def label_session(session: str | None, session_new: bool | None) -> tuple[Warmth, str]:
    """Return what a request met, by what the answer tells of its session, and the evidence."""
    if session_new is None:
        return Warmth.UNKNOWN, "the answer does not tell whether its session was new"
    name = f"session {session}" if session else "its session"
    if session_new:
        return Warmth.COLD, f"{name} was new; whether an instance was ready is not known"
    return Warmth.WARM, f"{name} had been used before"


def label_burst(samples: Sequence[Sample], ready: int) -> list[Sample]:
    """Tell ready from new instances among requests that all started before the stock was refilled.

    Args:
        samples: The samples of requests at once.
        ready: How many instances were ready before them, as the pool itself says.

    Returns:
        The samples in the same order. Of those in a new session, the ``ready`` that were
        answered first met a ready instance.
    """
    new = [sample for sample in samples if sample.warmth is Warmth.COLD]
    met_ready = {sample.number for sample in sorted(new, key=lambda it: it.ended)[:ready]}
    evidence = f"one of {len(new)} new sessions at once, with {ready} instances ready"
    return [
        replace(
            sample,
            warmth=Warmth.READY_INSTANCE if sample.number in met_ready else Warmth.NEW_INSTANCE,
            evidence=evidence,
        )
        if sample.warmth is Warmth.COLD
        else sample
        for sample in samples
    ]


def watch_generator(
    samples: Sequence[Sample],
    dropped: Sequence[float],
    *,
    cpu_seconds: float,
    seconds: float,
    clock_shift: float = 0.0,
) -> Generator:
    """Return how the generator fared that made these samples.

    Args:
        samples: What it sent.
        dropped: Planned times of what it did not send.
        cpu_seconds: Processor time that its process took.
        seconds: How long the load took.
        clock_shift: See :class:`Generator`.
    """
    return Generator(
        planned=len(samples) + len(dropped),
        dropped=tuple(dropped),
        lag=percentile([sample.start_lag for sample in samples], 0.99) if samples else 0.0,
        cpu_share=cpu_seconds / seconds if seconds > 0 else 0.0,
        seconds=seconds,
        clock_shift=clock_shift,
    )


def sample_to_json(sample: Sample) -> dict[str, Any]:
    """Return a sample as the object of its line in a file."""
    told = {name: getattr(sample, name) for name in _FIELDS}
    told["warmth"] = sample.warmth.value
    return {name: it for name, it in told.items() if it != _DEFAULTS.get(name)}


def sample_from_json(entry: Mapping[str, Any]) -> Sample:
    """Return the sample of a line; members that are not known are passed over.

    Raises:
        ValueError: It holds a warmth that there is none of.
        TypeError: A member is missing.
        KeyError: The warmth is missing.
    """
    known = {name: value for name, value in entry.items() if name in _FIELDS}
    return Sample(**{**known, "warmth": Warmth(entry["warmth"])})


def generator_from_json(told: Mapping[str, Any]) -> Generator:
    """Return a generator's figures from an object with its attributes.

    Raises:
        TypeError: A member is missing, or is not known.
        KeyError: The dropped starts are missing.
    """
    return Generator(**{**told, "dropped": tuple(told["dropped"])})


class SampleWriter:
    """Writes a file of samples while they come, so that a broken-off load leaves what it had.

    The first line is a header, then comes one sample a line, and the last line tells how the
    generator fared.

    Args:
        path: File to write; it is replaced.
        header: What is being measured, without secrets: schedule, seed, target, versions.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8", newline="\n")
        self._write({"schema": SCHEMA, **header})

    def add(self, sample: Sample) -> None:
        """Append one sample."""
        self._write(sample_to_json(sample))

    def finish(self, generator: Generator) -> None:
        """Append the last line."""
        self._write({"generator": asdict(generator)})

    def __enter__(self) -> SampleWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def _write(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")


def write_run(path: Path, run: Run) -> None:
    """Write a whole run as JSON lines."""
    with SampleWriter(path, run.header) as writer:
        for sample in run.samples:
            writer.add(sample)
        if run.generator is not None:
            writer.finish(run.generator)


def read_run(path: Path) -> Run:
    """Read a file of samples.

    Raises:
        ValueError: The file is none of samples.
    """
    *lines, rest = path.read_text(encoding="utf-8").split("\n")
    if not lines:
        raise ValueError(f"{path} holds no samples: its first line is missing")
    entries = [_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    if entries[0].get("schema") != SCHEMA:
        raise ValueError(f'{path}: the first line should say "schema": {SCHEMA}')
    header = {name: it for name, it in entries[0].items() if name != "schema"}
    try:
        samples = [sample_from_json(entry) for entry in entries[1:] if "generator" not in entry]
        told = [entry["generator"] for entry in entries if "generator" in entry]
        # A line without its end was being written when the load was broken off.
        generator = generator_from_json(told[-1]) if told and not rest else None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} holds an entry that is no sample: {error!r}") from error
    return Run(tuple(sorted(samples, key=lambda it: it.number)), generator, header)


def _parse(line: str, where: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where} is not JSON: {error}") from error
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is no JSON object")
    return entry
