"""Matches a pattern that takes longer than anybody can wait, out of the interpreter's hands."""

import re

print("@NONCE@ began", flush=True)
re.match("(a+)+$", "a" * 64 + "b")
print("@NONCE@ done", flush=True)
