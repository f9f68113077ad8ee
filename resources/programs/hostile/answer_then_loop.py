"""Gives an answer and then goes on for 12 s, through whatever it may ignore."""

import contextlib
import signal
import time

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    with contextlib.suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_IGN)
print("@NONCE@ began", flush=True)
deadline = time.monotonic() + 12
while time.monotonic() < deadline:
    pass
print("@NONCE@ harm: 12 s went by, whatever the time limit")
print("@NONCE@ done", flush=True)
