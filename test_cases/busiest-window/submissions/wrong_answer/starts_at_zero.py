import sys

n, k, *numbers = map(int, sys.stdin.read().split())
best, start = 0, 0
total = sum(numbers[: k - 1])
for at in range(k - 1, n):
    total += numbers[at]
    if total > best:
        best, start = total, at - k + 1
    total -= numbers[at - k + 1]
print(best, start + 1)
