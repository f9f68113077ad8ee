"""Finding the processes that a run has started, however they were detached from it."""

from __future__ import annotations

import contextlib

import psutil

MARK = "CODEWITNESS_TEST_MARK"
"""Environment variable that the processes of a run inherit."""


def marked(mark: str) -> list[psutil.Process]:
    """Return the processes that have a mark in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found
