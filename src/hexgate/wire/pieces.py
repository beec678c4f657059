"""From a place in a reply's bytes back to the received chunk that it came in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["Pieces"]


class Pieces:
    """A reply body as one byte string, which still knows where its chunks ended."""

    __slots__ = ("_ends", "_found", "body", "last")

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.body = b"".join(pieces)
        """All bytes."""
        self.last = max(len(pieces) - 1, 0)
        """Index of the last chunk; 0 where there was none."""
        self._ends = list(accumulate(map(len, pieces)))
        self._found = 0

    def at(self, offset: int) -> int:
        """Index of the chunk that holds the byte at `offset`; the last chunk for an offset behind the end.

        Offsets are asked for in rising order, so each search begins where the one before it ended.
        """
        ends = self._ends
        found = self._found
        if found < self.last and ends[found] <= offset:
            found = min(bisect_right(ends, offset, found + 1), self.last)
            self._found = found
        return found
