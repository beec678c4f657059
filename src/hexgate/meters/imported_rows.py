"""The lines of a table in a file, CSV with a header or JSON Lines, with their numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hexgate.errors import DataError

__all__ = ["Lines", "read_lines", "short"]

_MOST_BYTES = 256 * 2**20
_SEPARATORS = ",;\t"
_SHOWN = 60


@dataclass(frozen=True)
class Lines:
    """A table, read as it is asked for."""

    names: Sequence[str]
    """The columns: of the header, or the keys of the first object. Empty where the file has no whole line."""
    rows: Iterator[tuple[int, Mapping[str, Any]]]
    """Each row with the number of its line, from 1; once. Numbers of JSON are exact. Raises DataError."""


def read_lines(path: Path) -> Lines:
    """Open a table. What follows its last line's end is left out: it may still be written.

    Raises:
        DataError: if the file cannot be read, or its first line is neither a header nor a JSON object.
    """
    where = str(path)
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _MOST_BYTES else b""
    except OSError as error:
        raise DataError(f"the trace cannot be read ({error.strerror})", where=where) from None
    if size > _MOST_BYTES:
        raise DataError("the trace is too large", where=where, expected=f"at most {_MOST_BYTES >> 20} MiB")
    try:
        text = data[: data.rfind(b"\n") + 1].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError("the trace is not UTF-8", where=f"{where}:{line}") from None
    if not text.strip():
        return Lines((), iter(()))
    return _json_lines(text, where) if text.lstrip().startswith("{") else _csv_lines(text, where)


def _json_lines(text: str, where: str) -> Lines:
    rows = _objects(text, where)
    first = next(rows)

    def every() -> Iterator[tuple[int, Mapping[str, Any]]]:
        yield first
        yield from rows

    return Lines(list(first[1]), every())


def _objects(text: str, where: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
            raise DataError(f"the line is not JSON ({reason})", where=f"{where}:{number}") from None
        if not isinstance(value, dict):
            raise DataError("the line is not a JSON object", where=f"{where}:{number}")
        yield number, value


def _csv_lines(text: str, where: str) -> Lines:
    head = text.lstrip().partition("\n")[0]
    separator = max(_SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    cells = _cells(reader, where)
    _, header = next(cells)
    names = [name.strip() for name in header]
    if len(set(names)) < len(names):
        raise DataError("two columns have one name", where=f"{where}:{reader.line_num}", got=", ".join(names))

    def rows() -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, row in cells:
            if len(row) != len(names):
                raise DataError(
                    "the line has not as many cells as the header",
                    where=f"{where}:{number}",
                    got=str(len(row)),
                    expected=str(len(names)),
                )
            yield number, dict(zip(names, row, strict=True))

    return Lines(names, rows())


def _cells(reader: Any, where: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a reader that hold anything."""
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"the line is not CSV ({error})", where=f"{where}:{reader.line_num}") from None


def short(cell: Any) -> str:
    """A cell as it stands in an error."""
    shown = repr(cell)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
