import sys

groups = {}
for word in sorted(sys.stdin.buffer.read().decode().split()):
    groups.setdefault("".join(sorted(word)), []).append(word)
sys.stdout.buffer.write((" ".join(" ".join(group) for group in groups.values()) + "\n").encode())
