"""Load, rest, probe again: what a service keeps of the programs that it ran.

A client sees latencies, failures, and what a program finds in its session. The processes of
services that run here are watched as well, and so is this process, since a client that keeps
something looks like a service that gets slow. Two cycles of load and rest tell a cache, which
stops growing, from a leak, which does not.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from codewitness.execution.load import LoadRequest, token_requests
from codewitness.execution.model import ExecutionRequest, FaultKind, PlatformFault, SourceFile
from codewitness.measuring.samples import Run, Sample
from codewitness.measuring.schedules import constant_arrivals
from codewitness.target.load_profile import LoadProfile
from codewitness.target.load_target import LoadTarget
from codewitness.target.own_resources import Held, look_at

CYCLES = 2
"""Times that the load comes; what the last of them leaves is judged."""

_MOST_PROBED = 5
_PROBES_A_CALLER = 4
_MIB = 1024 * 1024
# What a careless service would keep: a file beside the program, and one in the temporary folder.
_LEAVES_FILES = b"""\
import os, tempfile
token = input()
for folder in (".", tempfile.gettempdir()):
    try:
        with open(os.path.join(folder, token), "w") as file:
            file.write(token)
    except OSError:
        pass
print(token)
"""
_LOOKS_AROUND = b"""\
import json, os, tempfile
folders = {os.path.realpath(it) for it in (".", "~", tempfile.gettempdir(), "/var/tmp", "/dev/shm")
           if os.path.isdir(it)} | {os.path.realpath(os.path.expanduser("~"))}
def count(folder):
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0
def is_own(name):
    try:
        return os.stat("/proc/" + name).st_uid == os.getuid()
    except OSError:
        return False
try:
    processes = sum(is_own(name) for name in os.listdir("/proc") if name.isdigit())
except (OSError, AttributeError):
    processes = None
memory = None
for path in ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"):
    try:
        with open(path) as file:
            memory = int(file.read())
    except (OSError, ValueError):
        pass
print(json.dumps([sum(map(count, folders)), processes, memory]))
"""


@dataclass(frozen=True)
class Footprint:
    """What a program found in its session.

    Attributes:
        files: Entries of its working directory, of its home and of the temporary folders.
        processes: Processes of its own user that it could see; ``None`` where it could see none.
        memory: Memory of its session in MiB; ``None`` where programs can't see it.
        seconds: How long it took from sending the request to having its answer.
        caller: Number of the caller for whom it looked.
    """

    files: int
    processes: int | None
    memory: float | None
    seconds: float
    caller: int = 0


@dataclass(frozen=True)
class Soak:
    """A soak, from the first probe to the last.

    Attributes:
        loads: The load of each cycle.
        before: What probes found before the first cycle, in order.
        after: What as many probes of the same callers found after the last one.
        services: What the services' processes held before the first cycle and after the rest of
            each; empty where they can't be watched.
        client: The same of this process.
        seconds: Length of a cycle, load and rest.
    """

    loads: tuple[Run, ...]
    before: tuple[Footprint, ...]
    after: tuple[Footprint, ...]
    services: tuple[Held, ...]
    client: tuple[Held, ...]
    seconds: float

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples of all cycles, on one axis of time."""
        joined: list[Sample] = []
        begin = 0.0
        for load in self.loads:
            joined += [_moved(it, len(joined), begin) for it in load.samples]
            begin = max(begin + self.seconds, max(it.ended for it in joined))
        return tuple(joined)

    def objection(self, most_lag: float) -> str:
        """Say why the generator was the bottleneck in one of the cycles; empty if it was not."""
        return next(filter(None, (it.objection(most_lag=most_lag) for it in self.loads)), "")


def _moved(sample: Sample, numbers: int, seconds: float) -> Sample:
    return replace(
        sample,
        number=sample.number + numbers,
        planned=sample.planned + seconds,
        started=sample.started + seconds,
        ended=sample.ended + seconds,
    )


def soak(target: LoadTarget, profile: LoadProfile) -> Soak:
    """Load a service and let it rest, twice, and look before and after.

    Raises:
        RequestRefused: A probe was refused.
        PlatformFault: A probe got no answer of an execute API.
    """
    before = _probe(target)
    services, client = [look_at(target.service_processes)], [look_at([os.getpid()])]
    loads = []
    for cycle in range(1, CYCLES + 1):
        schedule = constant_arrivals(profile.soak_rate, profile.soak_seconds)
        loads.append(target.run(schedule, token_requests(_LEAVES_FILES), f"soak {cycle}"))
        time.sleep(profile.rest_seconds)
        services.append(look_at(target.service_processes))
        client.append(look_at([os.getpid()]))
    return Soak(
        loads=tuple(loads),
        before=before,
        after=_probe(target),
        services=tuple(services) if target.service_processes else (),
        client=tuple(client),
        seconds=profile.soak_seconds + profile.rest_seconds,
    )


def growth(held: Sequence[Held]) -> tuple[float, int]:
    """Return by how much memory (in MiB) and handles grew in the last cycle."""
    before, after = held[-2:]
    return after.memory - before.memory, after.handles - before.handles


def left(soak: Soak, of: Callable[[Footprint], float]) -> float:
    """Return by how much more the probes of one caller found after a soak than before it.

    What is left is seen by all probes that follow; what comes and goes meanwhile, as processes do
    where programs see those of a whole machine, is not. Of all callers the worst counts.

    Args:
        soak: The soak.
        of: What is compared.
    """
    return max(
        min(of(it) for it in soak.after if it.caller == caller)
        - max(of(it) for it in soak.before if it.caller == caller)
        for caller in {it.caller for it in soak.before}
    )


def _probe(target: LoadTarget) -> tuple[Footprint, ...]:
    callers = range(min(_MOST_PROBED, target.at_once))
    return tuple(_look(target, it) for _ in range(_PROBES_A_CALLER) for it in callers)


def _look(target: LoadTarget, caller: int) -> Footprint:
    request = ExecutionRequest("python", (SourceFile(_LOOKS_AROUND),))
    result = target.execute(LoadRequest(request, b""), caller)
    try:
        files, processes, memory = json.loads(result.run.stdout)
    except ValueError as error:
        raise PlatformFault(
            FaultKind.BAD_ANSWER,
            f"the probe program did not print what it found: {result.run.stdout[:200]!r}",
        ) from error
    return Footprint(
        files,
        processes or None,
        None if memory is None else memory / _MIB,
        result.elapsed,
        # Without callers of their own, all probes look at one and the same.
        caller if target.names_callers else 0,
    )
