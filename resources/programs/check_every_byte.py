"""Looks whether the file beside it holds every byte once, in order."""

with open("data.bin", "rb") as file:
    whole = file.read() == bytes(range(256))
print("@NONCE@", "every byte is there" if whole else "the file differs")
