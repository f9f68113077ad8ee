import sys

n, k, *numbers = map(int, sys.stdin.read().split())
best = None
for start in range(n - k + 1):
    total = 0
    for at in range(start, start + k):
        total += numbers[at]
    if best is None or total > best[0]:
        best = total, start + 1
print(*best)
