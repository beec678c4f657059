"""The head of a file in NumPy's format: what its rows are, how many, and where they begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from hexgate.errors import EvidenceError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ArrayHead", "array_head"]


@dataclass(frozen=True)
class ArrayHead:
    """What a file of rows says of itself, and keeps."""

    dtype: np.dtype[Any]
    """What a row is."""
    rows: int
    """How many there are."""
    offset: int
    """Bytes before the first."""


def array_head(path: Path) -> ArrayHead:
    """The head of a file with an array of one dimension.

    Raises:
        EvidenceError: if it is no such file, or ends before its rows do, or goes on after them.
    """
    import numpy as np

    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
            shape, _, dtype = (read or np.lib.format.read_array_header_2_0)(file)
            offset = file.tell()
        held = path.stat().st_size - offset
    except (OSError, ValueError, SyntaxError, TokenError) as error:
        raise EvidenceError(f"the array cannot be read ({error})", where=str(path)) from None
    if len(shape) != 1 or held != shape[0] * dtype.itemsize:
        raise EvidenceError("the file of an array ends before its rows do", where=str(path))
    return ArrayHead(dtype, int(shape[0]), offset)
