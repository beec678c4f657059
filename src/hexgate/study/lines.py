"""A file of JSON lines that only grows, and that no end of its writer can spoil."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from hexgate.contract.canonical import canonical_bytes
from hexgate.contract.lock import take_lock
from hexgate.errors import EvidenceError, InputError
from hexgate.wire.payload import BadPayload, load_object

__all__ = ["Lines", "lock_folder", "read_lines", "take_up", "write_whole"]


class Lines:
    """Rows of JSON, each one whole line that is on the disk before `append` returns.

    A last line without its end was cut by the writer's death, and is dropped when the file is opened again.

    Raises:
        OSError: if the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """The file."""
        self._file = path.open("a+b", buffering=0)
        self._size = _whole_lines(self._file)
        self._file.truncate(self._size)

    def append(self, row: Mapping[str, Any]) -> None:
        """Append one row, and wait until the disk has it.

        Raises:
            OSError: if the disk does not take it; the file is then as it was.
            ValueError: if a value of the row is not finite.
        """
        line = canonical_bytes(row) + b"\n"
        done = 0
        try:
            # A disk that is nearly full takes a part of the line, and says so only by the number.
            while done < len(line):
                done += self._file.write(line[done:])
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row so far, in order.

        Raises:
            EvidenceError: if one is not an object of JSON.
        """
        return read_lines(self.path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of JSON lines; one without its line end is left out.

    Raises:
        EvidenceError: if the file cannot be read, or a row is not an object of JSON.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise EvidenceError(f"the file cannot be read ({error.strerror})", where=str(path)) from None
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield load_object(line)
            except BadPayload as error:
                raise EvidenceError(str(error), where=f"{path}:{number}") from None


def write_whole(path: Path, data: bytes, *, wait: bool = True) -> None:
    """Write a file so that at no instant there is a part of it under its name.

    Args:
        path: the file; its folder is made.
        data: its bytes.
        wait: whether to wait until the disk has it.

    Raises:
        OSError: if the disk does not take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        if wait:
            file.flush()
            os.fsync(file.fileno())
    partial.replace(path)


def take_up(partial: Path) -> None:
    """Give a file of rows that its writer left unfinished its name, with its whole lines; without one it is removed.

    Args:
        partial: the file, whose name ends in ``.partial``.

    Raises:
        OSError: if the disk does not take it.
    """
    path = partial.with_suffix("")
    with partial.open("r+b") as file:
        whole = _whole_lines(file)
        file.truncate(whole)
    if whole and path.suffix == ".jsonl" and not path.exists():
        partial.replace(path)
    else:
        partial.unlink()


def lock_folder(folder: Path) -> IO[bytes]:
    """Hold the lock of a study's folder until what is returned is closed, or the process ends, however that happens.

    Raises:
        InputError: if another process holds it.
    """
    file = (folder / ".lock").open("a+b")
    try:
        take_lock(file)
    except OSError:
        file.close()
        raise InputError(
            "another process is running the study in this folder",
            where=str(folder),
            hint="wait for its end, or name another --out",
        ) from None
    return file


def _whole_lines(file: IO[bytes]) -> int:
    """Length of the file up to its last line end."""
    file.seek(0)
    length = whole = 0
    while piece := file.read(1 << 20):
        place = piece.rfind(b"\n")
        if place >= 0:
            whole = length + place + 1
        length += len(piece)
    return whole
