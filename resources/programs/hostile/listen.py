"""Listens on a fixed port for a second, as another run does at the same time."""

import errno
import socket
import time

start = time.time()
print("@NONCE@ began", flush=True)
try:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 47813))
        listener.listen()
        time.sleep(1)
except OSError as error:
    if error.errno == errno.EADDRINUSE:
        print("@NONCE@ harm: another run is on the same network: port 47813 is taken")
    else:
        print("refused:", error.strerror)
print(f"@NONCE@ from {start} to {time.time()}")
print("@NONCE@ done", flush=True)
