"""One run out of those of several generators that shared a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codewitness.measuring.samples import Generator, Run
from codewitness.measuring.statistics import percentile


def merge_runs(runs: Sequence[Run], header: Mapping[str, Any]) -> Run:
    """Merge the runs of generators each of which took some numbers of one plan.

    Each of them counts time from its own beginning, so what they say of durations fits together,
    and of one moment only as well as they began together. The merged generator is as late as all
    of them, and as busy as the busiest.

    Args:
        runs: The runs, at least one; one that was broken off makes the merged one broken off.
        header: What the whole load was; the headers of the runs are kept in it as ``workers``.

    Raises:
        ValueError: Two of them took the same number.
    """
    samples = sorted((it for run in runs for it in run.samples), key=lambda it: it.number)
    if len({sample.number for sample in samples}) < len(samples):
        raise ValueError("two generators sent the request with the same number of the plan")
    generators = [run.generator for run in runs if run.generator is not None]
    merged = None
    if len(generators) == len(runs):
        merged = Generator(
            planned=sum(each.planned for each in generators),
            dropped=tuple(sorted(planned for each in generators for planned in each.dropped)),
            lag=percentile([it.start_lag for it in samples], 0.99) if samples else 0.0,
            cpu_share=max(each.cpu_share for each in generators),
            seconds=max(each.seconds for each in generators),
            clock_shift=max((each.clock_shift for each in generators), key=abs),
        )
    return Run(tuple(samples), merged, {**header, "workers": [dict(run.header) for run in runs]})
