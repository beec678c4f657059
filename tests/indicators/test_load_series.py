"""A load over time: each bin against a plain loop over its requests, and never more bins than a chart has room for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.indicators.load_series import (
    MOST_BINS,
    binned,
    load_series,
    mean_in_bins,
    time_axis,
    whole_seconds,
)
from hexgate.load.measures.figures import throughput
from hexgate.load.plans.plan import closed_loop, open_loop, parse_stages
from hexgate.load.records import NEVER, RECORD, Outcome, Records
from support.load_folders import folder_of, plan_of


@given(st.floats(1e-6, 1e7), st.integers(0, 10**8))
def test_the_bins_cover_the_load_and_are_never_too_many(span_s: float, count: int) -> None:
    step_s, bins = time_axis(span_s, count)
    assert 1 <= bins <= MOST_BINS
    assert step_s * bins >= span_s * (1 - 1e-9)


def test_a_short_load_has_bins_with_some_requests_each() -> None:
    assert time_axis(20.0, 1000) == (0.2, 100)
    assert time_axis(2.0, 10) == (0.2, 10)
    assert time_axis(20_000.0, 1_000_000) == (60.0, 334)


def test_every_bin_is_what_a_plain_loop_counts(tmp_path: Path) -> None:
    load = folder_of(tmp_path, plan_of(800), failing=0.2)
    series = load_series(load.records, load.plan)
    assert series is not None
    step_ns, bins = round(series["step_s"] * 1e9), series["bins"]
    due, sent, tokens = (np.zeros(bins, dtype=int) for _ in range(3))
    flying = np.zeros(bins)
    edges = np.arange(bins + 1) * step_ns
    over = {kind.name.lower(): np.zeros(bins, dtype=int) for kind in Outcome}
    spans: list[list[float]] = [[] for _ in range(bins)]
    for row in load.records.array():
        ended, begun = int(row["end_ns"]), int(row["sent_ns"])
        due[row["due_ns"] // step_ns] += 1
        if begun != NEVER:
            sent[begun // step_ns] += 1
            until = ended if ended != NEVER else edges[-1]
            flying += np.maximum(np.minimum(edges[1:], until) - np.maximum(edges[:-1], begun), 0) / step_ns
        at = ended if ended != NEVER else max(begun, int(row["due_ns"]))
        over[Outcome(row["outcome"]).name.lower()][at // step_ns] += 1
        if row["outcome"] == Outcome.OK:
            tokens[ended // step_ns] += row["output_tokens"]
            spans[ended // step_ns].append((ended - int(row["due_ns"])) / 1e6)
    assert series["due"] == due.tolist()
    assert series["sent"] == sent.tolist()
    assert series["outcomes"] == {name: counts.tolist() for name, counts in over.items()}
    assert series["output_tokens"] == tokens.tolist()
    assert series["in_flight"] == pytest.approx(flying.tolist(), abs=1e-6)
    for name, share in (("e2e_p50_ms", 0.5), ("e2e_p99_ms", 0.99)):
        for shown, values in zip(series[name], spans, strict=True):
            if values:
                assert shown == pytest.approx(
                    np.percentile(values, 100 * share, method="inverted_cdf"), rel=0.033
                )
            else:
                assert shown is None


def test_the_series_does_not_depend_on_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = folder_of(tmp_path, plan_of(500))
    whole = load_series(load.records, load.plan)
    chunks = Records.chunks
    monkeypatch.setattr(Records, "chunks", lambda self, _size=0: chunks(self, 37))
    assert load_series(load.records, load.plan) == whole


def test_the_rate_asked_follows_the_stages() -> None:
    plan = open_loop(items=1, shape=parse_stages("10:20,40:20"))
    records = np.zeros(len(plan), dtype=RECORD)
    for name in ("due_ns", "issued_ns", "sent_ns", "end_ns"):
        records[name] = plan.due_ns
    records["index"] = np.arange(len(plan))
    series = load_series(Records.of(records), plan)
    assert series is not None
    asked = series["asked_rps"]
    middle = round(20 / series["step_s"])
    assert set(asked[:middle]) == {10.0}
    assert set(asked[middle + 1 : -1]) == {40.0}


def test_a_closed_loop_asks_for_no_rate_and_nothing_has_no_series() -> None:
    assert load_series(Records.of(np.empty(0, dtype=RECORD)), None) is None
    rows = np.zeros(3, dtype=RECORD)
    rows["due_ns"] = rows["issued_ns"] = NEVER
    rows["end_ns"] = 10**9
    series = load_series(Records.of(rows), closed_loop(concurrency=1, items=1, requests=3))
    assert series is not None
    assert series["asked_rps"] is None
    assert set(series["dispatch_lag_max_ms"]) == {None}


def test_replies_of_whole_seconds_are_those_that_the_rate_counts(tmp_path: Path) -> None:
    load = folder_of(tmp_path, plan_of(1000), failing=0.1)
    assert load.plan is not None
    rates = throughput(load.records, load.plan)
    seconds = whole_seconds(load.records, load.plan, None)
    assert seconds is not None
    assert rates.throughput_rps is not None
    assert seconds["min"] <= rates.throughput_rps <= seconds["max"]
    begin, end = load.plan.window_ns or (0, 0)
    rows = load.records.array()
    good = rows[(rows["outcome"] == Outcome.OK) & ~rows["warmup"] & (rows["end_ns"] <= end)]
    counts = np.histogram((good["end_ns"] - begin) / 1e9, bins=np.arange(0, (end - begin) // 10**9 + 1))[0]
    assert seconds == {"min": counts.min(), "max": counts.max(), "std": pytest.approx(counts.std())}


def test_neighbours_are_added_where_there_are_too_many() -> None:
    assert binned([1.0, 2.0, 3.0], begin_s=0.0, every_s=1.0)["values"] == [1.0, 2.0, 3.0]
    many = binned([1.0] * 1500, begin_s=5.0, every_s=1.0)
    assert many == {"begin_s": 5.0, "step_s": 3.0, "values": [3.0] * 500}


def test_samples_are_averaged_and_a_bin_without_one_is_a_gap() -> None:
    samples = [
        (0.1, {"a": 1.0}),
        (0.9, {"a": 3.0}),
        (2.5, {"a": 7.0, "b": 1.0}),
        (-1.0, {"a": 9.0}),
        (9.0, {"a": 9.0}),
    ]
    assert mean_in_bins(samples, 1.0, 3) == {"a": [2.0, None, 7.0], "b": [None, None, 1.0]}
