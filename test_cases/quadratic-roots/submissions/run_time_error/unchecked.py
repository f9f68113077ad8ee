import math
import sys

for line in sys.stdin:
    a, b, c = map(int, line.split())
    width = math.sqrt(b * b - 4 * a * c)
    if width == 0:
        print(-b / (2 * a))
        continue
    total = -(b + math.copysign(width, b)) / 2
    print(*sorted([total / a, c / total]))
