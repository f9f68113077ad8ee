"""Holds a secret for a second: in a file, in a child's arguments and in its environment."""

import os
import subprocess
import sys
import time

start = time.time()
print("@NONCE@ began", flush=True)
for folder in (".", "/tmp", "/dev/shm"):
    try:
        with open(os.path.join(folder, "secret-@NONCE@"), "w") as file:
            file.write("secret")
    except OSError:
        continue
code = "import time; time.sleep(1)  # secret-@NONCE@"
environ = {**os.environ, "HELD": "secret-@NONCE@"}
try:
    subprocess.run([sys.executable, "-c", code], env=environ, check=False)
except OSError:
    time.sleep(1)
print(f"@NONCE@ from {start} to {time.time()}")
print("@NONCE@ done", flush=True)
