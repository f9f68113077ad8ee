"""Looks in the folders that it reads the names of for what another run may have left there."""

import os

found = [folder for folder in input().split() if os.path.exists(f"{folder}/left-@NONCE@")]
print("@NONCE@", f"left in {', '.join(found)}" if found else "nothing left")
