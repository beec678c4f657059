"""Prompts for a generator, with the groups and languages that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.datasets.conversations import read_messages, read_sharegpt
from hexgate.datasets.embedded import data_path
from hexgate.datasets.faults import RowFault
from hexgate.datasets.rows import Row, check_text, iter_objects, pick, read_rows, row_id
from hexgate.errors import DataError

__all__ = ["Prompt", "PromptSet", "read_prompts"]

ID_KEYS = ("id", "question_id")
TEXT_KEYS = ("prompt", "text", "question", "turns")
MESSAGES_KEY = "messages"
SHAREGPT_KEY = "conversations"
GROUP_KEYS = ("group", "category")


@dataclass(frozen=True)
class Prompt:
    """One prompt."""

    id: str
    """Its id in the file, or its number from 0."""
    text: str
    """What is asked: the first turn, where there are several."""
    lang: str | None = None
    """Its language, such as ``en`` or ``zh``, where the file says so."""
    group: str | None = None
    """The group or category that it belongs to, where the file says so."""
    frame: str | None = None
    """The template that it was made from; prompts of one frame are not independent of each other."""
    turns: tuple[str, ...] = ()
    """All turns of a conversation, the first included; just the text where there is one."""
    system: str | None = None
    """The system message of a row with ``messages`` or ``conversations``, if it has one."""


@dataclass(frozen=True)
class PromptSet:
    """The prompts that are to be used, and the file that they come from."""

    name: str
    """As the file states it, else the file's name."""
    path: Path
    """The file."""
    sha256: str
    """Digest of the whole file, in hex, whatever the limit."""
    prompts_total: int
    """Prompts in the file, whatever the limit."""
    prompts: tuple[Prompt, ...]
    """The first prompts, up to the limit; ShareGPT conversations without a word of a human are left out."""
    split: str | None = None
    """The split that the file states."""

    def to_block(self, limit: int | None, used: int) -> dict[str, Any]:
        """The artifact's `dataset` block, for a measurement that is to use `used` prompts."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "items": self.prompts_total,
            "used": used,
            "limit": limit,
            "split": self.split,
        }


def read_prompts(source: str | Path, *, limit: int | None = None, messages: bool = False) -> PromptSet:
    """Read prompts.

    A row has ``prompt``, ``text`` or ``question`` (a string), or ``turns`` (a list of strings), and may have
    ``id`` or ``question_id``, ``lang``, ``group`` or ``category``, and ``frame``. A plain text file has one
    prompt a line. A row with ``conversations`` is one of a ShareGPT file: its turns are what the human says, and its
    id is its number, as ids repeat in such files.

    Args:
        source: a JSON, JSON Lines, CSV or text file, or ``demo:`` for the embedded prompts.
        limit: use only the first so many prompts; None for all.
        messages: whether a row may have ``messages`` instead, as chat APIs take them: its turns are what the
            user says in them. For callers that send the system message too.

    Raises:
        DataError: if the file is not such a set, naming all mistakes at once.
        InputError: if the limit is below 1.
    """
    rows = read_rows(data_path(source, "prompts"), limit=limit, text=True)
    prompts: list[Prompt] = []
    if rows.path.suffix.lower() == ".txt":
        prompts = [Prompt(str(row.index), row.value, turns=(row.value,)) for row in rows.rows]
    else:
        places: dict[str, str] = {}
        for row, fields in iter_objects(rows):
            try:
                prompt = _prompt(row, fields, messages=messages)
                if prompt is None:
                    continue
            except RowFault as error:
                rows.faults.add(row.where, str(error))
                continue
            if prompt.id in places:
                rows.faults.add(row.where, f"the id {prompt.id!r} stands already at {places[prompt.id]}")
            places.setdefault(prompt.id, row.where)
            prompts.append(prompt)
    rows.faults.raise_if_any("prompts")
    if not prompts:
        raise DataError("no human says anything in any conversation", where=str(rows.path))
    return PromptSet(
        name=_optional(rows.header, ("name",)) or rows.path.name,
        path=rows.path,
        sha256=rows.sha256,
        prompts_total=rows.total,
        prompts=tuple(prompts),
        split=_optional(rows.header, ("split",)),
    )


def _prompt(row: Row, fields: Mapping[str, Any], *, messages: bool) -> Prompt | None:
    keys = (*TEXT_KEYS, SHAREGPT_KEY, MESSAGES_KEY) if messages else (*TEXT_KEYS, SHAREGPT_KEY)
    key, value = pick(fields, keys)
    if key is None:
        raise RowFault(f"has no prompt ({', '.join(keys)})")
    system = None
    if key == MESSAGES_KEY:
        system, value = read_messages(value)
    elif key == SHAREGPT_KEY:
        system, value = read_sharegpt(value)
        if not value:
            return None
    check_text("system message", system or "")
    turns = list(value) if isinstance(value, (list, tuple)) else [value]
    if not turns or not all(isinstance(turn, str) and turn.strip() for turn in turns):
        raise RowFault(f"the prompt {key!r} is empty or not a string")
    for turn in turns:
        check_text("prompt", turn)
    return Prompt(
        id=str(row.index) if key == SHAREGPT_KEY else row_id(row, fields, ID_KEYS),
        text=turns[0],
        lang=_optional(fields, ("lang",)),
        group=_optional(fields, GROUP_KEYS),
        frame=_optional(fields, ("frame",)),
        turns=tuple(turns),
        system=system,
    )


def _optional(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    _, value = pick(fields, names)
    return str(value).strip() or None if isinstance(value, (str, int)) else None
