"""Files in the sessions of a built-in pool, by either generation of the contract's operations."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode

from codewitness.execution.answers import error_in
from codewitness.execution.http_client import HttpAnswer
from codewitness.execution.model import FaultKind, PlatformFault
from codewitness.execution.redaction import redact
from codewitness.session_pool.contract import GENERATION_A, GENERATION_B
from codewitness.target.private_pool import PrivatePool

Generation = Literal["A", "B"]
"""Generation of the operations: bodies wrapped in ``properties``, or flat ones."""

DELETED: Mapping[Generation, int] = {"A": 200, "B": 204}
"""Status that says that a file was deleted."""

# A is what most clients speak; the newest of B has all that the older ones have.
_VERSIONS: Mapping[Generation, str] = {"A": GENERATION_A[0], "B": GENERATION_B[-1]}
_UPLOAD: Mapping[Generation, str] = {"A": "files/upload", "B": "files"}
_CONTENT: Mapping[Generation, str] = {"A": "files/content/{}", "B": "files/{}/content"}
_NAME: Mapping[Generation, str] = {"A": "filename", "B": "name"}
_SIZE: Mapping[Generation, str] = {"A": "size", "B": "sizeInBytes"}
_MODIFIED: Mapping[Generation, str] = {"A": "lastModifiedTime", "B": "lastModifiedAt"}


@dataclass(frozen=True)
class FileEntry:
    """A file as the pool describes it.

    Attributes:
        name: Without a folder.
        size: Bytes.
        modified: When it was changed last, as the pool writes it.
    """

    name: str
    size: int
    modified: str


class SessionFiles:
    """Calls the operations for files and returns the answers, whatever they are.

    Every operation may raise :class:`PlatformFault`, when there was no complete answer.

    Args:
        pool: A built-in pool.
        generation: Which operations to call.
    """

    def __init__(self, pool: PrivatePool, generation: Generation) -> None:
        self._pool = pool
        self._generation = generation
        self._version = _VERSIONS[generation]

    def upload(self, identifier: str, name: str, content: bytes, folder: str = "") -> HttpAnswer:
        """Store a file in a session.

        Args:
            identifier: Whose session it is.
            name: As the form shall say it.
            content: Bytes of the file.
            folder: Below the data folder; only generation B has it.
        """
        boundary = secrets.token_hex(16)
        head, end = _form(boundary, name)
        return self._pool.operate(
            "POST",
            _in_folder(_UPLOAD[self._generation], folder),
            identifier,
            head + content + end,
            version=self._version,
            content_type=f"multipart/form-data; boundary={boundary}",
        )

    def announce(self, identifier: str, name: str, size: int) -> HttpAnswer:
        """Announce the upload of a file of some bytes and return the answer before it is sent."""
        boundary = secrets.token_hex(16)
        return self._pool.announce(
            _UPLOAD[self._generation],
            identifier,
            size + sum(map(len, _form(boundary, name))),
            version=self._version,
            content_type=f"multipart/form-data; boundary={boundary}",
        )

    def list(self, identifier: str, folder: str = "") -> HttpAnswer:
        """Ask for the files in a folder."""
        return self._operate("GET", _in_folder("files", folder), identifier)

    def download(self, identifier: str, name: str, folder: str = "") -> HttpAnswer:
        """Ask for the content of a file."""
        operation = _CONTENT[self._generation].format(quote(name, safe=""))
        return self._operate("GET", _in_folder(operation, folder), identifier)

    def describe(self, identifier: str, name: str) -> HttpAnswer:
        """Ask for the metadata of a file."""
        return self._operate("GET", f"files/{quote(name, safe='')}", identifier)

    def delete(self, identifier: str, name: str) -> HttpAnswer:
        """Delete a file."""
        return self._operate("DELETE", f"files/{quote(name, safe='')}", identifier)

    def read_list(self, answer: HttpAnswer) -> dict[str, FileEntry]:
        """Return the files of a list, by name.

        Raises:
            ExecutionError: The answer is no list of this generation.
        """
        listed = _document(answer).get("value")
        if not isinstance(listed, list):
            raise _malformed("a list of files under 'value'", answer)
        entries = [self._entry(each, answer) for each in listed]
        return {entry.name: entry for entry in entries}

    def read_entry(self, answer: HttpAnswer) -> FileEntry:
        """Return a file's metadata; errors as above."""
        return self._entry(_document(answer), answer)

    def read_uploaded(self, answer: HttpAnswer) -> FileEntry:
        """Return what the answer to an upload says of the file; errors as above."""
        if self._generation == "B":
            return self.read_entry(answer)
        (entry,) = self.read_list(answer).values()
        return entry

    def _operate(self, method: str, operation: str, identifier: str) -> HttpAnswer:
        return self._pool.operate(method, operation, identifier, version=self._version)

    def _entry(self, document: Any, answer: HttpAnswer) -> FileEntry:
        is_object = isinstance(document, Mapping)
        told = document.get("properties") if is_object and self._generation == "A" else document
        names = [each[self._generation] for each in (_NAME, _SIZE, _MODIFIED)]
        if not isinstance(told, Mapping) or not all(name in told for name in names):
            raise _malformed(f"a file of generation {self._generation}", answer)
        name, size, modified = (told[it] for it in names)
        return FileEntry(name, size, modified)


def _form(boundary: str, name: str) -> tuple[bytes, bytes]:
    """Return what stands before and after the content of a form's field ``file``."""
    quoted = name.replace('"', "%22")
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()


def _in_folder(operation: str, folder: str) -> str:
    return f"{operation}?{urlencode({'path': folder})}" if folder else operation


def _document(answer: HttpAnswer) -> Mapping[str, Any]:
    error = error_in(answer)
    if error is not None:
        raise error
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, Mapping):
        raise _malformed("a JSON object", answer)
    return document


def _malformed(expected: str, answer: HttpAnswer) -> PlatformFault:
    said = redact(answer.text)[:300]
    detail = f"HTTP {answer.status} from {answer.url}: expected {expected}, got {said}"
    return PlatformFault(FaultKind.BAD_ANSWER, detail, status=answer.status, body=said)
