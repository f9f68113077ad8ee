"""Command line of the embedded services: ``python libraries/codewitness --help``."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Started as a folder: Python put this folder on the path instead of the one around it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from codewitness.embedded.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
