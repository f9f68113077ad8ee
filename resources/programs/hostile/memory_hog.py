"""Takes memory without end, small block by small block; its own cap is 384 MiB.

It raises its own limits first: one that a program can raise is none.
"""

import resource

for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (hard, hard))
print("@NONCE@ began", flush=True)
taken = []
while len(taken) < 384:
    taken.append(bytearray(b"x" * (1 << 20)))
print("@NONCE@ harm: 384 MiB were taken under a limit of 128 MiB")
print("@NONCE@ done", flush=True)
