"""Leaves a child process behind, which is there when this program ends; it ends by itself."""

import subprocess
import sys

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(15)  # @NONCE@"])
