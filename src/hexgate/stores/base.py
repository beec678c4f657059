"""What a store is: files under keys, put whole and once, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Entry", "Store"]


@dataclass(frozen=True)
class Entry:
    """One file of a store."""

    key: str
    """Its key, relative to the store's URI, with ``/`` between the parts."""
    bytes: int
    """Its size."""


class Store(Protocol):
    """Files under keys. No append, no rename, no overwrite, no conditional put: not every store has them.

    Keys are relative (`hexgate.stores.keys.is_key`), and each is put once: a folder and Azure Blob refuse a second
    time, S3 has no way to. Calls try again what may pass, and fail with `StoreFailed`.
    """

    uri: str
    """The store, with credentials nowhere in it."""

    def put(self, key: str, path: Path) -> None:
        """Upload a file whole.

        Raises:
            StoreFailed: if the store refuses it or does not answer.
        """

    def put_bytes(self, key: str, data: bytes) -> None:
        """Upload bytes whole.

        Raises:
            StoreFailed: likewise.
        """

    def get(self, key: str, path: Path) -> None:
        """Download a file; `path` appears only once it is whole. Folders on the way are made.

        Raises:
            StoreFailed: if there is no such key, or the store does not answer.
            InputError: if `path` cannot be written.
        """

    def get_bytes(self, key: str) -> bytes | None:
        """A small file's content, or None where there is none.

        Raises:
            StoreFailed: if the store does not answer.
        """

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every file whose key begins with `prefix`, in order of key. A prefix without any is empty.

        Raises:
            StoreFailed: if the store does not answer, or is not there at all.
        """
