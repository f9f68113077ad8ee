"""The session pool on the command line: its arguments, and the settings they make."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from codewitness.embedded.arguments import bounded_number
from codewitness.embedded.backend import BackendConfig
from codewitness.embedded.gateway import GatewayConfig
from codewitness.embedded.identity import IdentityConfig
from codewitness.embedded.pool_faults import PoolFault, find_pool_fault
from codewitness.embedded.pool_spoiling import PoolSpoiling
from codewitness.embedded.session_pool import ForwardingConfig
from codewitness.embedded.session_pool_service import PoolSettings
from codewitness.session_pool.lifecycle import OnContainerExit, PoolRules, Timed

DESCRIPTION = (
    "Serve an Azure Container Apps session pool of this machine: allocation by identifier, "
    "cooldown, capacity, bearer tokens, management routes. Behind it run containers with a Piston "
    "server, Python interpreters or shells. Prints one JSON line when it is listening: the pool's "
    "URL, the URL of its control port and the environment variables with which azure-identity "
    "gets tokens for it. Serves until interrupted."
)
EPILOG = (
    "Time goes ahead by order: curl -d '{\"move\": 301}' CONTROL_URL/clock ends whatever cooled "
    "down. GET CONTROL_URL/ lists what else the control port can do."
)

ALLOCATION_TIME = 1.0
"""Seconds added to the first request of a session where the command line doesn't say; real pools
take about four."""

_FORMS = ("app-service", "imds", "client-secret", "workload")


def add_pool_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that only a session pool has."""
    pool = parser.add_argument_group("pool")
    pool.add_argument(
        "--kind",
        choices=("custom-container", "python", "shell"),
        default="custom-container",
        help="containers with a Piston server (default), the built-in Python interpreter, or the "
        "built-in shell",
    )
    pool.add_argument("--name", default=GatewayConfig.name, help="name of the pool")
    pool.add_argument(
        "--max-sessions",
        type=_whole,
        default=PoolRules.maximum,
        metavar="N",
        help="sessions at one time (default 5)",
    )
    pool.add_argument(
        "--ready-sessions",
        type=_whole,
        metavar="N",
        help="instances kept ready for new identifiers (default 1, or 0 in a pool of one session); "
        "0 is the cheapest pool, in which every first request waits for a start",
    )
    pool.add_argument(
        "--refuse-ready-zero",
        action="store_true",
        help="refuse --ready-sessions 0 for containers with "
        "SessionPoolInvalidReadySessionInstances, as one report says of Azure",
    )
    pool.add_argument(
        "--cooldown",
        type=_seconds,
        default=Timed.cooldown,
        metavar="S",
        help="seconds from a session's last request to its end, 300 (default) to 3600",
    )
    pool.add_argument(
        "--max-alive",
        type=_seconds,
        metavar="S",
        help="end sessions with their container or at this age, instead of by cooldown",
    )
    pool.add_argument(
        "--unchecked", action="store_true", help="take sizes and times that Azure would refuse"
    )
    pool.add_argument(
        "--tls",
        action="store_true",
        help="serve https with the certificate of a throw-away authority, told as ca_bundle; the "
        "environment makes clients trust it (default http)",
    )
    _add_behaviour(parser.add_argument_group("behaviour"))
    _add_identity(parser.add_argument_group("identity"))


def pool_settings(options: argparse.Namespace, backend: BackendConfig) -> PoolSettings:
    """Return the settings that a command line asks for.

    Args:
        options: Parsed arguments.
        backend: How the Piston servers in the containers are configured.

    Raises:
        ValueError: They contradict each other, or Azure would refuse them.
    """
    lifecycle = Timed(options.cooldown)
    ready = options.ready_sessions
    if ready is None:
        # A pool keeps fewer sessions ready than it may have in all.
        ready = min(PoolRules.ready, max(0, options.max_sessions - 1))
    return PoolSettings(
        kind=options.kind,
        rules=PoolRules(
            maximum=options.max_sessions,
            ready=ready,
            lifecycle=lifecycle
            if options.max_alive is None
            else OnContainerExit(options.max_alive),
            allocation_time=options.allocation_time,
            waits_for_start=not options.refuse_while_warming,
        ),
        checks_rules=not options.unchecked,
        refuses_ready_zero=options.refuse_ready_zero,
        start_time=options.start_time,
        gateway=GatewayConfig(
            name=options.name, full=options.when_full, identifiers=options.identifiers
        ),
        identity=None if options.identity == "none" else options.identity,
        identity_config=IdentityConfig(
            lifetime=options.token_lifetime,
            audience=options.token_audience,
            roles=() if options.without_role else IdentityConfig.roles,
        ),
        role_after=options.role_after,
        forbidden_text=options.forbidden_text,
        forwarding=ForwardingConfig(
            port_set=not options.target_port_unset,
            listens_after=options.listens_after,
            keeps_authorization=options.keep_authorization,
            keeps_identifier=not options.strip_identifier,
        ),
        sandbox=options.sandbox,
        output_limit=options.output_limit,
        backend=backend,
        tls=options.tls,
        spoiling=PoolSpoiling() if options.fault is None else options.fault.spoiling,
    )


def _add_behaviour(group: Any) -> None:
    group.add_argument("--fault", type=_fault, metavar="NAME", help="be broken in one way")
    group.add_argument(
        "--list-faults", action="store_true", help="print all faults: name, group, summary"
    )
    group.add_argument(
        "--sandbox",
        choices=("auto", "bubblewrap", "none"),
        default="auto",
        help="auto (default) takes bubblewrap, or process limits alone where it doesn't work",
    )
    group.add_argument(
        "--allocation-time",
        type=_seconds,
        default=ALLOCATION_TIME,
        metavar="S",
        help="seconds that the first request of an identifier takes longer (default 1; real pools: "
        "about 4)",
    )
    group.add_argument(
        "--start-time",
        type=_seconds,
        default=0.0,
        metavar="S",
        help="seconds that every instance takes longer to start, also for the ready stock",
    )
    group.add_argument(
        "--refuse-while-warming",
        action="store_true",
        help="refuse a new identifier with 429 while no instance is ready, instead of waiting",
    )
    group.add_argument(
        "--when-full",
        choices=("allocator", "flat", "not-found"),
        default="allocator",
        help="429 with the allocator's text (default), 429 with a flat body, or 404",
    )
    group.add_argument(
        "--identifiers",
        choices=("documentation", "specification"),
        default="documentation",
        help="take the identifiers of the documentation (default) or all of the specification",
    )
    group.add_argument(
        "--target-port-unset", action="store_true", help="answer 404 as a pool without target port"
    )
    group.add_argument(
        "--listens-after",
        type=_seconds_or_never,
        default=0.0,
        metavar="S",
        help="answer 502 for so many seconds of a session; inf for a container that never listens",
    )
    group.add_argument(
        "--keep-authorization",
        action="store_true",
        help="forward the Authorization header to the container",
    )
    group.add_argument(
        "--strip-identifier",
        action="store_true",
        help="take the identifier out of the query before forwarding",
    )


def _add_identity(group: Any) -> None:
    group.add_argument(
        "--identity",
        choices=(*_FORMS, "none"),
        default="app-service",
        help="how callers get tokens (default app-service); none lets everybody in",
    )
    group.add_argument(
        "--token-lifetime",
        type=float,
        default=IdentityConfig.lifetime,
        metavar="S",
        help="seconds until a token expires; negative for tokens that have expired",
    )
    group.add_argument(
        "--token-audience", metavar="URI", help="audience of every token, whatever is asked for"
    )
    group.add_argument(
        "--without-role", action="store_true", help="issue tokens without the role for the pool"
    )
    group.add_argument(
        "--role-after",
        type=_seconds,
        default=0.0,
        metavar="S",
        help="seconds until the role counts, as while it propagates",
    )
    group.add_argument(
        "--forbidden-text",
        default="",
        metavar="TEXT",
        help="body of a 403 (default empty; also seen: Unauthenticated)",
    )


def _fault(name: str) -> PoolFault:
    try:
        return find_pool_fault(name)
    except LookupError as error:
        raise argparse.ArgumentTypeError(error.args[0]) from None


def _whole(text: str) -> int:
    return int(bounded_number(text, "a whole number from 0", int, 0))


def _seconds(text: str) -> float:
    return bounded_number(text, "a number of seconds from 0", float, 0, sys.float_info.max)


def _seconds_or_never(text: str) -> float:
    return bounded_number(text, "a number of seconds from 0, or inf", float, 0)
