"""The address of a backend, in whichever form somebody has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_API = "/api/v2"
_ROUTES = ("/execute", "/runtimes")
_KEPT_IN_PATHS = "!$&'()*+,;=:@/%?-._~"


@dataclass(frozen=True)
class Endpoint:
    """Where a Piston v2 API lives.

    Attributes:
        origin: Scheme, host and port, such as ``https://runner.example:8443``.
        api_path: Path of the API's root without a final slash, such as ``/piston/api/v2``.
    """

    origin: str
    api_path: str

    @property
    def base_url(self) -> str:
        """Root of the API with a final slash, to which route names are appended."""
        return f"{self.origin}{self.api_path}/"

    @property
    def execute_url(self) -> str:
        """Full URL of the execute route."""
        return self.url("execute")

    @property
    def is_tls(self) -> bool:
        """Whether the endpoint is reached through TLS."""
        return self.origin.startswith("https:")

    @property
    def host(self) -> str:
        """Host name or address, without port and brackets."""
        return urlsplit(self.origin).hostname or ""

    def url(self, path: str) -> str:
        """Return a URL of this origin; no path leads to another one.

        Args:
            path: Relative to the API's root (``runtimes``), or from the root of the origin
                when it starts with a slash (``/health``). What no URL may hold is
                percent-encoded.
        """
        quoted = quote(path, safe=_KEPT_IN_PATHS)
        return self.origin + quoted if path.startswith("/") else self.base_url + quoted


def parse_endpoint(text: str) -> Endpoint:
    """Read a base URL, a URL with a path prefix, or the full URL of the execute route.

    A path that names ``/api/v2`` is taken as it is, less a final ``/execute`` or
    ``/runtimes``; to any other path ``/api/v2`` is added.

    Raises:
        ValueError: No backend can be reached by this text. The message names the value, less
            what may be a secret in it, and the remedy.
    """
    text = text.strip()
    if not text:
        raise ValueError("the endpoint is empty; give a URL such as http://localhost:2000")
    if "@" in re.split(r"[/?#]", text.partition("://")[2] or text)[0]:
        shown = re.sub(r"^([^/]*//)?[^/?#]*@", r"\1", text)
        raise ValueError(
            f"the endpoint '{_without_query(shown)}' was given with a user name or password in "
            "it, which would reach logs; drop what comes before '@' and set "
            "BACKEND_AUTHORIZATION in the environment instead"
        )
    shown = _without_query(text)
    if re.search(r"[\s\x00-\x1f\x7f\\]", text):
        raise ValueError(f"the endpoint {shown!r} holds white space or a backslash; remove it")
    if "://" not in text:
        example = f"http://{text.lstrip(':/')}" if text.strip(":/") else "http://localhost:2000"
        raise ValueError(
            f"the endpoint '{shown}' has no scheme; write {_without_query(example)} or the same "
            "with https"
        )
    if "?" in text or "#" in text:
        raise ValueError(
            f"the endpoint '{shown}' was given with a query or fragment, which the API does not "
            "have; drop it from '?' or '#' on, and set keys in the environment as BACKEND_API_KEY"
        )
    return _split(text)


def _split(text: str) -> Endpoint:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(
            f"the endpoint '{text}' is no URL ({error}); write it like http://localhost:2000"
        ) from error
    if parts.scheme not in ("http", "https"):
        raise ValueError(
            f"the endpoint '{text}' has the scheme '{parts.scheme}'; only http and https work"
        )
    if not parts.hostname:
        raise ValueError(
            f"the endpoint '{text}' names no host; write it like {parts.scheme}://localhost:2000"
        )
    if port == 0:
        raise ValueError(f"the endpoint '{text}' has the port 0; give the port of the service")
    path = quote(parts.path.rstrip("/"), safe=_KEPT_IN_PATHS)
    if f"{path}/".find(f"{_API}/") < 0:
        path += _API
    else:
        route = next((it for it in _ROUTES if path.endswith(it)), "")
        path = path[: len(path) - len(route)].rstrip("/")
    return Endpoint(f"{parts.scheme}://{parts.netloc}", path)


def _without_query(text: str) -> str:
    return re.split(r"[?#]", text)[0]
