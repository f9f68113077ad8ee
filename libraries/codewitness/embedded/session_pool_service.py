"""A whole session pool: data plane, control port, and the identity service for its callers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from codewitness.embedded.backend import BackendConfig
from codewitness.embedded.certificates import Certificates
from codewitness.embedded.clock import Clock
from codewitness.embedded.containers import Containers
from codewitness.embedded.gateway import GatewayConfig
from codewitness.embedded.identity import Form, IdentityConfig, IdentityService
from codewitness.embedded.interpreter_pool import create_interpreter_app, pool_path
from codewitness.embedded.interpreter_session import InterpreterHost
from codewitness.embedded.interpreters import Interpreters
from codewitness.embedded.pool_control import create_control_app
from codewitness.embedded.pool_spoiling import PoolSpoiling
from codewitness.embedded.running_pool import Instances, RunningPool
from codewitness.embedded.session_pool import ForwardingConfig, create_pool_app
from codewitness.execution.local import OUTPUT_LIMIT, LocalExecutor
from codewitness.execution.model import Executor
from codewitness.session_pool.contract import Kind, check_rules
from codewitness.session_pool.hosts import ExecutorHost
from codewitness.session_pool.lifecycle import PoolRules
from codewitness.session_pool.tokens import TokenRules

HOST = "127.0.0.1"
"""The pool runs any program it is sent: it is for this machine alone."""

ENDPOINT_VARIABLE = "POOL_MANAGEMENT_ENDPOINT"
"""Variable that tells a client where the pool is."""


@dataclass(frozen=True)
class PoolSettings:
    """What a session pool is made of.

    Attributes:
        kind: Containers with a Piston server, the built-in interpreter or the built-in shell.
        rules: Size and lifecycle.
        checks_rules: Whether rules that Azure refuses are refused.
        refuses_ready_zero: Whether a pool of containers that keeps no session ready is among
            them, as one report says.
        start_time: Seconds added to the start of every instance.
        gateway: Behaviour of the gateway; its authority is set from the two below.
        identity: How callers get their tokens; ``None`` for a pool that lets everybody in.
        identity_config: What tokens they get.
        role_after: Seconds until the role of the identity counts.
        forbidden_text: Body of a 403.
        forwarding: What becomes of requests on their way to a container.
        sandbox: Containment of programs.
        output_limit: Bytes of stdout and of stderr of a program.
        backend: How the Piston servers in the containers are configured.
        tls: Whether the pool speaks https, with a certificate of an authority of its own.
        spoiling: What is broken on purpose.
    """

    kind: Kind = "custom-container"
    rules: PoolRules = field(default_factory=PoolRules)
    checks_rules: bool = True
    refuses_ready_zero: bool = False
    start_time: float = 0.0
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    identity: Form | None = "app-service"
    identity_config: IdentityConfig = field(default_factory=IdentityConfig)
    role_after: float = 0.0
    forbidden_text: str = ""
    forwarding: ForwardingConfig = field(default_factory=ForwardingConfig)
    sandbox: Literal["auto", "bubblewrap", "none"] = "auto"
    output_limit: int = OUTPUT_LIMIT
    backend: BackendConfig = field(default_factory=BackendConfig)
    tls: bool = False
    spoiling: PoolSpoiling = field(default_factory=PoolSpoiling)

    def __post_init__(self) -> None:
        if self.checks_rules:
            check_rules(self.rules, self.kind, refuses_ready_zero=self.refuses_ready_zero)


@contextlib.asynccontextmanager
async def serving_pool(
    settings: PoolSettings, folder: Path, *, port: int = 0, control_port: int = 0
) -> AsyncIterator[dict[str, Any]]:
    """Serve a pool for as long as the context lasts.

    Args:
        settings: What it is made of.
        folder: For certificates and credential files.
        port: Where to listen; 0 for any free port.
        control_port: The same for the control application.

    Yields:
        What a client must know: ``url`` of the pool, ``control_url``, ``ca_bundle`` with the
        authority that https clients must trust (``None`` without https), the ``environment``
        variables that make them trust it and make azure-identity get tokens for the pool, and
        ``allocation_time``, the seconds that are added to the first request of a session.

    Raises:
        OSError: A port can't be had.
        PlatformFault: Nothing can be run here as it is asked for.
    """
    async with contextlib.AsyncExitStack() as stack:
        environment: dict[str, str] = {}
        certificates: Certificates | None = None
        identity: IdentityService | None = None
        gateway = settings.gateway
        tenant_over_https = settings.identity in ("client-secret", "workload")
        if settings.tls or tenant_over_https:
            certificates = await asyncio.to_thread(Certificates, folder)
            environment = certificates.environment
        if settings.identity is not None:
            identity = IdentityService(config=settings.identity_config)
            stack.push_async_callback(identity.stop)
            await identity.start(folder if tenant_over_https else None, certificates)
            environment |= identity.environment(settings.identity)
            rules = TokenRules(
                key=identity.signer.public_key,
                role_effective_at=time.time() + settings.role_after,
                forbidden_text=settings.forbidden_text,
            )
            change = settings.spoiling.tokens
            gateway = replace(gateway, authority=rules if change is None else change(rules))
        clock = Clock()
        app, pool, path = await asyncio.to_thread(_data_plane, settings, gateway, clock)
        tls = certificates.context if certificates and settings.tls else None
        url = await _serve(stack, app, port, tls) + path
        control = create_control_app(pool, clock, identity)
        yield {
            "url": url,
            "kind": settings.kind,
            "pool": gateway.name,
            "control_url": await _serve(stack, control, control_port),
            "ca_bundle": str(certificates.bundle) if certificates else None,
            "allocation_time": settings.rules.allocation_time,
            "environment": {ENDPOINT_VARIABLE: url, **environment},
        }


def _data_plane(
    settings: PoolSettings, gateway: GatewayConfig, clock: Clock
) -> tuple[web.Application, RunningPool[Any], str]:
    """Return the application, the pool behind it and the path where its operations begin."""
    if settings.kind != "custom-container":
        built_in = _running(
            settings, Interpreters(InterpreterHost(sandbox=settings.sandbox)), clock
        )
        app = create_interpreter_app(built_in, clock, gateway, is_shell=settings.kind == "shell")
        _spoil(app, settings)
        return app, built_in, pool_path(gateway.name)
    host = ExecutorHost(lambda: _executor(settings))
    if settings.sandbox == "bubblewrap":
        # Fails now, not when the first caller comes.
        host.open().close()
    containers = Containers(host, settings.backend)
    pool = _running(settings, containers, clock)
    forwarding = settings.forwarding
    if settings.spoiling.keeps_authorization:
        forwarding = replace(forwarding, keeps_authorization=True)
    app = create_pool_app(pool, clock, gateway, forwarding)
    _spoil(app, settings)
    return app, pool, ""


def _running(settings: PoolSettings, instances: Instances[Any], clock: Clock) -> RunningPool[Any]:
    spoiling = settings.spoiling
    return RunningPool(
        settings.rules,
        instances if spoiling.instances is None else spoiling.instances(instances),
        clock,
        start_time=settings.start_time,
        lifecycle=spoiling.lifecycle,
    )


def _executor(settings: PoolSettings) -> Executor:
    executor = LocalExecutor(sandbox=settings.sandbox, output_limit=settings.output_limit, ready=1)
    spoiler = settings.spoiling.executor
    return executor if spoiler is None else spoiler(executor)


def _spoil(app: web.Application, settings: PoolSettings) -> None:
    if settings.spoiling.middleware is not None:
        app.middlewares.insert(0, settings.spoiling.middleware())


async def _serve(
    stack: contextlib.AsyncExitStack,
    app: web.Application,
    port: int,
    tls: ssl.SSLContext | None = None,
) -> str:
    # Bodies are forwarded as they came, compressed ones included.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, auto_decompress=False)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=1024, ssl_context=tls).start()
    scheme = "http" if tls is None else "https"
    return f"{scheme}://{HOST}:{runner.addresses[0][1]}"
