import sys
from bisect import bisect_left

n, *numbers = map(int, sys.stdin.read().split())
ordered = []
count = 0
for number in numbers:
    at = bisect_left(ordered, number)
    count += len(ordered) - at
    ordered.insert(at, number)
print(count)
