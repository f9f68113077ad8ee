"""Tries to get out: to public addresses, to the cloud's metadata, and by names."""

import os
import socket
import threading
import time

print("@NONCE@ began", flush=True)
reached = []


def connect(host, port):
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return
    reached.append(f"{host} port {port}")


def ask_dns(host):
    query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1"
    try:
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.settimeout(1)
            sender.sendto(query, (host, 53))
            sender.recv(512)
    except OSError:
        return
    reached.append(f"{host} port 53, by UDP")


ways = [(connect, ("1.1.1.1", 443)), (connect, ("8.8.8.8", 53)), (connect, ("169.254.169.254", 80))]
ways += [(connect, ("168.63.129.16", 80)), (connect, ("example.com", 80))]
ways += [(ask_dns, ("1.1.1.1",)), (ask_dns, ("168.63.129.16",))]
threads = [threading.Thread(target=way, args=args, daemon=True) for way, args in ways]
deadline = time.monotonic() + 1.5
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(max(0.0, deadline - time.monotonic()))
for where in sorted(reached):
    print(f"@NONCE@ harm: reached {where}")
print("@NONCE@ done", flush=True)
os._exit(0)
