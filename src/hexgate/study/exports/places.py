"""The runs of a study as people look for them: by model, category, question, level and repeat, and not by order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hexgate.study.design import Run
from hexgate.study.layout import file_name
from hexgate.study.reading import Reading

__all__ = ["Place", "places"]


@dataclass(frozen=True)
class Place:
    """One run that was planned, with its record where it is over."""

    model: str
    """Name of the model."""
    level: str
    """The load: in a study of prompt lengths the level of the prompt."""
    category: str
    """The task: in a study of prompt lengths the category of the question."""
    question: int | str
    """Id of the item; a number where those of all items are whole numbers."""
    repeat: int
    """Which repeat it is, from 1."""
    run_id: str
    """Id of the run."""
    text_file: str
    """Where an export has its text, from the folder of the export."""
    record: Mapping[str, Any] | None
    """Its full record; None where it is not over."""

    @property
    def ok(self) -> bool:
        """Whether it is over and has not failed."""
        return self.record is not None and self.record["status"] == "ok"

    def columns(self) -> dict[str, Any]:
        """What every table has of it first."""
        return {
            "model": self.model,
            "level": self.level,
            "category": self.category,
            "question_id": self.question,
            "run": self.repeat,
        }


def places(reading: Reading) -> tuple[Place, ...]:
    """Every planned run of a study, by model, category, question, level and repeat, as its file has them in order."""
    runs, spec = reading.plan.runs, reading.spec
    models = {model.name: place for place, model in enumerate(spec.models)}
    tasks = {task.name: place for place, task in enumerate(spec.tasks)}
    loads = {load.name: place for place, load in enumerate(spec.loads)}
    items: dict[tuple[str, str], int] = {}
    for cell in reading.plan.cells:
        items.setdefault((cell.task, cell.item), len(items))
    numbers = all(_is_number(cell.item) for cell in reading.plan.cells)
    records = {record["run_id"]: record for record in reading.records}
    files = _text_files(reading, runs)

    def order(run: Run) -> tuple[int, ...]:
        cell = run.cell
        item = items[cell.task, cell.item]
        return models[run.model], tasks[cell.task], item, loads[cell.load], run.block

    return tuple(
        Place(
            model=run.model,
            level=run.cell.load,
            category=run.cell.task,
            question=int(run.cell.item) if numbers else run.cell.item,
            repeat=run.block,
            run_id=run.run_id,
            text_file=files[run.run_id],
            record=records.get(run.run_id),
        )
        for run in sorted(runs, key=order)
    )


def _is_number(item: str) -> bool:
    """Whether an id is a whole number as JSON writes it, of a size that spreadsheets keep."""
    return item.isascii() and item.isdigit() and len(item) <= 15 and str(int(item)) == item


def _text_files(reading: Reading, runs: Sequence[Run]) -> dict[str, str]:
    """``responses_by_model/<model>/<level>_<category>_<question>[_<run>].txt`` of each run, no two alike."""
    found: dict[str, tuple[str, str]] = {}
    for run in runs:
        cell = run.cell
        parts = [file_name(part) for part in (cell.load, cell.task, cell.item)]
        repeat = [str(run.block)] if reading.spec.runs > 1 else []
        # The folder of a model is the one that the study itself gives it.
        found[run.run_id] = (reading.layout.text(run.run_id).parent.name, "_".join([*parts, *repeat]))
    uses = Counter((folder, stem.casefold()) for folder, stem in found.values())
    return {
        run_id: f"responses_by_model/{folder}/"
        + (stem if uses[folder, stem.casefold()] == 1 else f"{stem}-{run_id[:8]}")
        + ".txt"
        for run_id, (folder, stem) in found.items()
    }
