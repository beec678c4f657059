"""Newline-delimited JSON: a body, split anywhere into chunks, to lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hexgate.wire.pieces import Pieces

__all__ = ["Line", "lines"]


@dataclass(frozen=True)
class Line:
    """One line that is not blank."""

    data: bytes
    """Its bytes, without the line end."""
    piece: int
    """Index of the chunk that completed it: the one with its line end, or the last one if it has none."""
    ended: bool = True
    """Whether its line end came. The last line may lack it and still be whole."""


def lines(pieces: Sequence[bytes]) -> list[Line]:
    """The lines of a whole body, in order."""
    whole = Pieces(pieces)
    found: list[Line] = []
    start = 0
    while start < len(whole.body):
        end = whole.body.find(b"\n", start)
        ended = end >= 0
        if not ended:
            end = len(whole.body)
        data = whole.body[start:end].strip(b" \t\r")
        if data:
            found.append(Line(data, whole.at(end), ended))
        start = end + 1
    return found
