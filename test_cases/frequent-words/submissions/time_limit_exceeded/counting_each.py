import sys

k, *words = sys.stdin.buffer.read().decode().split()
counts = []
for word in words:
    counts.append((-words.count(word), word))
for count, word in sorted(set(counts))[: int(k)]:
    sys.stdout.buffer.write(f"{word} {-count}\n".encode())
