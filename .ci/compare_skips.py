"""Compare the skipped tests of a run with the list kept in git.

Robot Framework exits with 0 however many tests were skipped, so a broken sandbox or a missing
tool-chain could quietly turn half of the suite off. A skip that is not in the list fails the
run; so does a line of the list whose test ran or no longer exists. A measurement that a busy
machine left undecided is printed, and is no difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from robot.api import ExecutionResult


def expected_skips(text: str) -> set[str]:
    """Return the full test names in a list, one a line, with blank lines and ``#`` comments."""
    lines = (line.strip() for line in text.splitlines())
    return {line for line in lines if line and not line.startswith("#")}


def skipped_tests(output: Path) -> dict[str, str]:
    """Return the reason of every skipped test in an output.xml by the test's full name."""
    tests = ExecutionResult(output).suite.all_tests
    return {test.full_name: test.message for test in tests if test.status == "SKIP"}


UNDECIDED = "INCONCLUSIVE"
"""How the reason of a measurement begins that came to no verdict."""


def differences(expected: set[str], skipped: dict[str, str]) -> list[str]:
    """Return one line for every test that is in one of the two only, sorted by name."""
    unexpected = {name: f"skipped, not in the list: {name}: {skipped[name]}" for name in skipped}
    stale = {name: f"in the list, not skipped: {name}" for name in expected}
    return [(unexpected | stale)[name] for name in sorted(skipped.keys() ^ expected)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the differences; return 1 when there are any, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path, help="output.xml of the run")
    parser.add_argument("list", type=Path, help="full names of the tests that are to be skipped")
    options = parser.parse_args(arguments)
    expected = expected_skips(options.list.read_text(encoding="utf-8"))
    skipped = skipped_tests(options.output)
    for name in sorted(skipped.keys() - expected):
        if skipped[name].startswith(UNDECIDED):
            print(f"undecided on this machine: {name}: {skipped.pop(name)}")
    found = differences(expected, skipped)
    for line in found:
        print(line)
    print(f"{len(skipped)} skipped, {len(expected)} in the list, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
