import sys

rows, columns, *numbers = map(int, sys.stdin.buffer.read().split())
for column in range(columns):
    print(*numbers[column::columns])
