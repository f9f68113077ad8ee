import sys

n, m, *people = map(int, sys.stdin.read().split())
apart = [set() for _ in range(n + 1)]
for one, other in zip(people[::2], people[1::2]):
    apart[one].add(other)
    apart[other].add(one)
team = [0] * (n + 1)
for person in range(1, n + 1):
    others = {team[other] for other in apart[person]}
    team[person] = 1 if 1 not in others else 2
possible = all(team[one] != team[other] for one in range(1, n + 1) for other in apart[one])
print(*team[1:] if possible else ["impossible"])
