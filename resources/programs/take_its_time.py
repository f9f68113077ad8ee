"""Prints the test's token, a second after it was started."""

import time

time.sleep(1)
print("@NONCE@")
