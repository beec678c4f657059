"""A workbook of plain tables, over openpyxl: numbers are numbers, no text is a formula, and files are reproducible."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from hexgate.errors import MissingExtra
from hexgate.study.exports.spreadsheet import cell_text, is_formula

__all__ = ["Cell", "Column", "Sheet", "workbook_bytes"]

Cell = str | int | float | bool | None
"""What a cell may hold; None and an empty text leave it empty."""
_MODIFIED = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*")
_CORE = "docProps/core.xml"
_WIDEST = 80.0
"""A column is not wider than this, in characters; a file with one above 255 is refused."""


@dataclass(frozen=True)
class Column:
    """One column of a sheet."""

    title: str
    """Its header, with the unit."""
    digits: int = 3
    """How many decimals of a number are shown; a whole number has none."""
    width: float = 12.0
    """Its width, in characters."""


@dataclass(frozen=True)
class Sheet:
    """One table."""

    name: str
    """Name of the sheet, one that `sheet_names` gave."""
    columns: Sequence[Column]
    """Its columns; their headers stay in sight."""
    rows: Sequence[Sequence[Cell]]
    """Its rows, which can be filtered and sorted by their headers."""
    totals: Sequence[Sequence[Cell]] = ()
    """Rows below them, such as means, which no filter hides."""
    frozen: int = 0
    """How many columns at the left stay in sight."""


def workbook_bytes(sheets: Sequence[Sheet], *, title: str, stamp: datetime) -> bytes:
    """A workbook, in the bytes of its file.

    Args:
        sheets: its sheets, in order; at least one.
        title: its title.
        stamp: the instant that its properties state; not the present one, so that the bytes are the same each time.

    Raises:
        MissingExtra: if openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook
    except ImportError:
        raise MissingExtra("excel", "writing workbooks") from None
    book = Workbook(write_only=True)
    book.properties.creator = "hexgate"
    book.properties.title = cell_text(title)
    for sheet in sheets:
        _write(book, sheet)
    written = io.BytesIO()
    book.save(written)
    return _fixed(written.getvalue(), stamp)


def _write(book: Any, sheet: Sheet) -> None:
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

    page = book.create_sheet(sheet.name)
    # A sheet that is streamed takes its widths and panes only before its first row.
    page.freeze_panes = f"{get_column_letter(sheet.frozen + 1)}2"
    for place, column in enumerate(sheet.columns, start=1):
        page.column_dimensions[get_column_letter(place)].width = min(
            max(column.width, len(column.title) + 3.0), _WIDEST
        )
    last = get_column_letter(len(sheet.columns))
    page.auto_filter.ref = f"A1:{last}{len(sheet.rows) + 1}"
    bold, shade = Font(bold=True), PatternFill("solid", fgColor="FFDDE6EE")
    header = [_cell(page, column.title, column) for column in sheet.columns]
    for cell in header:
        cell.font, cell.fill = bold, shade
    page.append(header)
    for row in sheet.rows:
        page.append([_cell(page, value, column) for value, column in zip(row, sheet.columns, strict=True)])
    for row in sheet.totals:
        cells = [_cell(page, value, column) for value, column in zip(row, sheet.columns, strict=True)]
        for cell in cells:
            if cell is not None:
                cell.font = bold
        page.append(cells)


def _cell(page: Any, value: Cell, column: Column) -> Any:
    from openpyxl.cell import WriteOnlyCell

    if value is None or value == "":
        return None
    if not isinstance(value, str):
        cell = WriteOnlyCell(page, value=value)
        if isinstance(value, float):
            cell.number_format = f"0.{'0' * column.digits}" if column.digits else "0"
        elif not isinstance(value, bool):
            cell.number_format = "0"
        return cell
    cell = WriteOnlyCell(page, value=cell_text(value))
    # openpyxl takes a text with = in front for a formula, and one such as #N/A for an error.
    cell.data_type = "s"
    if is_formula(value):
        # What the apostrophe of a spreadsheet means: the text stays one when a person edits the cell.
        cell.quotePrefix = True
    return cell


def _fixed(data: bytes, stamp: datetime) -> bytes:
    """The file with fixed times in it: those of its entries, and those of its properties."""
    said = stamp.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    out = io.BytesIO()
    with ZipFile(io.BytesIO(data)) as made, ZipFile(out, "w", ZIP_DEFLATED) as kept:
        for name in made.namelist():
            body = made.read(name)
            if name == _CORE:
                body = _MODIFIED.sub(lambda match: match[1] + said, body)
            entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.create_system, entry.external_attr = ZIP_DEFLATED, 3, 0o600 << 16
            kept.writestr(entry, body)
    return out.getvalue()
