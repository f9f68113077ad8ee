import sys

n = int(sys.stdin.readline())
for candidate in range(2, n + 1):
    for divisor in range(2, candidate):
        if candidate % divisor == 0:
            break
    else:
        print(candidate)
