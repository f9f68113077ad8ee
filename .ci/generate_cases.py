"""Write the large inputs of test_cases/, the same to the byte on every machine.

Their answers are outputs of accepted submissions. After a change here, renew those, and let
`pytest libraries/tests/test_collection.py --every-submission` check them with all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from random import Random

TEST_CASES = Path(__file__).resolve().parents[1] / "test_cases"

Generator = Callable[[Random], str]


def _numbers(first: str, numbers: list[int]) -> str:
    return f"{first}\n{' '.join(map(str, numbers))}\n"


def _window(count: int, width: int, least: int, most: int) -> Generator:
    def generate(random: Random) -> str:
        return _numbers(f"{count} {width}", [random.randint(least, most) for _ in range(count)])

    return generate


def _inversions(count: int, number: Callable[[int, Random], int]) -> Generator:
    return lambda random: _numbers(str(count), [number(at, random) for at in range(count)])


def _words(kept: int, count: int, letters: str, longest: int) -> Generator:
    def generate(random: Random) -> str:
        words = [
            "".join(random.choices(letters, k=random.randint(1, longest))) for _ in range(count)
        ]
        lines = [" ".join(words[start : start + 12]) for start in range(0, count, 12)]
        return "\n".join([str(kept), *lines, ""])

    return generate


def _nested(random: Random, pairs: int) -> str:
    kinds = [random.choice(("()", "[]", "{}")) for _ in range(pairs)]
    return "".join(kind[0] for kind in kinds) + "".join(kind[1] for kind in reversed(kinds))


def _balanced(random: Random, pairs: int) -> str:
    text, awaited = "", ""
    while pairs or awaited:
        if pairs and (not awaited or random.random() < 0.5):
            kind = random.choice(("()", "[]", "{}"))
            text, awaited, pairs = text + kind[0], awaited + kind[1], pairs - 1
        else:
            text, awaited = text + awaited[-1], awaited[:-1]
    return text


def _coins(target: int, coins: list[int]) -> str:
    return _numbers(f"{target} {len(coins)}", coins)


def _some_coins(count: int, least: int, most: int, chosen: int) -> Generator:
    def generate(random: Random) -> str:
        coins = [random.randint(least, most) for _ in range(count)]
        return _coins(sum(random.sample(coins, chosen)), coins)

    return generate


def _pairs(people: int, pairs: list[tuple[int, int]]) -> str:
    return "\n".join([f"{people} {len(pairs)}", *(f"{a} {b}" for a, b in pairs), ""])


def _path(random: Random, people: int) -> list[tuple[int, int]]:
    order = random.sample(range(1, people + 1), people)
    return list(pairwise(order))


def _two_teams(people: int, pairs: int) -> Generator:
    def generate(random: Random) -> str:
        order = random.sample(range(1, people + 1), people)
        one, other = order[: people // 3], order[people // 3 :]
        return _pairs(people, [(random.choice(one), random.choice(other)) for _ in range(pairs)])

    return generate


def _odd_circle(random: Random, people: int) -> str:
    path = _path(random, people)
    return _pairs(people, [*path, (path[-1][1], path[0][0])])


def _polygon(vertices: int, radii: tuple[float, ...]) -> str:
    lines = [str(vertices)]
    for at in range(vertices):
        angle, radius = 2 * math.pi * at / vertices, radii[at % len(radii)]
        # Five decimals are the same with every library of functions.
        lines.append(f"{radius * math.cos(angle):.5f} {radius * math.sin(angle):.5f}")
    return "\n".join([*lines, ""])


def _table(rows: int, columns: int) -> Generator:
    def generate(random: Random) -> str:
        table = [[random.randint(-99, 99) for _ in range(columns)] for _ in range(rows)]
        lines = [" ".join(map(str, row)) for row in table]
        return "\n".join([f"{rows} {columns}", *lines, ""])

    return generate


def _fractions(random: Random) -> str:
    tokens = [f"{random.randint(-999, 999)}/{random.randint(1, 99)}" for _ in range(200)]
    return " ".join(tokens) + "\n"


GENERATED: Mapping[str, Generator] = {
    "busiest-window/data/secret/big/all-negative.in": _window(12_000, 6_000, -9_999, -1),
    "busiest-window/data/secret/big/large-sums.in": _window(6_000, 3_000, 10**8, 10**9),
    "busiest-window/data/secret/big/random.in": _window(12_000, 6_000, -999, 9_999),
    "busiest-window/data/secret/big/short-window.in": _window(12_000, 10, -999, 9_999),
    "count-inversions/data/secret/big/few-values.in": _inversions(
        12_000, lambda _, random: random.randint(1, 3)
    ),
    "count-inversions/data/secret/big/in-order.in": _inversions(12_000, lambda at, _: at),
    "count-inversions/data/secret/big/random.in": _inversions(
        12_000, lambda _, random: random.randint(-9_999, 99_999)
    ),
    "count-inversions/data/secret/big/reversed.in": _inversions(12_000, lambda at, _: -at),
    "count-inversions/data/secret/big/thousand.in": _inversions(
        1_000, lambda _, random: random.randint(-9_999, 99_999)
    ),
    "exact-change/data/secret/many-coins/even-coins-odd-amount.in": lambda random: _coins(
        3_001, [2 * random.randint(30, 90) for _ in range(60)]
    ),
    "exact-change/data/secret/many-coins/every-third.in": lambda random: _coins(
        4_000, [3 * random.randint(30, 60) for _ in range(60)]
    ),
    "exact-change/data/secret/many-coins/large.in": _some_coins(60, 200, 400, 9),
    "exact-change/data/secret/many-coins/middling.in": _some_coins(50, 60, 120, 25),
    "exact-change/data/secret/many-coins/small.in": _some_coins(60, 1, 30, 50),
    "exact-change/data/secret/many-coins/three-of-them.in": _some_coins(60, 900, 1_300, 3),
    "expressions/data/secret/deep.in": lambda _: "(1+" * 450 + "1" + ")" * 450 + "\n",
    "fraction-sums/data/secret/many.in": _fractions,
    "frequent-words/data/secret/long/many-different.in": _words(20, 10_000, "abcdefghij", 9),
    "frequent-words/data/secret/long/many-equal.in": _words(30, 20_000, "abcde", 3),
    "frequent-words/data/secret/long/ties.in": _words(40, 9_000, "xyzXYZ", 8),
    "nested-brackets/data/secret/long/deep.in": lambda random: f"{_nested(random, 30_000)}\n",
    "nested-brackets/data/secret/long/one-left-open.in": lambda random: (
        f"{{{_nested(random, 15_000)}\n"
    ),
    "nested-brackets/data/secret/long/mixed.in": lambda random: f"{_balanced(random, 20_000)}\n",
    "polygon-measures/data/secret/circle.in": lambda _: _polygon(1_500, (750.0,)),
    "polygon-measures/data/secret/star.in": lambda _: _polygon(100, (900.0, 150.0)),
    "transpose/input/input13.txt": _table(12, 7),
    "transpose/input/input14.txt": _table(1, 200),
    "transpose/input/input15.txt": _table(15, 15),
    "two-teams/data/secret/long-output/long-path.in": lambda random: _pairs(
        5_000, _path(random, 5_000)
    ),
    "two-teams/data/secret/long-output/odd-circle.in": lambda random: _odd_circle(random, 4_999),
    "two-teams/data/secret/long-output/possible.in": _two_teams(3_000, 5_000),
    "two-teams/data/secret/long-output/star.in": lambda _: _pairs(
        2_000, [(1, other) for other in range(2, 2_001)]
    ),
}
"""Generators of inputs, by their paths below test_cases/, which also seed their randomness."""


def generate(root: Path) -> None:
    """Write the inputs below a folder."""
    for name, generator in GENERATED.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator(Random(name)).encode())


if __name__ == "__main__":
    generate(TEST_CASES)
