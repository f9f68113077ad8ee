import sys

for line in sys.stdin.buffer.read().decode("ascii").split("\n")[:-1]:
    print(line[::-1])
