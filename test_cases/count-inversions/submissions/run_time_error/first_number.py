import sys
from bisect import bisect_right

n, first, *others = map(int, sys.stdin.read().split())
ordered = [first]
count = 0
for number in others:
    at = bisect_right(ordered, number)
    count += len(ordered) - at
    ordered.insert(at, number)
print(count)
