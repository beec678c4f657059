"""httpx without its command line, which it imports along with itself, and with that rich and pygments.

No request needs them, and a command that sends one would begin a fifteenth of a second later.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_command_line"]

_COMMAND_LINE = "httpx._main"


@contextmanager
def without_command_line() -> Iterator[None]:
    """While it lasts, httpx does not find its command line, and goes on without it."""
    if _COMMAND_LINE in sys.modules:
        yield
        return
    # None stands for a module that cannot be imported.
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_COMMAND_LINE]
