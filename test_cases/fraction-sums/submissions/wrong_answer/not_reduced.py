import sys

p, q = 0, 1
for token in sys.stdin.read().split():
    a, _, b = token.partition("/")
    p, q = p * int(b or 1) + int(a) * q, q * int(b or 1)
print(f"{p}/{q}" if q != 1 else p)
