"""Classification sets: labelled items, with features for a predictor or a text for a generator."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.datasets.embedded import data_path
from hexgate.datasets.faults import Faults, RowFault
from hexgate.datasets.features import Features, from_cell, from_columns, from_value
from hexgate.datasets.rows import Row, check_text, iter_objects, pick, read_rows, row_id

__all__ = ["ClassificationSet", "Item", "read_items"]

ID_KEYS = ("id",)
LABEL_KEYS = ("label", "target", "answer", "y")
FEATURE_KEYS = ("input", "features", "x", "image")
TEXT_KEYS = ("text", "prompt", "question")
_SPLIT_KEY = "split"


@dataclass(frozen=True)
class Item:
    """One labelled item."""

    id: str
    """Its id in the file, or its number from 0."""
    label: str
    """The right answer."""
    features: tuple[float, ...] | None = None
    """Its numbers, flattened row by row; None where the item has only a text."""
    shape: tuple[int, ...] = ()
    """How the numbers were nested in the file: (64,), (8, 8), (3, 32, 32)."""
    text: str | None = None
    """Its text, for targets that take prompts; None where the item has only numbers."""


@dataclass(frozen=True)
class ClassificationSet:
    """The items that are to be used, and the file that they come from."""

    name: str
    """As the file states it, else the file's name."""
    path: Path
    """The file."""
    sha256: str
    """Digest of the whole file, in hex, whatever the limit."""
    items_total: int
    """Items in the file, whatever the limit."""
    items: tuple[Item, ...]
    """The first items, up to the limit."""
    labels_seen: tuple[str, ...]
    """The labels of these items: by value where all are whole numbers, else by alphabet."""
    split: str | None
    """The split that the file, or every item of it, states."""

    def to_block(self, limit: int | None, used: int) -> dict[str, Any]:
        """The artifact's `dataset` block, for a measurement that is to use `used` items."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "items": self.items_total,
            "used": used,
            "limit": limit,
            "split": self.split,
        }


def read_items(source: str | Path, *, limit: int | None = None) -> ClassificationSet:
    """Read labelled items.

    An item has a label (``label``, ``target``, ``answer`` or ``y``: a string, whole number or truth value)
    and features (``input``, ``features``, ``x`` or ``image``: numbers, nested as you like) or a text
    (``text``, ``prompt`` or ``question``), or both. In CSV without a text column, every column but id,
    label and split is one feature; a cell may also hold a JSON list.

    Args:
        source: a JSON, JSON Lines or CSV file, or ``demo:`` for the embedded digits.
        limit: use only the first so many items; None for all.

    Raises:
        DataError: if the file is not such a set, naming all mistakes at once.
        InputError: if the limit is below 1.
    """
    rows = read_rows(data_path(source, "items"), limit=limit)
    columns = rows.path.suffix.lower() in {".csv", ".tsv"}
    items: list[Item] = []
    splits: set[str | None] = set()
    places: dict[str, str] = {}
    shapes: dict[tuple[int, ...], str] = {}
    for row, fields in iter_objects(rows):
        item = _item(row, fields, rows.faults, columns=columns)
        if item is None:
            continue
        if item.id in places:
            rows.faults.add(row.where, f"the id {item.id!r} stands already at {places[item.id]}")
        places.setdefault(item.id, row.where)
        if item.features is not None:
            shapes.setdefault(item.shape, row.where)
            expected = next(iter(shapes))
            if item.shape != expected:
                rows.faults.add(
                    row.where, f"has features {_shape(item.shape)}, others have {_shape(expected)}"
                )
        items.append(item)
        splits.add(_word(fields.get(_SPLIT_KEY)))
    rows.faults.raise_if_any("classification items")
    return ClassificationSet(
        name=_word(rows.header.get("name")) or rows.path.name,
        path=rows.path,
        sha256=rows.sha256,
        items_total=rows.total,
        items=tuple(items),
        labels_seen=_in_order({item.label for item in items}),
        split=_word(rows.header.get(_SPLIT_KEY)) or (splits.pop() if len(splits) == 1 else None),
    )


def _item(row: Row, fields: Mapping[str, Any], faults: Faults, *, columns: bool) -> Item | None:
    """The item of a row; None, with every reason noted, if it is not one."""
    reasons: list[str] = []
    identity, label, text, features = str(row.index), "", None, None
    try:
        identity = row_id(row, fields, ID_KEYS)
    except RowFault as error:
        reasons.append(str(error))
    try:
        label = _label(fields)
    except RowFault as error:
        reasons.append(str(error))
    try:
        text = _text(fields)
        features = _features(fields, alone=columns and text is None)
    except RowFault as error:
        reasons.append(str(error))
    else:
        if text is None and features is None:
            reasons.append(f"has neither features ({_names(FEATURE_KEYS)}) nor a text ({_names(TEXT_KEYS)})")
    for reason in reasons:
        faults.add(row.where, reason)
    if reasons:
        return None
    values, shape = features if features else (None, ())
    return Item(identity, label, values, shape, text)


def _label(fields: Mapping[str, Any]) -> str:
    key, value = pick(fields, LABEL_KEYS)
    if key is None:
        raise RowFault(f"has no label ({_names(LABEL_KEYS)})")
    if isinstance(value, bool):
        return "true" if value else "false"
    # Tables that once had a gap store whole numbers as 3.0; the label is still 3.
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise RowFault(f"the label {key!r} is {value!r}, expected a string, a whole number, true or false")
    if not value.strip():
        raise RowFault(f"the label {key!r} is empty")
    return check_text("label", value.strip())


def _text(fields: Mapping[str, Any]) -> str | None:
    key, value = pick(fields, TEXT_KEYS)
    if key is None:
        return None
    if not isinstance(value, str):
        raise RowFault(f"the text {key!r} is {type(value).__name__}, expected a string")
    if not value.strip():
        raise RowFault(f"the text {key!r} is empty")
    return check_text("text", value)


def _features(fields: Mapping[str, Any], *, alone: bool) -> Features | None:
    key, value = pick(fields, FEATURE_KEYS)
    if isinstance(value, str) and value.lstrip().startswith("["):
        return from_cell(value)
    if alone:
        rest = {*ID_KEYS, *LABEL_KEYS, _SPLIT_KEY}
        return from_columns({name: cell for name, cell in fields.items() if name not in rest})
    return from_value(value) if key is not None else None


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def _shape(shape: tuple[int, ...]) -> str:
    return f"of {shape[0]} numbers" if len(shape) == 1 else "of shape " + "x".join(map(str, shape))


def _word(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _in_order(labels: set[str]) -> tuple[str, ...]:
    if all(re.fullmatch(r"-?\d{1,18}", label) for label in labels):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))
