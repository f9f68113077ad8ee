"""Names where an identity endpoint or a secret of a service shows to a program."""

import os
import re

# Put together here, so that this program does not find itself.
MARKS = re.compile(
    ("(IDENTITY|MSI|IMDS)_(END" + "POINT|HEADER|SECRET)=.|AZURE_[A-Z_]*SEC" + "RET=.").encode()
    + ("|can" + "ary-|ey" + r"J[\w-]{8,}\.").encode()
)


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


found = set()
for entry in filter(str.isdigit, os.listdir("/proc")):
    who = "this program" if entry == str(os.getpid()) else "process " + entry
    for kind in ("environ", "cmdline"):
        if MARKS.search(content("/proc/" + entry + "/" + kind)):
            found.add(kind + " of " + who)
print("@NONCE@", ", ".join(sorted(found)) or "nothing")
