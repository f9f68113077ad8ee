import sys

amount, _, *coins = map(int, sys.stdin.read().split())
before = {0: None}
for position, coin in enumerate(coins, 1):
    for reached in list(before):
        if reached + coin <= amount and reached + coin not in before:
            before[reached + coin] = reached, position
if amount in before:
    chosen = []
    while before[amount]:
        amount, position = before[amount]
        chosen.append(position)
    print(*chosen)
else:
    print("impossible")
