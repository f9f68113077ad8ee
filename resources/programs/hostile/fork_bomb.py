"""Starts processes without end; its own cap is 400 children that live for half a second."""

import os
import time

print("@NONCE@ began", flush=True)
started, refusal = 0, "none"
while started < 400:
    try:
        child = os.fork()
    except OSError as error:
        refusal = error.strerror
        break
    if child == 0:
        time.sleep(0.5)
        os._exit(0)
    started += 1
if started == 400:
    print("@NONCE@ harm: 400 processes were started, and nothing was in the way")
print(f"@NONCE@ done: {started} processes, then: {refusal}", flush=True)
