import math
import sys

EULER = 0.57721566490153286061

n = int(sys.stdin.readline())
if n < 100:
    total = math.fsum(1 / i for i in range(1, n + 1))
else:
    total = math.log(n) + EULER + 1 / (2 * n) - 1 / (12 * n**2) + 1 / (120 * n**4)
print(total)
