import re
import sys

line = sys.stdin.readline().rstrip("\n")
left = re.sub(r"[^][(){}]", "", line)
depth = 0
while True:
    erased = re.sub(r"\(\)|\[\]|\{\}", "", left)
    if erased == left:
        break
    left = erased
    depth += 1
if not left:
    print("balanced", depth)
else:
    awaited = ""
    for position, character in enumerate(line + "\n", 1):
        if character in "([{":
            awaited += ")]}"["([{".index(character)]
        elif character in ")]}\n":
            if not awaited.endswith(character):
                print("wrong", position)
                break
            awaited = awaited[:-1]
