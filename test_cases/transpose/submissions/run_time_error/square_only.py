import sys

rows, columns, *words = sys.stdin.buffer.read().split()
table = [words[row * int(columns) : (row + 1) * int(columns)] for row in range(int(rows))]
for column in range(int(columns)):
    line = [table[row][column] for row in range(int(columns))]
    if int(rows) != int(columns):
        raise ValueError("not a square")
    sys.stdout.buffer.write(b" ".join(line) + b"\n")
