"""One row of fixed width for every request: the evidence that every figure of a load run is computed from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.arrays import array_head
from hexgate.errors import EvidenceError
from hexgate.load.sending.layout import COLUMNS, NEVER, Outcome

__all__ = ["NEVER", "RECORD", "Outcome", "Records"]

_TYPES = {"i": "<i4", "h": "<i2", "?": "?", "q": "<i8", "B": "u1"}

RECORD = np.dtype([(name, _TYPES[code]) for name, code in COLUMNS.items()])
"""The columns of `layout.COLUMNS` as a dtype."""

CHUNK = 16_384
"""Rows that are in memory at once."""


class Records:
    """The rows of a run in order of `index`: in a file, or, for few of them, in memory. Read in chunks, and often."""

    def __init__(self, path: Path | None, offset: int, rows: int, array: NDArray[np.void] | None) -> None:
        self._path = path
        self._offset = offset
        self._rows = rows
        self._array = array

    @classmethod
    def open(cls, path: Path) -> Records:
        """The records in a file of NumPy's format.

        Raises:
            EvidenceError: if they are not records, or the file ends before its rows do.
        """
        head = array_head(path)
        if head.dtype != RECORD:
            raise EvidenceError("the records have other columns than this version writes", where=str(path))
        return cls(path, head.offset, head.rows, None)

    @classmethod
    def of(cls, array: NDArray[np.void]) -> Records:
        """Records that are in memory: they are put in order of `index`."""
        return cls(None, 0, len(array), array[np.argsort(array["index"], kind="stable")])

    def __len__(self) -> int:
        return self._rows

    def chunks(self, size: int = CHUNK) -> Iterator[NDArray[np.void]]:
        """All rows in order of `index`, at most `size` at a time."""
        if self._path is None:
            for begin in range(0, self._rows, size):
                yield self._array[begin : begin + size]  # type: ignore[index]
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            left = self._rows
            while left:
                rows = np.fromfile(file, dtype=RECORD, count=min(size, left))
                left -= len(rows)
                yield rows

    def array(self) -> NDArray[np.void]:
        """All rows at once: for tests, and where they are few."""
        return np.concatenate([np.empty(0, dtype=RECORD), *self.chunks()])
