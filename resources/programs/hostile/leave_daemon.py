"""Leaves a daemon of the classic kind, two forks and a session away, for 12 s."""

import os
import sys

print("@NONCE@ began", flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        code = "import time; time.sleep(12)  # @NONCE@"
        os.execv(sys.executable, [sys.executable, "-c", code])
    os._exit(0)
os.wait()
print("@NONCE@ done", flush=True)
