"""What stands at the top of the log: settings, who answered, latencies, versions.

Everything here gives plain text that also reads well where Robot's simple formatting (``*bold*``,
``| table |``, ``- list``) is not interpreted.
"""

from __future__ import annotations

import platform
import random
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from codewitness import __version__
from codewitness.execution.model import (
    ExecutionError,
    ExecutionResult,
    PlatformFault,
    Provenance,
    Runtime,
)
from codewitness.execution.redaction import redact
from codewitness.measuring.statistics import percentile
from codewitness.reporting.visible import cut, plain

_MOST_SAMPLES = 4096
_MOST_NAMES = 50
_OTHERS = "others"


class ShownSetting(Protocol):
    """One effective setting, as far as it is shown."""

    @property
    def name(self) -> str:
        """Name as written on the command line."""

    @property
    def value(self) -> Any:
        """Effective value."""

    @property
    def origin(self) -> str:
        """Where the value came from."""

    @property
    def meaning(self) -> str:
        """What the setting decides."""


def settings_table(settings: Iterable[ShownSetting]) -> str:
    """Return every effective setting with its origin and meaning, as a table for Robot."""
    rows = ["| =Setting= | =Value= | =Origin= | =Meaning= |"]
    for entry in settings:
        cells = (entry.name, _setting_value(entry.value), entry.origin, entry.meaning)
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(rows)


def settings_lines(settings: Iterable[ShownSetting]) -> list[str]:
    """Return every effective setting with its origin in a line, for a terminal."""
    rows = [(it.name, _line(_setting_value(it.value), 300), it.origin) for it in settings]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{name:{widths[0]}}  {value:{widths[1]}}  {origin}" for name, value, origin in rows]


def _setting_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in ("", None) else str(value)


def _cell(text: str) -> str:
    # A bar would end the cell.
    return _line(text, 300).replace("|", "¦")


def _line(text: str, longest: int) -> str:
    return cut(plain(" ".join(redact(text).split())), longest)


def versions(robotframework: str, runtimes: Sequence[Runtime] = ()) -> str:
    """Return the versions of what tests and of what is tested.

    Args:
        robotframework: Version of Robot Framework.
        runtimes: What the service lists; nothing is said about it when empty.
    """
    told = (
        f"codewitness {__version__}, Robot Framework {robotframework}, "
        f"Python {platform.python_version()} on {platform.system()}"
    )
    listed = [f"{runtime.language} {runtime.version}" for runtime in runtimes]
    return f"{told}; the service lists {_line(', '.join(listed), 1000)}" if listed else told


class RunRecord:
    """Counts what a run's executions brought. Safe to use from several threads.

    It stays small however long a run is: latencies are kept as a random sample, and texts that
    a service makes up anew each time are counted together.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executions = 0
        self._degraded: Counter[str] = Counter()
        self._answered_by: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._refusals = 0
        self._samples: list[float] = []
        self._fastest = float("inf")
        self._slowest = 0.0
        # The same run shall give the same numbers.
        self._random = random.Random(0)

    def note(self, result: ExecutionResult) -> None:
        """Count one execution that was answered."""
        who = _who(result.provenance)
        with self._lock:
            self._executions += 1
            if result.provenance.degraded is not None:
                _count(self._degraded, _line(result.provenance.degraded, 600) or "no reason given")
            _count(self._answered_by, who)
            self._sample(result.elapsed)

    def note_fault(self, error: ExecutionError) -> None:
        """Count one request that gave no result: a platform fault, or a refusal."""
        with self._lock:
            if isinstance(error, PlatformFault):
                self._faults[error.kind.value] += 1
            else:
                self._refusals += 1

    def _sample(self, elapsed: float) -> None:
        self._fastest = min(self._fastest, elapsed)
        self._slowest = max(self._slowest, elapsed)
        if len(self._samples) < _MOST_SAMPLES:
            self._samples.append(elapsed)
            return
        # Every execution so far is as likely as any other to be in the sample.
        place = self._random.randrange(self._executions)
        if place < _MOST_SAMPLES:
            self._samples[place] = elapsed

    @property
    def executions(self) -> int:
        """Number of executions that were answered."""
        return self._executions

    @property
    def answered_by(self) -> dict[str, int]:
        """Number of executions by who answered them, the most frequent first."""
        with self._lock:
            return dict(self._answered_by.most_common())

    @property
    def faults(self) -> dict[str, int]:
        """Number of platform faults by kind, the most frequent first."""
        with self._lock:
            return dict(self._faults.most_common())

    @property
    def degraded(self) -> dict[str, int]:
        """Number of executions that a fallback answered, by its reason."""
        with self._lock:
            return dict(self._degraded.most_common())

    @property
    def refusals(self) -> int:
        """Number of requests that the service refused."""
        return self._refusals

    @property
    def median_latency(self) -> float:
        """Median of the seconds that executions took so far; 0 before any."""
        with self._lock:
            return percentile(self._samples, 0.5) if self._samples else 0.0

    @property
    def latency(self) -> str:
        """Median, least and greatest of the seconds that executions took, in words."""
        with self._lock:
            if not self._samples:
                return "nothing was executed"
            told = (
                f"median {percentile(self._samples, 0.5):.3f} s, fastest {self._fastest:.3f} s, "
                f"slowest {self._slowest:.3f} s, of {_executions(self._executions)}"
            )
            if self._executions > len(self._samples):
                told += f" (the median of {len(self._samples):,} of them, drawn at random)"
            return told

    def metadata(self) -> dict[str, str]:
        """Return what the run's log and report show at their top, by name."""
        by_whom = [f"{_executions(n)}: {who}" for who, n in self.answered_by.items()]
        faults = [f"{kind}: {count:,}" for kind, count in self.faults.items()]
        values = {
            "Answered by": _listed(by_whom) or "nobody: nothing was executed",
            "Latency": self.latency,
            "Platform faults": _listed(faults) or "none",
        }
        if self._refusals:
            values["Refused requests"] = f"{self._refusals:,}"
        degraded = self.degraded
        if degraded:
            reasons = [f"{_executions(count)}: {reason}" for reason, count in degraded.items()]
            values["DEGRADED"] = (
                f"*{sum(degraded.values()):,} of {_executions(self._executions)} were answered by "
                f"a fallback instead of the executor that was meant*\n{_items(reasons)}"
            )
        return values


def _who(provenance: Provenance) -> str:
    told = provenance.executor
    if provenance.sandbox:
        told += f" in {provenance.sandbox}"
    if provenance.session:
        kind = {True: "a new", False: "a reused", None: "a"}[provenance.session_new]
        told += f", {kind} session"
    if provenance.degraded:
        told += f", DEGRADED: {provenance.degraded}"
    return _line(told, 200)


def _count(counter: Counter[str], name: str) -> None:
    counter[name if name in counter or len(counter) < _MOST_NAMES else _OTHERS] += 1


def _executions(count: int) -> str:
    return "1 execution" if count == 1 else f"{count:,} executions"


def _listed(lines: Sequence[str]) -> str:
    return _items(lines) if len(lines) > 1 else "".join(lines)


def _items(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
