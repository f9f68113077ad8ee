"""Tries to connect to the host and port that it reads, and to the same port on loopback."""

import os
import socket
import sys
import threading
import time

print("@NONCE@", end=" ", flush=True)
host, port = input().split()
reached = []


def connect(name):
    try:
        socket.create_connection((name, int(port)), timeout=1.0).close()
    except OSError:
        return
    reached.append(name)


# The time-out of a connection does not bound the look-up of its name, so nobody waits for that.
deadline = time.monotonic() + 1.5
names = dict.fromkeys((host, "127.0.0.1", "::1"))
attempts = [threading.Thread(target=connect, args=(name,), daemon=True) for name in names]
for attempt in attempts:
    attempt.start()
for attempt in attempts:
    attempt.join(max(0.0, deadline - time.monotonic()))
print(f"reached port {port} on {', '.join(reached)}" if reached else "no way there")
sys.stdout.flush()
os._exit(0)
