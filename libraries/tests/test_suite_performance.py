"""The performance section as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codewitness.measuring.samples import read_run
from tests.robot_runs import RobotRun, run_robot

SECTION = ("--include", "phase-3", "--exclude", "P3", "--suite", "7 Performance")
FAULTS = {
    "one-at-a-time": ("Several Programs Run At Once", "at most 1"),
    "slow": ("Warm Executions Meet The Plan", "p90 of the response time"),
    "slow-first-request": ("Cold Starts Meet The Plan", "each response time is below 5 s"),
    "memory-leaked": ("Services Keep Nothing Of The Soak", "MiB"),
    "1-in-50-crashes": ("Every Request In Turn Succeeds", "HTTP 500 (1)"),
}
SMALL = ("--log", "NONE", "--report", "NONE")


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> RobotRun:
    """The section on the embedded target, with the profile that is the default."""
    return run_robot(tmp_path_factory.mktemp("section") / "results", *SECTION, timeout=400)


@pytest.mark.thorough
def test_healthy_flow_passes_and_nothing_is_left_undecided(section: RobotRun) -> None:
    assert not section.failed, section.brief
    assert not [it.name for it in section.skipped.values() if "INCONCLUSIVE" in it.message]


@pytest.mark.thorough
def test_figures_stand_at_the_top_of_the_report(section: RobotRun) -> None:
    names = ["P1 First request, new instance", "P1 First request, ready instance"]
    names += ["P2 Warm execution", "P4 Throughput", "P5 Soak", "R3 Overload", "Recommended pool"]
    for name in names:
        assert name in section.metadata
    assert "(n = 50)" in section.metadata["P2 Warm execution"]
    assert "the promise that 95 %" in section.metadata["Recommended pool"]


@pytest.mark.thorough
def test_samples_pictures_and_metrics_are_kept(section: RobotRun) -> None:
    for file in (section.folder / "samples").glob("*.jsonl"):
        assert read_run(file).samples
    assert (section.folder / "output.xml").read_text(encoding="utf-8").count("&lt;svg ") >= 5
    metrics = json.loads((section.folder / "metrics.json").read_text(encoding="utf-8"))
    judged = json.loads((section.folder / "judgements.json").read_text(encoding="utf-8"))
    assert {it["name"] for it in metrics} == {it["name"] for it in judged}
    assert {"warm execution", "time per execution at the knee"} <= {it["name"] for it in metrics}


@pytest.mark.thorough
@pytest.mark.parametrize("fault", FAULTS)
def test_broken_service_is_named_by_the_right_test(fault: str, tmp_path: Path) -> None:
    test, words = FAULTS[fault]
    options = ("-v", f"FAULT:{fault}", "--test", f"*7 Performance*{test}", *SMALL)
    run = run_robot(tmp_path / "results", *options, timeout=400)
    assert list(run.failed) == [test], run.brief
    assert words in run.failed[test].message
