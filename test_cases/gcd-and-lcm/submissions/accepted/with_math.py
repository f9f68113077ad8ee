import math
import sys
from functools import reduce

n, *numbers = map(int, sys.stdin.read().split())
multiple = reduce(lambda a, b: a * b // math.gcd(a, b), numbers, 1)
print(reduce(math.gcd, numbers, 0), multiple if multiple <= 10**18 else "large")
