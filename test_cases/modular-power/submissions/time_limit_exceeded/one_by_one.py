import sys

for line in sys.stdin:
    a, b, m = map(int, line.split())
    power = 1 % m
    for _ in range(b):
        power = power * a % m
    print(power)
