"""A study as plain files for people and for other programs: all responses, a text each, and flat rows of JSON and CSV.

The names ``model_id``, ``level`` and ``total_score``, and JSON without spaces, are those that the commands of the
prompt-length study look for; the others are named after what they are, with the unit.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hexgate.study.exports.figures import (
    DIMENSIONS,
    RUN_FIGURES,
    SCORE,
    SCORE_FIGURES,
    Figure,
    quality_figures,
    rationale,
    reasons,
)
from hexgate.study.exports.places import Place
from hexgate.study.exports.spreadsheet import guarded
from hexgate.study.layout import file_name
from hexgate.study.lines import write_whole
from hexgate.study.reading import Reading

__all__ = [
    "RESPONSES",
    "SCORES",
    "csv_bytes",
    "export_rows",
    "responses_csv",
    "runs_file",
    "runs_jsonl",
    "scores_csv",
    "write_texts",
]

RESPONSES = "all_responses.csv"
"""One row a run that is over, with prompt and response."""
SCORES = "scores_absolute.csv"
"""One row a run that is over, with the judge's scores."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""By it spreadsheet programs know UTF-8, and show Chinese."""


def responses_csv(reading: Reading, found: Sequence[Place]) -> bytes:
    """All responses as CSV: UTF-8 with a byte order mark, texts with their line breaks, nothing a formula.

    Args:
        reading: the study.
        found: its places.
    """
    figures = [*RUN_FIGURES, *quality_figures(reading)]
    columns = [
        *("model", "level", "category", "question_id", "run", "status"),
        *("system", "prompt", "response"),
        *(figure.name for figure in figures),
        *(
            "finish_reason",
            "truncated",
            "prompt_state",
            "quantization",
            "error",
            "missing",
            "text_file",
            "run_id",
        ),
    ]
    return csv_bytes(columns, _responses(figures, found))


def scores_csv(found: Sequence[Place]) -> bytes:
    """The judge's scores as CSV, in the same form; a cell is empty where there is no score, and `missing` says why.

    Args:
        found: the study's places.
    """
    columns = [
        *("question_id", "model_id", "level", "category", "run"),
        *DIMENSIONS,
        *("total_score", "total_without_conciseness"),
        *(f"rationale_{name}" for name in DIMENSIONS),
        *("missing", "run_id"),
    ]
    return csv_bytes(columns, _scores(found))


def runs_file(reading: Reading) -> str:
    """Name of the file of rows of JSON: ``runs_<study>.jsonl``."""
    return f"runs_{file_name(reading.spec.name)}.jsonl"


def export_rows(found: Sequence[Place]) -> Iterator[dict[str, Any]]:
    """One flat object a run that is over; what is missing is null, and `missing` says why.

    Args:
        found: the study's places.
    """
    figures = [*RUN_FIGURES, SCORE]
    for place in found:
        record = place.record
        if record is None:
            continue
        yield {
            "question_id": place.question,
            "category": place.category,
            "level": place.level,
            "model_id": place.model,
            "model": place.model,
            "run": place.repeat,
            "status": record["status"],
            "timestamp": record["timestamp"],
            "prompt": record["prompt"],
            "output_text": record["generated_text"],
            **{figure.name: figure.of(record) for figure in figures},
            "finish_reason": record["finish_reason"],
            "truncated": record["truncated"],
            "error": None if record["error"] is None else record["error"]["kind"],
            "missing": {figure.name: why for figure in figures if (why := figure.reason(record)) is not None},
            "run_id": place.run_id,
        }


def runs_jsonl(found: Sequence[Place]) -> bytes:
    """The rows of `export_rows`, one line each, without spaces between, in UTF-8.

    Args:
        found: the study's places.
    """
    lines = (
        json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        for row in export_rows(found)
    )
    return "".join(f"{line}\n" for line in lines).encode()


def write_texts(folder: Path, found: Sequence[Place]) -> int:
    """Write one text file a response, exactly as it came.

    Args:
        folder: the folder of the export.
        found: the study's places.

    Returns:
        How many there are.

    Raises:
        OSError: if the disk does not take them.
    """
    count = 0
    for place in found:
        text = None if place.record is None else place.record["generated_text"]
        if text is not None:
            write_whole(folder / place.text_file, text.encode(), wait=False)
            count += 1
    return count


def csv_bytes(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A table as CSV for spreadsheet programs and for pandas: None is empty, true and false are words.

    Args:
        columns: its columns.
        rows: its rows; what a row lacks is empty.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\r\n", restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return _BYTE_ORDER_MARK + text.getvalue().encode()


def _responses(figures: Sequence[Figure], found: Sequence[Place]) -> Iterator[dict[str, Any]]:
    for place in found:
        record = place.record
        if record is None:
            continue
        error = record["error"]
        yield {
            **place.columns(),
            "status": record["status"],
            "system": record["system"],
            "prompt": record["prompt"],
            "response": record["generated_text"],
            **{figure.name: figure.of(record) for figure in figures},
            "finish_reason": record["finish_reason"],
            "truncated": record["truncated"],
            "prompt_state": record["prompt_state"],
            "quantization": record["metadata"]["quantization"],
            "error": None if error is None else f"{error['kind']}: {error['detail']}",
            "missing": reasons(figures, record),
            "text_file": None if record["generated_text"] is None else place.text_file,
            "run_id": place.run_id,
        }


def _scores(found: Sequence[Place]) -> Iterator[dict[str, Any]]:
    for place in found:
        if place.record is None:
            continue
        scores = {figure.name: figure.of(place.record) for figure in SCORE_FIGURES}
        yield {
            **scores,
            "question_id": place.question,
            "model_id": place.model,
            "level": place.level,
            "category": place.category,
            "run": place.repeat,
            **{f"rationale_{name}": rationale(place.record, name) for name in DIMENSIONS},
            "missing": reasons(SCORE_FIGURES, place.record),
            "run_id": place.run_id,
        }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    # Readers of CSV take a NUL for the end of the file, or refuse it.
    return guarded(value.replace("\x00", "\ufffd")) if isinstance(value, str) else str(value)
