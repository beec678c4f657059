"""Newline-delimited JSON: a body, split anywhere into chunks, to lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hexgate.wire.pieces import Pieces

__all__ = ["Line", "lines"]


class Line(NamedTuple):
    """One line that is not blank."""

    data: bytes
    """Its bytes, without the line end."""
    piece: int
    """Index of the chunk that completed it: the one with its line end, or the last one if it has none."""
    ended: bool = True
    """Whether its line end came. The last line may lack it and still be whole."""


def lines(pieces: Sequence[bytes]) -> Iterator[Line]:
    """The lines of a whole body, in order."""
    whole = Pieces(pieces)
    body = whole.body
    start = 0
    while (end := body.find(b"\n", start)) >= 0:
        if data := body[start:end].strip(b" \t\r"):
            yield Line(data, whole.at(end))
        start = end + 1
    if data := body[start:].strip(b" \t\r"):
        yield Line(data, whole.last, ended=False)
