"""Burns processor time in four processes at once, for 12 s, while it only waits itself."""

import os
import time

print("@NONCE@ began", flush=True)
deadline = time.monotonic() + 12
for _ in range(4):
    if os.fork() == 0:
        while time.monotonic() < deadline:
            pass
        os._exit(0)
for _ in range(4):
    os.wait()
print("@NONCE@ harm: 12 s went by, whatever the time limit")
print("@NONCE@ done", flush=True)
