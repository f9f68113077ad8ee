"""Uses a little of the disk, as any program may, after another one has filled it."""

import os

print("@NONCE@ began", flush=True)
content = b"@NONCE@ " * 50_000
for folder in (".", "/tmp"):
    if not os.access(folder, os.W_OK):
        continue
    name = os.path.join(folder, "used-@NONCE@")
    try:
        with open(name, "wb") as file:
            file.write(content)
        with open(name, "rb") as file:
            if file.read() != content:
                print(f"@NONCE@ harm: what was written in {folder} is not what is read there")
    except OSError as error:
        print(f"@NONCE@ harm: no room for a small file in {folder}: {error.strerror}")
print("@NONCE@ done", flush=True)
