"""Starts another program, which a service may allow or refuse."""

import subprocess
import sys

print("@NONCE@ began", flush=True)
code = "print('@NONCE@ of the child')"
try:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=5)
except OSError as error:
    print("refused:", error.strerror)
else:
    if run.returncode == 0 and run.stdout != "@NONCE@ of the child\n":
        print("@NONCE@ harm: a child is said to have succeeded and gave", repr(run.stdout))
print("@NONCE@ done", flush=True)
