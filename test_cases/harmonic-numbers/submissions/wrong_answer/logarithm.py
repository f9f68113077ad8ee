import math
import sys

print(math.log(int(sys.stdin.readline())) + 0.57721566490153286061)
