import math
import sys
from fractions import Fraction

n, *tokens = sys.stdin.read().split()
numbers = [Fraction(token) for token in tokens]
vertices = list(zip(numbers[::2], numbers[1::2]))
area = perimeter = 0
for (x, y), (u, v) in zip(vertices, vertices[1:] + vertices[:1]):
    area += (u - x) * (y + v)
    perimeter += math.dist((float(x), float(y)), (float(u), float(v)))
print(f"{float(abs(area) / 2):.9e} {perimeter:.9e}")
