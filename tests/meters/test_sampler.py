from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.meters.base import Domain, Kind, Reading, Scope, Unit
from hexgate.meters.rows import power_row
from hexgate.meters.sampler import Leash, Sampler, Task, _power_line, own_power_hz
from hexgate.meters.summary import summarise_resources

PATIENCE_S = 120.0


@pytest.mark.parametrize(
    ("kind", "update_s", "hz"),
    [(Kind.COUNTER, 0.1, 50), (Kind.COUNTER, 0.05, 100), (Kind.COUNTER, 0.02, 10), (Kind.GAUGE, 0.1, 10)],
)
def test_readings_a_second_follow_from_what_is_read(kind: Kind, update_s: float, hz: float) -> None:
    unit = Unit.JOULE if kind is Kind.COUNTER else Unit.WATT
    slow = Domain("a", "a", "a", "a", Scope.BOARD, kind, unit, update_s=update_s)
    unknown = Domain("b", "b", "b", "b", Scope.BOARD, Kind.COUNTER, Unit.JOULE)
    assert own_power_hz([unknown, slow]) == hz
    assert own_power_hz([]) == 10


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


@given(
    name=st.text(max_size=20),
    t_ns=st.integers(0, 2**63),
    value=st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers()),
)
def test_a_line_of_power_is_its_row(name: str, t_ns: int, value: float | int) -> None:
    """It is put together by hand, because the encoder takes longer than the reading does."""
    reading = Reading(name, t_ns, value)
    row = power_row(reading)
    assert _power_line(reading) == json.dumps(
        row, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def test_a_failed_reading_has_its_reason_and_no_number_that_is_none() -> None:
    line = _power_line(Reading("a", 5, None, "lost"))
    assert json.loads(line) == {"t_ns": 5, "domain": "a", "value": None, "reason": "lost"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        _power_line(Reading("a", 5, math.nan))


@pytest.mark.parametrize(("hz", "ticks"), [(5.0, 1), (10.0, 1), (100.0, 10)])
def test_readings_of_power_are_written_together_ten_times_a_second(
    tmp_path: Path, powercap: Any, hz: float, ticks: int
) -> None:
    for socket in "01":
        powercap.zone(f"intel-rapl:{socket}", f"package-{socket}", energy_uj=3_000_000)
    task = Task(str(tmp_path), "run", os.getpid(), None, 50.0, hz, ["rapl"], rapl_root=str(powercap.root))
    sampler = Sampler(task)
    path = tmp_path / "run.power.jsonl.partial"
    for _ in range(ticks):
        assert _rows(path) == []
        sampler._sample_power()
    rows = _rows(path)
    sampler._sample_power()
    sampler.close()
    assert len(_rows(path)) == len(rows) + 2, "the end writes what is held"
    assert [(row["domain"], row["value"]) for row in rows] == [
        ("rapl:package-0", 3.0),
        ("rapl:package-1", 3.0),
    ] * ticks
    assert [row["t_ns"] for row in rows] == sorted(row["t_ns"] for row in rows)


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
