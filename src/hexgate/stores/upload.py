"""Put files into a store under a name that is made of their content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hexgate.contract.canonical import canonical_bytes, sha256_bytes, sha256_file
from hexgate.errors import InputError
from hexgate.stores.base import Store

__all__ = ["WHOLE", "upload"]

WHOLE = "uploaded.json"
"""Written last: the digest of each file, by its name."""


def upload(store: Store, files: Sequence[Path]) -> str:
    """Upload files into one folder, named after the digests of all of them.

    The same files give the same folder, whoever uploads them, so nothing is ever overwritten and what lies at an
    address does not change.

    Args:
        store: where to.
        files: files with different names.

    Returns:
        The folder's name, below the store's address.

    Raises:
        InputError: if two files have one name, or one cannot be read.
        StoreFailed: if the store does not take them. What an earlier upload left when it was cut off is not completed
            by stores that never overwrite: remove that folder there.
    """
    names = [path.name for path in files]
    if len({*names, WHOLE}) != len(names) + 1:
        raise InputError("two files of one name cannot lie in one folder", got=", ".join(sorted(names)))
    try:
        digests = {path.name: sha256_file(path) for path in files}
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})", where=str(error.filename)) from None
    said = canonical_bytes(digests)
    folder = sha256_bytes(said)[:32]
    if store.get_bytes(f"{folder}/{WHOLE}") != said:
        for path in files:
            store.put(f"{folder}/{path.name}", path)
        store.put_bytes(f"{folder}/{WHOLE}", said)
    return folder
