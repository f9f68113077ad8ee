import sys

groups = {}
for word in sorted(sys.stdin.buffer.read().decode().split()):
    counts = [0] * 26
    for letter in word:
        counts["abcdefghijklmnopqrstuvwxyz".index(letter)] += 1
    groups.setdefault(tuple(counts), []).append(word)
for group in groups.values():
    sys.stdout.buffer.write((" ".join(group) + "\n").encode())
