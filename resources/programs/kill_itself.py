"""Ends by the signal whose number it reads."""

import os
import signal
import sys

number = int(input())
print("@NONCE@ alive", flush=True)
if number != signal.SIGKILL:
    # Python ignores a broken pipe, and whoever runs this may ignore others.
    signal.signal(number, signal.SIG_DFL)
os.kill(os.getpid(), number)
sys.exit("still alive after the signal")
