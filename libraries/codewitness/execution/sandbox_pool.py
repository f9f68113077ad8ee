"""All sandboxes of an executor: some started ahead, each used once, none left in the end."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

from codewitness.execution.model import PlatformFault
from codewitness.execution.sandbox import (
    Containment,
    Sandbox,
    StageLimits,
    broken,
    closed,
    interpreter,
)
from codewitness.execution.sandbox_places import Bare, Bubblewrap, Place, Unusable, bubblewraps
from codewitness.execution.sandbox_plain import PlainContainment
from codewitness.execution.sandbox_process import (
    END_WITHIN,
    OUT_OF_MEANS,
    REPORT_WITHIN,
    SupervisedSandbox,
)

_CAUSES = (
    (
        r"is not there",
        "install the package bubblewrap (it is for Linux only), or do without a sandbox and "
        "without the tests that need one",
    ),
    (
        r"uid map|apparmor|RTM_NEWADDR",
        "AppArmor keeps user namespaces from ordinary users; give bwrap a profile, or set "
        "kernel.apparmor_restrict_unprivileged_userns to 0",
    ),
    (
        r"namespace|not permitted|mount proc",
        "this kernel or container does not let bubblewrap make namespaces; allow user "
        "namespaces, in Docker with --security-opt seccomp=unconfined and an unmasked /proc",
    ),
    (r"nsenter", "install util-linux, which has nsenter"),
    (
        r"Unknown option",
        "this bubblewrap is older than 0.8; install a newer one",
    ),
)


class SandboxPool:
    """Starts sandboxes in one place and ends them.

    One thread starts them all and lives as long as the pool, because bubblewrap's
    ``--die-with-parent`` means the thread that started it.

    Args:
        place: Where to start them.
        ready: How many to start ahead of their use.
    """

    def __init__(self, place: Place, ready: int) -> None:
        self.description = place.description
        self.notes = place.notes
        self._place = place
        self._wanted = ready
        self._launcher = ThreadPoolExecutor(1, "sandbox-launcher")
        self._reaper = ThreadPoolExecutor(4, "sandbox-reaper")
        self._changed = threading.Condition()
        self._spares: deque[Future[SupervisedSandbox]] = deque()
        self._living: set[SupervisedSandbox] = set()
        self._closed = False

    def find_tool(self, name: str) -> str | None:
        """Return the absolute path at which programs can execute a tool, or ``None``."""
        return self._place.find_tool(name)

    @contextlib.contextmanager
    def open(self) -> Iterator[Sandbox]:
        """Return a fresh sandbox, to be used in a ``with`` statement."""
        sandbox = self._take()
        try:
            yield sandbox
        finally:
            self._let_go(sandbox)

    def close(self) -> None:
        """End every sandbox; later uses are a fault."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            spares, self._spares = self._spares, deque()
            living = list(self._living)
        for sandbox in living:
            sandbox.interrupt()
        for future in spares:
            if not future.cancel() and future.exception() is None:
                self._let_go(future.result())
        with self._changed:
            self._changed.wait_for(lambda: not self._living, REPORT_WITHIN + END_WITHIN)
        # Last of all, because whatever bubblewrap still does would end with this thread.
        self._launcher.shutdown()
        self._reaper.shutdown()
        self._place.close()

    def _take(self) -> SupervisedSandbox:
        while True:
            with self._changed:
                if self._closed:
                    raise closed()
                ahead = bool(self._spares)
                future = self._spares.popleft() if ahead else self._launcher.submit(self._start)
                while len(self._spares) < self._wanted:
                    self._spares.append(self._launcher.submit(self._start))
            try:
                sandbox = future.result()
                if sandbox.wait_until_ready():
                    return sandbox
                said = sandbox.last_words() or "nothing was said"
                self._let_go(sandbox)
                raise broken(f"the sandbox did not start: {said}")
            except PlatformFault:
                # What became of one that was started long ago says nothing of a new one.
                if not ahead:
                    raise

    def _start(self) -> SupervisedSandbox:
        try:
            start = self._place.prepare()
        except OSError as error:
            raise broken(f"no sandbox can be started: {error}", OUT_OF_MEANS) from error
        sandbox = SupervisedSandbox(start)
        with self._changed:
            self._living.add(sandbox)
            if not self._closed:
                return sandbox
        sandbox.interrupt()
        return sandbox

    def _let_go(self, sandbox: SupervisedSandbox) -> None:
        """Have a sandbox taken down, without waiting for it."""
        try:
            self._reaper.submit(self._end, sandbox)
        except RuntimeError:
            # The pool was closed and has waited in vain for this one.
            self._end(sandbox)

    def _end(self, sandbox: SupervisedSandbox) -> None:
        sandbox.end()
        with self._changed:
            self._living.discard(sandbox)
            self._changed.notify_all()


def contain(mode: Literal["auto", "bubblewrap", "none"], ready: int) -> Containment:
    """Return the containment that this machine allows.

    Args:
        mode: ``bubblewrap`` for it or nothing, ``none`` for process limits alone, ``auto`` for
            the first of these that works.
        ready: How many sandboxes to start ahead of their use.

    Raises:
        PlatformFault: Bubblewrap was asked for and does not work.
    """
    reason = "that was asked for"
    if mode != "none":
        reasons = []
        for executable in bubblewraps() if sys.platform == "linux" else ():
            attempt = _attempt(executable, ready)
            if isinstance(attempt, SandboxPool):
                return attempt
            reasons.append(f"{executable}: {attempt}")
        reason = "; ".join(reasons) or "bubblewrap is not there"
        if mode == "bubblewrap":
            raise broken(reason, _why(reason))
    if sys.platform == "win32":
        return PlainContainment(reason)
    return SandboxPool(Bare(reason), ready=0)


def _attempt(executable: str, ready: int) -> SandboxPool | str:
    """Return a pool after a program ran in it, or why there is none."""
    try:
        pool = SandboxPool(Bubblewrap(executable), ready)
    except Unusable as reason:
        return str(reason)
    command = [interpreter(), "-I", "-S", "-c", "print('works')"]
    try:
        with pool.open() as sandbox:
            outcome = sandbox.run(command, None, StageLimits(10, None, None, 4096))
        if outcome.stdout == b"works\n":
            return pool
        reason_given = f"a program does not run inside: {outcome!r}"
    except PlatformFault as fault:
        reason_given = fault.detail
    pool.close()
    return reason_given


def _why(reason: str) -> str:
    for pattern, cause in _CAUSES:
        if re.search(pattern, reason):
            return cause
    return "try `bwrap --unshare-all --ro-bind / / true` and cure what it says"
