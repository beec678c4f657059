"""A text file read once: its lines, and the digest of all its bytes."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from hexgate.errors import DataError

__all__ = ["TextFile"]

_MARKS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


class TextFile:
    """A UTF-8 file, with or without a byte order mark, with any line ends.

    Raises:
        DataError: if it does not exist, is a folder, or is empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """The file."""
        self._digest = hashlib.sha256()
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataError(
                f"the data file cannot be read ({error.strerror})",
                where=str(path),
                hint="check the path given with --data",
            ) from None
        if path.is_dir():
            raise DataError("the data path is a folder", where=str(path), hint="name the file in it")
        if size == 0:
            raise DataError("the data file is empty", where=str(path))

    def sha256(self) -> str:
        """Digest in hex of what was read: the whole file, once it has been read to its end."""
        return self._digest.hexdigest()

    def lines(self) -> Iterator[tuple[int, str]]:
        """Line numbers from 1, and lines with their ends.

        Raises:
            DataError: at the first line that is not UTF-8, or if the file cannot be read to its end.
        """
        try:
            with self.path.open("rb") as file:
                for number, raw in enumerate(file, start=1):
                    self._digest.update(raw)
                    data = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
                    try:
                        yield number, data.decode("utf-8")
                    except UnicodeDecodeError as error:
                        self._refuse(number, error.start, raw)
        except OSError as error:
            raise DataError(
                f"the data file cannot be read ({error.strerror})", where=str(self.path)
            ) from None

    def whole(self) -> str:
        """The whole text.

        Raises:
            DataError: as `lines` does.
        """
        return "".join(line for _, line in self.lines())

    def _refuse(self, number: int, column: int, raw: bytes) -> NoReturn:
        encoding = _guess(raw)
        raise DataError(
            "the data file is not UTF-8",
            where=f"{self.path}: line {number}, byte {column + 1}",
            got=f"what looks like {encoding}" if encoding else "bytes of another encoding",
            expected="UTF-8",
            hint=f"convert it: iconv -f {encoding or 'ENCODING'} -t UTF-8 {self.path.name} > converted",
        )


def _guess(raw: bytes) -> str | None:
    for mark, name in _MARKS.items():
        if raw.startswith(mark):
            return name
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return None
    # Almost any bytes decode as GB18030; only Chinese characters in the result speak for it.
    return "GB18030" if any("一" <= character <= "鿿" for character in text) else None
