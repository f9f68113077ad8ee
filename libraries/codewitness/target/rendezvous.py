"""What the processes of one parallel run share, as each of them sees it.

The first that comes starts the process in which they meet (:mod:`.rendezvous_service`); the
others find it by a folder that is named after the process which owns the run, and which nobody
else may read.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from codewitness.embedded.service import ServiceNotStarted, without_secrets
from codewitness.target import rendezvous_service
from codewitness.target.embedded_flow import EmbeddedFlow

JOIN_WITHIN = 60.0
"""Seconds until the service must be there; ten processes that start at once are slow."""

_SLACK = 15.0
_SERVICE_FILE = Path(rendezvous_service.__file__)


class RendezvousLost(RuntimeError):
    """The process in which the others meet can't be started, reached or understood."""


class NotTogether(RuntimeError):
    """Not all members of a group came.

    Attributes:
        missing: Members that gave nothing.
        gone: Members whose processes have ended.
    """

    def __init__(self, missing: tuple[int, ...], gone: tuple[int, ...]) -> None:
        super().__init__(f"members {missing} did not come; {gone} have ended")
        self.missing = missing
        self.gone = gone


@dataclass(frozen=True)
class Owner:
    """The process that a run ends with.

    Attributes:
        pid: Its process id.
        created: When it was created, in seconds since the epoch.
    """

    pid: int
    created: float


def find_owner(name: str) -> Owner:
    """Return the nearest process above this one with a command of that name, else its parent."""
    ancestors = psutil.Process().parents()
    if not ancestors:
        raise RendezvousLost(f"the process of {name} that started this one has ended")
    owner = next((it for it in ancestors if _runs(it, name)), ancestors[0])
    return Owner(owner.pid, owner.create_time())


def _runs(process: psutil.Process, name: str) -> bool:
    try:
        words = process.cmdline()[:4]
    except psutil.Error:
        return False
    return any(Path(word).stem.partition(".")[0] == name for word in words)


@dataclass(frozen=True)
class SharedService:
    """An embedded service that another process has started and will end.

    Attributes:
        url: Base URL, without a trailing slash.
        pid: Process id of the service.
        details: Everything that the service told about itself.
    """

    url: str
    pid: int
    details: Mapping[str, Any]

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        try:
            return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def stop(self) -> None:
        """Leave it to the others."""


class Rendezvous:
    """A place where the processes of one run meet. Safe to use from several threads.

    Args:
        owner: Process that the run ends with.
        index: Number of this process among those of the run, from 0.
        within: Seconds until the place must be there.

    Raises:
        RendezvousLost: There is none.
    """

    def __init__(self, owner: Owner, index: int = 0, within: float = JOIN_WITHIN) -> None:
        self._lock = threading.Lock()
        address = _address_of(owner, within)
        try:
            self._socket = socket.create_connection(
                (rendezvous_service.HOST, address["port"]), timeout=within
            )
        except OSError as error:
            raise _lost(f"can't be reached: {error}") from error
        self._lines = self._socket.makefile("rb")
        hello = {"nonce": address["nonce"], "pid": os.getpid(), "index": index}
        self.run_id: str = self._ask(hello, within)["run_id"]

    def close(self) -> None:
        """Leave; a second call does nothing."""
        self._lines.close()
        self._socket.close()

    def flow(self, *, through_pool: bool, fault: str = "") -> EmbeddedFlow:
        """Return the embedded flow that all processes share; the first call starts it.

        Args:
            through_pool: Whether the backend executes in an embedded session pool.
            fault: Fault to build into the backend; none when empty.

        Raises:
            ServiceNotStarted: One of the services did not become ready.
            RendezvousLost: There is nobody to ask any more.
        """
        order = {"do": "flow", "through_pool": through_pool, "fault": fault}
        answer = self._ask(order, JOIN_WITHIN)
        if "error" in answer:
            raise ServiceNotStarted(answer["error"])
        return EmbeddedFlow([SharedService(**it) for it in answer["services"]])

    def belong(self, group: str, member: int) -> None:
        """Become a member of a group, which is told as soon as this process ends.

        Args:
            group: Who meets.
            member: Number of this process in the group, from 1.
        """
        self._ask({"do": "belong", "group": group, "member": member}, JOIN_WITHIN)

    def exchange(
        self, group: str, name: str, member: int, members: int, value: Any, within: float
    ) -> dict[int, Any]:
        """Give a value to all members of a group, and return what all gave, by member.

        It returns when the last one has come, so it is a barrier, too. A name stands for one
        exchange; every member uses the same names.

        Args:
            group: Who meets; a process that ends is missing in all further exchanges of its
                groups.
            name: Which exchange of the group's.
            member: Number of this process in the group, from 1.
            members: How many there are.
            value: Anything that JSON can say.
            within: Seconds that all have to come from the first one's coming on.

        Raises:
            NotTogether: Some did not come in time, or ended.
            RendezvousLost: There is nobody to ask any more.
        """
        order = {"do": "exchange", "group": group, "name": name, "member": member}
        order |= {"members": members, "value": value, "within": within}
        answer = self._ask(order, within)
        if "values" not in answer:
            raise NotTogether(tuple(answer["missing"]), tuple(answer["gone"]))
        return {int(number): it for number, it in answer["values"].items()}

    def note_decided(self) -> None:
        """Tell that a test of the run has passed or failed."""
        self._ask({"do": "decide"}, JOIN_WITHIN)

    def nothing_is_decided(self, processes: int, within: float) -> bool:
        """Wait for all other processes, and tell whether every test of the run was skipped.

        Args:
            processes: How many the run has in all.
            within: Seconds after which it is not known, and said not to be so.
        """
        answer = self._ask({"do": "undecided", "processes": processes, "within": within}, within)
        return bool(answer["undecided"])

    def _ask(self, order: Mapping[str, Any], within: float) -> dict[str, Any]:
        with self._lock:
            self._socket.settimeout(within + _SLACK)
            try:
                self._socket.sendall(json.dumps(order).encode() + b"\n")
                line = self._lines.readline()
                answer: dict[str, Any] = json.loads(line)
            except (OSError, ValueError) as error:
                raise _lost("has ended, or does not answer") from error
            return answer


def _lost(what: str) -> RendezvousLost:
    return RendezvousLost(
        f"The process that the processes of this run share {what}. If nobody has ended it, run "
        "again."
    )


def folder_of(owner: Owner) -> Path:
    """Return the folder through which the processes of a run find each other."""
    return Path(tempfile.gettempdir(), f"codewitness-run-{owner.pid}-{owner.created:.2f}")


def _address_of(owner: Owner, within: float) -> dict[str, Any]:
    deadline = time.monotonic() + within
    folder = folder_of(owner)
    _make_private(folder)
    file = folder / rendezvous_service.ADDRESS
    try:
        with _alone_in(folder, deadline):
            if not file.exists():
                _start(folder, owner, deadline)
            address: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return address
    except OSError as error:
        raise _lost(f"can't be found in {folder}: {error.strerror}") from error


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if sys.platform != "win32" and (found.st_uid, found.st_mode & 0o777) != (
            os.getuid(),
            0o700,
        ):
            raise RendezvousLost(f"{folder} belongs to somebody else; remove it") from None


@contextlib.contextmanager
def _alone_in(folder: Path, deadline: float) -> Iterator[None]:
    """Keep the others waiting; the system ends that should this process be killed."""
    with (folder / "lock").open("ab") as lock:
        while not _try_to_lock(lock):
            if time.monotonic() > deadline:
                raise _lost("was not there in time")
            time.sleep(0.02)
        yield


def _try_to_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _start(folder: Path, owner: Owner, deadline: float) -> None:
    errors = folder / "errors.txt"
    arguments = [str(folder), str(owner.pid), repr(owner.created)]
    with errors.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, str(_SERVICE_FILE), *arguments],
            stdin=subprocess.DEVNULL,
            # Not this process's own: pabot reads those to their end.
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=without_secrets(),
            start_new_session=True,
        )
    if sys.platform != "win32":
        # It goes on in a process that is nobody's child.
        process.wait(JOIN_WITHIN)
    while not (folder / rendezvous_service.ADDRESS).exists():
        ended = not folder.exists()
        if ended or time.monotonic() > deadline:
            text = "" if ended else errors.read_text(encoding="utf-8", errors="replace").strip()
            last = text.rpartition("\n")[2]
            raise _lost(f"did not start{f': {last}' if last else ''}")
        time.sleep(0.01)
