"""How long ten clients with a process each take on this machine, from pabot's start to its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from codewitness.embedded.service import without_secrets

CLIENTS = 10
"""Processes that pabot starts, one for each test of the suite."""

_PROJECT = Path(__file__).resolve().parents[3]
_SUITE = _PROJECT / "suites" / "4__concurrency" / "4__ten_clients.robot"
_SETTINGS = ("ENDPOINT", "POOL_MANAGEMENT_ENDPOINT", "USE_LOCAL_EXECUTOR", "FAULT", "REQUIRE_POOL")
_PATIENCE = 300.0


class PabotFailed(Exception):
    """The run was no success, so its time says nothing; the text is what pabot said."""


def measure_pabot() -> str:
    """Return one line for people: the wall time of ten processes, and how far they overlapped.

    Raises:
        PabotFailed: A test failed, or there is no pabot.
    """
    environment = {name: it for name, it in without_secrets().items() if name not in _SETTINGS}
    pabot = [sys.executable, "-c", "from pabot.pabot import main; main()"]
    with tempfile.TemporaryDirectory(prefix="codewitness-pabot-") as folder:
        start = time.perf_counter()
        run = subprocess.run(
            [
                *(*pabot, "--testlevelsplit", "--processes", str(CLIENTS), "--pabotlibport", "0"),
                *("--command", sys.executable, "-m", "robot", "--end-command"),
                *("--outputdir", folder, str(_SUITE)),
            ],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        seconds = time.perf_counter() - start
        if run.returncode:
            raise PabotFailed(f"pabot could not be measured:\n{run.stdout[-2000:]}")
        told = Path(folder, "output.xml").read_text(encoding="utf-8")
    found = re.search(r"greatest overlap \d+ of \d+, starts spread over [\d.]+ s", told)
    return (
        f"pabot with {CLIENTS} clients, a process each: {seconds:.1f} s from start to end on "
        f"{os.cpu_count()} processors (n = 1); {found[0] if found else 'overlap not told'}"
    )
