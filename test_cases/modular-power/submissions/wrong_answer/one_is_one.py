import sys

for line in sys.stdin:
    a, b, m = map(int, line.split())
    power = 1
    while b:
        if b & 1:
            power = power * a % m
        a = a * a % m
        b >>= 1
    print(power)
