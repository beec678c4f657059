"""The tables of a load: every request with every column, in the order of their numbers, and every sample."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.errors import InputError, MissingExtra
from hexgate.indicators import load_exports
from hexgate.indicators.load_exports import (
    REQUEST_COLUMNS,
    write_requests_csv,
    write_requests_parquet,
    write_resources_csv,
)
from hexgate.indicators.load_folder import with_errors
from hexgate.load.sending.layout import COLUMNS, NEVER, Outcome
from support import needs
from support.load_folders import STARTED_NS, folder_of, folder_with, plan_of, write_evidence


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_column_of_a_record_is_in_the_csv_as_it_was_recorded(tmp_path: Path) -> None:
    load = folder_of(tmp_path, plan_of(400), failing=0.2)
    rows = table(write_requests_csv(load, tmp_path / "requests.csv"))
    records = load.records.array()
    assert len(rows) == len(records)
    for row, record in zip(rows, records, strict=True):
        for name in COLUMNS:
            value = record[name]
            if name == "outcome":
                assert row[name] == Outcome(value).name.lower()
            elif name == "warmup":
                assert row[name] == ("true" if value else "false")
            else:
                assert row[name] == ("" if value == NEVER else str(value))


def test_times_in_the_csv_are_those_between_its_stamps(tmp_path: Path) -> None:
    load = folder_of(tmp_path, plan_of(200), failing=0.2)
    for row in table(write_requests_csv(load, tmp_path / "requests.csv")):
        for name, (to, since) in {
            "e2e_due_ms": ("end_ns", "due_ns"),
            "ttft_sent_ms": ("first_token_ns", "sent_ns"),
            "dispatch_lag_ms": ("issued_ns", "due_ns"),
        }.items():
            if row[to] and row[since]:
                assert float(row[name]) == pytest.approx((int(row[to]) - int(row[since])) / 1e6, rel=1e-12)
            else:
                assert row[name] == ""


@pytest.mark.parametrize("order", ["as written", "backwards", "of two shards"])
def test_an_error_stands_beside_its_request_in_whatever_order_the_replies_lie(
    tmp_path: Path, order: str
) -> None:
    files = write_evidence(tmp_path, plan_of(300), failing=0.3)
    path, count = files["replies"]
    lines = path.read_bytes().splitlines(keepends=True)
    if order == "backwards":
        lines = lines[::-1]
    elif order == "of two shards":
        lines = lines[::2] + lines[1::2]
    path.write_bytes(b"".join(lines))
    said = {reply["index"]: reply["error"] for reply in map(json.loads, lines)}
    load = folder_with(tmp_path, files)
    rows = table(write_requests_csv(load, tmp_path / "requests.csv"))
    assert [row["error"] or None for row in rows] == [said[index] for index in range(count)]


def test_a_reply_that_speaks_of_no_error_is_none(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(20), failing=0.0)
    path, _ = files["replies"]
    text = 'an object has "error":null or {"error": "x"}'
    replies = [{"error": None, "index": index, "text": text} for index in range(20)]
    replies[7]["error"] = text
    dumped = (json.dumps(reply, separators=(",", ":"), sort_keys=True) + "\n" for reply in replies)
    path.write_text("".join(dumped), encoding="utf-8")
    load = folder_with(tmp_path, files)
    found: dict[int, str] = {}
    for _, errors in with_errors(load, 7):
        found |= errors
    assert found == {7: text}


def test_an_error_with_commas_quotes_and_line_breaks_is_one_cell(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(20), failing=0.0)
    error = 'http_500: a,"b"\nc\r\n模型未加载'
    path, _ = files["replies"]
    path.write_text(json.dumps({"error": error, "index": 3, "text": None}) + "\n", encoding="utf-8")
    rows = table(write_requests_csv(folder_with(tmp_path, files), tmp_path / "requests.csv"))
    assert [row["error"] for row in rows if row["error"]] == [error]


def test_samples_of_resources_keep_their_gaps_and_count_from_the_start(tmp_path: Path) -> None:
    load = folder_of(tmp_path, plan_of(400))
    path = write_resources_csv(load, tmp_path / "resources.csv")
    assert path is not None
    rows = table(path)
    samples = list(load.evidence.rows("resources"))
    assert len(rows) == len(samples)
    for row, sample in zip(rows, samples, strict=True):
        assert float(row["t_s"]) == (sample["t_ns"] - STARTED_NS) / 1e9
        assert row["host"] == "client"
        assert float(row["cpu_ratio"]) == sample["cpu_ratio"]
        assert row["disk_written_bytes"] == ""
        both = [row["gpu_util_ratio_0"], row["gpu_util_ratio_1"]]
        assert both == ["" if each is None else str(each) for each in sample["gpu_util_ratio"]]
    assert {"missing", "gpu_util_ratio"}.isdisjoint(rows[0])


def test_samples_of_shards_stand_in_one_table_each_from_its_own_start(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(100))
    path, count = files.pop("resources")
    files |= {"resources_0": (path, count), "resources_1": (path, count)}
    places: list[dict[str, Any]] = [
        {"index": 0, "run": {"started_ns": STARTED_NS}},
        {"index": 1, "run": {"started_ns": STARTED_NS - 500_000_000}},
    ]
    files["run"][0].write_text(json.dumps({"shards": places}), encoding="utf-8")
    written = write_resources_csv(folder_with(tmp_path, files), tmp_path / "resources.csv")
    assert written is not None
    rows = table(written)
    assert [row["host"] for row in rows] == ["shard 0"] * count + ["shard 1"] * count
    assert [rows[0]["t_s"], rows[count]["t_s"]] == ["0.0", "0.5"]


def test_where_nothing_was_sampled_there_is_no_table(tmp_path: Path) -> None:
    load = folder_of(tmp_path, plan_of(20), rich=False)
    assert write_resources_csv(load, tmp_path / "resources.csv") is None
    assert not (tmp_path / "resources.csv").exists()


def test_a_load_that_sent_nothing_has_a_table_with_a_head_alone(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(20))
    np.save(files["requests"][0], np.load(files["requests"][0])[:0])
    path = write_requests_csv(folder_with(tmp_path, files), tmp_path / "requests.csv")
    assert path.read_text() == ",".join(REQUEST_COLUMNS) + "\n"


def test_a_table_that_cannot_be_written_is_an_error_of_the_user(tmp_path: Path) -> None:
    load = folder_of(tmp_path, plan_of(20))
    with pytest.raises(InputError, match="cannot be written"):
        write_requests_csv(load, tmp_path / "absent" / "requests.csv")


def test_without_pyarrow_parquet_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="writing Parquet needs packages") as caught:
        write_requests_parquet(folder_of(tmp_path, plan_of(20)), tmp_path / "requests.parquet")
    assert caught.value.hint is not None
    assert "[parquet]" in caught.value.hint
    assert not (tmp_path / "requests.parquet").exists()


@pytest.mark.vendor
def test_parquet_has_the_same_cells_as_the_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs.module("pyarrow", group="parquet")
    from pyarrow import parquet

    load = folder_of(tmp_path, plan_of(400), failing=0.3)
    rows = table(write_requests_csv(load, tmp_path / "requests.csv"))
    monkeypatch.setattr(load_exports, "_GROUP", 64)
    typed = parquet.read_table(write_requests_parquet(load, tmp_path / "requests.parquet"))
    assert tuple(typed.column_names) == REQUEST_COLUMNS
    for name in REQUEST_COLUMNS:
        shown = [
            "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            for value in typed.column(name).to_pylist()
        ]
        assert shown == [row[name] for row in rows], name
