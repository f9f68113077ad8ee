"""Tokens as a process with other environment variables would get them.

azure-identity chooses its credential by the environment of its process alone, so whoever wants
the tokens of a service that has another environment must assume that environment meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping

from codewitness.execution.credentials import AccessToken, TokenSource, new_token_source
from codewitness.session_pool.credentials import client_environment

# The environment is the whole process's.
_assuming = threading.Lock()


def token_source_of(variables: Mapping[str, str]) -> TokenSource:
    """Return the token source of a service, with a credential of its own.

    Args:
        variables: What leads the service to its identity; see :func:`client_environment`.
    """
    source = new_token_source()

    def fetch(scope: str) -> AccessToken:
        with _assuming, _environment(client_environment(variables)):
            return source(scope)

    return fetch


@contextlib.contextmanager
def _environment(assumed: Mapping[str, str]) -> Iterator[None]:
    own = dict(os.environ)
    try:
        _change_to(assumed)
        yield
    finally:
        _change_to(own)


def _change_to(wanted: Mapping[str, str]) -> None:
    # Never empty in between: other threads read it, too.
    os.environ.update(wanted)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
