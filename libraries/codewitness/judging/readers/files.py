"""Looking into folders that others made: names, order, and files that may not be what they seem."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from pathlib import Path

README = "README.md"

MOST_BYTES = 256 << 20
"""Size up to which a file of a problem is used; a run has to hold several of them in memory."""

MOST_BYTES_OF_SETTINGS = 1 << 20

_IGNORED = re.compile(r"\..*|.*~|#.*#|.*\.(bak|orig)|__pycache__|Thumbs\.db|desktop\.ini")

Files = dict[str, Path | None]
"""Files of one folder by name, in natural order; ``None`` for one that can't be read."""


def natural_order(name: str) -> tuple[tuple[int | str, ...], str]:
    """Return a key that sorts numbers in names by their value: ``2`` before ``10``."""
    parts = re.split(r"([0-9]+)", name)
    numbers = tuple(int(part) if index % 2 else part for index, part in enumerate(parts))
    # Names such as 1 and 01 still need an order.
    return numbers, name


def path_order(name: str) -> list[tuple[tuple[int | str, ...], str]]:
    """Return a key that sorts paths by their parts, each in natural order."""
    return [natural_order(part) for part in name.split("/")]


def names_in(folder: Path, *, readme: bool = False) -> list[str]:
    """Return the names in a folder in natural order, without hidden files and editors' backups.

    Args:
        folder: The folder.
        readme: Whether README.md counts.

    Raises:
        OSError: The folder isn't there, or can't be read.
    """
    names = (path.name for path in folder.iterdir())
    kept = [name for name in names if (readme or name != README) and not _IGNORED.fullmatch(name)]
    return sorted(kept, key=natural_order)


def printable(text: str) -> str:
    """Return a text with whatever would spoil a report escaped."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def reason(error: OSError) -> str:
    """Return why the system refused something, in a few words."""
    return error.strerror or type(error).__name__


def unprintable_names(names: Iterable[str]) -> list[str]:
    """Return one problem for every name that would spoil a report."""
    return [
        f"{name}: a name with characters that can't be shown; rename it"
        for name in names
        if not name.isprintable()
    ]


def usable_file(path: Path, shown: str, problems: list[str]) -> Path | None:
    """Return the path of a file that can be read, else ``None`` with a problem added.

    Args:
        path: The file.
        shown: What to call it in a problem.
        problems: Where to add what is wrong.
    """
    try:
        found = path.stat()
        # Reading a pipe or a device might never end.
        if not stat.S_ISREG(found.st_mode):
            problems.append(f"{shown}: not a regular file; replace it by one")
            return None
        with path.open("rb", buffering=0):
            size = found.st_size
    except OSError as error:
        problems.append(f"{shown}: can't be read ({reason(error)}); replace or delete it")
        return None
    if size > MOST_BYTES:
        problems.append(
            f"{shown}: {size >> 20} MiB, more than the {MOST_BYTES >> 20} MiB that are judged;"
            f" make it smaller"
        )
        return None
    return path


def leads_back(folder: Path, above: tuple[Path, ...]) -> bool:
    """Tell whether a folder is, by way of a link, one of those that it lies in."""
    return folder.is_dir() and folder.resolve() in above
