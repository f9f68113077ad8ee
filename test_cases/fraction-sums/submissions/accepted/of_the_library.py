import sys
from fractions import Fraction

total = Fraction(0)
for token in sys.stdin.read().split():
    p, _, q = token.partition("/")
    total += Fraction(int(p), int(q or 1))
print(total)
