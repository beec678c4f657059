"""`hexgate load --replay`: what a trace says of lengths is what is sent, unless something else is asked for."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.errors import ExitCode
from support.command import Ended
from support.measuring import check
from support.served import served

Call = Callable[..., Ended]
LENGTHS = ((300, 5), (700, 9), (1200, 12))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as address:
        yield f"{address}/v1"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.jsonl"
    rows = [
        {"timestamp": 100 * row, "input_length": prompt, "output_length": reply}
        for row, (prompt, reply) in enumerate(LENGTHS)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def left(ended: Ended, out: Path) -> tuple[dict[str, Any], Any]:
    # A machine that is busy with other things makes figures invalid, and not what was sent.
    assert ended.code in (0, 4), ended.err
    return dict(check(out / "latency_p99.json").data), np.load(out / "load.requests.npy")


def test_prompts_and_replies_are_as_long_as_the_trace_says(
    url: str, trace: Path, call: Call, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    data, rows = left(
        call("load", url, "--replay", trace, "--warmup", "0", "--workers", "2", "--out", out), out
    )
    assert rows["prompt_tokens"].tolist() == pytest.approx([prompt for prompt, _ in LENGTHS], rel=0.03)
    assert rows["output_tokens"].tolist() == [reply for _, reply in LENGTHS]
    assert rows["item"].tolist() == [0, 1, 2]
    assert data["method"]["max_tokens"] == 12
    assert data["dataset"]["lengths"]["trace"]["output_greatest"] == 12


@pytest.mark.parametrize(
    ("flags", "prompts", "replies"),
    [
        (("--max-tokens", "3"), [prompt for prompt, _ in LENGTHS], [3, 3, 3]),
        (("--input-tokens", "50", "--max-tokens", "4"), [50, 50, 50], [4, 4, 4]),
        (("--prompts", "demo:", "--max-tokens", "4"), None, [4, 4, 4]),
    ],
)
def test_what_is_asked_for_takes_the_place_of_the_trace(
    flags: tuple[str, ...],
    prompts: list[int] | None,
    replies: list[int],
    url: str,
    trace: Path,
    call: Call,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    data, rows = left(call("load", url, "--replay", trace, *flags, "--warmup", "0", "--out", out), out)
    if prompts is None:
        assert "lengths" not in data["dataset"]
    else:
        assert rows["prompt_tokens"].tolist() == pytest.approx(prompts, rel=0.1)
    assert rows["output_tokens"].tolist() == replies


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_trace_that_can_be_read_once_alone_is_refused(
    tmp_path: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    os.mkfifo(tmp_path / "trace")
    ended = process(
        "-m", "hexgate", "load", "demo:", "--replay", tmp_path / "trace", "--out", tmp_path / "out"
    )
    assert ended.returncode == ExitCode.INPUT
    assert "no regular file" in ended.stderr
