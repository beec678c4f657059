"""Content encodings: compressed chunks to plain ones, one for one, so that each keeps its stamp."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

__all__ = ["BadContent", "plain_pieces"]

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class BadContent(ValueError):
    """A body that is not what its content encoding says; `args[0]` says why."""

    def __init__(self, why: str, plain: Sequence[bytes] = ()) -> None:
        super().__init__(why)
        self.plain = plain
        """The plain bytes of each chunk before the fault."""


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
    if name == "deflate" and not _has_envelope(pieces):
        bits = -bits
    unpacker = zlib.decompressobj(bits)
    plain: list[bytes] = []
    left = most_bytes
    for piece in pieces:
        made = b""
        rest = piece
        while rest:
            if unpacker.eof:
                # A gzip body may be several members, one behind the other (RFC 1952, section 2.2).
                unpacker = zlib.decompressobj(bits)
            try:
                made += unpacker.decompress(rest, left + 1)
            except zlib.error as error:
                raise BadContent(f"the body is not {name} ({error})", plain) from None
            if len(made) > left:
                raise BadContent(f"the body grows above {most_bytes} bytes", plain)
            rest = unpacker.unused_data
        left -= len(made)
        plain.append(made)
    if pieces and not unpacker.eof:
        raise BadContent(f"the {name} body is cut short", plain)
    return plain


def _has_envelope(pieces: Sequence[bytes]) -> bool:
    """Whether a body of `deflate` begins as RFC 1950 has it; some servers send what is inside alone."""
    head = b"".join(pieces[:8])[:2]
    return len(head) < 2 or (head[0] & 15 == 8 and int.from_bytes(head, "big") % 31 == 0)
