from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hexgate.meters.sampler import Leash, Sampler, Task
from hexgate.meters.summary import summarise_resources

PATIENCE_S = 30.0


class _Held(Leash):
    """A parent that lives, and asks for the end when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def check(self) -> None:
        return


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def test_gpu_use_during_the_load_is_recorded_and_not_only_what_it_was_before(
    tmp_path: Path, nvml: Any
) -> None:
    """A GPU that is idle before the load and busy in it: sampled once, before the load, it would always read 0."""
    board = nvml.add("GPU-a", util_percent=0, memory_used=2**30)
    sampler = Sampler(Task(str(tmp_path), "run", os.getpid(), os.getpid(), 50.0, 50.0, ["nvml"]))
    leash = _Held()
    said: list[dict[str, Any]] = []
    path = tmp_path / "run.resources.jsonl.partial"
    thread = threading.Thread(target=sampler.run, args=(leash, said.append))
    thread.start()
    _wait_for(lambda: bool(said))
    idle = len(_rows(path))
    board.util_percent, board.memory_used = 80, 5 * 2**30
    begin = len(_rows(path))
    _wait_for(lambda: path.read_bytes().count(b"\n") >= begin + 20)
    leash.asked.set()
    thread.join()
    sampler.close()
    rows = _rows(path)
    assert {tuple(row["gpu_util_ratio"]) for row in rows[:idle]} == {(0.0,)}
    during = rows[begin + 1 :]
    assert len(during) >= 19
    assert {tuple(row["gpu_util_ratio"]) for row in during} == {(0.8,)}
    [figure] = summarise_resources(rows)["gpu_util_ratio"]
    assert 0 < figure["mean"] < figure["max"] == 0.8
    assert figure["std"] > 0
    [memory] = summarise_resources(rows)["gpu_memory_used_bytes"]
    assert memory["max"] == 5 * 2**30
    # On one clock, each after the other.
    assert all(later["t_ns"] > sooner["t_ns"] for sooner, later in pairwise(rows))


def test_a_reason_stands_where_it_begins_and_is_not_said_again(tmp_path: Path, nvml: Any) -> None:
    nvml.add("GPU-a", util_percent=-3)
    sampler = Sampler(Task(str(tmp_path), "run", os.getpid(), os.getpid(), 50.0, 50.0, []))
    for _ in range(3):
        sampler._sample_resources()
    sampler.close()
    first, *later = _rows(tmp_path / "run.resources.jsonl.partial")
    assert first["missing"]["gpu_util_ratio.0"]
    assert [row["gpu_util_ratio"] for row in later] == [[None], [None]]
    assert not any("gpu_util_ratio.0" in row.get("missing", {}) for row in later)


@pytest.mark.parametrize("server_url", [None, "http://192.0.2.1:1/v1"])
def test_parts_that_take_long_to_import_are_left_to_those_who_need_them(
    tmp_path: Path, server_url: str | None
) -> None:
    """The sampler is started anew for each measurement: what is imported is waited for."""
    import subprocess
    import sys

    code = f"""
import sys
from hexgate.meters.sampler import Sampler, Task
Sampler(Task({str(tmp_path)!r}, "run", 1, 1, 5.0, 5.0, ["nvml", "rapl"], server_url={server_url!r})).close()
print(*[name for name in ("numpy", "httpx", "http.client", "argparse", "click") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
