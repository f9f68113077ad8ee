import sys
import unicodedata

for line in sys.stdin.buffer.read().decode().split("\n")[:-1]:
    mirrored = ""
    part = ""
    for character in reversed(line.strip()):
        part = character + part
        if not unicodedata.category(character).startswith("M"):
            mirrored += part
            part = ""
    sys.stdout.buffer.write((mirrored + part + "\n").encode())
