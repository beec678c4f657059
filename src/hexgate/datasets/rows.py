"""Rows of a data file, whatever its format, each with the place where it stands."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hexgate.datasets.faults import Faults, RowFault
from hexgate.datasets.text_file import TextFile
from hexgate.errors import DataError, InputError

__all__ = ["Row", "Rows", "check_text", "iter_objects", "pick", "read_rows", "row_id"]


@dataclass(frozen=True)
class Row:
    """One row as it stands in the file."""

    where: str
    """``line 12`` in files with lines, ``$[11]`` or ``$.items[11]`` in JSON."""
    index: int
    """Its number in the file, from 0."""
    value: Any
    """The parsed value: an object for JSON and CSV, a string for plain text."""


@dataclass(frozen=True)
class Rows:
    """What was read of one file."""

    path: Path
    """The file."""
    sha256: str
    """Digest of the whole file, in hex, whatever the limit."""
    total: int
    """Rows in the whole file, whatever the limit."""
    rows: tuple[Row, ...]
    """The first `limit` rows."""
    faults: Faults
    """Mistakes found so far; whoever interprets the rows adds to them."""
    header: Mapping[str, Any] = field(default_factory=dict)
    """What stands beside the list of a JSON file, such as ``name`` and ``split``."""


def read_rows(path: Path, *, limit: int | None, text: bool = False) -> Rows:
    """Read the first rows of a file, and count and digest the whole of it.

    Rows beyond the limit are counted, not interpreted.

    Args:
        path: ``.json``, ``.jsonl`` or ``.ndjson``, ``.csv`` or ``.tsv``; ``.txt`` where `text` allows it.
        limit: how many rows are wanted; None for all.
        text: whether one row a line of plain text is understood.

    Raises:
        DataError: if the file is missing, empty, in another encoding than UTF-8, or not in its format.
        InputError: if the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise InputError("the limit leaves nothing to measure", got=str(limit), expected="1 or more")
    suffix = path.suffix.lower()
    readers = {".json": _json, ".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv, ".tsv": _csv}
    if text:
        readers[".txt"] = _text
    if suffix in {".xlsx", ".xls", ".ods"}:
        raise DataError(
            "a spreadsheet is no file of data",
            where=str(path),
            hint="save the sheet as CSV in UTF-8; prompts at levels: hexgate study prompts convert",
        )
    reader = readers.get(suffix)
    file = TextFile(path)
    if reader is None:
        raise DataError(
            "not a data format that is understood",
            where=str(path),
            got=suffix or "no suffix",
            expected=", ".join(readers),
        )
    rows = reader(file, limit)
    if rows.total == 0:
        raise DataError(
            "there are no rows in the file", where=str(path), hint="nothing can be measured on it"
        )
    return rows


def pick(row: Mapping[str, Any], names: Sequence[str]) -> tuple[str | None, Any]:
    """The one of several names for the same thing that a row uses, and its value.

    Raises:
        RowFault: if the row uses two of them, because one would silently win.
    """
    used = [name for name in names if row.get(name) is not None]
    if len(used) > 1:
        raise RowFault(f"has both {used[0]!r} and {used[1]!r}, which mean the same; keep one")
    return (used[0], row[used[0]]) if used else (None, None)


def row_id(row: Row, fields: Mapping[str, Any], names: Sequence[str]) -> str:
    """The id that a row states, or its number in the file.

    Raises:
        RowFault: if the id is neither a string nor a whole number.
    """
    _, value = pick(fields, names)
    if value is None or value == "":
        return str(row.index)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise RowFault(f"the id is {type(value).__name__}, expected a string or a whole number")
    return check_text("id", str(value))


def check_text(what: str, text: str) -> str:
    """The same text, if it can be written as UTF-8.

    Raises:
        RowFault: if it holds half a surrogate pair, which JSON's escapes allow and UTF-8 does not.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise RowFault(f"the {what} holds half a surrogate pair, which is no character") from None
    return text


def _json(file: TextFile, limit: int | None) -> Rows:
    content = file.whole()
    try:
        data = json.loads(content)
    except json.JSONDecodeError as error:
        first, _, rest = content.strip().partition("\n")
        lines = bool(rest.strip()) and _is_json(first)
        raise DataError(
            f"not JSON: {error.msg}",
            where=f"{file.path}: line {error.lineno}, column {error.colno}",
            hint="it looks like JSON Lines: give it the suffix .jsonl" if lines else None,
        ) from None
    except (ValueError, RecursionError):
        raise DataError("nested too deeply, or a number too long, to be data", where=str(file.path)) from None
    at, items, header = "$", data, {}
    if isinstance(data, dict) and isinstance(data.get("items"), list):
        at, items = "$.items", data["items"]
        header = {key: value for key, value in data.items() if key != "items"}
    if not isinstance(items, list):
        raise DataError(
            "not a list of rows",
            where=str(file.path),
            got=type(data).__name__,
            expected='a list, or an object with a list under "items"',
        )
    rows = tuple(Row(f"{at}[{index}]", index, value) for index, value in enumerate(items[:limit]))
    return Rows(file.path, file.sha256(), len(items), rows, Faults(file.path), header)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json_lines(file: TextFile, limit: int | None) -> Rows:
    faults = Faults(file.path)
    rows: list[Row] = []
    total = 0
    for number, line in file.lines():
        if not line.strip():
            continue
        if limit is None or total < limit:
            where = f"line {number}"
            try:
                rows.append(Row(where, total, json.loads(line)))
            except json.JSONDecodeError as error:
                faults.add(where, f"not JSON: {error.msg} at column {error.colno}")
            except (ValueError, RecursionError):
                faults.add(where, "nested too deeply, or a number too long, to be data")
        total += 1
    return Rows(file.path, file.sha256(), total, tuple(rows), faults)


def _csv(file: TextFile, limit: int | None) -> Rows:
    delimiter = "\t" if file.path.suffix.lower() == ".tsv" else ","
    faults = Faults(file.path)
    reader = csv.reader((line for _, line in file.lines()), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    total = 0
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(file.path, header)
        for cells in reader:
            if not cells:
                continue
            if limit is None or total < limit:
                where = f"line {reader.line_num}"
                if len(cells) != len(header):
                    faults.add(where, f"has {len(cells)} cells, the header has {len(header)}")
                else:
                    rows.append(Row(where, total, dict(zip(header, cells, strict=True))))
            total += 1
    except csv.Error as error:
        raise DataError(f"not CSV ({error})", where=f"{file.path}: line {reader.line_num}") from None
    return Rows(file.path, file.sha256(), total, tuple(rows), faults)


def _check_header(path: Path, header: Sequence[str]) -> None:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"the column {repeated[0]!r} stands twice in the header", where=f"{path}: line 1")
    if header and all(_is_number(name) for name in header):
        raise DataError(
            "the first line holds numbers, not names of columns",
            where=f"{path}: line 1",
            hint="give the file a header such as label,x0,x1,x2",
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _text(file: TextFile, limit: int | None) -> Rows:
    rows: list[Row] = []
    total = 0
    for number, line in file.lines():
        if not line.strip():
            continue
        if limit is None or total < limit:
            rows.append(Row(f"line {number}", total, line.strip()))
        total += 1
    return Rows(file.path, file.sha256(), total, tuple(rows), Faults(file.path))


def iter_objects(rows: Rows) -> Iterator[tuple[Row, Mapping[str, Any]]]:
    """The rows that are objects; every other one is noted as a mistake."""
    for row in rows.rows:
        if isinstance(row.value, dict):
            yield row, row.value
        else:
            rows.faults.add(row.where, f"is {type(row.value).__name__}, expected an object")
