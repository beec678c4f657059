"""The items of a study: what is asked at each load of each task, with what the answer is held against later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hexgate.datasets.faults import RowFault
from hexgate.datasets.rows import Row, Rows, check_text, iter_objects, read_rows, row_id
from hexgate.errors import InputError
from hexgate.study.spec import LoadSpec, Spec, TaskSpec

__all__ = ["Cell", "cell_of", "read_cells"]

_ID_KEYS = ("id", "question_id")


@dataclass(frozen=True)
class Cell:
    """One item of one task at one load."""

    task: str
    """Name of the task."""
    load: str
    """Name of the load."""
    item: str
    """Id of the item; the same item has it at each load."""
    prompt: str
    """What is asked."""
    system: str | None
    """System message."""
    references: tuple[str, ...]
    """Answers to hold a reply against; empty where there is none."""
    max_tokens: int
    """Most tokens of a reply."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else the row says of the item, such as its tests, category and language."""

    def to_json(self) -> dict[str, Any]:
        """The cell as it is kept beside the runs."""
        return {
            "task": self.task,
            "load": self.load,
            "item": self.item,
            "prompt": self.prompt,
            "system": self.system,
            "references": list(self.references),
            "max_tokens": self.max_tokens,
            "fields": dict(self.fields),
        }


def cell_of(row: Mapping[str, Any]) -> Cell:
    """The cell that `Cell.to_json` gave.

    Raises:
        KeyError, TypeError: if it is no such row.
    """
    return Cell(**{**row, "references": tuple(row["references"])})


def read_cells(spec: Spec) -> tuple[Cell, ...]:
    """Every cell of a study, in the order of its tasks, its loads and the rows of the items.

    Raises:
        InputError: if a file of items is missing, or a task has no item at a load.
        DataError: if a file cannot be read as items, naming all of its mistakes at once.
    """
    files: dict[Path, Rows] = {}
    cells: list[Cell] = []
    for place, task in enumerate(spec.tasks):
        path = spec.folder / task.items
        if not path.is_file():
            raise InputError(
                "there is no such file of items",
                where=f"tasks[{place}].items",
                got=str(path),
                hint="paths are relative to the folder of the study's file",
            )
        if path not in files:
            files[path] = read_rows(path, limit=None)
        for load in spec.loads:
            found = list(_cells(files[path], task, load, spec))
            if not found:
                files[path].faults.raise_if_any("items of the study")
                raise InputError(
                    f"the task {task.name} has no item at the load {load.name}",
                    where=f"tasks[{place}]",
                    got=f"{files[path].total} rows in {path.name}, none with {_said(task, load)}",
                )
            cells += found
        files[path].faults.raise_if_any("items of the study")
    return tuple(cells)


def _said(task: TaskSpec, load: LoadSpec) -> str:
    wanted = {**task.where, **load.where}
    return ", ".join(f"{name}: {value}" for name, value in wanted.items()) or "a prompt"


def _cells(rows: Rows, task: TaskSpec, load: LoadSpec, spec: Spec) -> Iterator[Cell]:
    places: dict[str, str] = {}
    for row, fields in iter_objects(rows):
        if not all(
            str(fields.get(name)) == value for name, value in (*task.where.items(), *load.where.items())
        ):
            continue
        try:
            cell = _cell(row, fields, task, load, spec)
        except RowFault as fault:
            rows.faults.add(row.where, str(fault))
            continue
        if cell.item in places:
            rows.faults.add(row.where, f"the id {cell.item!r} stands already at {places[cell.item]}")
        places.setdefault(cell.item, row.where)
        yield cell


def _cell(row: Row, fields: Mapping[str, Any], task: TaskSpec, load: LoadSpec, spec: Spec) -> Cell:
    name = load.prompt or task.prompt
    prompt = fields.get(name)
    if not isinstance(prompt, str) or not prompt.strip():
        raise RowFault(f"has no prompt {name!r}, which the load {load.name} of the task {task.name} asks")
    used = {name, task.prompt, task.references, *_ID_KEYS, *(one.prompt for one in spec.loads)}
    return Cell(
        task=task.name,
        load=load.name,
        item=row_id(row, fields, _ID_KEYS),
        prompt=check_text("prompt", prompt),
        system=task.system,
        references=_references(fields.get(task.references), task.references),
        max_tokens=load.max_tokens or task.max_tokens or spec.request.max_tokens,
        fields={key: value for key, value in fields.items() if key not in used},
    )


def _references(value: Any, name: str) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) and one for one in values):
        raise RowFault(f"{name!r} is neither a text nor a list of texts")
    return tuple(check_text("reference", one) for one in values)
