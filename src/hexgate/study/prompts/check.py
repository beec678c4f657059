"""Whether the prompts of a prompt-length study are complete, and longer from level to level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import InputError
from hexgate.study.prompts.levels import LEVELS, RISING, SUFFIX, Leveled, prompt_files
from hexgate.study.prompts.table import Table, read_table

__all__ = ["CategoryLengths", "Checked", "check_prompts", "read_prompts"]

CHARACTERS, TOKENS = "characters", "tokens"


@dataclass(frozen=True)
class CategoryLengths:
    """The questions of one category."""

    category: str
    """Its name."""
    questions: int
    """How many there are; each has every level."""
    median: Mapping[str, Mapping[str, float]]
    """Median length by unit (``characters`` and, with a tokenizer, ``tokens``) and level."""


@dataclass(frozen=True)
class Checked:
    """What was found."""

    categories: tuple[CategoryLengths, ...]
    """In the order of the prompts."""
    not_rising: tuple[tuple[str, str], ...]
    """Every level that is not longer than the one before it: the question, and both lengths."""
    longest_padded: int
    """Questions whose level P is the longest, in characters."""


def read_prompts(path: Path) -> Table:
    """The prompts of a folder that `hexgate study prompts` wrote, or of one table.

    Raises:
        InputError: if there are no such files.
        PromptMistakes, DataError, MissingExtra: as `read_table` does.
    """
    if not path.is_dir():
        return read_table([path], path)
    files = prompt_files(path)
    if not files:
        raise InputError(
            "there are no prompts in this folder",
            where=str(path),
            expected=f"files named <category>{SUFFIX}",
            hint="make them with: hexgate study prompts convert, or build",
        )
    return read_table(files, path)


def check_prompts(rows: Sequence[Leveled], tokenizer: Tokenizer | None = None) -> Checked:
    """Count the questions, and compare the lengths of their levels: L0 < L1 < L2 < L3.

    Args:
        rows: the questions.
        tokenizer: counts tokens as well.
    """
    units: dict[str, Callable[[str], int]] = {CHARACTERS: len}
    if tokenizer is not None:
        units[TOKENS] = tokenizer.count
    lengths = [
        {unit: {level: count(row.levels[level]) for level in LEVELS} for unit, count in units.items()}
        for row in rows
    ]
    not_rising = [
        (f"{row.category} {row.question_id}", f"{level} has {own[level]} {unit}, {before} has {own[before]}")
        for row, found in zip(rows, lengths, strict=True)
        for unit, own in found.items()
        for before, level in pairwise(RISING)
        if own[level] <= own[before]
    ]
    categories = []
    for category in dict.fromkeys(row.category for row in rows):
        inside = [found for row, found in zip(rows, lengths, strict=True) if row.category == category]
        medians = {
            unit: {level: float(median(found[unit][level] for found in inside)) for level in LEVELS}
            for unit in units
        }
        categories.append(CategoryLengths(category, len(inside), medians))
    longest = sum(max(found[CHARACTERS], key=found[CHARACTERS].__getitem__) == "P" for found in lengths)
    return Checked(tuple(categories), tuple(not_rising), longest)
