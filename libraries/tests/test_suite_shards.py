"""Functional runs on several machines: shards of pabot, merged by rebot, are one run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from robot.api import ExecutionResult

from tests.robot_runs import PROJECT, environment, run_robot

SELECTED = ("--suite", "*.Standard Output", "--suite", "*.Standard Input", "--suite", "*.Arguments")

# Fails a test of one of these suites and none of the others.
FAULT = ("-v", "FAULT:args-ignored")

Outcomes = list[tuple[str, str]]


def outcomes(output: Path) -> Outcomes:
    """Return full names and status of all tests, in order of their names."""
    suite = ExecutionResult(output).suite
    return sorted((test.full_name, test.status) for test in suite.all_tests)


def run_shard(shard: str, folder: Path, *options: str) -> int:
    """Run one shard as its machine would, and return the exit code."""
    folder.mkdir()
    pabot = Path(sys.executable).with_name("pabot")
    with (folder / "console.txt").open("wb") as console:
        done = subprocess.run(
            [
                *(str(pabot), "--shard", shard, "--processes", "2", "--pabotlibport", "0"),
                *("--command", sys.executable, "-m", "robot", "--end-command"),
                *("--outputdir", str(folder), *SELECTED, *options, str(PROJECT / "suites")),
            ],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            timeout=240,
            check=False,
        )
    return done.returncode


def merge(folder: Path, *outputs: Path) -> int:
    """Merge outputs as the README says, and return the exit code."""
    command = [sys.executable, "-m", "robot.rebot", "--merge", "--output", "output.xml"]
    done = subprocess.run(
        [*command, "--outputdir", str(folder), *map(str, outputs)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    return done.returncode


@pytest.mark.thorough
def test_merged_shards_are_a_whole_run(tmp_path: Path) -> None:
    whole = run_robot(tmp_path / "whole", *SELECTED)
    assert whole.returncode == 0, whole.brief
    shards = [tmp_path / "1", tmp_path / "2"]
    codes = [run_shard(f"{folder.name}/2", folder) for folder in shards]
    assert codes == [0, 0]
    outputs = [folder / "output.xml" for folder in shards]
    assert merge(tmp_path / "merged", *outputs) == 0
    assert all(0 < len(outcomes(output)) < len(whole.tests) for output in outputs)
    merged = tmp_path / "merged" / "output.xml"
    assert outcomes(merged) == outcomes(tmp_path / "whole" / "output.xml")
    assert ExecutionResult(merged).suite.metadata["Tested"].startswith("embedded backend")
    # Every shard is named, so that a lost one is missed.
    assert merge(tmp_path / "lost", outputs[0], tmp_path / "3" / "output.xml") != 0


@pytest.mark.thorough
def test_failure_in_one_shard_fails_the_merged_run(tmp_path: Path) -> None:
    shards = [tmp_path / "1", tmp_path / "2"]
    codes = [run_shard(f"{folder.name}/2", folder, *FAULT) for folder in shards]
    assert sorted(map(bool, codes)) == [False, True]
    outputs = [folder / "output.xml" for folder in shards]
    failed = sum(status == "FAIL" for output in outputs for _, status in outcomes(output))
    assert merge(tmp_path / "merged", *outputs) == failed > 0
