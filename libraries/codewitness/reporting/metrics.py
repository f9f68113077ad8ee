"""What was measured and how it was judged, in files for machines.

``metrics.json`` is a list as benchmark-action/github-action-benchmark reads it for the tool
``customSmallerIsBetter``; ``judgements.json`` has what a summary needs besides.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codewitness.measuring.statistics import Estimate
from codewitness.measuring.verdict import Judgement

METRICS = "metrics.json"
"""Name of the file of metrics, in the output folder."""

JUDGEMENTS = "judgements.json"
"""Name of the file of judgements, in the output folder."""


@dataclass(frozen=True)
class Metric:
    """A figure of a service; the smaller, the better.

    Attributes:
        name: What it is.
        unit: Its unit.
        value: The figure; infinite where a request was never answered.
        low: Lower end of its interval, ``None`` when there is none.
        high: Upper end, likewise.
        count: Number of samples.
        plan: The requirement of the plan that it belongs to, such as ``P1``.
        bar: What it was judged against, in its unit; ``None`` when it is not judged.
        verdict: ``PASS``, ``FAIL``, ``INCONCLUSIVE``, or empty when it is not judged.
        claim: What was judged, in words.
    """

    name: str
    unit: str
    value: float
    low: float | None
    high: float | None
    count: int
    plan: str
    bar: float | None = None
    verdict: str = ""
    claim: str = ""

    def as_benchmark(self) -> dict[str, Any]:
        """Return the entry of a benchmark's file."""
        judged = "" if self.bar is None else f", bar {self.bar:g} {self.unit}, {self.verdict}"
        ends = ("?" if end is None else f"{end:.4g}" for end in (self.low, self.high))
        return {
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "range": " to ".join(ends),
            "extra": f"{self.plan}{judged}, n = {self.count}",
        }


def judged_metric(
    name: str, plan: str, judgement: Judgement, *, bar: float, unit: str = "s", factor: float = 1
) -> Metric | None:
    """Return the metric of a judgement; ``None`` when it found no figure.

    Args:
        name: What the figure is.
        plan: See :class:`Metric`.
        judgement: The judgement.
        bar: What the figure was compared with.
        unit: Unit of the metric.
        factor: Turns the judgement's figure and the bar into that unit.
    """
    if judgement.estimate is None:
        return None
    told, verdict = judgement.estimate.scaled(factor), judgement.verdict.value
    return measured_metric(name, plan, told, unit, bar * factor, verdict, judgement.claim)


def measured_metric(
    name: str,
    plan: str,
    estimate: Estimate,
    unit: str,
    bar: float | None = None,
    verdict: str = "",
    claim: str = "",
) -> Metric:
    """Return the metric of an estimate, which is in the unit already."""
    told = estimate
    return Metric(
        name, unit, told.value, told.low, told.high, told.count, plan, bar, verdict, claim
    )


class MetricsFiles:
    """Keeps both files of a folder up to date, so that a run that is broken off has its part.

    Args:
        folder: The output folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._metrics: dict[str, Metric] = {}

    def add(self, metric: Metric) -> None:
        """Add a metric; one of the same name takes the place of the earlier one."""
        self._metrics[metric.name] = metric
        finite = [it for it in self._metrics.values() if math.isfinite(it.value)]
        self._write(METRICS, [it.as_benchmark() for it in finite])
        self._write(JUDGEMENTS, [_without_infinity(asdict(it)) for it in self._metrics.values()])

    def _write(self, name: str, content: list[dict[str, Any]]) -> None:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        (self._folder / name).write_text(f"{text}\n", encoding="utf-8")


def _without_infinity(entry: dict[str, Any]) -> dict[str, Any]:
    # JSON has no word for it: a figure that is null was never reached.
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in entry.items()
    }
