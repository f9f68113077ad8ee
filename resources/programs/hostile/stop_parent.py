"""Stops its parent, then itself; nothing but another process can end it then."""

import os
import signal
import time

print("@NONCE@ began", flush=True)
try:
    os.kill(os.getppid(), signal.SIGSTOP)
except OSError as error:
    print("the parent goes on:", error.strerror, flush=True)
time.sleep(0.1)
os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(12)
