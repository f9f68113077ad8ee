from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import compare_skips

SUITE = """\
*** Test Cases ***
Runs
    Log    here

Is Skipped
    Skip    no sessions here
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("skips")
    suite = folder / "example.robot"
    suite.write_text(SUITE)
    quiet = ["--log", "NONE", "--report", "NONE", "--console", "none"]
    command = [sys.executable, "-m", "robot", *quiet, "--outputdir", str(folder), str(suite)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return folder / "output.xml"


@pytest.mark.parametrize(
    ("listed", "status", "said"),
    [
        ("# why\n\nExample.Is Skipped\n", 0, "1 skipped, 1 in the list, 0 differences"),
        ("", 1, "skipped, not in the list: Example.Is Skipped: no sessions here"),
        ("Example.Is Skipped\nExample.Runs\n", 1, "in the list, not skipped: Example.Runs"),
        ("Example.Is Skipped\nGone\n", 1, "in the list, not skipped: Gone"),
    ],
)
def test_skips_are_compared_both_ways(
    output: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    listed: str,
    status: int,
    said: str,
) -> None:
    expected = tmp_path / "expected.txt"
    expected.write_text(listed)
    assert compare_skips.main([str(output), str(expected)]) == status
    assert said in capsys.readouterr().out.splitlines()


def test_measurement_without_a_verdict_is_told_and_no_difference(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    undecided = tmp_path / "output.xml"
    text = output.read_text(encoding="utf-8")
    undecided.write_text(text.replace("no sessions here", "INCONCLUSIVE: too few"))
    nothing = tmp_path / "expected.txt"
    nothing.write_text("")
    assert compare_skips.main([str(undecided), str(nothing)]) == 0
    said = capsys.readouterr().out
    assert "undecided on this machine: Example.Is Skipped: INCONCLUSIVE: too few" in said
