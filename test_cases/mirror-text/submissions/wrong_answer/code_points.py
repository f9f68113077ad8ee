import sys

for line in sys.stdin.buffer.read().decode().split("\n")[:-1]:
    sys.stdout.buffer.write((line[::-1] + "\n").encode())
