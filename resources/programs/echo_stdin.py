"""Gives back what it reads, byte for byte."""

import sys

sys.stdout.buffer.write(sys.stdin.buffer.read())
