"""Looks for a second for another run's files, arguments, environment and job folders."""

import os
import time

start = time.time()
print("@NONCE@ began", flush=True)
MARK = b"secret-@NONCE@"
found = set()
while time.time() < start + 1:
    for folder in (".", "..", "/tmp", "/var/tmp", "/dev/shm", "/run", "/home", "/piston/jobs"):
        for path, _, names in list(os.walk(folder))[:500]:
            if MARK.decode() in names:
                found.add(f"a file in {path}")
    for process in filter(str.isdigit, os.listdir("/proc")):
        for kind in ("cmdline", "environ"):
            try:
                with open(f"/proc/{process}/{kind}", "rb") as file:
                    if MARK in file.read():
                        found.add(f"the {kind} of a process")
            except OSError:
                continue
    time.sleep(0.05)
for what in sorted(found):
    print(f"@NONCE@ harm: another run's secret was seen: {what}")
print(f"@NONCE@ from {start} to {time.time()}")
print("@NONCE@ done", flush=True)
