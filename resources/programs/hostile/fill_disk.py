"""Fills the disk: by reservation, by a file with a hole, by real writes of up to 96 MB."""

import os
import signal

print("@NONCE@ began", flush=True)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folders = [".", "/tmp", "/dev/shm"]
for folder in folders:
    name = os.path.join(folder, "reserved-@NONCE@")
    try:
        with open(name, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 2**40)
        print(f"@NONCE@ harm: a tebibyte was reserved in {folder}")
    except OSError as error:
        print(f"a tebibyte in {folder}: {error.strerror}")
    try:
        with open(name, "wb") as file:
            file.seek(2**40)
            file.write(b"end")
    except OSError as error:
        print(f"a hole of a tebibyte in {folder}: {error.strerror}")
written = 0
for number in range(12):
    try:
        with open(os.path.join(folders[number % 3], f"filled-{number}-@NONCE@"), "wb") as file:
            for _ in range(8):
                written += file.write(b"x" * 1_000_000)
    except OSError as error:
        print(f"after {written} bytes in all: {error.strerror}")
print("@NONCE@ done", flush=True)
