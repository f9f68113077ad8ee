import sys
from collections import Counter

k, *words = sys.stdin.buffer.read().decode().lower().split()
ranked = sorted(Counter(words).items(), key=lambda each: (-each[1], each[0]))
for word, count in ranked[: int(k)]:
    sys.stdout.buffer.write(f"{word} {count}\n".encode())
