"""What the workers told of each of their seconds lies at its place on the axis of the load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hexgate.indicators.load_hosts import client_series
from hexgate.indicators.load_series import MOST_BINS
from support.load_folders import folder_with, plan_of, write_evidence


def series_of(folder: Path, *workers: list[tuple[float, float, float]]) -> Any:
    """The series of workers that told (end of the second, longest lag in ms, processor time in ms)."""
    files = write_evidence(folder, plan_of(20))
    path = files["client"][0]
    told = json.loads(path.read_bytes())
    told["workers"] = [
        told["workers"][0] | {"worker": place, "per_second": [[*one, 0.0, 0, 1] for one in seconds]}
        for place, seconds in enumerate(workers)
    ]
    path.write_text(json.dumps(told), encoding="utf-8")
    return client_series(folder_with(folder, files))


def test_a_second_is_told_at_its_end(tmp_path: Path) -> None:
    found = series_of(tmp_path, [(1.0, 5.0, 100.0), (2.0, 7.0, 300.0), (2.5, 1.0, 250.0)])
    assert found["step_s"] == 1.0
    assert found["loop_lag_max_ms"] == [5.0, 7.0, 1.0]
    # The last one is half a second: 250 ms of it are half a core.
    assert found["cpu_cores"] == [pytest.approx([0.1, 0.3, 0.5])]


def test_seconds_that_drift_leave_no_hole(tmp_path: Path) -> None:
    ends = [1.01 * (number + 1) for number in range(300)]
    found = series_of(tmp_path, [(end, 2.0, 505.0) for end in ends])
    assert len(found["loop_lag_max_ms"]) == 303
    assert set(found["loop_lag_max_ms"]) == {2.0}
    assert found["cpu_cores"] == [pytest.approx([0.5] * 303)]


def test_a_stall_is_seen_in_every_second_of_it(tmp_path: Path) -> None:
    found = series_of(
        tmp_path,
        [(1.0, 1.0, 100.0), (4.0, 2900.0, 30.0), (5.0, 2.0, 100.0)],
        [(1.0, 3.0, 200.0), (2.0, 3.0, 200.0)],
    )
    assert found["loop_lag_max_ms"] == [3.0, 2900.0, 2900.0, 2900.0, 2.0]
    assert found["cpu_cores"] == [
        pytest.approx([0.1, 0.01, 0.01, 0.01, 0.1]),
        [pytest.approx(0.2), pytest.approx(0.2), None, None, None],
    ]


def test_a_long_load_has_as_many_bins_as_a_chart(tmp_path: Path) -> None:
    found = series_of(tmp_path, [(float(second + 1), float(second), 100.0) for second in range(1500)])
    assert found["step_s"] == 3.0
    assert len(found["loop_lag_max_ms"]) == 500 <= MOST_BINS
    assert found["loop_lag_max_ms"][:2] == [2.0, 5.0]
    assert found["cpu_cores"] == [pytest.approx([0.1] * 500)]


def test_workers_that_told_of_no_second(tmp_path: Path) -> None:
    assert series_of(tmp_path, []) is None
