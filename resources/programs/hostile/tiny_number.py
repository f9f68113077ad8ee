"""Computes a number of a hundred million digits."""

print("@NONCE@ began", flush=True)
print(len(str(3**10**8)))
print("@NONCE@ done", flush=True)
