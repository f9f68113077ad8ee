import sys
from itertools import groupby

words = sorted(sys.stdin.buffer.read().decode().split(), key=lambda word: (sorted(word), word))
groups = sorted([list(group) for _, group in groupby(words, key=sorted)])
sys.stdout.buffer.write("".join(" ".join(group) + "\n" for group in groups).encode())
