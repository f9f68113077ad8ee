"""Where loads go: the service under test, or an embedded flow that only loads use.

A load needs to know how many callers there are and what each of them met. The embedded flow and
a session pool keep a session for each caller: there a request is sent for a caller that has no
other one under way, as users of a backend do. Any other backend sees connections only.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from codewitness import __version__
from codewitness.embedded.callers import USER_HEADER
from codewitness.embedded.service import ask_control
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.load import (
    FAILED,
    WRONG,
    LoadAnswer,
    LoadClient,
    LoadRequest,
    LoadRequests,
)
from codewitness.execution.model import ExecutionResult
from codewitness.measuring.driving import drive
from codewitness.measuring.samples import OK, Run, SampleWriter, label_burst, write_run
from codewitness.measuring.schedules import ClosedModel, Schedule, burst
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.credentials import SCOPE
from codewitness.session_pool.identifiers import Lease, NoneFree
from codewitness.target.embedded_flow import EmbeddedFlow, start_flow
from codewitness.target.load_profile import LoadProfile
from codewitness.target.settings import Settings, TargetKind

SAMPLES = "samples"
"""Folder of the files of samples, in the output folder."""

# A load that goes on for so much longer than planned is broken off.
_PATIENCE = 120.0

HOPELESS = 5
"""Requests in a row without any answer after which the rest of a load is not sent."""

_READY_WITHIN = 15.0


class LoadTarget:
    """Sends loads to one service and keeps their samples.

    On the embedded and the local target a flow of the same kind is started for this alone, so that
    no other test's requests are in the figures. It ends with :meth:`close`.

    Args:
        settings: Effective settings of the run.
        profile: Sizes of the loads.
        folder: Where the samples go.
        pool: The executor of the session pool that is the target, which lends its identifiers.

    Raises:
        ServiceNotStarted: The embedded flow did not start.
        ValueError: The address can't be used.
    """

    def __init__(
        self,
        settings: Settings,
        profile: LoadProfile,
        folder: Path,
        pool: SessionPoolExecutor | None = None,
    ) -> None:
        self._settings = settings
        self._profile = profile
        self._folder = folder
        self._pool = pool
        self._deadline: float = settings["REQUEST_DEADLINE"]
        self._flow: EmbeddedFlow | None = None
        self._leases: dict[str, Lease] = {}
        self._kept: list[str] = []
        self._files: set[str] = set()
        self._names = (f"load-{secrets.token_hex(4)}-{number}" for number in itertools.count(1))
        try:
            self._client = self._open()
        except BaseException:
            self._stop_flow()
            raise

    def _open(self) -> LoadClient:
        settings = self._settings
        endpoint, credentials = settings["ENDPOINT"], BackendCredentials()
        if settings.kind in (TargetKind.EMBEDDED, TargetKind.LOCAL):
            self._flow = start_flow(
                through_pool=settings.through_pool,
                fault=settings["FAULT"],
                sessions=self._profile.sessions,
            )
            endpoint = self._flow.url
        elif settings.kind is TargetKind.POOL:
            endpoint = settings["POOL_MANAGEMENT_ENDPOINT"]
            credentials = BackendCredentials(scope=SCOPE)
        else:
            credentials = BackendCredentials.from_environment()
        return LoadClient(
            endpoint,
            credentials=credentials,
            verify=settings["VERIFY_TLS"],
            ca_bundle=settings["CA_BUNDLE"] or None,
        )

    @property
    def name(self) -> str:
        """What the loads go to, for people."""
        if self._flow is not None:
            return f"an embedded flow of its own at {self._flow.url}"
        return f"the {self._settings.kind.value} under test"

    @property
    def is_ours(self) -> bool:
        """Whether the services are this machine's own, which can be watched and spared nothing."""
        return self._flow is not None

    @property
    def service_processes(self) -> tuple[int, ...]:
        """Identifiers of the processes that serve, as far as they can be watched."""
        return () if self._flow is None else tuple(it.pid for it in self._flow.services)

    @property
    def ended(self) -> str | None:
        """Which service that was started for the loads has ended by itself, in words."""
        return None if self._flow is None else self._flow.ended

    @property
    def at_once(self) -> int:
        """Callers that are kept."""
        return len(self._kept) if self.names_callers else self._profile.sessions

    @property
    def names_callers(self) -> bool:
        """Whether each caller has a session of its own."""
        return self._flow is not None or self._pool is not None

    def meet(self, requests: LoadRequests, name: str) -> Run:
        """Send a request for each of as many new callers as there are to be, all at once.

        They are kept for the loads that follow. The samples are labelled by what the pool says of
        its ready instances, where that is known.

        Raises:
            PlatformFault: There is no token.
        """
        self._kept = list(self._new_names(self._profile.sessions))
        if not self._kept:
            return Run((), None, {})
        ready = self._ready_instances()
        send = self._sender(requests, list(self._kept))
        schedule = burst(len(self._kept))
        load = drive(send, schedule, header=self._header(name))
        run = self._client.run(load, _PATIENCE + self._deadline)
        if ready is not None:
            run = replace(run, samples=tuple(label_burst(run.samples, ready)))
        write_run(self._file(name), run)
        return run

    def _new_names(self, count: int) -> Iterator[str]:
        for _ in range(count):
            if self._pool is None:
                yield next(self._names)
                continue
            try:
                lease = self._pool.borrow()
            except NoneFree:
                return
            self._leases[lease.identifier] = lease
            yield lease.identifier

    def _ready_instances(self) -> int | None:
        if self._flow is None or self._flow.pool is None:
            return None
        control = self._flow.pool.details["control_url"]
        wanted = int(ask_control(f"{control}/state")["ready"])
        order = {"ready": wanted, "within": _READY_WITHIN}
        state = ask_control(f"{control}/wait", order, _READY_WITHIN + 10)
        return int(state["instances"]["ready"])

    def run(
        self, schedule: Schedule, requests: LoadRequests, name: str, *, one_caller: bool = False
    ) -> Run:
        """Drive a load, and keep its samples in a file of their own.

        Args:
            schedule: When requests start.
            requests: Makes them.
            name: What the load is, for the file's name and its header.
            one_caller: Whether all requests are one caller's, however many are under way.

        Raises:
            PlatformFault: There is no token.
        """
        free = self._kept[:1] if one_caller else list(self._kept)
        send = _while_hopeful(self._sender(requests, free))
        header = self._header(name)
        patience = _PATIENCE + self._deadline
        if isinstance(schedule, ClosedModel):
            patience += self._deadline * schedule.most / schedule.at_once
        else:
            patience += schedule.starts[-1]
        described = {"schedule": dict(schedule.description), **header}
        with SampleWriter(self._file(name), described) as file:
            load = drive(send, schedule, header=header, on_sample=file.add)
            run = self._client.run(load, patience)
            if run.generator is not None:
                file.finish(run.generator)
        return run

    def _header(self, name: str) -> dict[str, Any]:
        told = {"load": name, "target": self.name, "kept sessions": len(self._kept)}
        return {**told, "codewitness": __version__}

    def _file(self, name: str) -> Path:
        folder = self._folder / SAMPLES
        folder.mkdir(parents=True, exist_ok=True)
        stem = name.replace(" ", "-")
        # A load that is measured again leaves the samples of the first time where they are.
        stem = next(
            it
            for it in itertools.chain([stem], (f"{stem}-{again}" for again in itertools.count(2)))
            if it not in self._files
        )
        self._files.add(stem)
        return folder / f"{stem}.jsonl"

    def _sender(
        self, requests: LoadRequests, free: list[str]
    ) -> Callable[[int], Awaitable[LoadAnswer]]:
        if not self.names_callers or not free:
            return self._client.sender(requests, self._deadline)
        taken = itertools.cycle(free[:])

        async def attempt(number: int) -> LoadAnswer:
            # In turn, so that every session is used. With more requests under way than callers,
            # some have several.
            caller = free.pop(0) if free else next(taken)
            try:
                send = self._client.sender(
                    lambda it: self._for(requests(it), caller), self._deadline
                )
                return self._noted(await send(number), caller)
            finally:
                if caller not in free:
                    free.append(caller)

        return attempt

    def _for(self, wanted: LoadRequest, caller: str) -> LoadRequest:
        if self._pool is None:
            return replace(wanted, headers={USER_HEADER: caller})
        return replace(wanted, path=f"execute?identifier={quote(caller, safe='')}")

    def _noted(self, answer: LoadAnswer, caller: str) -> LoadAnswer:
        lease = self._leases.get(caller)
        if lease is None:
            return answer
        # Nobody else can have used an identifier of this run.
        told = replace(answer, session=caller, session_new=not lease.opened)
        lease.opened = True
        return told

    def execute(self, wanted: LoadRequest, caller: int) -> ExecutionResult:
        """Run one program outside of any load.

        Args:
            wanted: The request.
            caller: Number of the kept caller for whom it runs, from 0.

        Raises:
            RequestRefused: The service refused the request.
            PlatformFault: There was no answer of an execute API.
        """
        if self.names_callers and self._kept:
            wanted = self._for(wanted, self._kept[caller])
        execution = self._client.execute(wanted, self._deadline)
        return self._client.run(execution, self._deadline + _PATIENCE)

    def close(self) -> None:
        """Give identifiers back, close all connections, end what was started for this."""
        self._client.close()
        for lease in self._leases.values():
            if self._pool is not None:
                self._pool.give_back(lease, usable=True)
        self._leases.clear()
        self._stop_flow()

    def _stop_flow(self) -> None:
        if self._flow is not None:
            self._flow.stop()
            self._flow = None


def _while_hopeful(
    send: Callable[[int], Awaitable[LoadAnswer]],
) -> Callable[[int], Awaitable[LoadAnswer]]:
    """Send no more once nothing comes back: each request would wait for its whole deadline."""
    unanswered: list[LoadAnswer] = []

    async def attempt(number: int) -> LoadAnswer:
        if len(unanswered) >= HOPELESS:
            last = unanswered[-1]
            return LoadAnswer(
                FAILED,
                "not sent",
                f"{HOPELESS} requests in a row had no answer, the last one: {last.detail}",
            )
        answer = await send(number)
        if answer.outcome in (OK, WRONG) or answer.status is not None:
            unanswered.clear()
        else:
            unanswered.append(answer)
        return answer

    return attempt
