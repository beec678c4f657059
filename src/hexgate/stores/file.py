"""A store that is a folder: on a disk, or where a platform mounts one."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from hexgate.contract.canonical import sha256_file
from hexgate.errors import StoreFailed
from hexgate.stores.address import Address
from hexgate.stores.base import Entry
from hexgate.stores.keys import arriving, checked_key

__all__ = ["FileStore", "open_folder"]

_PIECE = 1 << 20


def open_folder(address: Address) -> FileStore:
    """A folder as a store. It need not be there yet."""
    return FileStore(Path(address.path))


class FileStore:
    """A folder whose files are written once, straight under their names: mounted object stores cannot rename or append.

    A file that was torn while it was written stays; without a manifest beside it, it is no part.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)

    def put(self, key: str, path: Path) -> None:
        """Write a file whole, and read it back. The folders on the way are made.

        Raises:
            StoreFailed: if there is such a key, it cannot be written, or reads back as something else.
        """
        try:
            with path.open("rb") as source:
                self._write(key, source)
        except OSError as error:
            raise StoreFailed(f"the file cannot be read ({error.strerror})", where=str(path)) from None

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write bytes whole, and read them back.

        Raises:
            StoreFailed: likewise.
        """
        self._write(key, BytesIO(data))

    def get(self, key: str, path: Path) -> None:
        """Copy a file to `path`, which appears only once it is whole.

        Raises:
            StoreFailed: if there is no such key, or it cannot be read.
            InputError: if `path` cannot be written.
        """
        try:
            source = self._path(key).open("rb")
        except OSError as error:
            raise self._failed("cannot be read", key, error) from None
        with source, arriving(path) as target:
            while piece := self._read(source, key):
                target.write(piece)

    def get_bytes(self, key: str) -> bytes | None:
        """A small file's content, or None where there is none.

        Raises:
            StoreFailed: if it cannot be read.
        """
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failed("cannot be read", key, error) from None

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every regular file whose key begins with `prefix`, in order of key. Symbolic links are not followed.

        Raises:
            StoreFailed: if the folder is not there, or cannot be read.
        """
        if not self.root.is_dir():
            raise StoreFailed(
                "there is no such folder", where=self.uri, hint="give the folder that holds the runs"
            )
        folder, _, _ = prefix.rpartition("/")
        if folder:
            checked_key(folder, self.uri)
        for entry in self._walk(f"{folder}/" if folder else ""):
            if entry.key.startswith(prefix):
                yield entry

    def _walk(self, below: str) -> Iterator[Entry]:
        try:
            with os.scandir(self.root / below) as found:
                # A folder sorts as its keys do, with the slash behind its name.
                entries = sorted(
                    (f"{item.name}/" if item.is_dir(follow_symlinks=False) else item.name, item)
                    for item in found
                )
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._failed("cannot be listed", below, error) from None
        for name, item in entries:
            if name.endswith("/"):
                yield from self._walk(below + name)
                continue
            with suppress(FileNotFoundError):
                state = item.stat(follow_symlinks=False)
                if stat.S_ISREG(state.st_mode):
                    yield Entry(_printable(below + name), state.st_size)

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key, self.uri)

    def _write(self, key: str, source: BinaryIO) -> None:
        path = self._path(key)
        digest = hashlib.sha256()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed("cannot make the folder of a file", key, error) from None
        try:
            with path.open("xb") as target:
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    target.write(piece)
            stored = sha256_file(path)
        except FileExistsError:
            raise StoreFailed(
                "there is such a key already, and nothing is ever overwritten",
                where=f"{self.uri}/{key}",
                hint="use a new run id",
            ) from None
        except OSError as error:
            raise self._failed("cannot be written", key, error) from None
        if stored != digest.hexdigest():
            raise StoreFailed(
                "the file reads back as something else than what was written",
                where=f"{self.uri}/{key}",
                got=f"sha256 {stored}",
                expected=f"sha256 {digest.hexdigest()}",
                hint="the mount does not keep what it was given; upload to the store's own URI instead",
            )

    def _read(self, source: BinaryIO, key: str) -> bytes:
        try:
            return source.read(_PIECE)
        except OSError as error:
            raise self._failed("cannot be read", key, error) from None

    def _failed(self, what: str, key: str, error: OSError) -> StoreFailed:
        return StoreFailed(f"the store {what} ({error.strerror or error})", where=f"{self.uri}/{key}")


def _printable(name: str) -> str:
    """A file's name; one that is not UTF-8 with its bytes written out, which makes it no key."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
