"""Faults that users of the tool before this one met in its reports and tables: each has a test by its name."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from hexgate.contract.artifact import file_bytes
from hexgate.contract.canonical import parse_strict
from hexgate.indicators.load_examples import sampled_replies
from hexgate.indicators.load_exports import REQUEST_COLUMNS, write_requests_csv
from hexgate.indicators.load_folder import LoadFolder
from hexgate.indicators.load_statistics import load_statistics, statistics_mistakes
from hexgate.load.plans.plan import closed_loop
from hexgate.load.records import NEVER, RECORD, Outcome
from hexgate.report.load_html import render_load_html
from support.load_folders import folder_of, folder_with, plan_of, write_evidence


def table(load: LoadFolder) -> list[dict[str, str]]:
    path = write_requests_csv(load, load.folder / "requests.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def all_failed(tmp_path: Path) -> LoadFolder:
    return folder_of(tmp_path, plan_of(60), all_fail=True)


def test_int64_not_serialisable(tmp_path: Path) -> None:
    statistics = load_statistics(folder_of(tmp_path, plan_of(200)))
    written = file_bytes(statistics)
    assert json.loads(written) == statistics
    assert parse_strict(written)["outcomes"]["total"] == 200
    assert statistics_mistakes(statistics) == []


def test_not_a_number_in_the_statistics_of_a_load_that_failed(all_failed: LoadFolder) -> None:
    assert statistics_mistakes(load_statistics(all_failed)) == []
    parse_strict(file_bytes(load_statistics(all_failed)))


def test_csv_field_missing_for_failed_requests(tmp_path: Path) -> None:
    load = folder_of(tmp_path, plan_of(300), failing=0.3)
    rows = table(load)
    assert len(rows) == load.plan.requests  # type: ignore[union-attr]
    for row in rows:
        assert tuple(row) == REQUEST_COLUMNS
        assert None not in row.values()
    failed = [row for row in rows if row["outcome"] != "ok"]
    assert failed
    assert all(row["error"] for row in failed)
    unsent = [row for row in rows if row["outcome"] == "not_sent"]
    assert unsent
    assert {row["sent_ns"] for row in unsent} == {""}
    assert {row["e2e_sent_ms"] for row in unsent} == {""}


def test_first_failed_request_decides_the_columns_of_the_csv(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(50), failing=0.0)
    path, rows = files["requests"]
    records = np.load(path)
    records["outcome"][0] = Outcome.ERROR
    np.save(path, records)
    with_a_failure = table(folder_with(tmp_path, files))
    assert with_a_failure[0]["outcome"] == "error"
    assert with_a_failure[1]["ttft_sent_ms"]
    assert tuple(with_a_failure[0]) == tuple(with_a_failure[1]) == REQUEST_COLUMNS
    assert rows == len(with_a_failure)


def test_key_errors_in_the_report_for_failed_requests(all_failed: LoadFolder) -> None:
    statistics = load_statistics(all_failed)
    for lang in ("en", "zh"):
        page = render_load_html(statistics, sampled_replies(all_failed), {}, lang=lang)  # type: ignore[arg-type]
        assert "http_503" in page
        assert "KeyError" not in page
    assert statistics["times"]["e2e_due_ms"] is None
    assert statistics["missing"]["e2e_due_ms"] == "no request succeeded"
    assert statistics["error_ratio"] > 0.4


def one_a_second(folder: Path, *, prompt_tokens: int) -> LoadFolder:
    """Two in flight, each reply takes half a second and has 20 tokens: 4 replies and 80 tokens a second."""
    plan = closed_loop(concurrency=2, items=1, requests=40)
    files = write_evidence(folder, plan, failing=0.0, rich=False)
    records = np.zeros(40, dtype=RECORD)
    for name in set(RECORD.names or ()) - {"item", "turn", "outcome", "warmup", "worker"}:
        records[name] = NEVER
    records["index"] = np.arange(40)
    begun = (np.arange(40) // 2) * 500_000_000
    records["issued_ns"] = records["ready_ns"] = records["sent_ns"] = begun
    first = ("headers_ns", "first_event_ns", "first_token_ns", "first_answer_ns")
    for name in first:
        records[name] = begun + 100_000_000
    records["last_token_ns"] = records["end_ns"] = begun + 500_000_000
    records["events"] = records["output_tokens"] = 20
    records["first_event_tokens"], records["prompt_tokens"], records["bytes"] = 1, prompt_tokens, 500
    np.save(files["requests"][0], records)
    return folder_with(
        folder, files, {"method": {"confidence": 0.95, "kind": "closed_loop", "concurrency": 2}}
    )


def test_requests_a_second_is_not_one_over_the_latency(tmp_path: Path) -> None:
    statistics = load_statistics(one_a_second(tmp_path, prompt_tokens=1000))
    latency_s = statistics["times"]["e2e_sent_ms"]["mean"] / 1e3
    assert latency_s == 0.5
    assert statistics["achieved"]["rps"] == 4.0
    assert statistics["rates"]["requests_per_s"]["mean"] == 4.0
    assert not math.isclose(statistics["achieved"]["rps"], 1 / latency_s)


def test_prompt_tokens_are_no_output_speed(tmp_path: Path) -> None:
    statistics = load_statistics(one_a_second(tmp_path, prompt_tokens=1000))
    assert statistics["rates"]["output_tokens_per_s"]["mean"] == 80.0
    assert statistics["rates"]["output_tokens_per_s"]["std"] == 0.0
    assert statistics["tokens"]["prompt_tokens"] == 40_000
    assert statistics["tokens"]["output_tokens"] == 800
