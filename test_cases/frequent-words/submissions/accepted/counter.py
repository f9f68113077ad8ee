import sys
from collections import Counter

k, *words = sys.stdin.buffer.read().decode().split()
ranked = sorted(Counter(words).items(), key=lambda each: (-each[1], each[0]))
lines = [f"{word} {count}\n" for word, count in ranked[: int(k)]]
sys.stdout.buffer.write("".join(lines).encode())
