import sys
import unicodedata

for line in sys.stdin.buffer.read().decode().split("\n")[:-1]:
    parts = []
    for character in line:
        if parts and unicodedata.category(character).startswith("M"):
            parts[-1] += character
        else:
            parts.append(character)
    sys.stdout.buffer.write(("".join(reversed(parts)) + "\n").encode())
