"""Takes memory without end, small block by small block; its own cap is 384 MiB."""

print("@NONCE@ began", flush=True)
taken = []
while len(taken) < 384:
    taken.append(bytearray(b"x" * (1 << 20)))
print("@NONCE@ harm: 384 MiB were taken under a limit of 128 MiB")
print("@NONCE@ done", flush=True)
