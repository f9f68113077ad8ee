import sys


def examine(line):
    closing = {"(": ")", "[": "]", "{": "}"}
    awaited = []
    deepest = 0
    for position, character in enumerate(line, 1):
        if character in closing:
            awaited.append(closing[character])
            deepest = max(deepest, len(awaited))
        elif character in ")]}" and (not awaited or awaited.pop() != character):
            return f"Wrong {position}"
    return f"Wrong {len(line) + 1}" if awaited else f"Balanced {deepest}"


print(examine(sys.stdin.readline().rstrip("\n")))
