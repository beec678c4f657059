"""Content encodings: compressed chunks to plain ones, one for one, so that each keeps its stamp."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

__all__ = ["BadContent", "plain_pieces"]

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class BadContent(ValueError):
    """A body that is not what its content encoding says; `args[0]` says why."""


def plain_pieces(pieces: Sequence[bytes], encoding: str, *, most_bytes: int) -> list[bytes]:
    """The plain bytes of each chunk; a chunk that completes nothing gives none.

    Raises:
        BadContent: if the encoding is unknown, or the body is not in it, is cut short or above `most_bytes`.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return list(pieces)
    bits = _WINDOW_BITS.get(name)
    if bits is None:
        raise BadContent(f"the content encoding {name!r} was not asked for and is not understood")
    unpacker = zlib.decompressobj(bits)
    plain: list[bytes] = []
    left = most_bytes
    for piece in pieces:
        try:
            made = unpacker.decompress(piece, left + 1)
        except zlib.error as error:
            raise BadContent(f"the body is not {name} ({error})") from None
        left -= len(made)
        if left < 0:
            raise BadContent(f"the body grows above {most_bytes} bytes")
        plain.append(made)
    if pieces and not unpacker.eof:
        raise BadContent(f"the {name} body is cut short")
    return plain
