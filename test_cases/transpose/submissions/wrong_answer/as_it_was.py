import sys

rows, columns, *words = sys.stdin.buffer.read().split()
for row in range(int(rows)):
    line = words[row * int(columns) : (row + 1) * int(columns)]
    sys.stdout.buffer.write(b" ".join(line) + b"\n")
