import sys

ALPHABET = "abcdefghijklmnopqrstuvwxyz"

first, _, text = sys.stdin.buffer.read().decode().partition("\n")
shift = int(first) % 26
out = "".join(
    ALPHABET[(ALPHABET.index(each) + shift) % 26] if each not in " \n" else each for each in text
)
sys.stdout.buffer.write(out.encode())
