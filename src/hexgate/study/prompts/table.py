"""From tables of prompts to questions at five levels: nothing is guessed, and all mistakes are told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hexgate.errors import DataError
from hexgate.study.prompts.columns import Columns, category_of, level_of, read_header
from hexgate.study.prompts.levels import LEVELS, Leveled, PromptMistakes
from hexgate.study.prompts.workbook import Cell, Sheet, read_sheets

__all__ = ["Table", "read_table"]

_HEADER_ROWS = 20
"""How many rows with content may stand above the names of the columns."""
_OWN_FIELD = "reference"


@dataclass(frozen=True)
class Table:
    """What tables of prompts hold."""

    rows: tuple[Leveled, ...]
    """Every question, in their order."""
    left_out: tuple[tuple[str, str], ...]
    """Sheets that hold no prompts, each with the reason; blank ones are not named."""


@dataclass
class _Entry:
    """What was found of one question so far."""

    where: str
    """Its first row."""
    category: str
    """Its category."""
    question_id: str
    """Its id."""
    levels: dict[str, str] = field(default_factory=dict)
    """Its prompts that can be used."""
    places: dict[str, str] = field(default_factory=dict)
    """Where each of its prompts stands."""
    fields: dict[str, dict[str, str]] = field(default_factory=dict)
    """By further column each of its values, with where that stands first."""
    told: set[str] = field(default_factory=set)
    """Levels whose mistake was told already."""


def read_table(paths: Sequence[Path], named: Path) -> Table:
    """Read every question of some files at all of its levels.

    A table has one row a question with a column for each level, or one row a prompt with a column for its level.
    The names of its columns stand in one of its first rows. Where there is no column of categories, the sheet's name is
    the category, and where there is none of levels, it is the level.

    Args:
        paths: spreadsheets or CSV files.
        named: what messages call all of them together: the file, or the folder.

    Raises:
        PromptMistakes: with every row that cannot be used, by sheet and row.
        DataError: if there is no prompt at all, or a file cannot be read.
        MissingExtra: if a file is a workbook and openpyxl is not installed.
    """
    reading = _Reading()
    for path in paths:
        for sheet in read_sheets(path):
            reading.take(sheet)
    rows = reading.rows()
    if reading.mistakes:
        raise PromptMistakes(str(named), reading.mistakes)
    if not rows:
        raise DataError(
            "there is no table of prompts in it",
            where=str(named),
            got="; ".join(f"{where}: {why}" for where, why in reading.left_out) or "no rows",
            expected="columns question_id, category, L0, L1, L2, L3 and P, or question_id, category, level, prompt",
            hint="the names of the columns may be Chinese; see docs/studies/prompts.md",
        )
    return Table(tuple(rows), tuple(reading.left_out))


class _Reading:
    """Takes up one sheet after the other."""

    def __init__(self) -> None:
        self.mistakes: list[tuple[str, str]] = []
        self.left_out: list[tuple[str, str]] = []
        self._entries: dict[tuple[str, str], _Entry] = {}

    def take(self, sheet: Sheet) -> None:
        """Take up the rows of a sheet."""
        filled = [(number, row) for number, row in enumerate(sheet.rows, start=1) if _is_filled(row)]
        if not filled:
            return
        for place, (number, row) in enumerate(filled[:_HEADER_ROWS]):
            columns = read_header([cell.text for cell in row])
            if columns is not None:
                self._take_rows(sheet, number, columns, filled[place + 1 :])
                return
        self.left_out.append((sheet.where, "no row names the columns of prompts"))

    def rows(self) -> list[Leveled]:
        """The questions so far; whatever they lack is a mistake."""
        found: list[Leveled] = []
        for entry in self._entries.values():
            for level in LEVELS:
                if level not in entry.levels and level not in entry.told:
                    self._tell(
                        entry.where, f"question {entry.question_id} of {entry.category} has no {level}"
                    )
            levels = {level: entry.levels.get(level, "") for level in LEVELS}
            found.append(Leveled(entry.question_id, entry.category, levels, self._fields(entry)))
        return found

    def _take_rows(
        self, sheet: Sheet, number: int, columns: Columns, rows: Sequence[tuple[int, tuple[Cell, ...]]]
    ) -> None:
        where = f"{sheet.where}, row {number}"
        before = len(self.mistakes)
        for key, name in columns.twice:
            self._tell(where, f"{name!r} is a second column of {key}")
        if "question_id" not in columns.known:
            self._tell(where, "no column holds the ids of questions")
        if "category" not in columns.known and sheet.category is None:
            self._tell(where, "no column holds the categories, and the name of the sheet is none")
        if columns.is_wide:
            for level in LEVELS:
                if level not in columns.levels:
                    self._tell(where, f"no column holds level {level}")
        elif "level" not in columns.known and level_of(sheet.title) is None:
            self._tell(where, "no column holds the levels, and the name of the sheet is none")
        if len(self.mistakes) > before:
            return
        if not rows:
            self.left_out.append((sheet.where, "no row follows the names of the columns"))
        for row_number, row in rows:
            self._take_row(sheet, f"{sheet.where}, row {row_number}", columns, row)

    def _take_row(self, sheet: Sheet, where: str, columns: Columns, row: tuple[Cell, ...]) -> None:
        question_id = _at(row, columns.known["question_id"])
        category = _at(row, columns.known["category"]) if "category" in columns.known else None
        if not self._is_name(where, "the id of the question", question_id):
            return
        if category is not None and not self._is_name(where, "the category", category):
            return
        name = category_of(category.text) if category is not None else (sheet.category or "")
        key = (name, question_id.text.strip())
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(where, *key)
        elif columns.is_wide:
            self._tell(where, f"question {key[1]} of {key[0]} stands already in {entry.where}")
            return
        for level, cell in self._prompts(sheet, where, columns, row):
            self._put(entry, where, level, cell)
        kept = dict(columns.further)
        if _OWN_FIELD in columns.known:
            kept[_OWN_FIELD] = columns.known[_OWN_FIELD]
        for field_name, place in kept.items():
            text = _at(row, place).text
            if text.strip():
                entry.fields.setdefault(field_name, {}).setdefault(text, where)

    def _prompts(
        self, sheet: Sheet, where: str, columns: Columns, row: tuple[Cell, ...]
    ) -> Iterator[tuple[str, Cell]]:
        """The levels of a row, each with its cell."""
        if columns.is_wide:
            yield from ((level, _at(row, place)) for level, place in columns.levels.items())
            return
        level = level_of(sheet.title)
        if "level" in columns.known:
            said = _at(row, columns.known["level"]).text
            level = level_of(said, bare=True)
            if level is None:
                self._tell(where, f"the level is {said!r}, expected one of {', '.join(LEVELS)}")
        if level is not None:
            yield level, _at(row, columns.known["prompt"])

    def _put(self, entry: _Entry, where: str, level: str, cell: Cell) -> None:
        number, category = entry.question_id, entry.category
        if level in entry.places:
            before = entry.places[level]
            self._tell(where, f"{level} of question {number} ({category}) stands already in {before}")
            return
        entry.places[level] = where
        if not cell.text.strip():
            self._tell(where, f"{level} of question {number} ({category}) is empty")
        elif cell.odd is not None:
            self._tell(where, f"{level} of question {number} ({category}) is {cell.odd}, expected a text")
        elif "\0" in cell.text:
            self._tell(where, f"{level} of question {number} ({category}) holds a null character")
        else:
            entry.levels[level] = cell.text
            return
        entry.told.add(level)

    def _is_name(self, where: str, what: str, cell: Cell) -> bool:
        if not cell.text.strip():
            self._tell(where, f"{what} is empty")
            return False
        if cell.odd not in (None, "a number"):
            self._tell(where, f"{what} is {cell.odd}, expected a text or a whole number")
            return False
        return True

    def _fields(self, entry: _Entry) -> Mapping[str, str]:
        """What all rows of a question agree on; a reference must not differ."""
        found: dict[str, str] = {}
        for name, values in entry.fields.items():
            if len(values) == 1:
                found[name] = next(iter(values))
            elif name == _OWN_FIELD:
                self._tell(
                    list(values.values())[1],
                    f"question {entry.question_id} of {entry.category} has another reference in {entry.where}",
                )
        return found

    def _tell(self, where: str, what: str) -> None:
        self.mistakes.append((where, what))


def _is_filled(row: Sequence[Cell]) -> bool:
    return any(cell.text.strip() for cell in row)


def _at(row: Sequence[Cell], place: int) -> Cell:
    return row[place] if place < len(row) else Cell()
