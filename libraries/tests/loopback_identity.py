"""An identity service of the test's own process, and the environment that leads to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import uuid
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from codewitness.embedded.identity import Form, IdentityService
from codewitness.execution.credentials import IDENTITY_PREFIXES

T = TypeVar("T")


class EventLoop:
    """An event loop in a thread, for servers beside a test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextlib.contextmanager
def running_identity(folder: Path | None = None) -> Iterator[IdentityService]:
    """Run an identity service; see :meth:`IdentityService.start` for the folder."""
    loop, service = EventLoop(), IdentityService()
    try:
        loop.run(service.start(folder))
        yield service
        loop.run(service.stop())
    finally:
        loop.close()


def use_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Let azure-identity find these variables and no others of its own."""
    for name in os.environ:
        if name.startswith(IDENTITY_PREFIXES) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    for name in ("CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    # No two environments are alike, so that no token is left from an earlier test.
    for name, value in {**variables, "AZURE_TEST": str(uuid.uuid4())}.items():
        monkeypatch.setenv(name, value)


def use_identity(
    monkeypatch: pytest.MonkeyPatch, service: IdentityService, form: Form = "app-service"
) -> None:
    """Let azure-identity get its tokens from a service."""
    use_environment(monkeypatch, service.environment(form))
