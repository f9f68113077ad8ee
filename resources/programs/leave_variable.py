"""Sets environment variables in every way that a program has."""

import os

os.environ["LEFT_BEHIND"] = "@NONCE@"
os.putenv("LEFT_BEHIND", "@NONCE@")
for name in ("~/.profile", "~/.bashrc", "~/.pam_environment"):
    try:
        with open(os.path.expanduser(name), "a") as file:
            file.write("export LEFT_BEHIND=@NONCE@\n")
    except OSError:
        pass
print("@NONCE@ left")
