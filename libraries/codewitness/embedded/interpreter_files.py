"""Names of files in a session of the built-in interpreter, and how the data plane shows them."""

from __future__ import annotations

import mimetypes
import posixpath
import re
from typing import Any

from codewitness.embedded.interpreter_session import StoredFile
from codewitness.session_pool.contract import DATA_FOLDER, invalid, timestamp

_NAME = re.compile(r"[\w\- .@$&=;,#%^()]+")


def file_path(name: str, folder: str = "") -> str:
    """Return the path of a file below the data folder.

    Args:
        name: As a caller gives it; of a whole path, as some clients send it, only the last part.
        folder: Below the data folder, or with it.

    Raises:
        Refused: It is not a name that a file may have.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    if not _NAME.fullmatch(base) or base in (".", ".."):
        raise invalid("filename", "The file name is not valid.")
    return posixpath.join(folder_path(folder), base)


def folder_path(folder: str | None) -> str:
    """Return the path of a folder relative to the data folder.

    Raises:
        Refused: It is not one that a folder may have: there must be no full stop in it.
    """
    relative = (folder or "").strip("/")
    data = DATA_FOLDER.strip("/")
    if relative == data or relative.startswith(f"{data}/"):
        relative = relative[len(data) :].strip("/")
    parts = relative.split("/") if relative else []
    if not all(_NAME.fullmatch(part) and "." not in part for part in parts):
        raise invalid("path", "The path is not valid.")
    return "/".join(parts)


def wrapped_file(file: StoredFile) -> dict[str, Any]:
    """Return a file as generation A shows it."""
    return {
        "properties": {
            "filename": posixpath.basename(file.path),
            "size": file.size,
            "lastModifiedTime": timestamp(file.modified),
        }
    }


def flat_file(file: StoredFile) -> dict[str, Any]:
    """Return a file or folder as generation B shows it."""
    folder, name = posixpath.split(file.path)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {
        "name": name,
        "type": "directory" if file.is_folder else "file",
        "contentType": None if file.is_folder else kind,
        "sizeInBytes": file.size,
        "lastModifiedAt": timestamp(file.modified),
        "directory": posixpath.join(DATA_FOLDER, folder) if folder else DATA_FOLDER,
    }
