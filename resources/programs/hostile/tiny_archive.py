"""Unpacks 250 kB that becomes 256 MB, in memory."""

import zlib

print("@NONCE@ began", flush=True)
packer = zlib.compressobj(1)
packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
unpacked = zlib.decompress(packed)
print(f"@NONCE@ harm: {len(unpacked)} bytes were unpacked under a limit of 128 MiB")
print("@NONCE@ done", flush=True)
