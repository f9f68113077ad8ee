"""Both generations of Piston pass; a minimal backend does what the plan says and little more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from codewitness.embedded.service import start_service
from tests.robot_runs import FEW_CASES, WITHOUT_LOADS, RobotRun, run_robot

BACKENDS: Mapping[str, tuple[str, ...]] = {
    "a": ("--generation", "a", "--output-limit", "1024"),
    "b": ("--generation", "b", "--output-limit", "1024"),
    "minimal": ("--minimal",),
}

PISTONS = ("a", "b")
AT_ONCE = ("a", "minimal")
GENERATIONS = ["a", pytest.param("b", marks=pytest.mark.thorough)]

LARGE_OUTPUTS = {
    "Output Of 64 KiB Arrives Whole",
    "Output Of 200 KB Arrives Whole",
    "Large Stderr Arrives Whole",
    "Both Streams Arrive Whole When Large At Once",
}

ADDED_BY_GENERATION_B = {
    "Wall Time Is Plausible",
    "Processor Time Is Plausible",
    "Memory Is Plausible",
}

# Section 6 of the contract: topic, the test that names it, and words of its message.
DEVIATIONS: Mapping[str, tuple[str, str]] = {
    "args are ignored": ("Arguments Reach The Program", "args was accepted"),
    "names are ignored": ("Program Keeps Its File Name", "file-names was accepted"),
    "extra files are ignored": ("Further Files Lie Beside The Program", "files was accepted"),
    "base64 is ignored": ("Base64 Content Is Decoded", "base64 was accepted"),
    "hex is ignored": ("Hex Content Is Decoded", "hex was accepted"),
    "run_timeout is ignored": ("Run Timeout Has An Effect", "run_timeout was accepted"),
    "run_memory_limit is ignored": (
        "Memory Limit Has An Effect",
        "run_memory_limit was accepted",
    ),
    "any version is accepted": ("Unknown Version Is Refused", "version was accepted"),
    "version is echoed": ("Version Of The Answer Is Concrete", "an installed version"),
    "unknown language is a result": (
        "Unknown Language Is Refused",
        "a request of an unknown language must be refused",
    ),
    "no files is a silent success": (
        "Empty List Of Files Is Refused",
        "a request with an empty list of files must be refused",
    ),
    "invalid body is answered with detail": ("Refusal Has A Body Of The Contract", '"detail"'),
    "trailing slash is redirected": ("Trailing Slash Makes No Difference", "307"),
    "empty stdin has no line": ("Empty Stdin Is One Empty Line", "EOFError"),
    "output before a timeout is lost": ("Output Before A Timeout Is Kept", "Execution timed out"),
    "other bytes than UTF-8 are an error": (
        "Bytes That Are Not Utf-8 Do Not Break The Answer",
        "can't decode byte",
    ),
    "working directory is shared": (
        "No File Survives In The Working Directory",
        "must not survive",
    ),
    "home is shared": ("No File Survives In The Home", "must not survive"),
    "/tmp is shared": ("No File Survives In Tmp", "must not survive"),
    "/var/tmp is shared": ("No File Survives In Var Tmp", "must not survive"),
    "/dev/shm is shared": ("No File Survives In Shared Memory", "must not survive"),
    "network is shared": ("Ports Of The Service Are Out Of Reach", "no program may reach a port"),
}

# What the contract lets minimal backends do in their own way: a 4xx of any kind, -11 instead of
# 139, code 124 for a timeout, output beyond 1 kB, fields that are left out.
ALLOWED = {
    "Malformed JSON Is Refused",
    "Wrong Content Type Is Refused",
    "Get On The Execute Route Is Refused",
    "Unknown Route Is Refused",
    "Output Of 64 KiB Arrives Whole",
    "Program That Takes Too Long Is Reported As Stopped",
    "Answer About A Success Matches The Contract",
    "Answer About A Killed Program Matches The Contract",
}


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], RobotRun]]:
    """The whole suite against each backend; two go on at once and must not disturb each other."""
    loads = () if request.config.getoption("--thorough") else WITHOUT_LOADS
    folder = tmp_path_factory.mktemp("backends")

    def run(name: str) -> RobotRun:
        with start_service(["backend", "--port", "0", *BACKENDS[name]]) as service:
            options = [
                "-v",
                f"ENDPOINT:{service.url}",
                "--exclude",
                "rehearsal",
                *FEW_CASES,
                *loads,
            ]
            options += ["-v", f"HOSTILE:{name in PISTONS}"]
            return run_robot(folder / name, *options, timeout=400)

    with ThreadPoolExecutor(2) as pool:
        started: dict[str, Future[RobotRun]] = {}

        def result(name: str) -> RobotRun:
            for it in (*AT_ONCE, name):
                if it not in started:
                    started[it] = pool.submit(run, it)
            return started[name].result()

        yield result


@pytest.mark.parametrize("generation", GENERATIONS)
def test_nothing_fails_on_piston(runs: Callable[[str], RobotRun], generation: str) -> None:
    run = runs(generation)
    assert not run.failed, run.brief
    assert run.returncode == 0
    assert len(run.passed) > 100


@pytest.mark.parametrize("generation", GENERATIONS)
def test_skips_on_piston_say_why(runs: Callable[[str], RobotRun], generation: str) -> None:
    skipped = dict(runs(generation).skipped)
    assert "sessions" in skipped.pop("T4.3 Session Reuse").message
    for name in ADDED_BY_GENERATION_B if generation == "a" else ():
        assert "The answer has no run." in skipped.pop(name).message
    for name in [name for name, test in skipped.items() if "phase-3" in test.tags]:
        assert re.match(
            r"Costly: |Not observable: |Locust is not|Needs answers that tell whether",
            skipped.pop(name).message,
        )
    of_pools = {name for name, test in skipped.items() if "phase-2" in test.tags}
    for name in of_pools:
        assert "session pool" in skipped.pop(name).message
    assert set(skipped) == LARGE_OUTPUTS
    for test in skipped.values():
        assert re.match(r"The service's output limit is below \d+ bytes", test.message)


def test_only_language_args_and_sessions_keep_a_must_test_from_passing_on_a_minimal_backend(
    runs: Callable[[str], RobotRun],
) -> None:
    required = [test for test in runs("minimal").tests if "must" in test.tags]
    assert len(required) > 15
    for test in required:
        reasons = (
            r"The service does not list |Needs the capability args,|Needs a target with sess|"
            r"Not observable: "
        )
        skipped_for_a_reason = test.status == "SKIP" and re.match(reasons, test.message)
        assert test.status == "PASS" or skipped_for_a_reason, test
    passed = {test.name[:4] for test in required if test.status == "PASS" and test.name[0] == "T"}
    assert passed - {"Thro"} == {
        *(f"T{section}.{number}" for section in "123" for number in "123"),
        "T4.1",
        "T4.2",
        "T5.1",
        "T5.2",
    }


@pytest.mark.parametrize("topic", DEVIATIONS)
def test_deviation_of_a_minimal_backend_is_named(
    runs: Callable[[str], RobotRun], topic: str
) -> None:
    name, words = DEVIATIONS[topic]
    failed = runs("minimal").failed
    assert name in failed, sorted(failed)
    assert words in failed[name].message
    assert "contract" in failed[name].tags
    assert not failed[name].message.startswith("PLATFORM FAULT")


def test_nothing_else_fails_on_a_minimal_backend(runs: Callable[[str], RobotRun]) -> None:
    run = runs("minimal")
    same_again = {
        # Folders and the network are shared, and output that is no UTF-8 is an error.
        "Client 1 Of 10 And All Ten Together",
        "Sessions Keep Nothing Of The Soak",
        "No Program Reaches Out",
        "Bytes That Are Not Utf-8 Do Not Break Stderr",
        "Terminal Sequences And Control Characters Do No Harm",
        "Language In Other Case Is Refused",
        "Unknown Version Of A Known Language Is Refused",
    }
    named = {name for name, _ in DEVIATIONS.values()}
    assert set(run.failed) - named <= same_again
    assert set(run.passed) >= ALLOWED


def test_listed_deviations_become_skips(tmp_path_factory: pytest.TempPathFactory) -> None:
    listed = "args,files,file-names,base64,hex,run_timeout,run_memory_limit,version"
    tests = ["--test", "*.Unknown Version *", "--test", "*.Version Latest *"]
    tests += ["--test", "*.Run Timeout Has *", "--test", "*.Memory Limit Has *"]
    tests += ["--test", "*.Arguments.*", "--test", "*.Files.*", "--test", "*.T1.1 *"]
    with start_service(["backend", "--port", "0", "--minimal"]) as service:
        options = ["-v", f"ENDPOINT:{service.url}", "-v", f"DEVIATIONS:{listed}"]
        run = run_robot(tmp_path_factory.mktemp("listed") / "results", *options, *tests)
    assert run.returncode == 0, run.brief
    assert len(run.skipped) > 12
    for test in run.skipped.values():
        assert "listed in DEVIATIONS of this environment" in test.message
