"""Deployments that are broken in ways met in the field, many in one process.

Each has the name of what is wrong with it: a row of :mod:`codewitness.execution.causes`, with an
addition where a row is shown in several ways. Backends and containers have a path each under one
port; session pools, which are the emulator's own, have a port each.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from codewitness.embedded import broken_backends as broken
from codewitness.embedded.backend import BackendConfig, create_app
from codewitness.embedded.broken_backends import Caller, Programs, Shared
from codewitness.embedded.lax_sandbox import Laxity, LaxSandbox
from codewitness.embedded.minimal import create_minimal_app
from codewitness.embedded.session_pool import ForwardingConfig
from codewitness.embedded.session_pool_service import HOST, PoolSettings, serving_pool
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import PlatformFault
from codewitness.execution.sandbox_pool import contain
from codewitness.session_pool.lifecycle import PoolRules

PISTON_OUTPUT_LIMIT = 1024
"""Characters of stdout and of stderr that a Piston with its defaults lets through."""

STARTING = 0.8
"""Seconds that something takes which clears by itself."""


@dataclass(frozen=True)
class _Shelf:
    """What the deployments are built of.

    Attributes:
        executor: Runs the programs of all.
        tight: The same, with Piston's own output limit.
        programs: The executor for those that read requests themselves.
        caller: Asks what is behind a backend.
        pools: What is known of each session pool, by name.
    """

    executor: LocalExecutor
    tight: LocalExecutor
    programs: Programs
    caller: Caller
    pools: Mapping[str, Mapping[str, Any]]

    def behind(self, pool: str) -> web.Application:
        """Return a backend that tells the errors of a pool as results."""
        return broken.pool_errors_as_results(self.caller, self.pools[pool]["url"])


def _pool(**settings: Any) -> PoolSettings:
    # Nothing is started ahead: what no test asks for costs nothing.
    defaults = {"rules": PoolRules(ready=0), "identity": None, "checks_rules": False}
    return PoolSettings(**{**defaults, **settings})


_POOLS: Mapping[str, tuple[str, PoolSettings]] = {
    "pool": ("a sound pool", _pool(rules=PoolRules(maximum=20, ready=0))),
    "interpreter": ("a sound pool of Python interpreters", _pool(kind="python")),
    "guarded": (
        "a sound pool that wants a token, with an identity of its own",
        _pool(identity="app-service"),
    ),
    "C1": ("a small pool, which identifiers fill", _pool(rules=PoolRules(maximum=3, ready=0))),
    "C3": (
        "a pool that refuses new identifiers while its next instance warms",
        _pool(
            rules=PoolRules(maximum=5, ready=1, waits_for_start=False),
            start_time=STARTING,
        ),
    ),
    "C7": (
        "a pool whose container never listens on the target port",
        _pool(forwarding=ForwardingConfig(listens_after=float("inf"))),
    ),
    "C7-starting": (
        "a pool whose containers listen a little after they were allocated",
        # The seconds count from allocation; an instance that must start first would use them up.
        _pool(rules=PoolRules(ready=1), forwarding=ForwardingConfig(listens_after=STARTING)),
    ),
    "C8": (
        "a pool that takes its time to allocate a session",
        _pool(rules=PoolRules(ready=0, allocation_time=STARTING)),
    ),
    "R1": ("a pool without a target port", _pool(forwarding=ForwardingConfig(port_set=False))),
}

_BACKENDS: Mapping[str, tuple[str, Callable[[_Shelf], web.Application]]] = {
    "sound": (
        "a sound backend",
        lambda it: create_app(Shared(it.executor)),
    ),
    "minimal": (
        "a minimal backend: typed web framework, Python only, the plan's fields only",
        lambda it: create_minimal_app(Shared(it.executor)),
    ),
    "I7": (
        "a backend whose credential lacks a variable, told as a result",
        lambda _: broken.incomplete_credential(),
    ),
    "R3": (
        "a container whose route takes no + in the name of a language",
        lambda it: broken.route_without_plus(it.programs, it.caller),
    ),
    "R6": (
        "a container that refuses the parameter api-version",
        lambda it: broken.container_without_api_version(it.programs),
    ),
    "C5": (
        "a rate limiter that counts per worker and answers HTML",
        lambda it: broken.rate_limiter_per_worker(it.programs),
    ),
    "C6": (
        "a service of two replicas that does not scale",
        lambda it: broken.too_few_replicas(it.programs),
    ),
    "C9": (
        "a development server: the third request at a time gets no answer",
        lambda it: broken.development_server(it.programs),
    ),
    "C10": (
        "an allocator that fails every third time",
        lambda it: broken.failing_allocator(it.programs),
    ),
    "C11": (
        "an interpreter whose time limit is over while the program runs",
        lambda it: broken.interpreter_out_of_time(
            it.caller, it.pools["interpreter"]["url"], it.pools["interpreter"]["control_url"]
        ),
    ),
    "X1": (
        "a backend without the address of a pool, told as a result",
        lambda _: broken.unconfigured(),
    ),
    "X1-C1": (
        "a backend that takes a random identifier per call and tells the pool's 429 as a result",
        lambda it: it.behind("C1"),
    ),
    "X1-C7": (
        "a backend that tells the 502 of its pool as a result",
        lambda it: it.behind("C7"),
    ),
    "X1-I1": (
        "a backend that tells the 401 of its pool as a result",
        lambda it: it.behind("guarded"),
    ),
    "X1-R1": (
        "a backend that tells the 404 of its pool as a result",
        lambda it: it.behind("R1"),
    ),
    "X2": (
        "an adapter and a backend that name fields differently: success, always and empty",
        lambda it: broken.fields_named_differently(it.programs, it.caller),
    ),
    "X3": (
        "an adapter that takes exit code 0 for a missing one",
        lambda it: broken.zero_taken_for_missing(it.programs, it.caller),
    ),
    "X5": (
        "a placeholder image",
        lambda it: broken.placeholder(it.caller, "Mock execution for {language}\n"),
    ),
    "X5-constant": (
        "a placeholder image with a text that looks like an output",
        lambda it: broken.placeholder(it.caller, "Hello, World!\n"),
    ),
    "X7": (
        "a backend that has one identifier for everybody",
        lambda it: broken.pool_shared_by_all(it.caller, it.pools["interpreter"]["url"]),
    ),
    "X8": (
        "a backend that runs everything as Python",
        lambda it: broken.always_python(it.programs, it.caller),
    ),
    "X9": (
        "an adapter that pins a version that is not installed",
        lambda it: broken.pinned_version(it.programs, it.caller),
    ),
    "X11": (
        "a Piston of the older kind with its own output limit",
        lambda it: create_app(Shared(it.tight), BackendConfig(generation="a")),
    ),
    "X12": (
        "too little address space for the virtual machines of Java and JavaScript",
        lambda it: broken.small_address_space(it.programs),
    ),
    "X13": (
        "a compiler that wants every Java class to be Main",
        lambda it: broken.java_in_main(it.programs),
    ),
    "X14": (
        "an executor that wants test cases where the backend sends stdin",
        lambda it: broken.other_contract(it.caller),
    ),
}

# What a walk's few programs, one after the other and in Python, do not meet, or by chance alone.
# Those of the interpreter stop it earlier: they lose exit codes.
_NOT_WALKED = (
    *("R3", "R6", "C1", "C3", "C5", "C6", "C8", "C9", "C10", "C11"),
    *("X1-C1", "X7", "X8", "X11", "X12", "X13", "X15"),
)

# Needs bubblewrap, so that the network's wall alone is down.
_LAX = {"X15": "programs have the network of their host"}


@dataclass(frozen=True)
class BrokenDeployments:
    """What is served.

    Attributes:
        urls: Base URL of each deployment by name; for pools their management endpoint.
        pools: What a client and its operator must know of each session pool, by name.
    """

    urls: Mapping[str, str]
    pools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def catalogue() -> dict[str, str]:
    """Return what is wrong with each deployment, by its name, and which a walk need not show."""
    told = {name: summary for name, (summary, _) in (*_POOLS.items(), *_BACKENDS.items())}
    return {
        name: summary + " (no test of diagnose)" * (name in _NOT_WALKED)
        for name, summary in sorted({**told, **_LAX}.items())
    }


@contextlib.asynccontextmanager
async def serving_deployments(folder: Path, *, port: int = 0) -> AsyncIterator[BrokenDeployments]:
    """Serve all deployments for as long as the context lasts.

    Args:
        folder: For files of the pools.
        port: Where the backends listen; 0 for any free port. Pools take free ones.

    Raises:
        OSError: A port can't be had.
    """
    async with contextlib.AsyncExitStack() as stack:
        pools = {}
        for name, (_, settings) in _POOLS.items():
            home = folder / name
            home.mkdir()
            pools[name] = await stack.enter_async_context(serving_pool(settings, home))
        containment = contain("auto", 2)
        executor = LocalExecutor(containment=containment)
        stack.callback(executor.close)
        tight = LocalExecutor(containment=containment, output_limit=PISTON_OUTPUT_LIMIT)
        caller = Caller()
        shelf = _Shelf(executor, tight, Programs(executor), caller, pools)
        apps = {name: make(shelf) for name, (_, make) in _BACKENDS.items()}
        with contextlib.suppress(PlatformFault):
            lax = LaxSandbox(Shared(executor), Laxity(shared_network=True))
            apps["X15"] = create_app(lax)
        url = await _serve(stack, apps, caller, port)
        yield BrokenDeployments(
            {**{name: f"{url}/{name}" for name in apps}, **{it: pools[it]["url"] for it in pools}},
            pools,
        )


async def _serve(
    stack: contextlib.AsyncExitStack, apps: Mapping[str, web.Application], caller: Caller, port: int
) -> str:
    """Serve applications under their names and return the URL that they share."""
    site = web.Application()
    site.cleanup_ctx.append(caller.run)
    for name, app in apps.items():
        site.add_subapp(f"/{name}", app)
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=1024).start()
    return f"http://{HOST}:{runner.addresses[0][1]}"


def ready_line(served: BrokenDeployments) -> dict[str, Any]:
    """Return what the command tells when it is listening."""
    url = served.urls["sound"].rpartition("/")[0]
    return {
        "service": "broken deployments",
        "url": url,
        "pid": os.getpid(),
        "deployments": dict(served.urls),
        "pools": {name: dict(told) for name, told in served.pools.items()},
    }
