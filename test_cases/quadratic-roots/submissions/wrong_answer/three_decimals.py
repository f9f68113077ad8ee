import sys
from decimal import Decimal, getcontext

getcontext().prec = 60
for line in sys.stdin:
    a, b, c = map(Decimal, line.split())
    discriminant = b * b - 4 * a * c
    if a == 0:
        print(f"{-c / b:.3f}" if b else "all" if c == 0 else "none")
    elif discriminant < 0:
        print("none")
    else:
        width = discriminant.sqrt()
        print(*(f"{each:.3f}" for each in sorted({(-b - width) / (2 * a), (-b + width) / (2 * a)})))
