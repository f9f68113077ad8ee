"""Looks for a while for files, processes and variables that another program holds."""

import json
import os
import time

start = time.time()
found = set()
own = str(os.getpid())
while time.time() < start + 0.6:
    for folder in ("/tmp", "/var/tmp", "/dev/shm", os.path.expanduser("~"), "."):
        if os.path.exists(os.path.join(folder, "held-@NONCE@")):
            found.add("a file in " + folder)
    for entry in filter(str.isdigit, os.listdir("/proc")):
        for kind, mark in (("cmdline", b"# @NONCE@"), ("environ", b"HELD=@NONCE@")):
            try:
                with open("/proc/" + entry + "/" + kind, "rb") as file:
                    if entry != own and mark in file.read():
                        found.add("the " + kind + " of a process")
            except OSError:
                continue
    time.sleep(0.05)
print(json.dumps({"start": start, "end": time.time(), "found": sorted(found)}))
