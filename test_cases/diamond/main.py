import sys

# White space counts here, so line ends may not depend on the machine.
sys.stdout.reconfigure(newline="\n")
size = int(input())
for row in [*range(size), *range(size - 2, -1, -1)]:
    print(" " * (size - 1 - row) + "*" * (2 * row + 1))
