"""What a worker is given: the credentials go through a pipe, everything else through files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pytest

from hexgate.load.endpoint_driver import EndpointDriver, workers_for
from hexgate.load.errand import Errand, Stop
from hexgate.load.plans.plan import Plan, closed_loop, open_loop
from hexgate.load.sending import work as working
from hexgate.load.sending.origin import Origin, with_head
from hexgate.load.sending.work import BODY, UNIT, Bodies, Work, units
from hexgate.wire.base import Ask, Endpoint, WireRequest
from support.load_running import carried_out

SECRET = "k3y-that-nobody-may-see"

TASK = Work(
    folder="/nowhere",
    worker=1,
    count=4,
    first=3,
    rows=100,
    open_loop=True,
    repeats=False,
    turns=2,
    think_ns=5,
    warmup=10,
    duration_ns=0,
    slots=8,
    warm=2,
    drain_limited=True,
    drain_ns=7,
    max_unreachable=50,
    timeout_s=1.5,
    dialect="openai-chat",
    streams=[True, False],
    inputs=None,
    classes=3,
    replies=True,
    token_times=False,
    tokenizer=None,
    ca_file=None,
    proxy="http://user:pass@proxy:1",
    http2=True,
)


def test_the_line_says_all_of_it() -> None:
    origin = Origin.parse("https://host:8443/v1?x=1", {"authorization": f"Bearer {SECRET}", "x-name": "Zoë"})
    heads = [origin.head(WireRequest("POST", path, {}, b"")) for path in ("/a", "/b")]
    line = TASK.to_line(origin, heads, SECRET)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert Work.from_line(line) == (TASK, origin, heads, SECRET)
    assert SECRET not in repr(origin)


def test_units_of_a_worker(tmp_path: Path) -> None:
    task = replace(TASK, folder=str(tmp_path))
    told = [(row, row * 10, row % 7) for row in range(10_000)]
    (tmp_path / "worker-1.plan").write_bytes(b"".join(UNIT.pack(*one) for one in told))
    assert list(units(task)) == told


def test_units_of_a_plan_that_repeats_go_on_for_ever(tmp_path: Path) -> None:
    """The rows lie as far apart as there are workers, and the items come round again wherever that leads."""
    task = replace(TASK, folder=str(tmp_path), repeats=True, rows=5, count=3, first=2)
    (tmp_path / "worker-1.plan").write_bytes(b"".join(UNIT.pack(0, -1, item) for item in (4, 3, 2, 1, 0)))
    rows = list(range(2, 2 + 3 * 12, 3))
    assert list(islice(units(task), 12)) == [(row, -1, 4 - row % 5) for row in rows]


def test_bodies_are_whole_requests_whether_they_are_kept_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "_KEPT_BYTES", 120)
    heads = [b"POST /a HTTP/1.1\r\ncontent-length: ", b"POST /b HTTP/1.1\r\ncontent-length: "]
    bodies = [b"x" * length for length in (5, 0, 300, 7)]
    offset = 0
    with (tmp_path / "bodies.index").open("wb") as index:
        for item, body in enumerate(bodies):
            index.write(BODY.pack(offset, len(body), item % 2))
            offset += len(body)
    (tmp_path / "bodies").write_bytes(b"".join(bodies))
    kept = Bodies(tmp_path, heads)
    for _ in range(2):
        for item, body in enumerate(bodies):
            assert kept.request(item) == with_head(heads[item % 2], body)
    assert sum(map(len, kept._kept.values())) <= 120
    kept._file.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_secret_on_any_disk_or_command_line(serve: Callable[..., Any], tmp_path: Path) -> None:
    """While it runs, and after it: the work folder, what is left, and the command lines and environments of workers."""
    seen: list[str] = []
    looked: list[int] = []

    def look() -> None:
        for path in tmp_path.rglob("*"):
            if path.is_file():
                looked.append(path.stat().st_size)
                if SECRET.encode() in path.read_bytes():
                    seen.append(path.name)
        for child in psutil.Process().children():
            told = (
                Path(f"/proc/{child.pid}/cmdline").read_bytes()
                + Path(f"/proc/{child.pid}/environ").read_bytes()
            )
            looked.append(len(told))
            if SECRET.encode() in told:
                seen.append(" ".join(child.cmdline()))

    async def script(call: Any, wire: Any) -> None:
        assert call.headers["authorization"] == f"Bearer {SECRET}"
        if call.number in {5, 15}:
            look()
        item = json.loads(call.body)["inputs"][0][0]
        await wire.reply(json.dumps({"scores": [[item, 1.0]]}).encode())

    endpoint = Endpoint(
        serve(script).url + "/predict",
        "predict",
        headers={"authorization": f"Bearer {SECRET}"},
        secret=SECRET,
    )
    driver = EndpointDriver(endpoint, [Ask(inputs=[[float(item)]]) for item in range(3)])
    left = carried_out(closed_loop(concurrency=2, items=3, requests=30), driver, tmp_path, workers=2)
    assert left.counts == (30, 0, 0, 0, 0, 0)
    look()
    assert len(looked) > 10
    assert seen == []


def errand(plan: Plan, workers: int | None = None, shards: int = 1) -> Errand:
    return Errand(plan.shard(0, shards), Path(), "load", Stop(1.0), max_unreachable=50, workers=workers)


@pytest.mark.parametrize(
    ("plan", "asked", "shards", "cores", "expected"),
    [
        (closed_loop(concurrency=1, items=1, requests=9), None, 1, 8, 1),
        (closed_loop(concurrency=16, items=1, requests=9), None, 1, 8, 1),
        (closed_loop(concurrency=17, items=1, requests=9), None, 1, 8, 2),
        (closed_loop(concurrency=1000, items=1, requests=9), None, 1, 8, 8),
        (closed_loop(concurrency=1000, items=1, requests=9), None, 1, 1, 1),
        (closed_loop(concurrency=64, items=1, requests=9), None, 4, 8, 1),
        # A worker without a slot would send nothing.
        (closed_loop(concurrency=2, items=1, requests=9), 5, 1, 8, 2),
        (closed_loop(concurrency=8, items=1, requests=9), 5, 1, 2, 5),
        (open_loop(rate_rps=1.0, items=1, requests=9), None, 1, 8, 1),
        (open_loop(rate_rps=501.0, items=1, requests=9), None, 1, 8, 2),
        (open_loop(rate_rps=501.0, items=1, requests=9), None, 2, 8, 1),
        (open_loop(rate_rps=90_000.0, items=1, requests=9), None, 1, 8, 8),
        (open_loop(rate_rps=90_000.0, items=1, requests=9, max_in_flight=3), None, 1, 8, 1),
        (open_loop(rate_rps=1.0, items=1, requests=9), 3, 1, 8, 3),
    ],
)
def test_how_many_workers(
    plan: Plan, asked: int | None, shards: int, cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cores)), raising=False)
    assert workers_for(errand(plan, asked, shards)) == expected
