"""Prints, then raises: what was printed must not get lost."""


def divide(number):
    return number / 0


print("before the crash @NONCE@")
divide(1)
