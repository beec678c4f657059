"""The folder that a load works in beside its artifacts: whose it is while the load runs, and what a killed one left."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from hexgate.contract.lock import is_taken
from hexgate.errors import InputError

__all__ = ["WorkFolder", "clear_left"]

_LOCK = "lock"


class WorkFolder:
    """The folder ``STEM.work``, made anew and held until it is removed, or this process ends.

    Args:
        folder: of the artifacts.
        stem: what the names of the load's files begin with.

    Raises:
        InputError: if another load has it.
        OSError: if it cannot be made.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        clear_left(folder, stem)
        self.path = _path(folder, stem)
        """Where it is."""
        self.path.mkdir(parents=True)
        self._lock: BinaryIO = (self.path / _LOCK).open("wb")
        if is_taken(self._lock):
            self._lock.close()
            raise _taken(self.path)

    def remove(self) -> None:
        """Remove it and all that is in it."""
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def clear_left(folder: Path, stem: str) -> Path | None:
    """Remove the folder that a load which was killed has left.

    Returns:
        The folder; None where there was none.

    Raises:
        InputError: if the load that has it still runs.
    """
    path = _path(folder, stem)
    if not path.is_dir():
        return None
    if _is_held(path / _LOCK):
        raise _taken(path)
    shutil.rmtree(path, ignore_errors=True)
    return path


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("r+b") as file:
            return is_taken(file)
    except PermissionError:
        return True
    except OSError:
        return False


def _taken(path: Path) -> InputError:
    return InputError(
        "another load is at work in this folder",
        where=str(path),
        hint="give another --out, or wait for its end",
    )


def _path(folder: Path, stem: str) -> Path:
    return folder.resolve() / f"{stem}.work"
