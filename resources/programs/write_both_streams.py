"""Writes to both streams in turn, in many small pieces."""

import sys

for number in range(20):
    print(f"out {number:02}")
    print(f"err {number:02}", file=sys.stderr)
print("out @NONCE@")
print("err @NONCE@", file=sys.stderr)
