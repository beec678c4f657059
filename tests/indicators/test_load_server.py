"""What a server says of itself under load, beside the load: values averaged, totals as speeds, the rest left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hexgate.indicators.load_folder import LoadFolder
from hexgate.indicators.load_server import server_series
from hexgate.indicators.load_statistics import load_statistics, statistics_mistakes
from hexgate.report.load_html import render_load_html
from support.load_folders import STARTED_NS, folder_of, folder_with, plan_of, write_evidence


def with_metrics(folder: Path, rows: list[dict[str, Any]]) -> LoadFolder:
    files = write_evidence(folder, plan_of(1000))
    path = folder / "load.server_metrics.jsonl"
    lines = (json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return folder_with(folder, files | {"server_metrics": (path, len(rows))})


def said(second: float, name: str, value: float, endpoint: int = 0, **labels: str) -> dict[str, Any]:
    t_ns = STARTED_NS + round(second * 1e9)
    return {"t_ns": t_ns, "endpoint": endpoint, "name": name, "labels": labels, "value": value}


def test_values_are_averaged_and_totals_are_speeds(tmp_path: Path) -> None:
    rows = []
    for second in range(8):
        for engine in ("0", "1"):
            rows.append(said(second, "vllm:num_requests_running", 5 + second % 2, engine=engine))
            rows.append(
                said(second, "vllm:kv_cache_usage_perc", 0.25 if engine == "0" else 0.75, engine=engine)
            )
            rows.append(said(second, "vllm:generation_tokens_total", 100.0 * second, engine=engine))
        rows.append(said(second, "vllm:iteration_tokens_total_bucket", 1.0, le="1"))
        rows.append(said(second, "process_open_fds", 20.0))
    found = {metric["name"]: metric for metric in server_series(with_metrics(tmp_path, rows), 0.5, 16)}
    assert list(found) == ["requests", "kv_cache", "tokens"]
    assert {metric["step_s"] for metric in found.values()} == {2.0}
    assert found["requests"]["lines"] == {"vllm:num_requests_running": [11.0] * 4}
    assert found["kv_cache"]["lines"] == {"vllm:kv_cache_usage_perc": [0.5] * 4}
    assert found["tokens"]["lines"] == {"vllm:generation_tokens_total": [200.0] * 4}


def test_a_server_that_began_again_leaves_a_gap_and_no_negative_speed(tmp_path: Path) -> None:
    totals = [0.0, 100.0, 0.0, 50.0]
    rows = [said(4.0 * at, "llamacpp:tokens_predicted_total", value) for at, value in enumerate(totals)]
    (tokens,) = server_series(with_metrics(tmp_path, rows), 4.0, 4)
    assert tokens["lines"] == {"llamacpp:tokens_predicted_total": [None, 25.0, None, 12.5]}


def test_endpoints_are_told_apart(tmp_path: Path) -> None:
    rows = [said(1.0, "tgi_queue_size", 3.0), said(1.0, "tgi_queue_size", 7.0, endpoint=1)]
    (requests,) = server_series(with_metrics(tmp_path, rows), 2.0, 1)
    assert requests["lines"] == {"tgi_queue_size": [3.0], "tgi_queue_size 1": [7.0]}


def test_they_are_drawn_in_the_report(tmp_path: Path) -> None:
    rows = [said(second, "vllm:num_requests_waiting", float(second)) for second in range(20)]
    statistics = load_statistics(with_metrics(tmp_path, rows))
    assert statistics_mistakes(statistics) == []
    page = render_load_html(statistics, [], {}, lang="en")
    assert "Server: requests running and waiting" in page
    assert "vllm:num_requests_waiting" in page


def test_where_no_server_was_asked_there_is_nothing(tmp_path: Path) -> None:
    assert server_series(folder_of(tmp_path, plan_of(100)), 1.0, 10) == []
