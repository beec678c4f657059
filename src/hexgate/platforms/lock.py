"""One process at a time. The lock goes with the process that holds it, however that ends."""

from __future__ import annotations

import getpass
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hexgate.contract.lock import take_lock
from hexgate.errors import InputError

__all__ = ["locked", "run_lock"]

_LOCKS = 256


def run_lock(platform: str, run_id: str) -> Path:
    """The file whose lock stands for a run on a platform, the same one from every folder of this machine.

    There are only so many of them, so that they need no tidying; two runs may share one.
    """
    number = int(hashlib.sha256(f"{platform}/{run_id}".encode()).hexdigest(), 16) % _LOCKS
    return _place_of_locks() / f"{number:03d}"


def _place_of_locks() -> Path:
    """A folder of this user's own: the cache, or where there is none the folder for temporary files."""
    try:
        place = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hexgate" / "locks"
        place.mkdir(parents=True, exist_ok=True)
        if os.access(place, os.W_OK):
            return place
    except (OSError, RuntimeError):
        # No home, or none that can be written.
        pass
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        # A container's user need not have a name.
        user = "nobody"
    return Path(tempfile.gettempdir()) / f"hexgate-locks-{user}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, waiting for it where another process has it. The file is made, and stays.

    Raises:
        InputError: if it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise InputError(f"the lock cannot be made ({error.strerror})", where=str(path)) from None
    with file:
        take_lock(file, wait=True)
        yield
