"""The lengths that a trace says: those of the lines that its replay keeps, and of no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import DataError
from hexgate.load.plans.trace import replay
from hexgate.load.plans.trace_lengths import trace_lengths

ROWS: list[dict[str, Any]] = [
    {
        "timestamp": 1000 + 10 * row,
        "input_length": 500 + row,
        "output_length": row,
        "hash_ids": [7, row][: 1 + (row > 12)],
    }
    for row in range(20)
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def test_lengths_and_blocks_are_those_of_the_lines(tmp_path: Path) -> None:
    found = trace_lengths(written(tmp_path / "trace.jsonl", ROWS))
    assert found is not None
    assert list(found.input_tokens) == [500 + row for row in range(20)]
    assert found.output_tokens is not None
    assert list(found.output_tokens) == list(range(20))
    assert found.block_ids is not None
    # Up to 512 tokens are one block; every line has its own part of the flat list.
    assert list(found.block_ids) == [7] * 13 + [7, 13, 7, 14, 7, 15, 7, 16, 7, 17, 7, 18, 7, 19]
    assert found.blocks() == [*range(13), 13, 15, 17, 19, 21, 23, 25]


@pytest.mark.parametrize(
    "cut",
    [
        {},
        {"requests": 3},
        {"requests": 3, "warmup": 2},
        {"duration_s": 0.05, "warmup": 4},
        {"duration_s": 9.0},
    ],
)
def test_they_are_those_of_the_lines_that_the_replay_keeps(tmp_path: Path, cut: dict[str, Any]) -> None:
    trace = written(tmp_path / "trace.jsonl", ROWS)
    plan = replay(trace, items=None, time_scale=0.5, **cut)
    found = trace_lengths(trace, time_scale=0.5, **cut)
    assert found is not None
    assert len(found) == len(plan) == plan.items
    assert plan.item.tolist() == list(range(len(plan)))


def test_blocks_of_another_size_are_not_taken_for_blocks_of_512(tmp_path: Path) -> None:
    rows = [{"timestamp": row, "input_length": 600, "hash_ids": [1, 2, 3]} for row in range(2)]
    found = trace_lengths(written(tmp_path / "trace.jsonl", rows))
    assert found is not None
    assert (found.block_ids, found.output_tokens) == (None, None)


@pytest.mark.parametrize(
    "rows",
    [
        [{"due_s": 1.0}, {"due_s": 2.0}],
        [{"due_s": 1.0, "item": 0, "input_length": 5}, {"due_s": 2.0, "item": 1, "input_length": 5}],
    ],
)
def test_a_trace_without_lengths_or_with_items_of_data_sets_none(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    assert trace_lengths(written(tmp_path / "trace.jsonl", rows)) is None


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ({"output_length": 3}, "all lines of a trace have an input_length, or none has"),
        ({"input_length": 3}, "all lines of a trace have an output_length, or none has"),
        ({"input_length": 2_000_000, "output_length": 3}, "input_length is too large"),
        (
            {"input_length": 3, "output_length": 3, "hash_ids": ["a"]},
            "hash_ids is not a list of whole numbers",
        ),
    ],
)
def test_a_line_that_differs_is_named(tmp_path: Path, second: dict[str, Any], what: str) -> None:
    rows = [{"timestamp": 0, "input_length": 5, "output_length": 5}, {"timestamp": 1, **second}]
    trace = written(tmp_path / "trace.jsonl", rows)
    with pytest.raises(DataError, match=what) as caught:
        trace_lengths(trace)
    assert caught.value.where == f"{trace}:2"
