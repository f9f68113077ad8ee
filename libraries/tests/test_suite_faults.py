"""The suite notices every fault of the catalogue, and says what is wrong.

For each fault one test of the suite claims to find it: run against a backend with this fault,
that test fails, and its message has the words that the catalogue asks for. By default some faults
of each group are tried, with ``--every-fault`` all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from codewitness.embedded.faults import FAULTS
from tests.robot_runs import run_robot

CLAIMS = {
    "stdout-final-newline-stripped": "Blank Lines Are Kept",
    "stdout-newline-added": "Missing Final Newline Stays Missing",
    "stdout-stripped": "Blank Lines At Both Ends Are Kept",
    "stdout-blank-lines-dropped": "Blank Lines Are Kept",
    "stdout-trailing-spaces-stripped": "Runs Of Spaces Are Kept",
    "stdout-spaces-collapsed": "Runs Of Spaces Are Kept",
    "stdout-tabs-expanded": "Tabs Are Kept",
    "stdout-crlf-to-lf": "Windows Line Ends Are Kept",
    "stdout-lf-to-crlf": "Blank Lines Are Kept",
    "stdout-lines-reordered": "Order Of Lines Is Kept",
    "stdout-first-line-only": "Order Of Lines Is Kept",
    "stdout-last-line-lost": "Order Of Lines Is Kept",
    "stdout-doubled": "Blank Lines Are Kept",
    "stdout-dropped": "T1.1 Simple Print Statement",
    "stdout-cut-at-64k": "Output Of 64 KiB Arrives Whole",
    "stdout-html-escaped": "Markup And Quotes Are Kept",
    "stdout-latin-1": "European Letters Are Kept",
    "stdout-ascii-only": "European Letters Are Kept",
    "stdout-nfc-normalised": "Combining Characters Of Stdout Are Kept",
    "stderr-merged-into-stdout": "Line On Stderr Is Kept",
    "stderr-in-both": "Line On Stderr Is Kept",
    "streams-swapped": "Streams Are Kept Apart",
    "stderr-lost": "T3.2 Runtime Error",
    "stderr-cut": "Streams Are Kept Apart",
    "stderr-last-line-only": "Traceback Is Whole",
    "sys-exit-text-lost": "Text Given To Exit Is On Stderr",
    "exit-code-nonzero-becomes-1": "Low Exit Codes Are Exact",
    "exit-code-wrapped": "High Exit Codes Are Exact",
    "exit-code-7-bits": "High Exit Codes Are Exact",
    "exit-code-null-on-success": "T1.1 Simple Print Statement",
    "exit-code-always-0": "Low Exit Codes Are Exact",
    "exit-code-0-becomes-1": "T1.1 Simple Print Statement",
    "signal-death-as-success": "Segmentation Fault Is Told",
    "signal-on-success": "T1.1 Simple Print Statement",
    "compile-errors-hidden": "Compiler Error Is Told",
    "compile-errors-only-in-compile": "Compiler Error Is Told",
    "stdin-ignored": "T2.1 Reading From Stdin",
    "stdin-trimmed": "Spaces Of Stdin Arrive",
    "stdin-newline-doubled": "One Line Of Stdin Arrives",
    "stdin-first-line-only": "T2.2 Multiple Input Lines",
    "stdin-blank-lines-dropped": "Blank Lines Of Stdin Arrive",
    "stdin-cut-at-4k": "Stdin As Large As The Service Takes Arrives Whole",
    "stdin-crlf-to-lf": "Windows Line Ends Of Stdin Arrive",
    "stdin-latin-1": "Letters Of Stdin Arrive",
    "stdin-emoji-lost": "Emoji Of Stdin Arrive",
    "stdin-nfc-normalised": "Combining Characters Of Stdin Are Kept",
    "stdin-must-be-read": "Large Stdin Left Unread Does No Harm",
    "stdin-stays-open": "Stdin Is Read To Its End",
    "args-ignored": "Arguments Reach The Program",
    "args-joined": "Arguments Keep Their Order",
    "args-split-on-spaces": "Arguments Keep Their Spaces",
    "args-through-a-shell": "Arguments Keep Their Quotes",
    "args-reordered": "Arguments Keep Their Order",
    "args-empty-dropped": "Empty Argument Is Kept",
    "files-only-first": "Further Files Lie Beside The Program",
    "files-sub-folders-flattened": "Files May Lie In Sub-Folders",
    "files-base64-not-decoded": "Base64 Content Is Decoded",
    "files-hex-not-decoded": "Hex Content Is Decoded",
    "files-latin-1": "Characters In The Program Are Kept",
    "working-directory-elsewhere": "Files May Lie In Sub-Folders",
    "files-outside-the-job-folder": "File Name That Leaves The Job Folder Does No Harm",
    "files-names-ignored": "Program Keeps Its File Name",
    "files-last-is-program": "First File Is The Program",
    "program-is-not-main": "Program Runs As A Script",
    "cached-by-code": "Same Program Gets Its New Stdin",
    "cached-by-request": "Identical Requests Are Executed Anew",
    "stale-answers": "T1.1 Simple Print Statement",
    "swapped-answers": "Ten Simultaneous Programs Overlap",
    "canned-answer": "T1.1 Simple Print Statement",
    "mock-execution": "T1.1 Simple Print Statement",
    "language-ignored": "Bash Program Greets",
    "invalid-utf8-fails": "Bytes That Are Not Utf-8 Do Not Break The Answer",
    "invalid-utf8-dropped": "Bytes That Are Not Utf-8 Do Not Break The Answer",
    "nul-cuts-output": "NUL Does Not End The Output",
    "nul-dropped": "NUL Does Not End The Output",
    "ansi-stripped": "Terminal Colours Are Kept",
    "output-limit-hidden": "Output Beyond Any Limit Is Whole Or Visibly Cut",
    "shared-working-directory": "No File Survives In The Working Directory",
    "shared-home": "No File Survives In The Home",
    "shared-tmp": "No File Survives In Tmp",
    "shared-dev-shm": "No File Survives In Shared Memory",
    "shared-environment": "No Environment Variable Survives",
    "background-processes-survive": "No Background Process Survives",
    "secrets-in-environment": "Environment Holds No Secrets",
    "network-shared": "Ports Of The Service Are Out Of Reach",
    "run-timeout-ignored": "Run Timeout Has An Effect",
    "run-timeout-ignored-when-busy": "Busy Program Is Stopped At Its Run Timeout",
    "run-timeout-ignored-when-idle": "Run Timeout Has An Effect",
    "run-timeout-too-early": "Program Within Its Run Timeout Is Not Cut",
    "timeout-as-success": "Program That Takes Too Long Is Reported As Stopped",
    "timeout-as-exit-code-1": "Program That Takes Too Long Is Reported As Stopped",
    "timeout-loses-output": "Output Before A Timeout Is Kept",
    "broken-after-timeout": "Service Is Well Right After A Timeout",
    "slow-after-timeout": "Service Is Well Right After A Timeout",
    "memory-limit-ignored": "Memory Limit Has An Effect",
    "background-child-holds-answer": "Background Child Does Not Hold Back The Answer",
    "broken-after-bad-request": "Request Without Language Is Refused",
    "accepts-other-case": "Language In Other Case Is Refused",
    "accepts-latest": "Version Latest Is Refused",
    "runtimes-list-too-much": "Every Listed Runtime Is Executed",
    "runtimes-aliases-unknown": "Every Listed Runtime Is Executed",
    "runtimes-versions-refused": "Every Listed Runtime Is Executed",
    "runtimes-lack-python": "Python Is Listed",
    "version-ranges-refused": "Version With Wildcard Is Understood",
    "runtimes-empty": "Python Is Listed",
    "runtimes-not-a-list": "List Of Runtimes Matches The Contract",
    "runtimes-without-aliases": "List Of Runtimes Matches The Contract",
    "answer-echoes-language": "Alias Of A Language Is Understood",
    "answer-echoes-version": "Version Of The Answer Is Concrete",
    "answer-memory-zero": "Memory Is Plausible",
    "answer-wall-time-zero": "Wall Time Is Plausible",
    "answer-cpu-time-huge": "Processor Time Is Plausible",
    "answer-output-lacks-stderr": "Output Holds Both Streams",
    "answer-other-version": "Version Of The Answer Is The One That Ran",
    "slow": "T4.1 Sequential Requests",
    "slow-first-request": "Cold Start Meets The Plan",
    "simultaneous-refused": "T4.2 Concurrent Requests",
    "one-at-a-time": "Ten Simultaneous Programs Overlap",
    "trailing-slash-redirected": "Trailing Slash Makes No Difference",
    "trailing-slash-not-found": "Trailing Slash Makes No Difference",
    "get-execute-accepted": "Get On The Execute Route Is Refused",
    "unknown-route-accepted": "Unknown Route Is Refused",
}
"""The test that claims to find a fault, by the fault's name."""

CLAIMS_OF_BAD_REQUESTS = {
    "no-language": "Request Without Language Is Refused",
    "no-version": "Request Without Version Is Refused",
    "files-not-an-array": "Files That Are No List Are Refused",
    "no-content": "File Without Content Is Refused",
    "no-files": "Empty List Of Files Is Refused",
    "limit-not-a-number": "Time Limit That Is No Number Is Refused",
    "negative-limit": "Negative Time Limit Is Refused",
    "limit-too-high": "Time Limit Above Every Ceiling Is Refused",
    "stdin-not-a-string": "Stdin That Is A Number Is Refused",
    "malformed-json": "Malformed JSON Is Refused",
    "body-not-an-object": "Body That Is No Object Is Refused",
    "oversized-body": "Oversized Body Is Refused Or Served",
    "content-type": "Wrong Content Type Is Refused",
    "unknown-language": "Unknown Language Is Refused",
    "unknown-version": "Unknown Version Of A Known Language Is Refused",
}
"""The same for faults that accept a bad request or crash on it."""

CLAIMS_OF_GROUPS = {
    "shape": "T5.1 Full Flow Through Backend API",
    "platform": "T1.1 Simple Print Statement",
    "transport": "T1.1 Simple Print Statement",
    "sometimes": "Many Runs Give Their Own Results",
}
"""The same for all other faults of a group."""

VERBS = ("accepts", "crashes-on")

_ONE_IN = 7
"""Of this many faults of a group, one is tried where not all are asked for."""

# What a fault that comes late needs before it.
ALSO_RUN = {"sometimes": ["Simultaneous Runs Give Their Own Results"]}
OPTIONS = {
    "never-answers": ["-v", "REQUEST_DEADLINE:3"],
    "stdin-stays-open": ["-v", "REQUEST_DEADLINE:12"],
}


def claim(name: str) -> str:
    """Return the name of the test that claims to find a fault."""
    for verb in ("accepts-", "crashes-on-"):
        bad_request = CLAIMS_OF_BAD_REQUESTS.get(name.removeprefix(verb))
        if name.startswith(verb) and bad_request:
            return bad_request
    return CLAIMS.get(name) or CLAIMS_OF_GROUPS[FAULTS[name].group]


def test_every_claim_is_about_a_fault() -> None:
    assert set(CLAIMS) <= set(FAULTS)
    assert all(f"{verb}-{it}" in FAULTS for it in CLAIMS_OF_BAD_REQUESTS for verb in VERBS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-fault")
        metafunc.parametrize("fault", FAULTS if every else _some_of_each_group())


def _some_of_each_group() -> list[str]:
    groups: dict[str, list[str]] = {}
    for name, fault in FAULTS.items():
        groups.setdefault(fault.group, []).append(name)
    return [name for names in groups.values() for name in names[::_ONE_IN]]


def test_fault_is_noticed_and_named(fault: str, tmp_path: Path) -> None:
    tests = [claim(fault), *ALSO_RUN.get(FAULTS[fault].group, [])]
    options = [option for test in tests for option in ("--test", test)]
    options += ["-v", f"FAULT:{fault}", "--log", "NONE", "--report", "NONE"]
    run = run_robot(tmp_path, *options, *OPTIONS.get(fault, []))
    assert run.returncode != 0, run.console
    assert claim(fault) in run.failed, run.console
    message = run.failed[claim(fault)].message
    missing = [word for word in FAULTS[fault].expect_words if word.lower() not in message.lower()]
    assert not missing, message
