"""Names what an earlier call has left here: a variable, files, an environment variable."""

import os

found = ["variable"] if globals().get("left") == "@NONCE@" else []
if os.environ.get("LEFT") == "@NONCE@":
    found.append("environment")
for folder in ("/mnt/data", "/tmp"):
    if os.path.exists(os.path.join(folder, "left-@NONCE@")):
        found.append(folder)
print("@NONCE@", ", ".join(found) or "nothing")
