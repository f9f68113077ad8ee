import sys

n, k, *numbers = map(int, sys.stdin.read().split())
total = best = sum(numbers[:k])
start = 0
for at in range(k, n):
    total += numbers[at] - numbers[at - k]
    if total >= best:
        best, start = total, at - k + 1
print(best, start + 1)
