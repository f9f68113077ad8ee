from __future__ import annotations

import re

from codewitness.embedded.load_benchmark import measure_load_engine


def test_benchmark_prints_rate_and_punctuality() -> None:
    rate, punctuality = measure_load_engine(rounds=6, requests=60, seconds=0.3).splitlines()
    number = r"[\d.]+ \[[\d.?]+, [\d.?]+\]"
    assert re.fullmatch(
        rf"load engine / bare aiohttp client, 16 at once: {number} of the rate, "
        r"\d+ / \d+ requests a second, processor time [\d.]+ / [\d.]+ ms a request "
        r"\(n = 6 rounds of 60\)",
        rate,
    )
    assert re.fullmatch(
        rf"load engine at 300 requests a second: starts late by {number} ms at the 99th "
        rf"percentile, a loop that only sleeps by {number} ms \(n = 450\)",
        punctuality,
    )
