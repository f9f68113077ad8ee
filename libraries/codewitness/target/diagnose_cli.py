"""The walk along a deployment on the command line."""

from __future__ import annotations

import argparse
import os
from typing import Any

from codewitness.embedded.arguments import bounded_number
from codewitness.embedded.cli import CommandError, UsageError

_DESCRIPTION = (
    "Walk a deployment from outside in: host name, connection, TLS, backend, its session pool, "
    "token, role, target port, container, field names, real execution, who executed. Stops at the "
    "first broken link and says what is likely wrong and what to do. Exit code 0: no link is "
    "broken; 1: one is; 2: wrong usage."
)
_EPILOG = (
    "Credentials come from the environment alone: BACKEND_AUTHORIZATION, BACKEND_API_KEY or "
    "BACKEND_SCOPE for the backend, azure-identity's own variables for the pool. VERIFY_TLS and "
    "CA_BUNDLE are the environment's, too: whether certificates are looked at, and a PEM file with "
    "the authorities to trust. Two programs are executed through the backend, and others in a "
    "session of the pool where the backend's answers leave something open."
)


def add_diagnose(commands: Any) -> None:
    """Add the command ``diagnose`` to the others."""
    parser = commands.add_parser(
        "diagnose",
        usage="%(prog)s --endpoint URL [--pool URL] [OPTION ...]",
        help="walk a deployment and name its first broken link",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(command=_diagnose)
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        default=os.environ.get("ENDPOINT"),
        help="the backend (default: ENDPOINT of the environment)",
    )
    parser.add_argument(
        "--pool",
        metavar="URL",
        default=os.environ.get("POOL_MANAGEMENT_ENDPOINT"),
        help="the session pool that is meant to be behind it, or to be walked alone "
        "(default: POOL_MANAGEMENT_ENDPOINT of the environment)",
    )
    parser.add_argument(
        "--deadline",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="seconds that the walk may take in all, half of them for one link (default 30)",
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="do not look at the servers' certificates, as VERIFY_TLS=false",
    )


def _seconds(text: str) -> float:
    return bounded_number(text, "a number of seconds from 1 to 3600", float, 1, 3600)


def _diagnose(options: argparse.Namespace) -> None:
    # Imported here: a service must not wait for what only this command needs.
    from codewitness.execution.credentials import BackendCredentials
    from codewitness.reporting.walk import walk_as_text
    from codewitness.target.deployment_walk import Deployment, walk_deployment
    from codewitness.target.settings import KNOWN_SETTINGS

    if not options.endpoint and not options.pool:
        raise UsageError("nothing to walk: give --endpoint URL, --pool URL or both")
    try:
        verify = KNOWN_SETTINGS["VERIFY_TLS"].convert(
            "VERIFY_TLS", os.environ.get("VERIFY_TLS") or True
        )
        walk = walk_deployment(
            Deployment(
                options.endpoint,
                options.pool,
                BackendCredentials.from_environment(),
                verify=verify and not options.insecure,
                ca_bundle=os.environ.get("CA_BUNDLE", "").strip() or None,
            ),
            link_within=options.deadline / 2,
            within=options.deadline,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(walk_as_text(walk), flush=True)
    if walk.broken is not None:
        raise CommandError(f"the deployment is {walk.headline}")
