"""Counts the lines of its input, to the end."""

import sys

print("@NONCE@", sum(1 for _ in sys.stdin))
