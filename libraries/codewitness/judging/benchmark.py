"""What comparing outputs costs: megabytes a second and memory, for outputs that match.

Outputs that differ are done with at their first difference; these are read to the end. Rates are
those of processor time, so that other work on the machine shows little, and sizes those of the
output received.
"""

from __future__ import annotations

import argparse
import random
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from codewitness.judging.comparison import TOKENS, TRIMMED, Comparison, compare, default_validator

MEGABYTES = 16
ROUNDS = 3

_TOLERANT = default_validator(["float_tolerance", "1e-6"])


@dataclass(frozen=True)
class Workload:
    """Two outputs that match.

    Attributes:
        title: What they are like.
        expected: The output expected.
        received: The output received.
        comparison: How they are compared.
        wanted: Megabytes a second that are demanded; ``None`` where nothing is.
    """

    title: str
    expected: bytes
    received: bytes
    comparison: Comparison
    wanted: float | None = None


@dataclass(frozen=True)
class Cost:
    """What comparing them cost.

    Attributes:
        rate: Megabytes of the output received in a second, median.
        memory: Peak of memory in multiples of the output received.
    """

    rate: float
    memory: float


def workloads(megabytes: float = MEGABYTES) -> list[Workload]:
    """Return the outputs to compare, each of about this size and the same every time."""
    draw = random.Random(2)
    size = int(megabytes * 1e6)
    integers = [b"%d" % draw.randrange(10**6) for _ in range(size // 7)]
    digits = [b"%d" % draw.randrange(10) for _ in range(size // 2)]
    numbers = [draw.uniform(-1000, 1000) for _ in range(size // 15)]
    lines, words = b"\n".join(integers) + b"\n", b" \r\n".join(integers)
    floats = b"\n".join(b"%.9f" % number for number in numbers)
    close = b"\n".join(b"%.9f" % (number + 1e-8) for number in numbers)
    edges = size // 80
    return [
        Workload("equal outputs", lines, bytes(bytearray(lines)), _TOLERANT, 100),
        Workload("tokens, white space differs", lines, words, TOKENS, 30),
        Workload("trimmed, line ends differ", lines, lines.replace(b"\n", b" \r\n"), TRIMMED, 30),
        Workload("tokens of one digit", b" ".join(digits), b"\n".join(digits), TOKENS, 30),
        Workload("numbers within a tolerance", floats, close, _TOLERANT, 5),
        Workload("integers written as 1.0", lines, lines.replace(b"\n", b".0\n"), _TOLERANT, 5),
        # Here every single pair has to be decided exactly.
        Workload("numbers right at a tolerance", b"1\n" * edges, b"1.000001\n" * edges, _TOLERANT),
        Workload("one single token", b"a" * size, b"A" * size, TOKENS),
    ]


def measure(workload: Workload, rounds: int = ROUNDS) -> Cost:
    """Compare the outputs of a workload and return what that cost.

    Raises:
        AssertionError: They don't match, so that they were not read to the end.
    """
    durations = []
    for _ in range(rounds):
        start = time.process_time()
        difference = compare(workload.expected, workload.received, workload.comparison)
        durations.append(time.process_time() - start)
        if difference is not None:
            raise AssertionError(f"{workload.title}: {difference}")
    tracemalloc.start()
    try:
        compare(workload.expected, workload.received, workload.comparison)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = len(workload.received)
    # Comparing equal bytes may be too quick for the clock.
    return Cost(size / max(median(durations), 1e-6) / 1e6, peak / size)


def table(measured: Sequence[tuple[Workload, Cost]]) -> str:
    """Return costs as a table with one line a workload."""
    rows = [("", "MB/s", "demanded", "memory / output", "MB")]
    for workload, cost in measured:
        rows.append(
            (
                workload.title,
                f"{cost.rate:,.1f}",
                "" if workload.wanted is None else f"{workload.wanted:g}",
                f"{cost.memory:.2f}",
                f"{len(workload.received) / 1e6:.1f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure everything and print it; return 0."""
    parser = argparse.ArgumentParser(description="Measure what comparing outputs costs.")
    parser.add_argument("--megabytes", type=float, default=MEGABYTES, help="size of an output")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="samples of each rate")
    asked = parser.parse_args(argv)
    measured = [(each, measure(each, asked.rounds)) for each in workloads(asked.megabytes)]
    print(table(measured))
    return 0
