"""Accepts any choice of coins that is worth the amount."""

import sys
from pathlib import Path

ACCEPT, REJECT = 42, 43


def main():
    given, answer, feedback = (Path(each) for each in sys.argv[1:4])
    amount, _, *coins = map(int, given.read_text().split())
    words = sys.stdin.buffer.read().split()
    judges_found_none = answer.read_text().split() == ["impossible"]

    def reject(reason):
        (feedback / "judgemessage.txt").write_text(reason + "\n")
        sys.exit(REJECT)

    if words == [b"impossible"]:
        if not judges_found_none:
            reject("there is a choice of coins")
        sys.exit(ACCEPT)
    if not words or not all(word.isdigit() and len(word) < 9 for word in words):
        reject("neither a list of positions nor the word impossible")
    chosen = [int(word) for word in words]
    if not all(1 <= each <= len(coins) for each in chosen):
        reject("a position where no coin is")
    if len(set(chosen)) < len(chosen):
        reject("a coin is used twice")
    worth = sum(coins[each - 1] for each in chosen)
    if worth != amount:
        reject(f"the coins are worth {worth} and not {amount}")
    if judges_found_none:
        sys.exit("the judges found no choice, but here is one")
    sys.exit(ACCEPT)


main()
