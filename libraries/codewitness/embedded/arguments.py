"""Numbers on a command line, refused in one clear line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def bounded_number(
    text: str, wanted: str, convert: Callable[[str], float], low: float, high: float = math.inf
) -> float:
    """Return a number of the command line.

    Args:
        text: What was typed.
        wanted: What is taken, to complete "... is not".
        convert: Reads it; raises :class:`ValueError` when it can't.
        low: Least number taken.
        high: Greatest.

    Raises:
        argparse.ArgumentTypeError: It is no such number.
    """
    try:
        value = convert(text)
    except ValueError:
        value = math.nan
    # Nothing is within bounds that is no number.
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value
