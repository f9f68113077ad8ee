"""Leaves a process behind that nobody waits for, as a daemon does; it ends by itself."""

import os
import sys

try:
    child = os.fork()
except OSError as error:
    print("@NONCE@ left nothing: no process may be started:", error.strerror)
    sys.exit()
if child == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        code = "import time; time.sleep(15)  # @NONCE@"
        os.execv(sys.executable, [sys.executable, "-c", code])
    os._exit(0)
os.wait()
print("@NONCE@ left")
