"""Tells its command-line arguments, in order."""

import json
import sys

print("@NONCE@", json.dumps(sys.argv[1:]))
