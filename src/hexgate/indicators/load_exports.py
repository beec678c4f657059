"""A load as tables for other programs: its requests and its resource samples, a chunk in memory at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.evidence import PARTIAL
from hexgate.errors import InputError, MissingExtra
from hexgate.indicators.load_folder import LoadFolder, with_errors
from hexgate.load.sending.layout import COLUMNS, NEVER, Outcome

__all__ = ["REQUEST_COLUMNS", "write_requests_csv", "write_requests_parquet", "write_resources_csv"]

_SPANS = {
    "e2e_sent_ms": ("end_ns", "sent_ns"),
    "e2e_due_ms": ("end_ns", "due_ns"),
    "ttft_sent_ms": ("first_token_ns", "sent_ns"),
    "ttft_due_ms": ("first_token_ns", "due_ns"),
    "ttfa_sent_ms": ("first_answer_ns", "sent_ns"),
    "queue_ms": ("sent_ns", "issued_ns"),
    "dispatch_lag_ms": ("issued_ns", "due_ns"),
}
"""Times that are read off two stamps: to the first, from the second."""
REQUEST_COLUMNS = (*COLUMNS, *_SPANS, "error")
"""The columns of a table of requests, whatever became of them. What is not known is empty, never -1 and never 0."""

_ROWS = 8192
"""Rows in memory at once, each of which is a thousand bytes of Python."""
_GROUP = 65_536
"""Rows of a group in Parquet, which are typed and so smaller."""
_WORDS = [outcome.name.lower() for outcome in Outcome]


def write_requests_csv(load: LoadFolder, path: Path) -> Path:
    """Write every request with every column: the same columns whatever became of the first, or of any.

    Raises:
        InputError: if the disk does not take it.
    """

    def write(file: TextIO) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(REQUEST_COLUMNS)
        for rows, errors in with_errors(load, _ROWS):
            columns = [_plain(name, rows) for name in (*COLUMNS, *_SPANS)]
            texts = [errors.get(number, "") for number in rows["index"].tolist()]
            writer.writerows(zip(*columns, texts, strict=True))

    return _written(path, write)


def write_requests_parquet(load: LoadFolder, path: Path) -> Path:
    """Write the same table as Parquet: typed, compressed, null where nothing is known.

    Raises:
        MissingExtra: if pyarrow is not installed.
        InputError: if the disk does not take it.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("parquet", "writing Parquet") from None
    schema = pa.schema([(name, _arrow_type(pa, name)) for name in REQUEST_COLUMNS])
    partial = path.with_name(path.name + PARTIAL)
    try:
        with parquet.ParquetWriter(partial, schema) as writer:
            for rows, errors in with_errors(load, _GROUP):
                columns = [
                    *(_column(pa, name, rows) for name in (*COLUMNS, *_SPANS)),
                    pa.array([errors.get(number) for number in rows["index"].tolist()], pa.string()),
                ]
                writer.write_table(pa.table(columns, schema=schema))
        partial.replace(path)
    except OSError as error:
        raise _unwritten(path, error) from None
    return path


def write_resources_csv(load: LoadFolder, path: Path) -> Path | None:
    """Write every sample of resources, of every host; None, and no file, where nothing was sampled.

    `t_s` counts from the start of the load, as the stamps of requests do. Columns of several devices are numbered.

    Raises:
        InputError: if the disk does not take it.
    """
    files = load.samples()
    names: dict[str, None] = {}
    for name, _, _ in files:
        for row in load.evidence.rows(name):
            names.update(dict.fromkeys(_flat(row)))
    if not names:
        return None
    head = ["t_s", "host", *names]

    def write(file: TextIO) -> None:
        writer = csv.DictWriter(file, head, restval="", lineterminator="\n")
        writer.writeheader()
        for name, host, started_ns in files:
            for row in load.evidence.rows(name):
                since = "" if started_ns is None else (row["t_ns"] - started_ns) / 1e9
                writer.writerow({"t_s": since, "host": host, **_flat(row)})

    return _written(path, write)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A sample as cells; a list has one for each device, and a value that could not be read leaves its cell empty."""
    cells: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, list):
            cells |= {f"{name}_{place}": "" if each is None else each for place, each in enumerate(value)}
        elif not isinstance(value, dict):
            cells[name] = "" if value is None else value
    return cells


def _span_ms(name: str, rows: NDArray[np.void]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    to, since = (rows[each] for each in _SPANS[name])
    return (to - since) / 1e6, (to == NEVER) | (since == NEVER)


def _plain(name: str, rows: NDArray[np.void]) -> Sequence[Any]:
    if name in _SPANS:
        spans, absent = _span_ms(name, rows)
        return ["" if no else span for span, no in zip(spans.tolist(), absent.tolist(), strict=True)]
    values = rows[name].tolist()
    if name == "outcome":
        return [_WORDS[value] for value in values]
    if name == "warmup":
        return ["true" if value else "false" for value in values]
    return ["" if value == NEVER else value for value in values]


def _arrow_type(pa: Any, name: str) -> Any:
    if name in {"outcome", "error"}:
        return pa.string()
    if name in _SPANS:
        return pa.float64()
    return {"i": pa.int32(), "h": pa.int16(), "?": pa.bool_(), "q": pa.int64()}[COLUMNS[name]]


def _column(pa: Any, name: str, rows: NDArray[np.void]) -> Any:
    if name == "outcome":
        return pa.array(_plain(name, rows), pa.string())
    if name in _SPANS:
        values, absent = _span_ms(name, rows)
        return pa.array(values, pa.float64(), mask=absent)
    # Columns of a record lie scattered; Arrow takes those that lie together.
    own = np.ascontiguousarray(rows[name])
    absent = np.zeros(len(own), dtype=bool) if name == "warmup" else own == NEVER
    return pa.array(own, _arrow_type(pa, name), mask=absent)


def _written(path: Path, write: Callable[[TextIO], None]) -> Path:
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            write(file)
        partial.replace(path)
    except OSError as error:
        raise _unwritten(path, error) from None
    return path


def _unwritten(path: Path, error: OSError) -> InputError:
    return InputError(
        f"it cannot be written ({error.strerror})", where=str(path), hint="make room, or give another folder"
    )
