"""Ends without ever looking at its input."""

print("@NONCE@ done")
