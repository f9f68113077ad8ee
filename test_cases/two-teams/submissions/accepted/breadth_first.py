import sys
from collections import deque

n, m, *people = map(int, sys.stdin.read().split())
apart = [[] for _ in range(n + 1)]
for one, other in zip(people[::2], people[1::2]):
    apart[one].append(other)
    apart[other].append(one)
team = [0] * (n + 1)
possible = True
for first in range(1, n + 1):
    if team[first]:
        continue
    team[first] = 1
    waiting = deque([first])
    while waiting:
        person = waiting.popleft()
        for other in apart[person]:
            if not team[other]:
                team[other] = 3 - team[person]
                waiting.append(other)
            possible &= team[other] != team[person]
print(*team[1:] if possible else ["impossible"])
