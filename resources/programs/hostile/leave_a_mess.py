"""Leaves a folder that is hard to clear: links out of it, a deep path, odd names, locks."""

import os
import socket

print("@NONCE@ began", flush=True)
os.symlink("/etc", "to-etc")
os.symlink("..", "up")
os.symlink("loop", "loop")
os.mkfifo("pipe")
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind("socket")
for name in ("-rf", " ", "new\nline", "\udcff\udcfe", "*", "a" * 255):
    with open(name, "w") as file:
        file.write("odd")
os.makedirs("locked/inside")
os.chmod("locked/inside", 0)
os.chmod("locked", 0)
home = os.getcwd()
for _ in range(300):
    os.mkdir("deep-deep-deep-deep")
    os.chdir("deep-deep-deep-deep")
os.chdir(home)
os.chmod(".", 0o500)
print("@NONCE@ done", flush=True)
