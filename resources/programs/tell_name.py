"""Tells how it was started, as a script sees it."""

import os
import sys

print("@NONCE@", __name__, os.path.basename(__file__), os.path.basename(sys.argv[0]))
