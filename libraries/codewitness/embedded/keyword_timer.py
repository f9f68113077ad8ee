"""A Robot Framework listener that times a keyword against the bare HTTP call that it makes."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class KeywordTimer:
    """Times every call of one keyword and, right after it, one bare HTTP call.

    Used by ``robot --listener``, which passes the arguments as text.

    Args:
        keyword: Name of the keyword as the suite writes it.
        url: Execute URL of the service.
        body: File with the JSON body of the bare call.
        samples: File to write at the end: a JSON list of pairs of seconds, keyword first.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, keyword: str, url: str, body: str, samples: str) -> None:
        self._keyword = keyword
        address = urlsplit(url)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        self._path = address.path
        self._body = Path(body).read_bytes()
        self._samples_file = Path(samples)
        self._samples: list[tuple[float, float]] = []
        self._started = 0.0

    def start_keyword(self, data: Any, _result: Any) -> None:
        """Note when the keyword begins."""
        if data.name == self._keyword:
            self._started = time.perf_counter()

    def end_keyword(self, data: Any, _result: Any) -> None:
        """Note how long the keyword took, then make and time the bare call."""
        if data.name == self._keyword:
            keyword = time.perf_counter() - self._started
            started = time.perf_counter()
            self._call()
            self._samples.append((keyword, time.perf_counter() - started))

    def close(self) -> None:
        """Write the samples; Robot Framework calls this once, at the end."""
        self._connection.close()
        self._samples_file.write_text(json.dumps(self._samples), encoding="utf-8")

    def _call(self) -> None:
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", self._path, self._body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"HTTP {response.status} from {self._path}: {answer[:200]!r}")
