"""Names what earlier calls have left here, and leaves all that it names by itself."""

import glob
import os

found = ["variable"] if "left" in globals() else []
left = "@NONCE@"
if "LEFT" in os.environ:
    found.append("environment")
os.environ["LEFT"] = left
for folder in ("/mnt/data", "/tmp"):
    if glob.glob(os.path.join(folder, "left-*")):
        found.append(folder)
    with open(os.path.join(folder, f"left-{left}"), "w") as file:
        file.write(left)
print(left, ", ".join(found) or "nothing")
