"""Ends by the signal whose number it reads."""

import os
import sys

number = int(input())
print("@NONCE@ alive", flush=True)
os.kill(os.getpid(), number)
sys.exit("still alive after the signal")
