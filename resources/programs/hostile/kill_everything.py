"""Kills every process that it may, then its parent by name."""

import os
import signal
import time

print("@NONCE@ began", flush=True)
for target in (-1, os.getppid()):
    try:
        os.kill(target, signal.SIGKILL)
    except OSError as error:
        print(f"kill {target}:", error.strerror, flush=True)
time.sleep(0.2)
print("@NONCE@ done", flush=True)
