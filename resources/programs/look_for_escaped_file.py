"""Looks in the folders above its own, and in /tmp, for a file that should not be there."""

import os

name = "@NAME@"
folder, places = os.getcwd(), ["/tmp"]
while folder != os.path.dirname(folder):
    folder = os.path.dirname(folder)
    places.append(folder)
found = [place for place in places if os.path.exists(os.path.join(place, name))]
print("@NONCE@", f"the file escaped to {found}, outside" if found else "nothing escaped")
