"""Leaves what an interpreter keeps between calls: a variable, files, an environment variable."""

import os

left = "@NONCE@"
os.environ["LEFT"] = left
for folder in ("/mnt/data", "/tmp"):
    with open(os.path.join(folder, "left-@NONCE@"), "w") as file:
        file.write(left)
