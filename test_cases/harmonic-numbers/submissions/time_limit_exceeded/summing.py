import sys

total = 0.0
for i in range(1, int(sys.stdin.readline()) + 1):
    total += 1 / i
print(total)
