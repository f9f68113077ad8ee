import sys

groups = {}
for word in sorted(sys.stdin.buffer.read().decode().split()):
    groups.setdefault(frozenset(word), []).append(word)
for group in groups.values():
    sys.stdout.buffer.write((" ".join(group) + "\n").encode())
