"""The mistakes of a data file, gathered so that one run shows all of them."""

from __future__ import annotations

from pathlib import Path

from hexgate.errors import DataError

__all__ = ["Faults", "RowFault"]

_SHOWN = 20


class RowFault(Exception):
    """One row is not what it should be; `args[0]` says why, to follow the place of the row."""


class Faults:
    """Collects mistakes while rows are read; the first 20 are kept word for word, all are counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []
        self._count = 0

    def add(self, where: str, what: str) -> None:
        """Note one mistake: its place in the file, and what is wrong there."""
        self._count += 1
        if len(self._lines) < _SHOWN:
            self._lines.append(f"{where}: {what}")

    def raise_if_any(self, what: str) -> None:
        """End the reading if there were mistakes.

        Args:
            what: what the rows should have been, such as ``classification items``.

        Raises:
            DataError: with every mistake on a line of its own.
        """
        if not self._count:
            return
        lines = list(self._lines)
        if self._count > len(lines):
            lines.append(f"... and {self._count - len(lines)} more")
        noun = "mistake" if self._count == 1 else "mistakes"
        raise DataError(
            f"{self._count} {noun} in the {what}:\n  " + "\n  ".join(lines),
            where=str(self._path),
            hint="see docs/data.md for the rows that are understood",
        )
