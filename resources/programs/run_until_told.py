"""Runs until there is a file `end`; answers every file `ping-…` with a file `pong-…`."""

import os
import time

os.chdir("/mnt/data")
while not os.path.exists("end"):
    for name in os.listdir():
        if name.startswith("ping"):
            open(name.replace("ping", "pong"), "w").close()
    time.sleep(0.01)
print("@NONCE@ ended by itself")
