"""Looks for the environment variable that another run may have left."""

import os

left = os.environ.get("LEFT_BEHIND") == "@NONCE@"
print("@NONCE@", "a variable of the run before is there" if left else "nothing left")
