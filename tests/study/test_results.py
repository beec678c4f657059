"""The table of all runs: the rows as a writer of dictionaries makes them, whatever marks each run has."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from hexgate.study.reading import read_study
from hexgate.study.results import COLUMNS, Results, result_row
from support.studies import ScriptedOllama, said, write_study
from support.study_running import carried_out


def mark(value: float | None, **parts: Any) -> dict[str, Any]:
    return {"value": value, "reason": None if value is not None else "no words", "parts": parts}


MARKS: tuple[tuple[dict[str, Any], ...], ...] = (
    ({}, {}, {}, {}),
    ({"f1": mark(0.5)}, {}, {"f1": mark(None)}, {}),
    (
        {"f1": mark(0.5)},
        {"judge": mark(7.5, structure=2.5, language="en")},
        {"f1": mark(0.25), "judge": mark(None)},
        {},
    ),
)


@pytest.mark.parametrize("marks", MARKS)
def test_the_table_is_that_of_a_writer_of_dictionaries(
    tmp_path: Path, marks: tuple[dict[str, Any], ...]
) -> None:
    with ScriptedOllama(lambda _: said('one "word", and', "\nanother")) as ollama:
        path = write_study(tmp_path, models=[{"name": "a, b", "target": ollama.target}], runs=1)
        carried_out(path, tmp_path / "out")
    reading = read_study(tmp_path / "out")
    records = [{**record, "quality": own} for record, own in zip(reading.records, marks, strict=True)]
    results = Results(reading.folder, reading.layout, reading.plan)
    # In another order than that of the plan, and one of them twice.
    for record in [*reversed(records), records[0]]:
        results.put(record)
    results.write()
    rows = [
        result_row(one, reading.layout.raw(one["run_id"]).relative_to(reading.folder).as_posix())
        for one in records
    ]
    columns = [*COLUMNS, *sorted({name for row in rows for name in row} - set(COLUMNS))]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    assert reading.layout.results.read_bytes() == text.getvalue().encode()
