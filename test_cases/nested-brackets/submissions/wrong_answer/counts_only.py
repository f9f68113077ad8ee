import sys

line = sys.stdin.readline().rstrip("\n")
depth = deepest = 0
for position, character in enumerate(line, 1):
    depth += (character in "([{") - (character in ")]}")
    deepest = max(deepest, depth)
    if depth < 0:
        print("wrong", position)
        break
else:
    print("balanced" if depth == 0 else "wrong", deepest if depth == 0 else len(line) + 1)
