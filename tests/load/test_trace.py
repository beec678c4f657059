"""The replay of a trace: instants kept to the nanosecond, and every broken line named by its number."""

from __future__ import annotations

import gc
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.errors import DataError, InputError
from hexgate.load.plans.plan import Arrival, Plan
from hexgate.load.plans.trace import read_trace, replay

MOONCAKE = [
    {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]},
    {"timestamp": 27482, "input_length": 6472, "output_length": 26, "hash_ids": [46, 55]},
    {"timestamp": 30535, "input_length": 11_243, "output_length": 318, "hash_ids": [46]},
    {"timestamp": 31_000.25, "input_length": 1, "output_length": 1, "hash_ids": []},
]


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_trace_as_mooncake_has_them(tmp_path: Path) -> None:
    trace = written(tmp_path / "trace.jsonl", MOONCAKE)
    plan = replay(trace, items=10, seed=4)
    assert plan.due_ns.tolist() == [0, 0, 3_053_000_000, 3_518_250_000]
    assert plan.window_ns == (0, 3_518_250_000)
    assert plan.arrival is Arrival.REPLAY
    assert plan.rate_rps == 3 * 1e9 / 3_518_250_000
    assert plan.timed == 4
    lines = list(read_trace(trace))
    assert [line.input_tokens for line in lines] == [6955, 6472, 11_243, 1]
    assert [line.output_tokens for line in lines] == [52, 26, 318, 1]
    assert [line.number for line in lines] == [1, 2, 3, 4]


def test_a_trace_of_our_own(tmp_path: Path) -> None:
    rows = [{"due_s": 1.5, "item": 3}, "", {"due_s": 2, "item": 0}, {"due_s": 2.000000001, "item": 3}]
    plan = replay(written(tmp_path / "trace.jsonl", rows), items=4)
    assert plan.due_ns.tolist() == [1_500_000_000, 2_000_000_000, 2_000_000_001]
    assert plan.item.tolist() == [3, 0, 3]
    assert plan.window_ns == (1_500_000_000, 2_000_000_001)


def test_no_digit_is_lost(tmp_path: Path) -> None:
    # A double has 16 digits: neither instant, nor their difference, would survive one.
    rows = ['{"timestamp": 1700000000123.456789}', '{"timestamp": 1700000000223.456790}']
    plan = replay(written(tmp_path / "trace.jsonl", rows), items=1)
    assert plan.due_ns.tolist() == [0, 100_000_001]
    assert next(iter(read_trace(tmp_path / "trace.jsonl"))).at_ns == Decimal(0)


def test_the_time_scale(tmp_path: Path) -> None:
    trace = written(tmp_path / "trace.jsonl", MOONCAKE)
    assert replay(trace, items=1, time_scale=0.1).due_ns.tolist() == [0, 0, 305_300_000, 351_825_000]
    assert replay(trace, items=1, time_scale=2.0).due_ns.tolist()[-1] == 7_036_500_000
    with pytest.raises(InputError, match="too long"):
        replay(trace, items=1, time_scale=1e6)


def test_a_part_of_a_trace(tmp_path: Path) -> None:
    trace = written(tmp_path / "trace.jsonl", [{"due_s": i / 10} for i in range(100)])
    some = replay(trace, items=1, warmup=5, requests=20)
    assert (len(some), some.timed) == (25, 20)
    assert some.window_ns == (500_000_000, 2_400_000_000)
    assert some.rate_rps == pytest.approx(10.0)
    short = replay(trace, items=1, warmup=5, duration_s=2.0)
    assert short.timed == 20
    assert short.window_ns == (500_000_000, 2_500_000_000)
    assert short.rate_rps == 10.0
    whole = replay(trace, items=1, duration_s=500.0)
    assert whole.timed == 100
    assert whole.duration_s is None, "the trace ended it"
    assert replay(trace, items=1, requests=500).timed == 100


def test_items_come_in_shuffles_where_the_trace_names_none(tmp_path: Path) -> None:
    trace = written(tmp_path / "trace.jsonl", [{"due_s": i} for i in range(12)])
    plan = replay(trace, items=4, seed=3)
    for begin in range(0, 12, 4):
        assert sorted(plan.item[begin : begin + 4].tolist()) == [0, 1, 2, 3]
    assert replay(trace, items=4, seed=3).digest() == plan.digest()
    assert replay(trace, items=4, seed=4).digest() != plan.digest()


def test_a_trace_is_read_once_and_its_copy_is_given_back(tmp_path: Path) -> None:
    trace = written(tmp_path / "trace.jsonl", [{"due_s": i / 1000} for i in range(70_000)])
    before = open_files()
    plan: Plan | None = replay(trace, items=3)
    assert plan is not None
    trace.unlink()
    assert len(plan.to_array()) == 70_000
    assert np.concatenate(list(plan.blocks(999))).tobytes() == plan.to_array().tobytes()
    plan.write(tmp_path / "plan.npy")
    again = Plan.from_evidence(plan.head(), tmp_path / "plan.npy")
    assert again.digest() == plan.digest()
    assert again.window_ns == plan.window_ns
    plan = None
    gc.collect()
    assert open_files() == before


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"due_s": NaN}', "not JSON"),
        ('{"due_s": 1, "due_s": 2}', "stands twice"),
        ('{"due_s": 1e99999999999999999999}', "not"),
        ('{"due_s": 1e30}', "too large"),
        ('{"due_s": 1000001}', "out of range"),
        ('{"due_s": true}', "not a number"),
        ('{"due_s": "1"}', "not a number"),
        ("{}", "one instant"),
        ('{"due_s": 1, "timestamp": 1}', "one instant"),
        ('{"timestamp": 1}', "one instant"),
        ('{"due_s": 0.4}', "before that of the line above"),
        ('{"due_s": 1, "item": 1.5}', "item is not"),
        ('{"due_s": 1, "item": -1}', "item is not"),
        ('{"due_s": 1, "item": 0}', "or none does"),
        ('{"due_s": 1, "input_length": "long"}', "input_length is not"),
        ('{"due_s": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "not JSON"),
        ('{"due_s": 1, "x": "' + "y" * (1 << 20) + '"}', "too long"),
        ("\udcff", "not JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(b'{"due_s": 0.5}\n\n' + line.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(DataError, match=says) as raised:
        replay(trace, items=1)
    assert raised.value.where == f"{trace}:3"
    assert raised.value.expected


def test_a_first_line_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="out of range") as raised:
        replay(written(tmp_path / "trace.jsonl", [{"due_s": -1}]), items=1)
    assert raised.value.where == f"{tmp_path / 'trace.jsonl'}:1"


def test_an_item_that_is_not_there(tmp_path: Path) -> None:
    trace = written(tmp_path / "trace.jsonl", [{"due_s": 1, "item": 1}, {"due_s": 2, "item": 2}])
    with pytest.raises(DataError, match="no such item") as raised:
        replay(trace, items=2)
    assert raised.value.where == f"{trace}:2"


def test_an_empty_trace(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the trace is empty"):
        replay(written(tmp_path / "trace.jsonl", []), items=1, duration_s=5.0)


@pytest.mark.parametrize("rows", [[{"due_s": 1}], [{"due_s": 1}, {"due_s": 1}]])
def test_a_trace_that_takes_no_time(tmp_path: Path, rows: list[Any]) -> None:
    with pytest.raises(InputError, match="takes no time"):
        replay(written(tmp_path / "trace.jsonl", rows), items=1)


def test_a_trace_that_is_all_warm_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no time"):
        replay(written(tmp_path / "trace.jsonl", MOONCAKE), items=1, warmup=4)


def test_a_trace_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        replay(tmp_path / "none.jsonl", items=1)


@pytest.mark.parametrize(
    "wrong",
    [{"time_scale": 0.0}, {"time_scale": float("nan")}, {"items": 0}, {"requests": 0}, {"turns": 0}],
)
def test_arguments_out_of_range(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        replay(written(tmp_path / "trace.jsonl", MOONCAKE), **{"items": 1, **wrong})


def test_each_line_may_have_an_item_of_its_own(tmp_path: Path) -> None:
    trace = written(tmp_path / "trace.jsonl", MOONCAKE)
    plan = replay(trace, items=None, seed=4)
    assert plan.item.tolist() == [0, 1, 2, 3]
    assert plan.items == 4
    assert [line.blocks for line in read_trace(trace)] == [(46, 47), (46, 55), (46,), ()]
    named = written(tmp_path / "named.jsonl", [{"due_s": 0}, {"due_s": 1, "item": 3}])
    with pytest.raises(DataError, match="name an item"):
        replay(named, items=None)
