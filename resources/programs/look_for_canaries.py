"""Names where secrets of a service show: environments and command lines of all processes."""

import os
import re

# Put together here, so that this program does not find itself.
MARKS = re.compile(("can" + "ary-|ey" + r"J[\w-]{8,}\.").encode())
LEADS = re.compile(r"(IDENTITY|MSI|IMDS|AZURE)_")


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


found = {
    name for name in os.environ if LEADS.match(name) or MARKS.search(os.environb[name.encode()])
}
for entry in filter(str.isdigit, os.listdir("/proc")):
    for kind in ("environ", "cmdline"):
        if MARKS.search(content("/proc/" + entry + "/" + kind)):
            found.add(kind + " of process " + entry)
print("@NONCE@", ", ".join(sorted(found)) or "nothing")
