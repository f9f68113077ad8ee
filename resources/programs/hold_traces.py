"""Leaves files, and a process with a variable, for a while in which others can look for them."""

import json
import os
import subprocess
import sys
import time

start = time.time()
for folder in ("/tmp", "/var/tmp", "/dev/shm", os.path.expanduser("~"), "."):
    try:
        with open(os.path.join(folder, "held-@NONCE@"), "w") as file:
            file.write("held")
    except OSError:
        continue
os.environ["HELD"] = "@NONCE@"
subprocess.run([sys.executable, "-c", "import time; time.sleep(0.6)  # @NONCE@"], check=True)
print(json.dumps({"start": start, "end": time.time()}))
