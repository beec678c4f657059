"""The kinds of store, by the scheme of their URI. Listing them imports none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from hexgate.errors import InputError
from hexgate.stores.address import Address, address_of

if TYPE_CHECKING:
    from hexgate.stores.base import Store

__all__ = ["OPENERS", "open_store"]

OPENERS: dict[str, str] = {
    "file": "hexgate.stores.file:open_folder",
    "s3": "hexgate.stores.s3:open_s3",
    "oss": "hexgate.stores.s3:open_s3",
    "tos": "hexgate.stores.s3:open_s3",
    "azblob": "hexgate.stores.azure_blob:open_azure_blob",
    "https": "hexgate.stores.azure_blob:open_azure_blob",
}


def open_store(uri: str) -> Store:
    """Open a store. Where it is and as whom comes from the URI and the environment; nothing is asked yet.

    Args:
        uri: a folder or ``file:///folder``; ``s3://bucket/prefix``, ``oss://bucket/prefix``, ``tos://bucket/prefix``;
            ``azblob://account/container/prefix`` or ``https://account.blob.core.windows.net/container/prefix``.

    Raises:
        InputError: if it is none of these, holds credentials, or the environment lacks what it needs.
        MissingExtra: if the client of the store is not installed.
    """
    address = address_of(uri)
    if address.scheme not in OPENERS:
        raise InputError(
            "there is no such kind of store",
            where="store",
            got=f"{address.scheme}://",
            expected=f"a folder, or one of {', '.join(f'{scheme}://' for scheme in OPENERS)}",
        )
    module, _, name = OPENERS[address.scheme].partition(":")
    opener = cast("Callable[[Address], Store]", getattr(import_module(module), name))
    return opener(address)
