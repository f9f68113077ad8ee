"""Gives an answer and then blanks without end; its own cap is 24 MB."""

import os

print("@NONCE@ began", flush=True)
print("42", flush=True)
for _ in range(24_000_000 // 4096):
    os.write(1, b" " * 4096)
os.write(1, b"\n@NONCE@ done\n")
