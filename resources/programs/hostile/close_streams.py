"""Closes its streams, all its stdin unread, and ends with exit code 5 a little later."""

import os
import time

print("@NONCE@ began", flush=True)
for stream in (0, 1, 2):
    os.close(stream)
time.sleep(0.3)
os._exit(5)
