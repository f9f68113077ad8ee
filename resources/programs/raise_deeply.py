"""Recurses until Python gives up; the message is kept short."""

import sys

sys.setrecursionlimit(80)
sys.tracebacklimit = 2


def again(depth):
    return again(depth + 1)


print("@NONCE@ before", flush=True)
again(0)
