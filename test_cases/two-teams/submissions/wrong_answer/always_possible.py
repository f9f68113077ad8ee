import sys

n, m, *people = map(int, sys.stdin.read().split())
team = [1] * (n + 1)
for _ in range(min(n, 30)):
    for one, other in zip(people[::2], people[1::2]):
        if team[one] == team[other]:
            team[max(one, other)] = 3 - team[min(one, other)]
print(*team[1:])
