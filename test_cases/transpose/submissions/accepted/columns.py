import sys

rows, columns, *words = sys.stdin.buffer.read().split()
width = int(columns)
table = [words[start : start + width] for start in range(0, len(words), width)]
for column in zip(*table):
    sys.stdout.buffer.write(b" ".join(column) + b"\n")
