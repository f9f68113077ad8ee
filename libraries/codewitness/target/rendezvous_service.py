"""The process in which the processes of one parallel run meet.

It holds what they share: one run id, one embedded flow, and what they exchange. Each of them may
be killed, also the one that started it, so it belongs to none of them: it watches the process that
owns the run, and ends when that is gone, however it went.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

if not __package__:
    # Started as a file: Python put this folder on the path instead of the libraries'.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from codewitness.embedded.service import ServiceNotStarted
from codewitness.session_pool.identifiers import new_run_id
from codewitness.target.embedded_flow import EmbeddedFlow, start_flow

ADDRESS = "address.json"
"""File in the folder of a run that tells where its service listens, and the nonce it wants."""

HOST = "127.0.0.1"

SHARED_SESSIONS = 64
"""Sessions of an embedded pool that several processes use at once."""

LONGEST_LINE = 8 * 1024 * 1024
"""Bytes of one order or answer at most."""

_LOOK_EVERY = 0.25
_GRACE = 2.0


class _Exchange:
    """One meeting of all members of a group: each gives a value, and gets those of all."""

    def __init__(self, members: int) -> None:
        self.members = members
        self.values: dict[int, Any] = {}
        self.outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def give(self, member: int, value: Any) -> None:
        if self.outcome.done():
            return
        self.values[member] = value
        if len(self.values) == self.members:
            self.outcome.set_result({"values": self.values})

    def fail(self, gone: Iterable[int] = ()) -> None:
        """Let nobody wait any longer; who comes later learns the same."""
        if not self.outcome.done():
            missing = [it for it in range(1, self.members + 1) if it not in self.values]
            self.outcome.set_result({"missing": missing, "gone": sorted(gone)})


class _Group:
    """Processes that meet, as often as they like."""

    def __init__(self) -> None:
        self._exchanges: dict[str, _Exchange] = {}
        self._gone: set[int] = set()

    def exchange(self, name: str, members: int, within: float) -> _Exchange:
        if name not in self._exchanges:
            exchange = self._exchanges[name] = _Exchange(members)
            asyncio.get_running_loop().call_later(within, exchange.fail)
            if self._gone:
                exchange.fail(self._gone)
        return self._exchanges[name]

    def lose(self, member: int) -> None:
        self._gone.add(member)
        for exchange in self._exchanges.values():
            exchange.fail(self._gone)


class RendezvousService:
    """Answers the processes of a run, one line of JSON to each of theirs.

    Args:
        nonce: What whoever connects must know.
        start: Starts the embedded flow; see :func:`start_flow`.

    Attributes:
        run_id: Name of the run.
        present: Process ids of those that are connected.
    """

    def __init__(self, nonce: str, start: Callable[..., EmbeddedFlow] = start_flow) -> None:
        self.run_id = new_run_id()
        self.present: list[int] = []
        self._nonce = nonce
        self._start = start
        self._flows: dict[tuple[bool, str], asyncio.Future[EmbeddedFlow]] = {}
        self._groups: dict[str, _Group] = {}
        self._seen: set[int] = set()
        self._decided = False
        self._changed = asyncio.Condition()
        self._actions: Mapping[str, Callable[..., Any]] = {
            "flow": self._share_flow,
            "belong": self._belong,
            "exchange": self._exchange,
            "decide": self._decide,
            "undecided": self._undecided,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one process as long as it is there."""
        memberships: set[tuple[str, int]] = set()
        # Whoever speaks otherwise is none of the run's processes, or has just been killed.
        with contextlib.suppress(ValueError, LookupError, TypeError, ConnectionError):
            hello = json.loads(await reader.readline())
            if secrets.compare_digest(str(hello["nonce"]), self._nonce):
                pid = int(hello["pid"])
                self._seen.add(int(hello["index"]))
                self.present.append(pid)
                try:
                    await self._tell_changed()
                    await _answer(writer, {"run_id": self.run_id})
                    await self._obey(reader, writer, memberships)
                finally:
                    self.present.remove(pid)
        for group, member in memberships:
            self._groups[group].lose(member)
        writer.close()
        await self._tell_changed()

    async def _obey(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        memberships: set[tuple[str, int]],
    ) -> None:
        line = await reader.readline()
        while line:
            order = json.loads(line)
            if "group" in order:
                self._groups.setdefault(order["group"], _Group())
                memberships.add((order["group"], order["member"]))
            acting = asyncio.ensure_future(self._actions[order.pop("do")](**order))
            # Read ahead: the end of the stream is how the death of one that waits shows.
            following = asyncio.ensure_future(reader.readline())
            try:
                await asyncio.wait([acting, following], return_when=asyncio.FIRST_COMPLETED)
                if not acting.done():
                    return
                await _answer(writer, acting.result())
                line = await following
            finally:
                acting.cancel()
                following.cancel()

    async def _share_flow(self, through_pool: bool, fault: str) -> dict[str, Any]:
        """Start the embedded flow once, and tell where it is."""
        key = (through_pool, fault)
        if key not in self._flows:
            starting = asyncio.to_thread(
                self._start, through_pool=through_pool, fault=fault, sessions=SHARED_SESSIONS
            )
            self._flows[key] = asyncio.ensure_future(starting)
        try:
            # Shielded: whoever asked first may be killed, and the others still need it.
            flow = await asyncio.shield(self._flows[key])
        except ServiceNotStarted as error:
            return {"error": str(error)}
        services = [
            {"url": it.url, "pid": it.pid, "details": dict(it.details)} for it in flow.services
        ]
        return {"services": services}

    async def _belong(self, **_: Any) -> dict[str, Any]:
        """Do nothing more: whoever names its group belongs to it."""
        return {}

    async def _exchange(
        self, group: str, name: str, member: int, members: int, value: Any, within: float
    ) -> dict[str, Any]:
        exchange = self._groups[group].exchange(name, members, within)
        exchange.give(member, value)
        return await asyncio.shield(exchange.outcome)

    async def _decide(self) -> dict[str, Any]:
        """Note that a test has passed or failed."""
        self._decided = True
        await self._tell_changed()
        return {}

    async def _undecided(self, processes: int, within: float) -> dict[str, Any]:
        """Tell whether all others have ended and no test has passed or failed."""

        def known() -> bool:
            return self._decided or (len(self.present) <= 1 and len(self._seen) >= processes)

        try:
            async with self._changed:
                await asyncio.wait_for(self._changed.wait_for(known), within)
        except asyncio.TimeoutError:
            return {"undecided": False}
        return {"undecided": not self._decided}

    async def _tell_changed(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def stop(self) -> None:
        """End the embedded flows."""
        for starting in self._flows.values():
            with contextlib.suppress(ServiceNotStarted):
                flow = await starting
                await asyncio.to_thread(flow.stop)


async def _answer(writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
    writer.write(json.dumps(answer).encode() + b"\n")
    await writer.drain()


async def serve_run(folder: Path, owner: psutil.Process | None) -> None:
    """Serve the processes of a run until its owner is gone, and leave nothing behind.

    Args:
        folder: Folder of the run; the address is written there.
        owner: Process that owns the run; ``None`` if it is gone already.
    """
    nonce = secrets.token_hex(16)
    service = RendezvousService(nonce)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(ending.set))
    helpers = _children_of(owner)
    server = await asyncio.start_server(service.serve, HOST, 0, limit=LONGEST_LINE)
    try:
        port = server.sockets[0].getsockname()[1]
        _publish(folder / ADDRESS, {"port": port, "nonce": nonce})
        while _is_there(owner) and not ending.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ending.wait(), _LOOK_EVERY)
    finally:
        server.close()
        orphans = [] if _is_there(owner) else helpers + _processes(service.present)
        await service.stop()
        _end_orphans(orphans)


def _publish(file: Path, address: Mapping[str, Any]) -> None:
    # Renamed, so that nobody reads half of it.
    part = file.with_suffix(".part")
    part.write_text(json.dumps(address), encoding="utf-8")
    part.replace(file)


def _is_there(owner: psutil.Process | None) -> bool:
    try:
        return owner is not None and owner.is_running() and owner.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _children_of(owner: psutil.Process | None) -> list[psutil.Process]:
    try:
        return [] if owner is None else owner.children()
    except psutil.NoSuchProcess:
        return []


def _processes(pids: Iterable[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def _end_orphans(processes: list[psutil.Process]) -> None:
    """End what a killed owner could no longer end; the rest goes by itself."""
    _, left = psutil.wait_procs(processes, _GRACE)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def main(folder: Path, pid: int, created: float) -> None:
    """Serve the run whose owner is the process with this id and this time of creation."""
    if sys.platform != "win32" and os.fork():
        # Whoever started this may be ended with all its descendants: be none of them.
        os._exit(0)
    owners = [it for it in _processes([pid]) if abs(it.create_time() - created) < 1]
    try:
        asyncio.run(serve_run(folder, owners[0] if owners else None))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
