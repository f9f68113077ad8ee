"""Ends at once and leaves a child that burns processor time for 12 s."""

import subprocess
import sys

print("@NONCE@ began", flush=True)
code = "import time\nend = time.time() + 12\nwhile time.time() < end: pass  # @NONCE@"
null = subprocess.DEVNULL
subprocess.Popen([sys.executable, "-c", code], stdin=null, stdout=null, stderr=null)
print("@NONCE@ done", flush=True)
