"""Command line of the embedded services."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from aiohttp import web

from codewitness.embedded import session_pool_cli
from codewitness.embedded.arguments import bounded_number
from codewitness.embedded.backend import BackendConfig, create_app
from codewitness.embedded.broken_deployments import catalogue, ready_line, serving_deployments
from codewitness.embedded.callers import USER_HEADER, tell_callers_apart
from codewitness.embedded.faults import FAULTS, Fault, faulty, find_fault
from codewitness.embedded.lax_sandbox import LaxSandbox
from codewitness.embedded.minimal import ISOLATION, OUTPUT_LIMIT, create_minimal_app
from codewitness.embedded.pool_faults import POOL_FAULTS, PoolFault
from codewitness.embedded.session_pool_service import PoolSettings, serving_pool
from codewitness.embedded.transport_faults import (
    TRANSPORT_FAULTS,
    TransportFault,
    find_transport_fault,
)
from codewitness.embedded.transport_proxy import serving_transport_proxy
from codewitness.embedded.validation import LimitCeilings
from codewitness.execution.endpoint import parse_endpoint
from codewitness.execution.fallback import FallbackExecutor
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import Executor, PlatformFault
from codewitness.session_pool.client import SessionPoolExecutor

HOST = "127.0.0.1"
"""The services run any program they are sent: they are for this machine alone."""

SHUTDOWN_WITHIN = 4.0
"""Seconds between the wish to end and the end, whatever is still running."""


class CommandError(Exception):
    """Ends the command with one line that says why."""


class UsageError(CommandError):
    """Something that the person at the command line can put right."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; ``--help`` has the rest."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def main(
    arguments: Sequence[str] | None = None, add_commands: Callable[[Any], None] | None = None
) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: Arguments, by default the process's own.
        add_commands: Adds commands of other packages to the parser's sub-commands.
    """
    try:
        options = _parser(add_commands).parse_args(arguments)
        command: Callable[[argparse.Namespace], None] = options.command
        command(options)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except PlatformFault as fault:
        print(f"error: {fault}{fault.cause and f'; {fault.cause}'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _parser(add_commands: Callable[[Any], None] | None) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python libraries/codewitness",
        description="Services to develop and try tests against, on this machine only.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_backend(
        commands.add_parser(
            "backend",
            help="serve the Piston v2 API in front of a sandbox on this machine",
            description=(
                "Serve the Piston v2 API (POST /api/v2/execute, GET /api/v2/runtimes) and run the "
                "programs in a sandbox on this machine. Prints one JSON line with the URL when it "
                "is listening and serves until interrupted."
            ),
            epilog=(
                "Example: python libraries/codewitness backend --port 8080, and in another "
                "terminal: robot -v ENDPOINT:http://127.0.0.1:8080 suites/"
            ),
        )
    )
    pool = commands.add_parser(
        "session-pool",
        usage="%(prog)s [OPTION ...]",
        help="serve an Azure session pool whose sessions run on this machine",
        description=session_pool_cli.DESCRIPTION,
        epilog=session_pool_cli.EPILOG,
    )
    pool.set_defaults(command=_session_pool, generation="b")
    listening = _add_listening(pool)
    listening.add_argument(
        "--control-port",
        type=_port,
        default=0,
        metavar="N",
        help="TCP port of the control application; 0 (default) takes a free one",
    )
    session_pool_cli.add_pool_arguments(pool)
    _add_limits(pool)
    deployments = commands.add_parser(
        "broken-deployments",
        help="serve deployments that are broken in the ways met in the field",
        description=(
            "Serve backends, containers and session pools, each broken in one way that was met in "
            "the field, to see what the suite says of them. Prints one JSON line with their URLs "
            "when they are listening and serves until interrupted."
        ),
    )
    deployments.set_defaults(command=_broken_deployments)
    _add_listening(deployments)
    deployments.add_argument(
        "--list", action="store_true", help="print all deployments: name, what is wrong with it"
    )
    _add_transport_proxy(
        commands.add_parser(
            "transport-proxy",
            help="break the transport between clients and any service",
            description=(
                "Stand on the loopback interface in front of a healthy service, and put its "
                "answers on the wire in one broken way. Prints one JSON line with the URL when it "
                "is listening and serves until interrupted."
            ),
            epilog=(
                "Example: python libraries/codewitness transport-proxy --to http://host:2000 "
                "--fault cut-in-body, and in another terminal: robot -v ENDPOINT:<URL printed> "
                "suites/"
            ),
        )
    )
    _add_benchmark(
        commands.add_parser(
            "benchmark",
            help="print what the sandbox, the embedded services and a keyword cost",
            description=(
                "Measure on this machine, now, and print ratios with intervals: the sandbox "
                "against a bare process, the embedded backend against its executor, a keyword "
                "against the bare HTTP call that it makes, the embedded session pool against its "
                "container called directly, the load engine against a bare client. Prints how "
                "punctual the load engine is, too."
            ),
        )
    )
    if add_commands is not None:
        add_commands(commands)
    return parser


def _add_transport_proxy(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_transport_proxy)
    _add_listening(parser)
    parser.add_argument("--to", metavar="URL", help="the service to stand in front of")
    parser.add_argument(
        "--fault", type=_transport_fault, metavar="NAME", help="what to do to the transport"
    )
    parser.add_argument(
        "--list-faults", action="store_true", help="print all faults: name, group, summary"
    )


def _add_benchmark(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_benchmark)
    parser.add_argument(
        "--rounds",
        type=_rounds,
        default=40,
        metavar="N",
        help="samples of each side of a comparison, at least 6 (default 40)",
    )


def _add_backend(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_backend)
    _add_listening(parser)
    _add_limits(parser)
    behaviour = parser.add_argument_group("behaviour")
    behaviour.add_argument(
        "--generation",
        choices=("a", "b"),
        default="b",
        help="answer as Piston before (a) or since (b, default) September 2024",
    )
    behaviour.add_argument(
        "--sandbox",
        choices=("auto", "bubblewrap", "none"),
        default="auto",
        help="auto (default) takes bubblewrap, or process limits alone where it doesn't work",
    )
    behind = parser.add_argument_group("behind it")
    behind.add_argument(
        "--pool",
        metavar="URL",
        help=(
            "execute in this session pool, with azure-identity's token, not on this machine; each "
            f"user (header {USER_HEADER}), else each connection, has a session of its own"
        ),
    )
    behind.add_argument(
        "--pool-sessions",
        type=_positive,
        default=20,
        metavar="N",
        help="sessions of the pool that may be held at one time (default 20)",
    )
    behind.add_argument(
        "--fallback",
        action="store_true",
        help="execute on this machine while the pool is out of order, and say so in every answer",
    )
    kind = behaviour.add_mutually_exclusive_group()
    kind.add_argument(
        "--minimal",
        action="store_true",
        help=(
            "answer as a minimal backend does: Python only, the plan's fields only, limits, "
            "arguments and file names ignored, files and network shared"
        ),
    )
    kind.add_argument("--fault", type=_fault, metavar="NAME", help="be broken in one way")
    kind.add_argument(
        "--list-faults", action="store_true", help="print all faults: name, group, summary"
    )


def _add_listening(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    listening = parser.add_argument_group("listening")
    listening.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="N",
        help="TCP port on 127.0.0.1; 0 (default) takes a free one",
    )
    listening.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end also when standard input reaches its end, as it does when the owner dies",
    )
    return listening


def _add_limits(parser: argparse.ArgumentParser) -> None:
    piston = LimitCeilings()
    limits = parser.add_argument_group("limits", "a request may lower them, never raise them")
    for name, what in (
        ("run", "running"),
        ("compile", "compiling"),
    ):
        for constraint, unit in (("timeout", "elapsed"), ("cpu_time", "processor")):
            default = getattr(piston, f"{name}_{constraint}")
            limits.add_argument(
                f"--{name}-{constraint.replace('_', '-')}",
                type=_positive,
                default=default,
                metavar="MS",
                help=f"{unit} time for {what} in milliseconds (default {default})",
            )
    limits.add_argument(
        "--memory-limit",
        type=_limit,
        default=-1,
        metavar="BYTES",
        help="memory of a program; -1 (default) sets no limit",
    )
    limits.add_argument(
        "--output-limit",
        type=_positive,
        default=1024 * 1024,
        metavar="BYTES",
        help="stdout and stderr of a program, each (default 1048576; Piston's own is 1024)",
    )
    limits.add_argument(
        "--body-limit",
        type=_positive,
        default=BackendConfig.body_limit,
        metavar="BYTES",
        help="length of a request body (default 102400)",
    )
    limits.add_argument(
        "--max-concurrent-jobs",
        type=_positive,
        default=BackendConfig.max_concurrent_jobs,
        metavar="N",
        help="programs at once, further requests wait (default 64)",
    )


def _port(text: str) -> int:
    return int(
        bounded_number(text, "a port: give a number from 0 (any free one) to 65535", int, 0, 65535)
    )


def _positive(text: str) -> int:
    return int(bounded_number(text, "a whole number above 0", int, 1))


def _limit(text: str) -> int:
    return int(bounded_number(text, "a number of bytes, or -1 for no limit", int, -1))


def _rounds(text: str) -> int:
    return int(bounded_number(text, "a whole number from 6", int, 6))


def _fault(name: str) -> Fault:
    try:
        return find_fault(name)
    except LookupError as error:
        raise argparse.ArgumentTypeError(error.args[0]) from None


def _transport_fault(name: str) -> TransportFault:
    try:
        return find_transport_fault(name)
    except LookupError as error:
        raise argparse.ArgumentTypeError(error.args[0]) from None


# Punctuality is measured for as long as fits to the number of rounds.
_ROUNDS_A_SECOND = 20


def _benchmark(options: argparse.Namespace) -> None:
    # Imported here: a service must not wait for what only this command needs.
    from codewitness.embedded.benchmark import NotMeasured, measure
    from codewitness.embedded.load_benchmark import WrongAnswers, measure_load_engine
    from codewitness.embedded.pabot_benchmark import PabotFailed, measure_pabot

    try:
        print(measure(options.rounds))
        print(measure_load_engine(options.rounds, seconds=options.rounds / _ROUNDS_A_SECOND))
        print(measure_pabot())
    except (NotMeasured, WrongAnswers, PabotFailed) as error:
        raise CommandError(str(error)) from None


def _backend(options: argparse.Namespace) -> None:
    if options.list_faults:
        print(_table_of_faults(FAULTS))
        return
    # One folder holds whatever this process and all it uses create, so that nothing is left.
    with tempfile.TemporaryDirectory(prefix="codewitness-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        executor = "local" if options.pool is None else f"session pool {options.pool}"
        details = {"service": "backend", "executor": executor, "folder": folder}
        if options.minimal:
            details["service"] = "minimal backend"
        else:
            details["generation"] = options.generation
        if options.fault is not None:
            details["fault"] = options.fault.name
        asyncio.run(_serve(options, details))


def _table_of_faults(
    faults: Mapping[str, Fault] | Mapping[str, PoolFault] | Mapping[str, TransportFault],
) -> str:
    width = max(map(len, faults))
    return "\n".join(
        f"{fault.name:{width}}  {fault.group:12}  {fault.summary}" for fault in faults.values()
    )


def _pool_client(options: argparse.Namespace) -> SessionPoolExecutor | None:
    if options.pool is None:
        return None
    if options.minimal:
        raise UsageError("--minimal executes on this machine: give it without --pool")
    try:
        return SessionPoolExecutor(
            options.pool,
            run_id=f"backend-{os.getpid()}",
            max_sessions=options.pool_sessions,
            per_caller=True,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _executor(options: argparse.Namespace, pool: SessionPoolExecutor | None) -> Executor:
    if pool is not None and not options.fallback:
        return pool
    local = LocalExecutor(sandbox=options.sandbox, output_limit=options.output_limit)
    return local if pool is None else FallbackExecutor(pool, local)


def _application(options: argparse.Namespace) -> web.Application:
    pool = _pool_client(options)
    executor = _executor(options, pool)
    fault: Fault | None = options.fault
    if options.minimal:
        lax = LaxSandbox(executor, ISOLATION, output_limit=OUTPUT_LIMIT)
        app = create_minimal_app(lax)
    elif fault is None:
        app = create_app(executor, _backend_config(options))
    else:
        spoiled = faulty(executor, fault)
        app = create_app(spoiled, _backend_config(options), middlewares=fault.middlewares())
    if pool is not None:
        tell_callers_apart(app, pool.leave)
    return app


def _backend_config(options: argparse.Namespace) -> BackendConfig:
    return BackendConfig(
        ceilings=LimitCeilings(
            run_timeout=options.run_timeout,
            compile_timeout=options.compile_timeout,
            run_cpu_time=options.run_cpu_time,
            compile_cpu_time=options.compile_cpu_time,
            run_memory_limit=options.memory_limit,
            compile_memory_limit=options.memory_limit,
        ),
        body_limit=options.body_limit,
        generation=options.generation,
        max_concurrent_jobs=options.max_concurrent_jobs,
    )


async def _serve(options: argparse.Namespace, details: Mapping[str, str]) -> None:
    """Serve until asked to end, then end within :data:`SHUTDOWN_WITHIN` seconds."""
    ending = _watch_for_the_end(options.until_stdin_closes, details["folder"])
    runner = web.AppRunner(_application(options), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, options.port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise _port_taken(error, f"port {options.port}", "--port") from error
        port = runner.addresses[0][1]
        ready = {"url": f"http://{HOST}:{port}", "pid": os.getpid(), **details}
        print(json.dumps(ready), flush=True)
        await ending.wait()
    finally:
        await runner.cleanup()


def _port_taken(error: OSError, what: str, option: str) -> UsageError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UsageError(
        f"can't listen on {HOST}, {what}: {reason}; give another {option}, or 0 for any free one"
    )


def _session_pool(options: argparse.Namespace) -> None:
    if options.list_faults:
        print(_table_of_faults(POOL_FAULTS))
        return
    try:
        settings = session_pool_cli.pool_settings(options, _backend_config(options))
    except ValueError as error:
        raise UsageError(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="codewitness-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        asyncio.run(_serve_pool(options, settings, folder))


async def _serve_pool(options: argparse.Namespace, settings: PoolSettings, folder: str) -> None:
    ending = _watch_for_the_end(options.until_stdin_closes, folder)
    service = serving_pool(
        settings, Path(folder), port=options.port, control_port=options.control_port
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            ready = await stack.enter_async_context(service)
        except OSError as error:
            what = f"ports {options.port} and {options.control_port}"
            raise _port_taken(error, what, "--port or --control-port") from error
        said = {"service": "session pool", "pid": os.getpid(), "folder": folder, **ready}
        print(json.dumps(said), flush=True)
        await ending.wait()


def _broken_deployments(options: argparse.Namespace) -> None:
    if options.list:
        told = catalogue()
        width = max(map(len, told))
        print("\n".join(f"{name:{width}}  {summary}" for name, summary in told.items()))
        return
    with tempfile.TemporaryDirectory(prefix="codewitness-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        asyncio.run(_serve_deployments(options, folder))


async def _serve_deployments(options: argparse.Namespace, folder: str) -> None:
    ending = _watch_for_the_end(options.until_stdin_closes, folder)
    async with contextlib.AsyncExitStack() as stack:
        service = serving_deployments(Path(folder), port=options.port)
        try:
            served = await stack.enter_async_context(service)
        except OSError as error:
            raise _port_taken(error, f"port {options.port}", "--port") from error
        print(json.dumps({**ready_line(served), "folder": folder}), flush=True)
        await ending.wait()


def _transport_proxy(options: argparse.Namespace) -> None:
    if options.list_faults:
        print(_table_of_faults(TRANSPORT_FAULTS))
        return
    if not options.to or options.fault is None:
        raise UsageError("give --to URL and --fault NAME; --list-faults has the names")
    try:
        target = parse_endpoint(options.to)
    except ValueError as error:
        raise UsageError(f"--to: {error}") from None
    with tempfile.TemporaryDirectory(prefix="codewitness-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        asyncio.run(_serve_transport_proxy(options, target.origin, folder))


async def _serve_transport_proxy(options: argparse.Namespace, target: str, folder: str) -> None:
    ending = _watch_for_the_end(options.until_stdin_closes, folder)
    async with contextlib.AsyncExitStack() as stack:
        serving = serving_transport_proxy(options.to, options.fault, port=options.port)
        try:
            url = await stack.enter_async_context(serving)
        except OSError as error:
            raise _port_taken(error, f"port {options.port}", "--port") from error
        ready = {"url": url, "pid": os.getpid(), "service": "transport proxy", "folder": folder}
        print(json.dumps({**ready, "to": target, "fault": options.fault.name}), flush=True)
        await ending.wait()


def _watch_for_the_end(until_stdin_closes: bool, folder: str) -> asyncio.Event:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()

    def end(*_: object) -> None:
        _end_at_the_latest_in(SHUTDOWN_WITHIN, folder)
        loop.call_soon_threadsafe(ending.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    if until_stdin_closes:
        threading.Thread(target=_wait_for_end_of_stdin, args=(end,), daemon=True).start()
    return ending


def _wait_for_end_of_stdin(then: Callable[[], None]) -> None:
    # Not sys.stdin: its lock, held by a waiting thread, would abort the interpreter at exit.
    while os.read(0, 1024):
        pass
    then()


def _end_at_the_latest_in(seconds: float, folder: str) -> None:
    def end() -> NoReturn:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
