"""Fault by test: kept line by line while it grows, judged as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from codewitness.kill_matrix.catalogues import TriedFault
from codewitness.kill_matrix.runs import Scope, Tried

Row = tuple[TriedFault, Tried]


@dataclass(frozen=True)
class Matrix:
    """What became of every fault that was tried.

    Attributes:
        rows: Each fault with its run.
        healthy: Runs without a fault.
    """

    rows: Sequence[Row]
    healthy: Sequence[Tried]

    @property
    def complaints(self) -> list[str]:
        """Return what is not as it should be; empty if the gate is open."""
        told = [
            f"{fault.name}: {complaint}"
            for fault, tried in self.rows
            if (complaint := tried.complaint(fault))
        ]
        for number, run in enumerate(self.healthy, 1):
            if run.exit_code != 0:
                names = ", ".join(run.failed) or f"exit code {run.exit_code}"
                told.append(f"false alarm in healthy run {number}: {names}")
        return told

    @property
    def summary(self) -> str:
        """Return the figures in one line."""
        borne = sum(fault.borne for fault, _ in self.rows)
        good = sum(not tried.complaint(fault) for fault, tried in self.rows)
        told = f"{len(self.rows)} faults, {good} of them as claimed"
        if borne:
            told += f" ({borne} are borne by any client)"
        if self.healthy:
            alarms = sum(run.exit_code != 0 for run in self.healthy)
            told += f"; {len(self.healthy)} healthy runs, {alarms} with a false alarm"
        return told

    def groups(self) -> dict[str, list[Row]]:
        """Return the rows by catalogue and group."""
        groups: dict[str, list[Row]] = {}
        for fault, tried in self.rows:
            groups.setdefault(f"{fault.catalogue}: {fault.group}", []).append((fault, tried))
        return groups

    def by_test(self) -> dict[str, list[str]]:
        """Return for every test that ran the names of the faults that made it fail."""
        found: dict[str, list[str]] = {}
        for tried in self.healthy:
            for name in (*tried.passed, *tried.failed):
                found.setdefault(name, [])
        for fault, tried in self.rows:
            for name in tried.passed:
                found.setdefault(name, [])
            for name in tried.failed:
                found.setdefault(name, []).append(fault.name)
        return dict(sorted(found.items()))

    def never_failing(self) -> list[str]:
        """Return the tests that no fault made fail."""
        return [name for name, faults in self.by_test().items() if not faults]


class Journal:
    """Keeps runs in a file, one JSON object a line, so that work done is not done again.

    Args:
        path: The file.
        scope: Runs of another scope are left out of account.
    """

    def __init__(self, path: Path, scope: Scope) -> None:
        self._path = path
        self._scope = scope

    def add(self, tried: Tried) -> None:
        """Write a run down at once."""
        with self._path.open("a", encoding="utf-8") as file:
            # What was killed while it wrote has left a line without an end.
            file.write(f"\n{json.dumps(tried.to_json())}\n")

    def faults(self) -> Mapping[str, Tried]:
        """Return the last run of each fault."""
        return {it.fault: it for it in self._read() if it.fault and it.scope == self._scope}

    def healthy(self) -> list[Tried]:
        """Return the runs without a fault."""
        return [it for it in self._read() if not it.fault]

    def _read(self) -> list[Tried]:
        if not self._path.exists():
            return []
        lines = self._path.read_text(encoding="utf-8").splitlines()
        return [tried for tried in map(_read_line, lines) if tried is not None]


def _read_line(line: str) -> Tried | None:
    try:
        return Tried(**json.loads(line))
    except ValueError:
        return None
