"""Tables of prompts for tests: rows, CSV and workbooks as people write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

LEVELS = ("L0", "L1", "L2", "L3", "P")


def prompts_of(number: int) -> list[str]:
    """The prompts of a question, each longer than the one before."""
    return [f"Question {number}?" + " More." * step for step in range(len(LEVELS))]


def wide(questions: Sequence[int], category: str | None = "writing") -> list[list[Any]]:
    """One row a question, with its header."""
    own = [] if category is None else [category]
    head = ["question_id", *(["category"] if own else []), *LEVELS]
    return [head, *([number, *own, *prompts_of(number)] for number in questions)]


def long(questions: Sequence[int], category: str = "writing") -> list[list[Any]]:
    """One row a prompt, with its header."""
    rows = [
        [number, category, level, prompt]
        for number in questions
        for level, prompt in zip(LEVELS, prompts_of(number), strict=True)
    ]
    return [["question_id", "category", "level", "prompt"], *rows]


def write_csv(path: Path, rows: Sequence[Sequence[Any]], *, bom: bool = False, end: str = "\n") -> Path:
    """A CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows(rows)
    path.write_bytes(text.getvalue().encode("utf-8-sig" if bom else "utf-8"))
    return path


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[Any]]]) -> Path:
    """An Excel workbook. A text that begins with = is a formula, as it is when a person types it."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path
