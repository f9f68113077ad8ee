"""Leaves a file in the folder that it reads."""

import os

folder = os.path.expanduser(input())
path = os.path.join(folder, "left-@NONCE@")
try:
    with open(path, "w") as file:
        file.write("left")
except OSError as error:
    print("not writable:", error.strerror)
else:
    print("left:", os.path.exists(path))
