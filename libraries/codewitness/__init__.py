"""Plain-Python domain packages behind the Robot Framework keyword libraries.

Nothing in this package imports Robot Framework, so that every part of it can be
used and tested on its own. The layers are described in the README.
"""

__version__ = "1.0.0"
