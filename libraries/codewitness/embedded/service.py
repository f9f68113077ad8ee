"""Embedded services as child processes that can't outlive their owner."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from codewitness.execution.redaction import SECRET_VARIABLES

PACKAGE = Path(__file__).resolve().parent.parent

POOL_FAULT = "pool-"
"""Where the names of a session pool's faults begin, and no backend's."""

# Of a proxy, for one; embedded services stay on this machine and need none.
_URL_WITH_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]+@")

STOP_WITHIN = 5.0
"""Seconds that a service gets to end what it runs before it is killed."""


class ServiceNotStarted(RuntimeError):
    """A service did not become ready; the message holds what it said."""


@dataclass
class RunningService:
    """A service that listens.

    Attributes:
        url: Base URL, without a trailing slash.
        pid: Process identifier of the service.
        details: Everything that the service told about itself.
    """

    url: str
    pid: int
    details: Mapping[str, Any]
    _process: subprocess.Popen[bytes] = field(repr=False)
    _errors: IO[bytes] = field(repr=False)

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the service and everything that it runs; a second call does nothing."""
        end_process(self._process)
        self._errors.close()
        # Gone already, unless the service was killed.
        shutil.rmtree(self.details["folder"], ignore_errors=True)

    def __enter__(self) -> RunningService:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def ask_control(url: str, body: Mapping[str, Any] | None = None, within: float = 10.0) -> Any:
    """Ask a control port of an embedded service, and return the JSON that it answers.

    Args:
        url: Address of the port, with the path of what is asked.
        body: What to order; ``None`` only asks.
        within: Seconds.

    Raises:
        OSError: There was no answer, or a refusal.
    """
    data = None if body is None else json.dumps(body).encode()
    # No proxy knows a way to a port of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data), timeout=within) as answer:
        return json.load(answer)


def start_service(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    ready_within: float = 15.0,
) -> RunningService:
    """Start an embedded service and wait until it listens.

    The service ends when this process closes the pipe to its standard input, which the
    operating system does even when this process is killed. It has a session of its own, so
    that Ctrl-C reaches the owner only, which decides when the service goes. It does not get
    the credentials for other services that this process may have.

    Args:
        arguments: The command line after ``python libraries/codewitness``.
        environment: The service's whole environment; by default this process's own without the
            credentials in it.
        ready_within: Seconds until the service must be listening.

    Raises:
        ServiceNotStarted: The service ended, said something else, or was not ready in time.
    """
    errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the service)
    process = subprocess.Popen(
        [sys.executable, str(PACKAGE), *arguments, "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=without_secrets() if environment is None else dict(environment),
        **apart_from_this_process(),
    )
    try:
        line = _first_line(process, ready_within)
        details = json.loads(line)
        return RunningService(details["url"], details["pid"], details, process, errors)
    except (ValueError, LookupError, TypeError):
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Standard output closes a little before the process has its exit code.
            process.wait(1)
        ended = process.poll()
        end_process(process)
        what = (
            f"was not ready within {ready_within:g} s"
            if ended is None
            else f"ended with exit code {ended}"
        )
        said = last_line(errors)
        errors.close()
        command = " ".join(arguments)
        raise ServiceNotStarted(
            f"The embedded service '{command}' {what}{f': {said}' if said else ''}"
        ) from None
    except BaseException:
        end_process(process)
        errors.close()
        raise


def without_secrets() -> dict[str, str]:
    """Return this process's environment less the credentials for other services in it."""
    return {
        name: it
        for name, it in os.environ.items()
        if name not in SECRET_VARIABLES and not _URL_WITH_PASSWORD.search(it)
    }


def apart_from_this_process() -> dict[str, Any]:
    """Return the options of a child process that Ctrl-C does not reach."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _first_line(process: subprocess.Popen[bytes], within: float) -> bytes:
    assert process.stdout is not None
    lines: list[bytes] = []
    # A thread, because waiting for a pipe with a deadline is not portable otherwise.
    reader = threading.Thread(
        target=lambda stdout: lines.append(stdout.readline()), args=(process.stdout,), daemon=True
    )
    reader.start()
    reader.join(within)
    return lines[0] if lines else b""


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End a child that ends when its standard input closes, or kill it and its children."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        _kill_with_children(process)
    if process.stdout is not None:
        process.stdout.close()


def _kill_with_children(process: subprocess.Popen[bytes]) -> None:
    # Imported here: nearly always a service ends by itself.
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait()


def last_line(errors: IO[bytes]) -> str:
    """Return what a process said last: its error, or the end of its traceback."""
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1].removeprefix("error: ") if said else ""
