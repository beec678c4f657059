"""An export that is whole or as it was: written beside the files of the one before, put in their place at its end."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hexgate.contract.lock import is_taken
from hexgate.errors import InputError

__all__ = ["STAGE", "put_in_place", "staged"]

STAGE = ".hexgate-export"
"""Folder within that of the export, in which its files lie until all of them are written."""
_LOCK = "lock"


@contextmanager
def staged(out: Path, seal: str) -> Iterator[Path]:
    """A folder for the files of an export, held until `put_in_place`, and gone if they cannot be written or put there.

    Where an export was killed while its files were put in place, its seal is kept: nothing else tells that the
    files of the folder are of an export.

    Args:
        out: the folder of the export; it is made.
        seal: the file by which an export is known to be whole.

    Raises:
        InputError: if another export is being written into the folder.
        OSError: if it cannot be made.
    """
    stage = out / STAGE
    stage.mkdir(parents=True, exist_ok=True)
    with (stage / _LOCK).open("wb") as lock:
        if is_taken(lock):
            raise InputError(
                "another export is being written into this folder",
                where=str(out),
                hint="give another --out, or wait for its end",
            )
        _clear(stage, {seal, _LOCK})
        try:
            yield stage
        except BaseException:
            with suppress(OSError):
                _clear(stage, {seal})
                stage.rmdir()
            raise


def put_in_place(out: Path, seal: str, stale: Iterable[str]) -> None:
    """Move all files of the stage, while it is held, and remove those of an earlier export that it has no more.

    The seal goes first and comes last, so that a folder that has it never holds files of two exports.

    Args:
        out: the folder of the export.
        seal: the file by which an export is known to be whole; the stage has it.
        stale: names that an export may have; those that the stage lacks are removed, and no other file is.

    Raises:
        OSError: if a file cannot be moved or removed.
    """
    stage = out / STAGE
    names = {path.relative_to(stage) for path in stage.rglob("*") if path.is_file()}
    names -= {Path(seal), Path(_LOCK)}
    (out / seal).unlink(missing_ok=True)
    for name in sorted(names):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).replace(out / name)
    for name in {Path(name) for name in stale} - names:
        (out / name).unlink(missing_ok=True)
    (stage / seal).replace(out / seal)
    shutil.rmtree(stage)


def _clear(stage: Path, kept: Collection[str]) -> None:
    for path in stage.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in kept:
            path.unlink()
