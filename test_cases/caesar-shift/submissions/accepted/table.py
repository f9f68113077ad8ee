import string
import sys

first, _, text = sys.stdin.buffer.read().partition(b"\n")
shift = int(first) % 26
table = bytes.maketrans(
    string.ascii_letters.encode(),
    b"".join(
        letters[shift:] + letters[:shift]
        for letters in (string.ascii_lowercase.encode(), string.ascii_uppercase.encode())
    ),
)
sys.stdout.buffer.write(text.translate(table))
