"""How a target and a part of the suite are chosen, in every form that users type."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from codewitness.embedded.service import start_service
from tests.front_door import FrontDoor
from tests.robot_runs import PROJECT, SUITES, RobotRun, environment, run_robot
from tests.scripted_server import ScriptedServer, always, good

ONE_TEST = ("--include", "T2.2")
PLANNED = "suites/1__basic_code_execution/1__planned_tests.robot"


@pytest.fixture(scope="module")
def backend() -> Iterator[str]:
    """URL of a backend that somebody else started."""
    with start_service(["backend", "--port", "0"]) as service:
        yield service.url


def passes_alone(run: RobotRun) -> None:
    assert run.returncode == 0, run.console
    assert list(run.passed) == ["T2.2 Multiple Input Lines"]
    assert len(run.tests) == 1


@pytest.mark.parametrize("form", ["{}", "{}/", "{}/api/v2", "{}/api/v2/execute"])
def test_endpoint_is_taken_in_every_form(backend: str, tmp_path: Path, form: str) -> None:
    url = form.format(backend)
    run = run_robot(tmp_path / "results", *ONE_TEST, "-v", f"ENDPOINT:{url}")
    passes_alone(run)
    assert "Target: backend (ENDPOINT, Robot variable)" in run.console
    assert run.metadata["Tested"].startswith(f"backend at {backend}/api/v2/ (ENDPOINT")
    assert f"| ENDPOINT | {url} | Robot variable |" in run.metadata["Your settings"]


def test_endpoint_from_the_environment(backend: str, tmp_path: Path) -> None:
    run = run_robot(tmp_path / "results", *ONE_TEST, environ=environment(ENDPOINT=backend))
    passes_alone(run)
    assert "(ENDPOINT, environment)" in run.metadata["Tested"]


def test_endpoint_on_the_command_line_wins_over_the_environment(
    backend: str, tmp_path: Path
) -> None:
    environ = environment(ENDPOINT="http://127.0.0.1:9")
    run = run_robot(tmp_path / "r", *ONE_TEST, "-v", f"ENDPOINT:{backend}", environ=environ)
    passes_alone(run)


@pytest.mark.parametrize("form", ["{}", "{}/api/v2/execute"])
def test_endpoint_with_a_path_prefix(backend: str, tmp_path: Path, form: str) -> None:
    prefix = "/piston/of%20team"
    with FrontDoor(backend, prefix=prefix) as door:
        url = form.format(door.url)
        run = run_robot(tmp_path / "results", *ONE_TEST, "-v", f"ENDPOINT:{url}")
    passes_alone(run)
    assert door.calls
    assert all(call.path.startswith(f"{prefix}/api/v2/") for call in door.calls)


def test_raw_requests_keep_the_path_prefix(backend: str, tmp_path: Path) -> None:
    with FrontDoor(backend, prefix="/piston") as door:
        options = ["--suite", "*.Bad Requests", "--suite", "*.Runtimes"]
        run = run_robot(tmp_path / "results", *options, "-v", f"ENDPOINT:{door.url}")
    assert run.returncode == 0, run.brief
    assert len(run.passed) > 20


def test_environment_is_described_in_a_variable_file(backend: str, tmp_path: Path) -> None:
    example = (PROJECT / "variables" / "example-environment.yaml").read_text(encoding="utf-8")
    file = tmp_path / "staging.yaml"
    file.write_text(example.replace("http://localhost:2000", backend))
    run = run_robot(tmp_path / "results", *ONE_TEST, "-V", str(file))
    passes_alone(run)
    assert run.metadata["Tested"].startswith(f"backend at {backend}/")


def test_local_variable_file_chooses_the_local_executor(tmp_path: Path) -> None:
    run = run_robot(
        tmp_path / "results", *ONE_TEST, "-V", "variables/local.yaml", suites="suites", cwd=PROJECT
    )
    passes_alone(run)
    assert run.metadata["Tested"].startswith("local executor:")


@pytest.mark.parametrize("absolute", [True, False])
def test_single_file_runs_from_any_folder(tmp_path: Path, absolute: bool) -> None:
    file = PROJECT / PLANNED
    suites = str(file) if absolute else os.path.relpath(file, tmp_path)
    run = run_robot(tmp_path / "results", suites=suites, cwd=tmp_path)
    assert run.returncode == 0, run.console
    assert sorted(run.passed) == [
        "T1.1 Simple Print Statement",
        "T1.2 Arithmetic Operations",
        "T1.3 Variable Assignment And Output",
    ]
    assert run.metadata["Tested"].startswith("embedded backend")
    assert {path.name for path in tmp_path.iterdir()} == {"results", "results-console.txt"}


def test_requirement_of_the_plan_is_selected_by_its_tag(backend: str, tmp_path: Path) -> None:
    options = ["--include", "P1", "--exclude", "rehearsal", "-v", f"ENDPOINT:{backend}"]
    run = run_robot(tmp_path / "results", *options)
    assert run.returncode == 0
    assert list(run.passed) == ["Cold Start Meets The Plan", "Cold Starts Meet The Plan"]


def test_excluded_tests_are_gone_generated_ones_too(backend: str, tmp_path: Path) -> None:
    options = ["--include", "must"]
    options += [
        option for tag in ("T5.2", "T4.*", "rehearsal", "phase-3") for option in ("--exclude", tag)
    ]
    run = run_robot(tmp_path / "results", *options, "-v", f"ENDPOINT:{backend}")
    assert run.returncode == 0, run.brief
    numbers = {name for test in run.tests if (name := test.name.partition(" ")[0])[1:2].isdigit()}
    assert numbers == {
        "T1.1",
        "T1.2",
        "T1.3",
        "T2.1",
        "T2.2",
        "T2.3",
        "T3.1",
        "T3.2",
        "T3.3",
        "T5.1",
    }


def test_generated_tests_are_selected_by_the_plans_number(backend: str, tmp_path: Path) -> None:
    for case in ("sum-of-two-numbers", "shortest-path"):
        shutil.copytree(PROJECT / "test_cases" / case, tmp_path / "cases" / case)
    options = ["-v", f"ENDPOINT:{backend}", "-v", f"TEST_CASES:{tmp_path / 'cases'}"]
    selection = ["--include", "T5.2", "--exclude", "language-java"]
    run = run_robot(tmp_path / "results", *options, *selection)
    assert run.returncode == 0, run.brief
    assert set(run.passed) == {test.name for test in run.tests}
    names = {test.name.split()[1] for test in run.tests}
    assert names == {"Test", "sum-of-two-numbers"}


def test_dry_run_starts_and_asks_nothing(tmp_path: Path) -> None:
    server = ScriptedServer(always(good()))
    run = run_robot(tmp_path / "results", "--dryrun", "-v", f"ENDPOINT:{server.url}")
    server.stop()
    assert run.returncode == 0, run.brief
    assert server.connections == 0
    assert len(run.passed) == len(run.tests) > 100


def test_dry_run_needs_no_target(tmp_path: Path) -> None:
    # An unknown fault would keep the embedded backend from starting.
    run = run_robot(tmp_path / "results", "--dryrun", "-v", "FAULT:no-such-fault")
    assert run.returncode == 0, run.brief
    assert "Answers:" not in run.console


def test_fault_can_be_built_in_to_see_it_found(tmp_path: Path) -> None:
    run = run_robot(tmp_path / "results", *ONE_TEST, "-v", "FAULT:stdout-dropped")
    assert run.returncode == 1
    message = run.failed["T2.2 Multiple Input Lines"].message
    assert re.search(r"^Expected .*8", message, re.M), message
    assert "stdout" in message
    assert "| FAULT | stdout-dropped | Robot variable |" in run.metadata["Your settings"]


def test_several_files_share_no_closed_service(backend: str, tmp_path: Path) -> None:
    files = ["1__basic_code_execution", "2__input_output"]
    first, second = (SUITES / name / "1__planned_tests.robot" for name in files)
    options = ["-v", f"ENDPOINT:{backend}", str(first)]
    run = run_robot(tmp_path / "results", *options, suites=second)
    assert run.returncode == 0, run.brief
    assert len(run.passed) == 6


def test_single_section_has_a_summary(backend: str, tmp_path: Path) -> None:
    options = ["-v", f"ENDPOINT:{backend}", "--include", "T1.1"]
    run = run_robot(tmp_path / "results", *options, suites=SUITES / "1__basic_code_execution")
    assert {"Answered by", "Latency", "Platform faults"} <= set(run.metadata)
