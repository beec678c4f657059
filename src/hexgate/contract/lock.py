"""The lock of an open file, which goes with the process that holds it, however that ends."""

from __future__ import annotations

import sys
from typing import Protocol

__all__ = ["is_taken", "take_lock"]


class _File(Protocol):
    def fileno(self) -> int: ...

    def seek(self, offset: int, /) -> int: ...


def take_lock(file: _File, *, wait: bool = False) -> None:
    """Hold a file's lock until the file is closed or the process ends.

    Args:
        file: an open file.
        wait: whether to wait for it where another process has it.

    Raises:
        OSError: if another process has it, and is not waited for.
    """
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_taken(file: _File) -> bool:
    """Whether another process has a file's lock; where none has, it is held from now on, if files have locks here."""
    try:
        take_lock(file)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return False
    return False
