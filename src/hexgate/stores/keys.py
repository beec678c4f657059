"""What a key of a store may be, and how a file arrives under its name only once it is whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hexgate.errors import InputError, StoreFailed

__all__ = ["ARRIVING", "arriving", "checked_key", "is_key"]

ARRIVING = ".arriving-"
"""How the name of a file begins while it is being downloaded."""

_FORBIDDEN = re.compile(r"\\|[\x00-\x1f]|[\ud800-\udfff]")
_MOST_BYTES = 1024


def is_key(key: str) -> bool:
    """Whether a text can be a key, and a path below a folder: relative, ``/`` between its parts, without ``..``."""
    parts = key.split("/")
    return (
        not _FORBIDDEN.search(key)
        and not any(part in {"", ".", ".."} for part in parts)
        and len(key.encode()) <= _MOST_BYTES
    )


def checked_key(key: str, store: str) -> str:
    """The key as it is.

    Raises:
        StoreFailed: if it is none.
    """
    if not is_key(key):
        raise StoreFailed(
            "not a key of a store",
            where=store,
            got=ascii(key[:100]),
            expected=f"a relative path without '..' or a backslash, at most {_MOST_BYTES} bytes",
        )
    return key


@contextmanager
def arriving(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that gets the name `path` when the block ends well, and is removed when it does not.

    Raises:
        InputError: if this machine cannot write it.
    """
    # The name depends on the path alone, so what a killed download left is taken over by the next.
    temporary = path.with_name(f"{ARRIVING}{hashlib.sha256(path.name.encode()).hexdigest()[:16]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        if error.errno is None:
            # Not of the file system: clients of stores have errors of the network that are an OSError by descent.
            raise
        raise InputError(f"the download cannot be written ({error.strerror})", where=str(path)) from None
    finally:
        with suppress(OSError):
            temporary.unlink()
