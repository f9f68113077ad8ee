import sys

for line in sys.stdin:
    print(pow(*map(int, line.split())))
