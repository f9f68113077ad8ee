"""No process of a run leaves its memory, and the credentials in it, in a core dump."""

from __future__ import annotations

import sys


def forbid_core_dumps() -> None:
    """Let neither this process nor any that it starts from now on dump its memory."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
