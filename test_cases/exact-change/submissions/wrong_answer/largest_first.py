import sys

amount, n, *coins = map(int, sys.stdin.read().split())
chosen = []
for position in sorted(range(1, n + 1), key=lambda each: -coins[each - 1]):
    if coins[position - 1] <= amount:
        amount -= coins[position - 1]
        chosen.append(position)
print(*chosen if amount == 0 else ["impossible"])
