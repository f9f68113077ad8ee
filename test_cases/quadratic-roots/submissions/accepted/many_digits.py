import sys
from decimal import Decimal, getcontext

getcontext().prec = 60
for line in sys.stdin:
    a, b, c = map(Decimal, line.split())
    if a:
        discriminant = b * b - 4 * a * c
        width = discriminant.sqrt() if discriminant >= 0 else None
        roots = [] if width is None else sorted({(-b - width) / (2 * a), (-b + width) / (2 * a)})
    elif b:
        roots = [-c / b]
    else:
        print("ALL" if c == 0 else "NONE")
        continue
    print(*(f"{root:.15E}" if root else 0 for root in roots) if roots else ["None"])
