"""Reads what belongs to the host, to other users and to whoever runs programs."""

import glob
import os
import re
import socket

print("@NONCE@ began", flush=True)


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError:
        return b""


if re.search(rb":[$][0-9a-z]+[$]", read("/etc/shadow")):
    print("@NONCE@ harm: /etc/shadow can be read, with hashes of passwords in it")
PRIVATE = [
    *("/root/.ssh/id_*", "/home/*/.ssh/id_*", "/root/.azure/*.json", "/home/*/.azure/*.json"),
    *("/root/.aws/credentials", "/root/.kube/config", "/etc/kubernetes/*.conf"),
    *("/var/run/secrets/kubernetes.io/serviceaccount/token", "/proc/kcore", "/dev/mem"),
    *("/dev/sda", "/dev/vda"),
]
for path in (path for pattern in PRIVATE for path in glob.glob(pattern)):
    if read(path):
        print(f"@NONCE@ harm: {path} can be read")
for path in ("/var/run/docker.sock", "/run/containerd/containerd.sock"):
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
        print(f"@NONCE@ harm: {path} takes connections, and with it rule over the host")
    except OSError:
        continue
own = os.getpid(), os.getppid()
for name in filter(str.isdigit, os.listdir("/proc")):
    secrets = re.findall(rb"(?:BACKEND_|AZURE_|IDENTITY_|MSI_)\w+=.", read(f"/proc/{name}/environ"))
    if int(name) not in own and secrets:
        names = sorted({secret.partition(b"=")[0].decode() for secret in secrets})
        print(f"@NONCE@ harm: process {name} shows its {', '.join(names)}")
print("@NONCE@ done", flush=True)
