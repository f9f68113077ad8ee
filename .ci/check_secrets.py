"""Look for secrets in what is about to be published.

The secrets are the values of the environment variables that hold them; run this with the same
environment as the tests. Each is looked for as it is, encoded as base64 or hexadecimal, escaped
for URLs, JSON and HTML, and in the packed texts of log.html. What is found is named by its
variable, never shown.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import html
import json
import os
import re
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, quote_plus

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "libraries"))

from codewitness.execution.redaction import SECRET_VARIABLES  # noqa: E402

SHORTEST = 6
"""Characters of the shortest secret that is looked for: less than that stands everywhere."""


def forms_of(secret: str) -> set[bytes]:
    """Return a secret in every form in which a report or a log may hold it."""
    raw = secret.encode()
    texts = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        html.escape(secret, quote=False),
        raw.hex(),
    }
    forms = {text.encode() for text in texts}
    for before in range(3):
        # The position within base64's groups of three bytes differs with what stands before; what
        # depends on the neighbours is cut off.
        start, end = (0, 2, 3)[before], -(len(raw) + before) % 3
        encoded = base64.b64encode(b"\0" * before + raw).rstrip(b"=")
        encoded = encoded[start : len(encoded) - (1 if end else 0)]
        forms |= {encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))}
    return {form for form in forms if len(form) >= SHORTEST}


def secrets_in(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, set[bytes]]:
    """Return the forms of every secret that an environment holds, by its variable."""
    found: dict[str, set[bytes]] = {}
    for name in names:
        value = environ.get(name, "").strip()
        # A header's value is a secret without its scheme, too.
        for part in {value, value.partition(" ")[2].strip()}:
            if len(part) >= SHORTEST:
                found.setdefault(name, set()).update(forms_of(part))
    return found


def unpacked(content: bytes) -> bytes:
    """Return some bytes with what log.html keeps packed in them."""
    texts = [content]
    for packed in re.findall(rb'"\*?(eN[\w+/]+=*)"', content):
        with contextlib.suppress(ValueError, zlib.error):
            texts.append(zlib.decompress(base64.b64decode(packed)))
    return b"\n".join(texts)


def findings(folders: Iterable[Path], secrets: Mapping[str, set[bytes]]) -> list[str]:
    """Return a line for each secret in each file of some folders."""
    found = []
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        content = unpacked(path.read_bytes())
        for name, forms in secrets.items():
            if any(form in content for form in forms):
                found.append(f"{path} holds the value of {name}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found; return 1 when something was, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="+", type=Path, help="folders that are to be published")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="VARIABLE",
        help="another environment variable that holds a secret; can be repeated",
    )
    options = parser.parse_args(arguments)
    for folder in options.folders:
        if not folder.is_dir():
            parser.error(f"{folder} is no folder")
    secrets = secrets_in(os.environ, (*SECRET_VARIABLES, *options.also))
    found = findings(options.folders, secrets)
    for line in found:
        print(line)
    print(f"looked for {len(secrets)} secrets, found {len(found)} times")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
