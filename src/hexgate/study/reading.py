"""A study's folder, read: what was planned, what is over, and what is known of each run, quality included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hexgate.errors import EvidenceError, InputError
from hexgate.study.design import Plan, Run, make_plan
from hexgate.study.items import Cell, cell_of
from hexgate.study.layout import Layout
from hexgate.study.ledger import HEAD, ITEMS, RUNS, VISITS, read_head, visits_of
from hexgate.study.lines import read_lines
from hexgate.study.quality.marks import Marks, read_marks
from hexgate.study.record import full_record
from hexgate.study.spec import Spec
from hexgate.study.spec_file import read_spec

__all__ = ["Reading", "read_study"]

_MOST_J = 1e15
"""More than a large power station gives in a week: no run takes it, and sums of less stay finite."""


@dataclass(frozen=True)
class Reading:
    """A study as far as it has come."""

    folder: Path
    """Where it lies."""
    head: Mapping[str, Any]
    """What ``study.json`` holds."""
    spec: Spec
    """The study; paths of items are of no use, for `plan` has the items."""
    plan: Plan
    """Every run that is to be made."""
    cells: Mapping[tuple[str, str, str], Cell]
    """What is asked, by task, load and item."""
    layout: Layout
    """Where the files of its runs are."""
    records: tuple[Mapping[str, Any], ...]
    """The full record of each run that is over, in the order of the plan, with its quality."""
    visits: Mapping[str, Mapping[str, Any]]
    """Every visit by its id, its end under ``end``."""
    marks: Marks
    """The measures of quality, and their marks."""

    @property
    def left(self) -> tuple[Run, ...]:
        """Runs of the plan that are not over, in order."""
        over = {record["run_id"] for record in self.records}
        return tuple(run for run in self.plan.runs if run.run_id not in over)

    def cell(self, record: Mapping[str, Any]) -> Cell:
        """What was asked in a run."""
        return self.cells[record["task"], record["load"], record["item"]]


def read_study(folder: Path, spec_file: Path | None = None) -> Reading:
    """Read a study, also while it runs.

    Args:
        folder: the study's folder.
        spec_file: the study's file, where what may change of it (quality, judge, rating) is to be taken from there and
            not from what it was when the study began.

    Raises:
        InputError: if the folder holds none, or the file describes another.
        EvidenceError: if its files are not those of one study, or one cannot be read.
    """
    head = read_head(folder)
    if head is None:
        raise InputError(
            "the folder holds no study",
            where=str(folder / HEAD),
            expected="a folder that hexgate study run has written",
        )
    try:
        spec = Spec.from_json(head["spec"])
        plan = make_plan(spec, [cell_of(row) for row in read_lines(folder / ITEMS)])
        started = datetime.fromisoformat(str(head["started_at"]).replace("Z", "+00:00"))
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"the study cannot be read ({error})", where=str(folder / HEAD)) from None
    if spec_file is not None:
        given = read_spec(spec_file)
        if given.sha256() != head["spec_sha256"]:
            raise InputError(
                "the file describes another study than the folder holds",
                where=str(spec_file),
                hint="quality, judge and rating may differ from those with which the study began, and nothing else",
            )
        spec = given
    if plan.sha256() != head["plan_sha256"]:
        raise EvidenceError(
            "its items are not those with which the study began",
            where=str(folder / ITEMS),
            got=plan.sha256(),
            expected=str(head["plan_sha256"]),
        )
    visits = visits_of(folder / VISITS)
    marks = read_marks(folder)
    try:
        records = _records(folder, head, plan, visits, marks)
    except (KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            f"a line of the ledger is none of ours ({error!r})", where=str(folder / RUNS)
        ) from None
    _check_energies(folder, records)
    return Reading(
        folder=folder,
        head=head,
        spec=spec,
        plan=plan,
        cells={(cell.task, cell.load, cell.item): cell for cell in plan.cells},
        layout=Layout(folder, plan, started),
        records=records,
        visits=visits,
        marks=marks,
    )


def _check_energies(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Go on only with energies that can be added up and squared."""
    for record in records:
        for name in ("gross_j", "net_j"):
            value = record["energy"][name]
            if value is not None and not abs(value) <= _MOST_J:
                raise EvidenceError(
                    "an energy is too large to be that of a run",
                    where=f"{folder / RUNS}: {record['run_id']}",
                    got=f"{name} {value}",
                    expected=f"at most {_MOST_J:g} J",
                )


def _records(
    folder: Path,
    head: Mapping[str, Any],
    plan: Plan,
    visits: Mapping[str, Mapping[str, Any]],
    marks: Marks,
) -> tuple[Mapping[str, Any], ...]:
    newest: dict[str, Mapping[str, Any]] = {}
    seen: dict[str, str] = {}
    if (folder / RUNS).exists():
        newest = {row["run_id"]: _shared(row, seen) for row in read_lines(folder / RUNS)}
    return tuple(
        _shared(full_record(row, head, visits.get(row["visit"]), marks.of(row)), seen)
        for run in plan.runs
        if (row := newest.pop(run.run_id, None)) is not None
    )


def _shared(value: Any, seen: dict[str, str]) -> Any:
    """The value with one object for all texts that are equal: names, prompts and reasons stand in each record."""
    if isinstance(value, str):
        return seen.setdefault(value, value)
    if isinstance(value, dict):
        return {seen.setdefault(name, name): _shared(one, seen) for name, one in value.items()}
    return [_shared(one, seen) for one in value] if isinstance(value, list) else value
