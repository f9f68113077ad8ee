"""Leaves a file in the folder that it reads."""

import os

folder = os.path.expanduser(input())
try:
    with open(os.path.join(folder, "left-@NONCE@"), "w") as file:
        file.write("left")
except OSError as error:
    print("@NONCE@ left nothing:", folder, "is not writable:", error.strerror)
else:
    print("@NONCE@ left")
