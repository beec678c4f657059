from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.meters.summary import summarise_resources
from hexgate.meters.windows import Window

S = 1_000_000_000


def _row(t_s: float, **series: Any) -> dict[str, Any]:
    return {"t_ns": round(t_s * S), **series}


@given(st.lists(st.floats(0, 1e12), min_size=2, max_size=50))
def test_levels_are_numpy_s(values: list[float]) -> None:
    rows = [_row(index, memory_used_bytes=value) for index, value in enumerate(values)]
    figures = summarise_resources(rows)["memory_used_bytes"]
    assert figures["mean"] == pytest.approx(np.mean(values), rel=1e-12)
    assert figures["max"] == np.max(values)
    assert figures["std"] == pytest.approx(np.std(values), rel=1e-6, abs=1e-4)
    assert figures["samples"] == len(values)


def test_only_samples_in_the_window_count() -> None:
    rows = [_row(t, cpu_ratio=ratio) for t, ratio in enumerate([0.0, 0.2, 0.4, 1.0])]
    figures = summarise_resources(rows, Window(1 * S, 2 * S))
    assert figures["cpu_ratio"]["mean"] == pytest.approx(0.3)
    assert figures["cpu_ratio"]["samples"] == 2
    assert figures["covered_ratio"] == 1.0


def test_nulls_are_not_zeros() -> None:
    rows = [
        _row(0, cpu_ratio=None, missing={"cpu_ratio": "first"}),
        _row(1, cpu_ratio=0.5),
        _row(2, cpu_ratio=0.7),
    ]
    figures = summarise_resources(rows)
    assert figures["cpu_ratio"]["mean"] == pytest.approx(0.6)
    assert figures["cpu_ratio"]["samples"] == 2
    assert "cpu_ratio" not in figures["missing"]


def test_what_was_never_measured_is_none_with_the_recorded_reason() -> None:
    rows = [
        _row(0, gpu_util_ratio=None, missing={"gpu_util_ratio": "no driver"}),
        _row(1, gpu_util_ratio=None),
    ]
    figures = summarise_resources(rows, Window(0, S))
    assert figures["gpu_util_ratio"] is None
    assert figures["missing"]["gpu_util_ratio"] == "no driver"
    assert figures["process_rss_bytes"] is None
    assert figures["missing"]["process_rss_bytes"] == "no sample lies in the window"


def test_no_rows_at_all() -> None:
    figures = summarise_resources([], Window(0, S))
    assert figures["covered_ratio"] == 0.0
    nulls = {name for name, figure in figures.items() if figure is None}
    assert nulls == set(figures["missing"])
    assert {"cpu_ratio", "disk_read_bytes", "gpu_util_ratio"} <= nulls


def test_single_sample_has_no_spread() -> None:
    figures = summarise_resources([_row(0, cpu_ratio=0.5)], Window(0, S))
    assert figures["cpu_ratio"] == {"mean": 0.5, "max": 0.5, "std": None, "samples": 1}
    assert "cpu_ratio.std" in figures["missing"]


def test_counters_move_between_the_ends_of_the_window() -> None:
    rows = [_row(t, disk_read_bytes=value) for t, value in [(0, 100), (1, 300), (2, 300), (3, 700)]]
    figures = summarise_resources(rows, Window(S // 2, 5 * S // 2))["disk_read_bytes"]
    assert figures == {"bytes": 300.0, "bytes_per_s": 150.0, "span_s": 2.0, "samples": 4}


def test_counter_beyond_its_samples_says_what_it_covers() -> None:
    rows = [_row(t, process_cpu_s=t * 0.5) for t in (1, 2, 3)]
    summary = summarise_resources(rows, Window(0, 4 * S))
    assert summary["process_cpu_s"] == {"seconds": 1.0, "seconds_per_s": 0.5, "span_s": 2.0, "samples": 3}
    assert summary["covered_ratio"] == 0.5


def test_counter_that_goes_backwards_is_not_measured() -> None:
    rows = [_row(t, disk_written_bytes=value) for t, value in [(0, 900), (1, 1000), (2, 10)]]
    summary = summarise_resources(rows)
    assert summary["disk_written_bytes"] is None
    assert summary["missing"]["disk_written_bytes"] == "the counter went backwards"
    assert summarise_resources(rows, Window(0, S))["disk_written_bytes"]["bytes"] == 100.0


def test_gpus_one_by_one() -> None:
    rows = [
        _row(0, gpu_util_ratio=[0.5, None], missing={"gpu_util_ratio.1": "Not Supported"}),
        _row(1, gpu_util_ratio=[0.7, None]),
    ]
    summary = summarise_resources(rows)
    first, second = summary["gpu_util_ratio"]
    assert first["mean"] == pytest.approx(0.6)
    assert second is None
    assert summary["missing"]["gpu_util_ratio.1"] == "Not Supported"


def test_temperatures_are_there_only_where_rows_have_them() -> None:
    rows = [
        _row(t, gpu_temperature_c=[40 + t, None], missing={"gpu_temperature_c.1": "lost"}) for t in (0, 1)
    ]
    summary = summarise_resources(rows)
    assert summary["gpu_temperature_c"][0]["max"] == 41
    assert summary["gpu_temperature_c"][1] is None
    assert summary["missing"]["gpu_temperature_c.1"] == "lost"
    assert "gpu_temperature_c" not in summarise_resources([_row(0, cpu_ratio=0.5)])
