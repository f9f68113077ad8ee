import math
import sys

n, *numbers = map(float, sys.stdin.read().split())
vertices = list(zip(numbers[::2], numbers[1::2]))
area = perimeter = 0.0
for (x, y), (u, v) in zip(vertices, vertices[1:] + vertices[:1]):
    area += x * v - u * y
    perimeter += math.dist((x, y), (u, v))
print(area / 2, perimeter)
