import sys


def choose(amount, start):
    if amount == 0:
        return []
    for at in range(start, len(coins)):
        if coins[at] <= amount:
            chosen = choose(amount - coins[at], at + 1)
            if chosen is not None:
                return [at + 1, *chosen]
    return None


amount, _, *coins = map(int, sys.stdin.read().split())
chosen = choose(amount, 0)
print("impossible" if chosen is None else " ".join(map(str, chosen)))
