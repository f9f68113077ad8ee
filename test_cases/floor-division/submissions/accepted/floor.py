import sys

for line in sys.stdin:
    a, b = map(int, line.split())
    print(*divmod(a, b) if b else ["UNDEFINED"])
