import sys

n, m, *people = map(int, sys.stdin.read().split())
apart = [[] for _ in range(n + 1)]
for one, other in zip(people[::2], people[1::2]):
    apart[one].append(other)
    apart[other].append(one)
team = [0] * (n + 1)


def divide(person, its_team):
    if team[person]:
        return team[person] == its_team
    team[person] = its_team
    return all([divide(other, 3 - its_team) for other in apart[person]])


possible = all([divide(person, team[person] or 1) for person in range(1, n + 1)])
print(*team[1:] if possible else ["impossible"])
