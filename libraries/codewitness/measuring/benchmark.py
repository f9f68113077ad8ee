"""Comparing what two ways of doing the same thing cost, on a machine that is not quiet.

Absolute times differ between machines and between moments on one machine; the ratio of two
samples taken right after each other hardly does. So the ways are taken in turn, round by
round, and it is the ratios of the rounds that are summed up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codewitness.measuring.statistics import Estimate, estimate_quantile


@dataclass(frozen=True)
class Comparison:
    """Paired durations of a subject and of the baseline that it is measured against.

    Attributes:
        title: What is compared, for people.
        subject: Seconds that the subject took, one sample a round.
        baseline: Seconds that the baseline took in the same rounds.
    """

    title: str
    subject: tuple[float, ...]
    baseline: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.subject) != len(self.baseline):
            raise ValueError(
                f"{self.title}: {len(self.subject)} and {len(self.baseline)} samples are no pairs"
            )

    @property
    def ratio(self) -> Estimate:
        """Median of subject over baseline within a round, with its interval."""
        return estimate_quantile(
            [
                subject / baseline
                for subject, baseline in zip(self.subject, self.baseline, strict=True)
            ]
        )

    @property
    def added(self) -> Estimate:
        """Median of subject minus baseline within a round, in seconds, with its interval."""
        return estimate_quantile(
            [
                subject - baseline
                for subject, baseline in zip(self.subject, self.baseline, strict=True)
            ]
        )


def compare(
    title: str,
    subject: Callable[[], object],
    baseline: Callable[[], object],
    *,
    rounds: int,
    warm_up: int = 2,
) -> Comparison:
    """Time both callables in turn and return their samples.

    Args:
        title: What is compared, for people.
        subject: What is to be measured.
        baseline: What it is measured against.
        rounds: Number of samples of each. An interval of the median needs 6.
        warm_up: Rounds before those, which are not counted.
    """
    samples: list[tuple[float, float]] = []
    for number in range(warm_up + rounds):
        # Whoever comes second finds caches warm and the processor awake: take turns.
        if number % 2:
            second = _duration(baseline)
            first = _duration(subject)
        else:
            first = _duration(subject)
            second = _duration(baseline)
        samples.append((first, second))
    counted = samples[warm_up:]
    return Comparison(
        title,
        subject=tuple(subject for subject, _ in counted),
        baseline=tuple(baseline for _, baseline in counted),
    )


def format_comparisons(comparisons: Sequence[Comparison]) -> str:
    """Return a table with one line a comparison: ratio, added milliseconds, medians, samples."""
    rows = [("", "ratio [95 %]", "added ms [95 %]", "medians ms", "n")]
    for comparison in comparisons:
        subject, baseline = (
            1000 * estimate_quantile(samples).value
            for samples in (comparison.subject, comparison.baseline)
        )
        rows.append(
            (
                comparison.title,
                comparison.ratio.format(),
                comparison.added.scaled(1000).format(),
                f"{subject:.2f} / {baseline:.2f}",
                str(len(comparison.subject)),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _duration(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
