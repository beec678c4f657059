"""Where the files that ship with hexgate lie: in the wheel, or in the source checkout."""

from __future__ import annotations

from pathlib import Path

__all__ = ["shipped"]

_PACKAGE = Path(__file__).resolve().parent


def shipped(relative: str) -> Path:
    """The path of a shipped file or folder, such as ``schemas/envelope.schema.json``.

    Raises:
        FileNotFoundError: if this installation does not hold it.
    """
    for root in (_PACKAGE / "_data", _PACKAGE.parents[1]):
        path = root / relative
        if path.exists():
            return path
    raise FileNotFoundError(f"{relative} does not belong to this installation of hexgate")
