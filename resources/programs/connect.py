"""Tries to connect to the host and port that it reads, and to the same port on loopback."""

import socket

host, port = input().split()
reached = []
for name in dict.fromkeys((host, "127.0.0.1", "::1")):
    try:
        socket.create_connection((name, int(port)), timeout=1.0).close()
    except OSError:
        continue
    reached.append(name)
print("@NONCE@", f"reached port {port} on {', '.join(reached)}" if reached else "no way there")
