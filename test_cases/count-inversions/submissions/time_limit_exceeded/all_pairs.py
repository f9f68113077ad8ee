import sys

n, *numbers = map(int, sys.stdin.read().split())
count = 0
for i in range(n):
    for j in range(i):
        if numbers[j] > numbers[i]:
            count += 1
print(count)
