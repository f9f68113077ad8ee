"""Starts threads without end; its own cap is 400 threads that live for half a second."""

import threading
import time

print("@NONCE@ began", flush=True)
threading.stack_size(65536)
started, refusal = 0, "none"
while started < 400:
    try:
        threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()
    except RuntimeError as error:
        refusal = error
        break
    started += 1
if started == 400:
    print("@NONCE@ harm: 400 threads were started, and nothing was in the way")
print(f"@NONCE@ done: {started} threads, then: {refusal}", flush=True)
