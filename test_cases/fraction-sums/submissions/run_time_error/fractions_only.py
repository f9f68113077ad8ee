import sys
from fractions import Fraction

total = Fraction(0)
for token in sys.stdin.read().split():
    p, q = token.split("/")
    total += Fraction(int(p), int(q))
print(total)
