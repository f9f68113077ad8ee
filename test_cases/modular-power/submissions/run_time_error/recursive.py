import sys


def power(a, b, m):
    return a * power(a, b - 1, m) % m if b else 1 % m


for line in sys.stdin:
    print(power(*map(int, line.split())))
