"""Looks for the process that another run may have left."""

import os

found = False
for entry in os.listdir("/proc"):
    try:
        with open(f"/proc/{entry}/cmdline", "rb") as file:
            command = file.read()
    except OSError:
        continue
    found = found or (entry != str(os.getpid()) and b"# @NONCE@" in command)
print("@NONCE@", "a process of the run before is there" if found else "nothing left")
