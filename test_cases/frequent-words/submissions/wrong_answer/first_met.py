import sys
from collections import Counter

k, *words = sys.stdin.buffer.read().decode().split()
for word, count in Counter(words).most_common(int(k)):
    sys.stdout.buffer.write(f"{word} {count}\n".encode())
