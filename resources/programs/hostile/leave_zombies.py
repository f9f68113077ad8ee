"""Ends with children that nobody waited for: some are over, some go on for 12 s."""

import os
import time

print("@NONCE@ began", flush=True)
for number in range(6):
    if os.fork() == 0:
        if number % 2:
            os.setsid()
            time.sleep(12)
        os._exit(0)
print("@NONCE@ done", flush=True)
