"""Writes without end to the streams that it reads the names of; its own cap is 24 MB in all."""

import os
import time

print("@NONCE@ began", flush=True)
streams = [{"stdout": 1, "stderr": 2}[name] for name in input().split()]
line = b"x" * 4095 + b"\n"
deadline = time.monotonic() + 8
for _ in range(24_000_000 // len(line)):
    for stream in streams:
        os.write(stream, line)
    if time.monotonic() > deadline:
        break
os.write(1, b"@NONCE@ done\n")
