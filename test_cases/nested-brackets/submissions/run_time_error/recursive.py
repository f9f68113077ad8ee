import sys


def examine(line, at, awaited):
    """Return the deepest nesting and where the bracket is closed, or nothing and what is wrong."""
    deepest = 0
    while at < len(line):
        character = line[at]
        if character in "([{":
            inside, at = examine(line, at + 1, ")]}"["([{".index(character)])
            if inside is None:
                return None, at
            deepest = max(deepest, inside + 1)
        elif character in ")]}":
            return (deepest, at) if character == awaited else (None, at)
        at += 1
    return (deepest, at) if not awaited else (None, at)


line = sys.stdin.readline().rstrip("\n")
depth, at = examine(line, 0, "")
print("wrong" if depth is None else "balanced", at + 1 if depth is None else depth)
