"""Tables of prompts, from a spreadsheet or from CSV: which rows there are, and everything that is wrong with them."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.datasets.text_file import TextFile
from hexgate.errors import DataError, InputError, MissingExtra
from hexgate.study.prompts.columns import title_category
from hexgate.study.prompts.levels import SUFFIX

__all__ = ["Cell", "Sheet", "read_sheets"]

_MOST_BYTES = 256 * 1024 * 1024
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Cell:
    """One cell."""

    text: str = ""
    """Its text; of a whole number the digits; empty where there is nothing."""
    odd: str | None = None
    """What it holds instead of a text, such as ``a number``; None for a text."""


@dataclass(frozen=True)
class Sheet:
    """One table."""

    where: str
    """What it is called in messages: ``sheet NAME``, or the file's name for CSV."""
    title: str
    """Its name; for CSV the file's, without what every file of a category ends with."""
    category: str | None
    """The category that the name says; None where it says none."""
    rows: tuple[tuple[Cell, ...], ...]
    """All rows from the first; row 1 is number 0 here."""


def read_sheets(path: Path) -> tuple[Sheet, ...]:
    """The tables of a file: every sheet of a workbook, or the one of a CSV file.

    Raises:
        InputError: if the format is none of these.
        DataError: if the file cannot be read as what its name says.
        MissingExtra: if it is a workbook and openpyxl is not installed.
    """
    if not path.is_file():
        raise InputError("there is no such table of prompts", where=str(path))
    suffix = path.suffix.lower()
    if suffix in _SEPARATORS:
        return (_csv_sheet(path, _SEPARATORS[suffix]),)
    if suffix in {".xlsx", ".xlsm"}:
        return tuple(_workbook_sheets(path))
    hint = None
    if suffix in {".xls", ".ods", ".numbers", ".et"}:
        hint = "save it as .xlsx, or as CSV in UTF-8"
    elif suffix in {".jsonl", ".json"}:
        hint = "prompts are made of questions by: hexgate study prompts build"
    raise InputError(
        "not a table of prompts",
        where=str(path),
        got=suffix or "no suffix",
        expected=".xlsx, .csv or .tsv",
        hint=hint,
    )


def _csv_sheet(path: Path, separator: str) -> Sheet:
    lines = (line for _, line in TextFile(path).lines())
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        rows = tuple(tuple(Cell(text) for text in row) for row in reader)
    except csv.Error as error:
        raise DataError(f"not CSV ({error})", where=f"{path}: line {reader.line_num}") from None
    title = path.name.removesuffix(SUFFIX)
    # Any other file name is chosen for the set and says nothing of its questions.
    category = title_category(title, alone=False) if title != path.name else None
    return Sheet(path.name, title, category, rows)


def _workbook_sheets(path: Path) -> Iterator[Sheet]:
    try:
        import openpyxl
    except ImportError:
        raise MissingExtra("excel", "reading a spreadsheet") from None
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"the spreadsheet cannot be read ({error.strerror})", where=str(path)) from None
    if size > _MOST_BYTES:
        raise DataError("the spreadsheet is too large", where=str(path), got=f"{size} bytes")
    with warnings.catch_warnings():
        # Of formats and rules that openpyxl does not keep; only values are read here.
        warnings.simplefilter("ignore")
        try:
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                sheets = [(sheet.title, _rows(sheet)) for sheet in book.worksheets]
            finally:
                book.close()
        except Exception as error:  # noqa: BLE001 - the library lets through what zip and XML raise
            raise DataError(
                "not a spreadsheet that can be read",
                where=str(path),
                got=" ".join(f"{type(error).__name__}: {error}".split())[:200],
                expected="an Excel workbook (.xlsx)",
                hint="open it in a spreadsheet program and save it as .xlsx again",
            ) from None
    for title, rows in sheets:
        category = title_category(title, alone=len(sheets) == 1)
        yield Sheet(f"sheet {title}", title, category, rows)


def _rows(sheet: Any) -> tuple[tuple[Cell, ...], ...]:
    # Some programs write a wrong size of the sheet, by which rows would be cut.
    sheet.reset_dimensions()
    rows: Iterable[Sequence[Any]] = sheet.iter_rows()
    return tuple(tuple(_cell(cell.value, cell.data_type) for cell in row) for row in rows)


def _cell(value: Any, kind: str) -> Cell:
    if value is None:
        return Cell()
    if kind == "e":
        return Cell(str(value), f"the error {value}")
    if isinstance(value, str):
        # Spreadsheets keep a carriage return within a cell in this notation.
        return Cell(value.replace("_x000D_", "\r").replace("\r\n", "\n"))
    if isinstance(value, bool):
        return Cell(str(value), "a truth value")
    if isinstance(value, (int, float)):
        whole = isinstance(value, float) and value.is_integer()
        return Cell(str(int(value)) if whole else str(value), "a number")
    return Cell(str(value), "a date")
