"""The prompts of a prompt-length study: every question at five levels, in one CSV file a category.

A row of such a file is a question: ``question_id``, ``category``, its prompts in the columns ``L0``, ``L1``, ``L2``,
``L3`` and ``P``, and what else is known of it, such as ``reference``. A study takes the files as they are: its tasks
name them, and each of its loads names a column.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hexgate.errors import DataError, InputError
from hexgate.study.layout import file_name
from hexgate.study.lines import write_whole

__all__ = [
    "HOW_FILE",
    "LEVELS",
    "RISING",
    "SUFFIX",
    "Leveled",
    "PromptMistakes",
    "category_path",
    "prompt_files",
    "write_prompts",
]

LEVELS = ("L0", "L1", "L2", "L3", "P")
"""As it is, clarified, guided, with examples, padded."""
RISING = LEVELS[:4]
"""The levels each of which is longer than the one before."""
SUFFIX = "_prompts_hierarchical.csv"
"""How the name of a category's file ends."""
HOW_FILE = "prompts.json"
"""What stands beside the files and says how they were made."""

_RESERVED = frozenset({"", "id", "question_id", "category", *LEVELS})


@dataclass(frozen=True)
class Leveled:
    """One question at every level."""

    question_id: str
    """Names it within its category."""
    category: str
    """What kind of question it is."""
    levels: Mapping[str, str]
    """Its prompt by level, all of `LEVELS`."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What else is known of it, such as ``reference``."""


class PromptMistakes(DataError):
    """Files of prompts with mistakes, all of them."""

    def __init__(self, file: str, mistakes: Sequence[tuple[str, str]]) -> None:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        lines = (f"{where}: {what}" for where, what in mistakes)
        super().__init__(f"{count} in the prompts:\n  " + "\n  ".join(lines), where=file)
        self.file = file
        """The file or folder that was read."""
        self.mistakes = tuple(mistakes)
        """The place of each, and what is wrong there."""


def category_path(folder: Path, category: str) -> Path:
    """The file of a category."""
    return folder / f"{file_name(category)}{SUFFIX}"


def prompt_files(folder: Path) -> list[Path]:
    """The files of all categories in a folder, by name."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def write_prompts(folder: Path, rows: Sequence[Leveled], how: Mapping[str, Any]) -> list[Path]:
    """Write the file of each category, and how they were made.

    The files are CSV in UTF-8 with a byte order mark, without which spreadsheets take Chinese for another encoding.
    Every cell is quoted, so that line breaks within a prompt stay what they are.

    Args:
        folder: is made where it does not exist.
        rows: the questions; categories and questions keep their order.
        how: how they were made, as JSON.

    Returns:
        The files of the categories.

    Raises:
        InputError: if two categories would share a file, or the disk does not take them.
    """
    by_category: dict[str, list[Leveled]] = {}
    for row in rows:
        by_category.setdefault(row.category, []).append(row)
    paths: dict[str, str] = {}
    for category in by_category:
        name = category_path(folder, category).name
        other = paths.setdefault(name.casefold(), category)
        if other != category:
            raise InputError(
                f"the categories {other!r} and {category!r} would share a file",
                where=str(folder / name),
                hint="rename one of them",
            )
    written: list[Path] = []
    try:
        for category, own in by_category.items():
            path = category_path(folder, category)
            write_whole(path, _csv(own).encode("utf-8-sig"))
            written.append(path)
        text = json.dumps(how, ensure_ascii=False, indent=2, sort_keys=True)
        write_whole(folder / HOW_FILE, text.encode() + b"\n")
    except OSError as error:
        raise InputError(
            f"the prompts cannot be written ({error.strerror})",
            where=str(folder),
            hint="make room, or give another folder",
        ) from None
    return written


def _csv(rows: Sequence[Leveled]) -> str:
    further = list(dict.fromkeys(name for row in rows for name in row.fields if name not in _RESERVED))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["question_id", "category", *LEVELS, *further])
    for row in rows:
        prompts = [row.levels[level] for level in LEVELS]
        others = [row.fields.get(name, "") for name in further]
        writer.writerow([row.question_id, row.category, *prompts, *others])
    return text.getvalue()
