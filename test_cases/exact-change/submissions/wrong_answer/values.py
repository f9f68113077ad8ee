import sys

amount, _, *coins = map(int, sys.stdin.read().split())
before = {0: None}
for coin in coins:
    for reached in list(before):
        if reached + coin <= amount and reached + coin not in before:
            before[reached + coin] = reached, coin
if amount in before:
    while before[amount]:
        amount, coin = before[amount]
        print(coin)
else:
    print("impossible")
