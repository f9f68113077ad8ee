"""Writes one line of a million characters."""

print("@NONCE@ began", flush=True)
print("x" * 1_000_000)
print("@NONCE@ done", flush=True)
