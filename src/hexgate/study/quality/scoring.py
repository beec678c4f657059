"""Marking the runs of a study by measures of quality: each run once, kept as it is given, and gone on with later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from hexgate.errors import HexgateError, InputError, Interrupted, MissingExtra
from hexgate.scorers.quality import Item, Quality, QualityScorer, open_quality
from hexgate.study.items import Cell
from hexgate.study.quality.marking import Tally, failed_run, mark_study, tallies, tasks_named
from hexgate.study.quality.marks import JUDGE, MarkLedger, Measure
from hexgate.study.quality.spec import QualitySpec
from hexgate.study.reading import Reading
from hexgate.study.spec import Spec

__all__ = ["Progress", "Scored", "Scoring", "score_study"]

_AT_ONCE = {"bartscore": 64, "bertscore": 64}
"""Runs that are marked together, where a batch is faster than as many runs by themselves."""
_TOGETHER = frozenset({"self_bleu"})
"""Measures whose value depends on the other replies of the same model to the same item."""

_Record = Mapping[str, Any]


class Progress(Protocol):
    """Who watches."""

    def begin(self, measure: str, due: int, done: int) -> None:
        """So many runs are to be marked by this measure; so many have its mark already."""

    def marked(self, count: int) -> None:
        """So many more runs are marked."""


@dataclass(frozen=True)
class Scoring:
    """What is to be marked in one call."""

    measures: tuple[str, ...] = ()
    """The measures; none for all that the study names. One that it does not name is opened without options."""
    tasks: tuple[str, ...] = ()
    """The tasks; none for all that a measure is for."""
    again: bool = False
    """Whether runs are marked again that have a mark of the same measure."""


@dataclass(frozen=True)
class Scored:
    """How a call ended."""

    given: int
    """Marks of this call."""
    tallies: tuple[Tally, ...]
    """What each measure says of each model, marks of earlier calls included."""
    unable: Mapping[str, HexgateError]
    """Measures that could not be carried out here, each with its reason."""
    stopped: HexgateError | None
    """Why the call ended before its last mark; None where it came to it."""
    left: int
    """Runs of the plan that are not over, and so not marked."""
    results: Path
    """The table of all runs."""


def score_study(folder: Path, progress: Progress, scoring: Scoring, spec_file: Path | None = None) -> Scored:
    """Mark the runs of a study that are over. What is marked is kept however it ends.

    A run that failed has a mark without a value; what an empty reply is worth is for each measure to say.

    Args:
        folder: the study's folder.
        progress: who watches.
        scoring: what is to be marked.
        spec_file: the study's file, where its block `quality` counts and not that with which the study began.

    Raises:
        InputError: if the folder holds no study or is in use, or a measure, its options, its references or a task are
            none; nothing was marked.
        EvidenceError: if a file of the folder is not what it should be.
        TargetFailed: if the disk takes no more.
    """

    def give(reading: Reading, ledger: MarkLedger) -> _Call:
        call = _Call(reading, ledger, progress, again=scoring.again)
        call.go(_chosen(reading, scoring))
        return call

    call, reading = mark_study(folder, spec_file, give)
    return Scored(
        given=call.given,
        tallies=tuple(one for spec in call.chosen for one in tallies(reading, spec.measure, spec.tasks)),
        unable=call.unable,
        stopped=call.stopped,
        left=len(reading.left),
        results=reading.layout.results,
    )


class _Call:
    """One call."""

    def __init__(self, reading: Reading, ledger: MarkLedger, progress: Progress, *, again: bool) -> None:
        self._reading = reading
        self._ledger = ledger
        self._progress = progress
        self._again = again
        self.chosen: Sequence[QualitySpec] = ()
        self.given = 0
        self.unable: dict[str, HexgateError] = {}
        self.stopped: HexgateError | None = None

    def go(self, chosen: Sequence[QualitySpec]) -> None:
        """Mark by each measure. All are opened first, so that a mistake is told before anything is marked."""
        self.chosen = chosen
        try:
            opened = [(spec, self._opened(spec)) for spec in chosen]
            for spec, scorer in opened:
                if scorer is not None:
                    self._carry_out(spec, scorer)
        except KeyboardInterrupt:
            self.stopped = Interrupted("the marking was stopped", hint="run the same command again to go on")

    def _opened(self, spec: QualitySpec) -> QualityScorer | None:
        try:
            return open_quality(spec.measure, spec.options)
        except MissingExtra as error:
            self.unable[spec.measure] = error
            return None

    def _carry_out(self, spec: QualitySpec, scorer: QualityScorer) -> None:
        try:
            self._mark_by(spec, scorer)
        except HexgateError as error:
            self.unable[spec.measure] = error

    def _mark_by(self, spec: QualitySpec, scorer: QualityScorer) -> None:
        identity = dict(scorer.identity)
        if spec.references is not None:
            identity["references_field"] = spec.references
        measure = Measure(spec.measure, identity, scorer.higher_is_better)
        units = _units(self._reading, spec)
        due = list(self._due(units, measure))
        count = sum(map(len, due))
        self._progress.begin(spec.measure, count, sum(map(len, units)) - count)
        if not due:
            return
        _refuse_unsafe(spec, scorer)
        self._ledger.begin(measure)
        left = iter(due)
        while batch := list(islice(left, _AT_ONCE.get(spec.measure, 1))):
            records = [record for unit in batch for record in unit]
            for record, quality in zip(records, self._measured(spec, scorer, records), strict=True):
                self._ledger.mark(record, spec.measure, quality.value, quality.reason, quality.parts)
                self.given += 1
            self._progress.marked(len(records))

    def _due(self, units: Sequence[list[_Record]], measure: Measure) -> Iterator[list[_Record]]:
        """The units with a run that has no mark of this identity; of each, the runs that have one come first.

        They are marked again where a unit has become larger. Were one without a mark written before them, a kill
        behind it would leave their old marks, and nothing to tell by.
        """
        newest = self._reading.marks.measures.get(measure.name)
        counts = newest is not None and newest.sha256 == measure.sha256

        def has(record: _Record) -> bool:
            return counts and measure.name in record["quality"]

        for unit in units:
            if self._again or not all(map(has, unit)):
                yield sorted(unit, key=has, reverse=True)

    def _measured(
        self, spec: QualitySpec, scorer: QualityScorer, records: Sequence[_Record]
    ) -> list[Quality]:
        taken = [_item(self._reading, spec, record) for record in records]
        values = iter(scorer.score([one for one in taken if isinstance(one, Item)]))
        return [next(values) if isinstance(one, Item) else Quality(None, one) for one in taken]


def _chosen(reading: Reading, scoring: Scoring) -> list[QualitySpec]:
    """The measures of a call, each for those of its tasks that are asked for.

    Raises:
        InputError: if there is none, or one cannot be what it says.
    """
    named = {one.measure: one for one in reading.spec.quality}
    if JUDGE in scoring.measures:
        raise InputError("a judge is asked by a command of its own", hint="run hexgate study judge")
    names = dict.fromkeys(scoring.measures or named)
    if not names:
        raise InputError(
            "the study names no measure of quality",
            where=str(reading.folder),
            hint="give the study's file with a block quality by --spec, or name a measure with --measure",
        )
    tasks = tasks_named(reading.spec, scoring.tasks)
    chosen = [_narrowed(named.get(name, QualitySpec(name)), tasks) for name in names]
    found = [one for one in chosen if one is not None]
    if not found:
        raise InputError(
            "none of the measures is for these tasks",
            got=", ".join(tasks),
            hint="name a measure with --measure",
        )
    for one in found:
        _refuse_no_references(reading, one)
    return found


def _narrowed(spec: QualitySpec, tasks: tuple[str, ...]) -> QualitySpec | None:
    if not tasks:
        return spec
    both = tuple(task for task in tasks if spec.covers(task))
    return replace(spec, tasks=both) if both else None


def _refuse_no_references(reading: Reading, spec: QualitySpec) -> None:
    """Refuse a field of references that no item has: a mistyped name would leave every mark without a value."""
    name = spec.references
    cells = [cell for cell in reading.plan.cells if spec.covers(cell.task)]
    if name is None or any(_field(reading.spec, cell, name) is not None for cell in cells):
        return
    fields = sorted({field for cell in cells for field in cell.fields})
    close = get_close_matches(name, fields, n=1)
    raise InputError(
        "no item has this field of references",
        where=f"quality: {spec.measure}.references",
        got=repr(name),
        hint=f"did you mean {close[0]}?" if close else None,
    )


def _refuse_unsafe(spec: QualitySpec, scorer: QualityScorer) -> None:
    """Refuse to run programs where this machine cannot hold them back; that says nothing of any reply."""
    if spec.measure != "code_tests":
        return
    from hexgate.scorers.code_tests import CodeQuality
    from hexgate.scorers.sandbox import Unavailable

    state = scorer.sandbox.available() if isinstance(scorer, CodeQuality) else None
    if isinstance(state, Unavailable):
        raise InputError("programs cannot be run safely here", got=state.reason, hint=state.remedy)


def _units(reading: Reading, spec: QualitySpec) -> list[list[_Record]]:
    """The runs of a measure, those together whose marks depend on each other."""
    records = [record for record in reading.records if spec.covers(record["task"])]
    if spec.measure not in _TOGETHER:
        return [[record] for record in records]
    units: dict[tuple[str, ...], list[_Record]] = {}
    for record in records:
        key = tuple(record[name] for name in ("model", "task", "load", "item"))
        units.setdefault(key, []).append(record)
    return list(units.values())


def _item(reading: Reading, spec: QualitySpec, record: _Record) -> Item | str:
    """A run as measures take it, or why it cannot be measured."""
    failure = failed_run(record)
    if failure is not None:
        return failure
    cell = reading.cell(record)
    references = _references(reading.spec, cell, spec.references)
    if references is None:
        return f"its {spec.references} is neither a text nor a list of texts"
    own = {name: record[name] for name in ("model", "task", "load", "item", "run")}
    return Item(
        # A file of tests names the item and not the run.
        id=cell.item,
        prompt=cell.prompt,
        reply=record["generated_text"] or "",
        references=references,
        meta={**cell.fields, **own},
    )


def _references(spec: Spec, cell: Cell, name: str | None) -> tuple[str, ...] | None:
    """The references of an item, empty where it has none; None where what stands there cannot be some."""
    value = cell.references if name is None else _field(spec, cell, name)
    if value is None or value == "":
        return ()
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple(values) if all(isinstance(one, str) and one for one in values) else None


def _field(spec: Spec, cell: Cell, name: str) -> Any:
    """A field of the row that a cell was made of; None where it has none."""
    declared = next(task.references for task in spec.tasks if task.name == cell.task)
    return cell.references or None if name == declared else cell.fields.get(name)
