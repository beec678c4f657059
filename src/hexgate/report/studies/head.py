"""The head of a study's page: what is over of what was planned, on what it was measured, and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hexgate.report.meter_rows import scope_word
from hexgate.report.numbers import number, percent
from hexgate.report.studies.common import names_of
from hexgate.report.studies.figures import FAILED, StudyFigures
from hexgate.report.studies.parts import Cell, Column, Note, Section, Table, count_cell, name_cell
from hexgate.report.studies.reasons import reason_words
from hexgate.report.studies.words import WORDS, word
from hexgate.report.text import Both, clean, same
from hexgate.study.reading import Reading
from hexgate.study.reasons import as_counted, counted

__all__ = ["Head", "head_of", "measuring_section", "missing_section"]

_MOST_ROWS = 24
_MOST_NAMES = 6
_LATER = "quality is measured when all runs are over, not beside them"


@dataclass(frozen=True)
class Head:
    """What stands at the top of the page."""

    name: Both
    """The study."""
    headline: Both
    """How far it has come."""
    sentences: tuple[Both, ...]
    """What that means."""
    tiles: tuple[tuple[str, Both, Both], ...]
    """The few large numbers: value, what it is, and what to know of it."""
    facts: tuple[tuple[Both, Both], ...]
    """On what it was measured."""
    notes: tuple[Both, ...]
    """What to know before anything else is read."""


def head_of(reading: Reading, study: StudyFigures, *, live: bool) -> Head:
    """The head of the page."""
    planned, over = len(reading.plan.runs), len(study.rows)
    failed = sum(not row.ok for row in study.rows)
    left = planned - over
    sentences = [word("all_over") if left == 0 else _left(left)]
    if failed:
        models = names_of(dict.fromkeys(row.model for row in study.rows if not row.ok))
        sentences.append(
            word("one_failed" if failed == 1 else "some_failed", failed=number(failed), models=models)
        )
    newest = max((str(record["timestamp"]) for record in reading.records), default=None)
    return Head(
        name=same(reading.spec.name, 160),
        headline=word("runs_of", over=number(over), planned=number(planned)),
        sentences=tuple(sentences),
        tiles=_tiles(study, planned, over, failed, left),
        facts=tuple(_facts(reading)),
        notes=tuple(_notes(study, newest, live=live)),
    )


def _left(left: int) -> Both:
    return word("one_left" if left == 1 else "some_left", left=number(left))


def _tiles(
    study: StudyFigures, planned: int, over: int, failed: int, left: int
) -> tuple[tuple[str, Both, Both], ...]:
    energies = sum("energy_j" in row.values for row in study.rows)
    scored = sum(any(key.startswith("quality:") for key in row.values) for row in study.rows)
    known = word("of_over", over=number(over))
    return (
        (number(planned), word("tile_planned"), Both("", "")),
        (number(over), word("tile_over"), Both("", "")),
        (number(failed), word("tile_failed"), Both("", "")),
        (number(left), word("tile_left"), Both("", "")),
        (number(energies), word("tile_energy"), known),
        (number(scored), word("tile_scored"), known),
    )


def _notes(study: StudyFigures, newest: str | None, *, live: bool) -> Iterable[Both]:
    if live:
        yield word("live_since", at=same(newest, 40)) if newest else word("live")
    energies = sum("energy_j" in row.values for row in study.rows)
    if not study.rows:
        yield word("no_runs")
    elif energies < len(study.rows):
        reasons = counted(row.missing["energy_j"] for row in study.rows if row.missing.get("energy_j"))
        failures = reasons.pop(FAILED, 0)
        said = _semicolons(
            reason_words(reason) for reason, _ in reasons.most_common(3) or [(FAILED, failures)]
        )
        if not energies:
            yield word("no_energy", reasons=said)
        elif reasons:
            yield word(
                "some_energy", count=number(sum(reasons.values())), all=number(len(study.rows)), reasons=said
            )
    if len(study.bases) > 1:
        yield word("several_bases", bases=same("; ".join(study.bases[:_MOST_NAMES]), 400))
    if study.rows and not study.measures:
        left = study.left
        yield word("no_quality_yet", left=number(left)) if left else word("no_quality")
    warm = sum(row.warm for row in study.rows)
    if warm:
        yield word("some_warm", count=number(warm), share=percent(warm / len(study.rows)))


def _semicolons(found: Iterable[Both]) -> Both:
    return Both("; ", "；").join(list(found))


def _facts(reading: Reading) -> Iterable[tuple[Both, Both]]:
    spec, records = reading.spec, reading.records
    counts = {
        name: len(part)
        for name, part in (("models", spec.models), ("tasks", spec.tasks), ("loads", spec.loads))
    }
    items = len({(cell.task, cell.item) for cell in reading.plan.cells})
    yield (
        word("fact_started"),
        same(str(reading.head["started_at"]).replace("T", " ").replace("Z", " UTC"), 40),
    )
    yield (
        word("fact_matrix"),
        word("matrix", items=items, runs=spec.runs, **counts),
    )
    metadata = [record["metadata"] for record in records]
    for key in ("host", "cpu", "gpu", "driver"):
        if found := _different(each[key] for each in metadata):
            yield word(f"fact_{key}"), found
    servers = _different(
        None if each["server"] is None else " ".join(filter(None, (each["server"], each["server_version"])))
        for each in metadata
    )
    if servers:
        yield word("fact_servers"), servers
    yield word("fact_cold"), word(f"cold_{spec.cold.value}")
    yield word("fact_tool"), same(reading.head.get("tool", ""), 60)


def _different(values: Iterable[Any]) -> Both | None:
    """Each different value once, the first few of them."""
    found = list(dict.fromkeys(clean(value, 100) for value in values if value))
    if not found:
        return None
    more = f", … (+{len(found) - _MOST_NAMES})" if len(found) > _MOST_NAMES else ""
    return same(", ".join(found[:_MOST_NAMES]) + more, 700)


def measuring_section(reading: Reading) -> Section:
    """What the meters cover, by domain, and how the energy of runs was taken."""
    seen: dict[str, tuple[Mapping[str, Any], dict[str, None]]] = {}
    lacks: dict[str, dict[str, None]] = {}
    for visit in reading.visits.values():
        for domain in visit.get("domains") or ():
            seen.setdefault(str(domain["id"]), (domain, {}))[1][str(visit["model"])] = None
        if (lack := (visit.get("missing") or {}).get("domains")) is not None:
            lacks.setdefault(str(lack), {})[str(visit["model"])] = None
    rows = [
        [
            Cell(same(identity, 80)),
            Cell(scope_word(str(domain["scope"]))),
            Cell(same(domain.get("label"), 80)),
            Cell(names_of(models)),
        ]
        for identity, (domain, models) in list(seen.items())[:_MOST_ROWS]
    ]
    blocks: list[Table | Note] = []
    if rows:
        blocks.append(Table([_column(name) for name in ("domain", "covers", "device", "models")], rows))
    lines = [
        word("lack_of", models=names_of(models), reason=reason_words(lack)) for lack, models in lacks.items()
    ]
    if lines:
        blocks.append(Note(lines[:_MOST_ROWS], word("not_metered")))
    if not blocks:
        blocks.append(Note([word("no_visits")]))
    doubts = counted(
        reason
        for record in reading.records
        for reason in (*record["degraded"], *(record["energy"].get("degraded") or ()))
    )
    if doubts:
        shown = [
            [Cell(reason_words(reason), style="said"), count_cell(count)]
            for reason, count in doubts.most_common(_MOST_ROWS)
        ]
        blocks.append(Table([_column("doubt"), Column(word("col_runs"))], shown, word("doubts")))
    return Section("meters", word("meters"), word("meters_lead"), blocks)


def missing_section(reading: Reading) -> Section | None:
    """What is not known of runs and why, and which runs failed; None where everything is there."""
    missing: Counter[tuple[str, str]] = Counter()
    words = as_counted(reason for record in reading.records for reason in record["missing"].values())
    failures: dict[tuple[str, str], tuple[int, str]] = {}
    for record in reading.records:
        error = record["error"]
        if error is not None:
            count, first = failures.get((record["model"], error["kind"]), (0, str(error["detail"])))
            failures[record["model"], error["kind"]] = (count + 1, first)
            continue
        missing.update(
            (words[reason], name) for name, reason in record["missing"].items() if reason != _LATER
        )
    blocks: list[Table | Note] = []
    if failures:
        rows = [
            [name_cell(model), Cell(same(kind, 40)), count_cell(count), Cell(same(detail, 200))]
            for (model, kind), (count, detail) in list(failures.items())[:_MOST_ROWS]
        ]
        columns = [_column("model"), _column("kind"), Column(word("col_runs")), _column("detail")]
        blocks.append(Table(columns, rows, word("failures")))
    by_reason: dict[str, dict[str, int]] = {}
    for (reason, name), count in missing.most_common():
        by_reason.setdefault(reason, {})[name] = count
    if by_reason:
        shown = [
            [
                Cell(reason_words(reason), style="said"),
                Cell(
                    same(
                        ", ".join([*names][:8]) + (f", … (+{len(names) - 8})" if len(names) > 8 else ""), 400
                    )
                ),
                count_cell(max(names.values())),
            ]
            for reason, names in list(by_reason.items())[:_MOST_ROWS]
        ]
        blocks.append(
            Table(
                [_column("reason"), _column("fields"), Column(word("col_runs"))],
                shown,
                word("missing_values"),
            )
        )
        if len(by_reason) > _MOST_ROWS:
            blocks.append(Note([word("more_reasons", count=len(by_reason) - _MOST_ROWS)]))
    if not blocks:
        return None
    return Section("missing", word("missing"), word("missing_lead"), blocks)


def _column(name: str) -> Column:
    key = f"col_{name}"
    return Column(word(key) if key in WORDS else same(name), numeric=False)
