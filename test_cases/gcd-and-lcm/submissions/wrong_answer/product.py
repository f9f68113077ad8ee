import math
import sys

n, *numbers = map(int, sys.stdin.read().split())
product = math.prod(numbers)
print(math.gcd(*numbers), product if product <= 10**18 else "large")
