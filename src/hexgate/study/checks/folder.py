"""Checks of a study's folder: its ledger without doubles, its raw records, texts and table equal to the ledger."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.study.checks.checked import Check, Violation, checked, violation
from hexgate.study.exports.places import Place
from hexgate.study.ledger import RUNS
from hexgate.study.lines import read_lines
from hexgate.study.reading import Reading
from hexgate.study.results import result_row

__all__ = ["duplicates", "records", "table", "texts"]

_QUALITY = "quality"


def duplicates(reading: Reading, found: Sequence[Place]) -> Check:
    """Whether the ledger has each run once an attempt, the attempts without a gap, and no run beside the plan.

    Args:
        reading: the study.
        found: its places.

    Raises:
        EvidenceError: if the ledger cannot be read.
    """
    attempts: dict[str, list[int]] = {}
    path = reading.folder / RUNS
    for row in read_lines(path) if path.exists() else ():
        attempt = row.get("attempt")
        attempts.setdefault(str(row.get("run_id")), []).append(attempt if isinstance(attempt, int) else 0)
    planned = {place.run_id: place for place in found}
    wrong: list[Violation] = []
    for run_id, made in attempts.items():
        place = planned.get(run_id)
        if place is None:
            wrong.append(_nowhere(f"the run {run_id}, which is not in the plan", "runs of the plan alone"))
        elif sorted(made) != list(range(1, len(made) + 1)):
            told = ", ".join(str(one) for one in made)
            wrong.append(violation(place, f"attempts {told}", "each attempt once, from 1 on"))
    return checked("duplicates", sum(map(len, attempts.values())), wrong)


def records(reading: Reading, found: Sequence[Place]) -> Check:
    """Whether the raw record of each run is what the ledger tells, and there is none beside them.

    Quality may not have been written into them yet; where it has been, it is that of the marks.

    Args:
        reading: the study.
        found: its places.
    """
    wrong: list[Violation] = []
    expected: set[Path] = set()
    over = [place for place in found if place.record is not None]
    for place in over:
        path = reading.layout.raw(place.run_id)
        expected.add(path)
        fault = _raw_fault(path, place.record or {})
        if fault is not None:
            wrong.append(violation(place, fault, "the record that the ledger tells"))
    wrong += [
        _nowhere(f"{path.relative_to(reading.folder).as_posix()}, of no run", "records of runs alone")
        for path in _files(reading, "raw", ".json")
        if path not in expected
    ]
    return checked("records", len(over), wrong)


def texts(reading: Reading, found: Sequence[Place]) -> Check:
    """Whether the text of each run that succeeded is there, not empty, and the one of its record.

    Args:
        reading: the study.
        found: its places.
    """
    wrong: list[Violation] = []
    expected: set[Path] = set()
    own = [place for place in found if place.ok]
    for place in own:
        path = reading.layout.text(place.run_id)
        expected.add(path)
        text = (place.record or {})["generated_text"]
        if not text or not text.strip():
            wrong.append(violation(place, "an empty text", "a text"))
        try:
            same = path.read_bytes() == (text or "").encode()
        except OSError as error:
            wrong.append(
                violation(place, f"no file of its text ({error.strerror})", "the text of the record")
            )
            continue
        if not same:
            wrong.append(violation(place, "another text in its file", "the text of the record"))
    wrong += [
        _nowhere(
            f"{path.relative_to(reading.folder).as_posix()}, of no run that succeeded", "texts of runs alone"
        )
        for path in _files(reading, "texts", ".txt")
        if path not in expected
    ]
    return checked("texts", len(own), wrong)


def table(reading: Reading, found: Sequence[Place]) -> Check:
    """Whether results.csv has each run once, with what the ledger tells.

    Args:
        reading: the study.
        found: its places.
    """
    over = [place for place in found if place.record is not None]
    if not over:
        return checked("table", 0, [])
    try:
        text = reading.layout.results.read_text("utf-8")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else "not a table of CSV"
        return checked(
            "table", len(over), [_nowhere(f"no results.csv ({why})", "a row for each run that is over")]
        )
    by_run: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        by_run.setdefault(str(row.get("run_id")), []).append(row)
    wrong: list[Violation] = []
    for place in over:
        there = by_run.pop(place.run_id, [])
        if len(there) != 1:
            wrong.append(violation(place, f"{len(there)} rows in results.csv", "one row"))
            continue
        raw_file = reading.layout.raw(place.run_id).relative_to(reading.folder).as_posix()
        row = result_row(place.record or {}, raw_file)
        differing = _differing(row, there[0])
        if differing:
            wrong.append(
                violation(
                    place, f"another value in results.csv: {', '.join(differing)}", "what the ledger tells"
                )
            )
    wrong += [
        _nowhere(f"a row of the run {run_id} in results.csv", "rows of runs that are over")
        for run_id in by_run
    ]
    return checked("table", len(over), wrong)


def _differing(expected: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """The columns in which a row is another, or says more; quality that has not been written into it yet is none."""
    scored = any(name.startswith(f"{_QUALITY}_") and value for name, value in there.items() if name)
    differing = [
        name
        for name, value in expected.items()
        if (there.get(name) or "") != value and (scored or not name.startswith(f"{_QUALITY}_"))
    ]
    # Cells beyond the header are under None.
    return differing + [
        name or "cells without a header" for name, value in there.items() if name not in expected and value
    ]


def _raw_fault(path: Path, record: Mapping[str, Any]) -> str | None:
    """What is wrong with the raw record of a run; None where nothing is."""
    try:
        held = parse_strict(path.read_bytes())
    except OSError as error:
        return f"no raw record ({error.strerror})"
    except NotStrictJson:
        return "a raw record that is not JSON"
    if not isinstance(held, dict):
        return "a raw record that is no object"
    mine, theirs = _plain(record), _plain(held)
    differing = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
    if differing:
        return f"another raw record in {', '.join(differing)}"
    if held.get(_QUALITY) and held[_QUALITY] != record[_QUALITY]:
        return "another quality in the raw record than the marks give"
    return None


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without its quality, and without what is said of missing quality."""
    missing = record.get("missing")
    kept = {name: value for name, value in record.items() if name != _QUALITY}
    if isinstance(missing, Mapping):
        kept["missing"] = {name: why for name, why in missing.items() if name.partition(".")[0] != _QUALITY}
    return kept


def _files(reading: Reading, kind: str, suffix: str) -> Iterator[Path]:
    """The files of a kind in the study's folder, in order; one that is being written is none yet."""
    root = reading.folder / "data" / kind
    yield from sorted(path for path in root.rglob(f"*{suffix}") if path.is_file())


def _nowhere(got: str, expected: str) -> Violation:
    return Violation(None, None, None, None, None, got, expected)
