from __future__ import annotations

from dataclasses import replace

import pytest

from codewitness.judging.benchmark import Workload, main, measure, workloads


@pytest.mark.parametrize("workload", workloads(0.5), ids=lambda workload: workload.title)
def test_memory_stays_below_twelve_times_the_output(workload: Workload) -> None:
    cost = measure(workload, rounds=1)
    assert cost.rate > 0
    assert cost.memory <= 12


def test_outputs_that_differ_are_not_measured() -> None:
    workload = replace(workloads(0.01)[0], received=b"something else")
    with pytest.raises(AssertionError, match="equal outputs: line 1, column 1"):
        measure(workload, rounds=1)


def test_rates_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--megabytes", "0.01", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["MB/s", "demanded", "memory", "/", "output", "MB"]
    assert len(lines) == 1 + len(workloads(0.01))
