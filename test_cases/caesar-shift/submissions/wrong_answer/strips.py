import sys

first, _, text = sys.stdin.buffer.read().partition(b"\n")
shift = int(first)
out = bytearray()
for byte in text.rstrip():
    if 97 <= byte <= 122:
        byte = 97 + (byte - 97 + shift) % 26
    elif 65 <= byte <= 90:
        byte = 65 + (byte - 65 + shift) % 26
    out.append(byte)
sys.stdout.buffer.write(out)
