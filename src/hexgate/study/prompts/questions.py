"""Questions in the form of MT-Bench, of which the first turn is asked.

A row is ``{"question_id": 81, "category": "writing", "turns": ["…", "…"], "reference": ["…", "…"]}`` (Zheng et al.
2023, arXiv:2306.05685). A prompt-length study asks one question at several levels and not a conversation: it takes the
first turn, and the first reference, which is that of the first turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hexgate.datasets.faults import RowFault
from hexgate.datasets.rows import Row, check_text, iter_objects, read_rows, row_id
from hexgate.errors import InputError
from hexgate.study.prompts.levels import LEVELS

__all__ = ["Question", "Questions", "language_of", "read_questions"]

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_CHINESE_SHARE = 0.2
"""Of all letters; a question about code is Chinese although most of its letters are not."""
_TAKEN = frozenset({"question_id", "id", "category", "turns", "reference", "lang", *LEVELS})


@dataclass(frozen=True)
class Question:
    """One question."""

    id: str
    """Its ``question_id``."""
    category: str
    """Its category."""
    text: str
    """Its first turn."""
    lang: str
    """``en`` or ``zh``: what the words around it are to be."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """``lang``, ``reference`` where there is one, and every further text or number of the row, such as ``tests``."""


@dataclass(frozen=True)
class Questions:
    """The questions of a file."""

    path: Path
    """The file."""
    sha256: str
    """Its digest, in hex."""
    questions: tuple[Question, ...]
    """In its order."""


def read_questions(path: Path) -> Questions:
    """Read the questions of a file of JSON Lines or JSON.

    Raises:
        InputError: if the file is of another format.
        DataError: if it cannot be read, or rows of it are no such questions, naming all of them.
    """
    if not path.is_file():
        raise InputError("there is no such file of questions", where=str(path))
    if path.suffix.lower() not in {".jsonl", ".ndjson", ".json"}:
        raise InputError(
            "questions are JSON Lines in the form of MT-Bench",
            where=str(path),
            got=path.suffix or "no suffix",
            expected=".jsonl or .json",
            hint="a table that holds the prompts already is read by: hexgate study prompts convert",
        )
    rows = read_rows(path, limit=None)
    places: dict[tuple[str, str], str] = {}
    found: list[Question] = []
    for row, fields in iter_objects(rows):
        try:
            question = _question(row, fields)
        except RowFault as fault:
            rows.faults.add(row.where, str(fault))
            continue
        key = (question.category, question.id)
        if key in places:
            rows.faults.add(
                row.where, f"question {question.id} of {question.category} stands already at {places[key]}"
            )
        places.setdefault(key, row.where)
        found.append(question)
    rows.faults.raise_if_any("questions in the form of MT-Bench")
    return Questions(path, rows.sha256, tuple(found))


def language_of(text: str) -> str:
    """``zh`` where at least a fifth of the letters are Chinese, else ``en``."""
    letters = sum(map(str.isalpha, text))
    return "zh" if len(_HAN.findall(text)) > _CHINESE_SHARE * letters else "en"


def _question(row: Row, fields: Mapping[str, Any]) -> Question:
    if fields.get("question_id") in (None, ""):
        raise RowFault("has no question_id")
    category = fields.get("category")
    if not isinstance(category, str) or not category.strip():
        raise RowFault("has no category")
    turns = fields.get("turns")
    if not isinstance(turns, list) or not turns or not isinstance(turns[0], str) or not turns[0].strip():
        raise RowFault('has no "turns", a list of texts of which the first is asked')
    text = check_text("question", turns[0])
    lang = fields.get("lang")
    if lang not in (None, "en", "zh"):
        raise RowFault(f"the lang is {lang!r}, expected en or zh")
    lang = lang or language_of(text)
    reference = _reference(fields.get("reference"))
    kept = {"lang": lang, **({"reference": reference} if reference else {})}
    for name, value in fields.items():
        if (
            name.strip() not in _TAKEN
            and isinstance(value, (str, int, float))
            and not isinstance(value, bool)
        ):
            kept[check_text("name of a field", name.strip())] = check_text(name, str(value))
    return Question(
        id=row_id(row, fields, ("question_id",)),
        category=check_text("category", category.strip()),
        text=text,
        lang=lang,
        fields=kept,
    )


def _reference(value: Any) -> str:
    """The reference of the first turn; empty where there is none."""
    first = value[0] if isinstance(value, list) and value else value
    if first in (None, []):
        return ""
    if not isinstance(first, str):
        raise RowFault("the reference is neither a text nor a list of texts")
    return check_text("reference", first) if first.strip() else ""
