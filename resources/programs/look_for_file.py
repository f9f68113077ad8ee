"""Looks in the folder that it reads for the file that another run may have left there."""

import os

folder = os.path.expanduser(input())
found = os.path.exists(os.path.join(folder, "left-@NONCE@"))
print("@NONCE@", "a file of the run before is there" if found else "nothing left")
