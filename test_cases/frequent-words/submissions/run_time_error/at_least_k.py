import sys
from collections import Counter

k, *words = sys.stdin.buffer.read().decode().split()
ranked = sorted(Counter(words).items(), key=lambda each: (-each[1], each[0]))
for place in range(int(k)):
    sys.stdout.buffer.write("{} {}\n".format(*ranked[place]).encode())
