import sys

n, *numbers = map(int, sys.stdin.read().split())


def gcd(a, b):
    while a and b:
        if a < b:
            a, b = b, a
        a -= b
    return a or b


divisor, multiple = 0, 1
for number in numbers:
    divisor = gcd(divisor, number)
    multiple = multiple * number // gcd(multiple, number)
print(divisor, multiple if multiple <= 10**18 else "large")
