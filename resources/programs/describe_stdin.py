"""Tells what it reads, as Python writes bytes."""

import sys

print("@NONCE@", ascii(sys.stdin.buffer.read().decode()))
