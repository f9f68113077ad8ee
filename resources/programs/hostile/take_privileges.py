"""Asks the kernel for what no program may have, nothing of which would do harm if granted."""

import ctypes
import os
import resource
import time

print("@NONCE@ began", flush=True)
libc = ctypes.CDLL(None, use_errno=True)


def set_clock():
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def be_nicer():
    os.setpriority(os.PRIO_PROCESS, 0, -5)


def raise_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        raise OSError("there is no limit to raise")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))


def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def mount():
    os.mkdir("mounted")
    call("mount", b"none", b"mounted", b"tmpfs", 0, None)


def set_host_name():
    call("sethostname", os.uname().nodename.encode(), len(os.uname().nodename))


def write_kernel_setting():
    with open("/proc/sys/kernel/core_pattern", "r+") as file:
        file.read()


ATTEMPTS = (set_clock, be_nicer, raise_limit, mount, set_host_name, write_kernel_setting)
for attempt in ATTEMPTS:
    try:
        attempt()
    except (OSError, ValueError, AttributeError) as error:
        print(f"{attempt.__name__}: {error}")
    else:
        print(f"@NONCE@ harm: the kernel granted {attempt.__name__}")
print("@NONCE@ done", flush=True)
