"""What the client programs have in common: named steps, and how each is told to the caller.

A program runs with an environment of its own that holds nothing but one public package, so this
imports nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

ENDPOINT = os.environ.get("POOL_MANAGEMENT_ENDPOINT", "")
"""Where the session pool is."""

Work = Callable[[], Any]


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Tell whether what is done within went as it does with Azure, or with Piston."""
    try:
        yield
    except Exception as error:
        _tell(name, told(error))
    else:
        _tell(name, "ok")


def expect(actual: object, expected: object) -> None:
    """Fail when two values differ."""
    if actual != expected:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def expect_in(part: str, text: object) -> None:
    """Fail when a text does not contain a part."""
    if part not in str(text):
        raise AssertionError(f"expected {part!r} in {text!r}")


async def failure(work: Work) -> str:
    """Return what an error says, with the errors that it comes from; there must be one."""
    try:
        await _result(work)
    except Exception as error:
        return told(error)
    raise AssertionError("expected an error, got none")


def told(error: BaseException | None) -> str:
    """Return what an error and those that it comes from say."""
    said = []
    while error is not None:
        said.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return " <- ".join(said)


def run(steps: Work, call: Work) -> None:
    """Do what the command line asks for.

    Args:
        steps: All steps of the client, as a function or coroutine function.
        call: One call to the pool. With an HTTP status on the command line it is all that is
            done, and must fail with that status.
    """
    asyncio.run(_refused(call, sys.argv[1]) if len(sys.argv) > 1 else _result(steps))


async def _refused(call: Work, status: str) -> None:
    with step(f"HTTP {status}"):
        expect_in(status, await failure(call))


async def _result(work: Work) -> Any:
    done = work()
    return await done if inspect.isawaitable(done) else done


def _tell(name: str, outcome: str) -> None:
    print(json.dumps({"step": name, "outcome": outcome}), flush=True)
