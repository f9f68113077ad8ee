"""What azure-identity means when it gives no token.

Its default credential tries one source of tokens after the other and reports all of them; only
the one that this deployment is meant to use says anything about the fault.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_CONFIGURED_BY = {
    "WorkloadIdentityCredential": ("AZURE_FEDERATED_TOKEN_FILE",),
    "EnvironmentCredential": ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"),
    "ManagedIdentityCredential": (
        "IDENTITY_ENDPOINT",
        "MSI_ENDPOINT",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    ),
}
_NEEDS = {
    "WorkloadIdentityCredential": (
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_FEDERATED_TOKEN_FILE",
    ),
    "EnvironmentCredential": ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
}
_INCOMPLETE = re.compile(r"not fully configured|Missing required arguments")
_ABSENT = re.compile(
    r"not fully configured|authentication unavailable|configuration not found|not found on path"
    r"|not installed|could not be found|requires the|package is required"
)
_ADVERTISED = re.compile(
    r"\s*(Visit|See the troubleshooting guide[^:]*:|To mitigate this issue,[^:]*here at)"
    r" https://\S+( to troubleshoot this issue\.)?"
)


def describe_token_error(error: Exception, environ: Mapping[str, str] | None = None) -> str:
    """Say in one line why there is no token.

    Args:
        error: What azure-identity raised.
        environ: Environment that chose the credential, by default the process's own.
    """
    environ = os.environ if environ is None else environ
    attempts = _attempts(str(error))
    if not attempts:
        return f"{type(error).__name__}: {_one_line(str(error))}"
    meant = _meant(environ, attempts)
    if meant is None:
        return f"none of the credentials that were tried is configured: {', '.join(attempts)}"
    said = attempts[meant]
    missing = [name for name in _NEEDS.get(meant, ()) if not environ.get(name)]
    if missing and _INCOMPLETE.search(said):
        said += f" Not set: {', '.join(missing)}."
    return f"{meant}: {said}"


def _attempts(text: str) -> dict[str, str]:
    """Take the report of a chain apart: what each credential said, in order."""
    found = re.findall(r"^\t(\w+Credential): (.*?)(?=^\t\w+Credential: |\Z)", text, re.M | re.S)
    return {name: _one_line(said) for name, said in found}


def _one_line(text: str) -> str:
    return " ".join(_ADVERTISED.sub("", text).split())


def _meant(environ: Mapping[str, str], attempts: Mapping[str, str]) -> str | None:
    if len(attempts) == 1:
        return next(iter(attempts))
    for name, variables in _CONFIGURED_BY.items():
        if name in attempts and any(environ.get(variable) for variable in variables):
            return name
    return next((name for name, said in attempts.items() if not _ABSENT.search(said)), None)
