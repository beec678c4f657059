"""Live counters: they say what the records say, and a scrape is OpenMetrics to the letter."""

from __future__ import annotations

import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from hexgate.errors import InputError
from hexgate.load.callable_driver import CallableDriver, CallOutcome
from hexgate.load.engine import run_plan
from hexgate.load.exporter import CONTENT_TYPE, Exporter, openmetrics
from hexgate.load.live import BOUNDS_S, DueInstants, Live
from hexgate.load.plans.plan import Plan, closed_loop, open_loop, parse_stages
from hexgate.load.records import NEVER, Outcome
from support.load_running import carried_out

LABELS = {"run_id": "20260131T120000Z-0123abcd", "shard": "0/2", "target": 'a "b"\\c\nd'}

_SAMPLE = re.compile(
    r"(?P<name>[a-z_]+)(?:\{(?P<labels>[a-z_]+=\"(?:[^\"\\\n]|\\[\\n\"])*\"(?:,[a-z_]+=\"(?:[^\"\\\n]|\\[\\n\"])*\")*)\})?"
    r" (?P<value>[-+.0-9e]+)"
)
_SUFFIXES = {
    "counter": {"_total"},
    "gauge": {""},
    "info": {"_info"},
    "histogram": {"_bucket", "_count", "_sum"},
}


def parse(text: str) -> dict[str, float]:
    """The samples of an exposition, by name with labels. Strict: what OpenMetrics 1.0 does not allow, fails."""
    *lines, last, empty = text.split("\n")
    assert (last, empty) == ("# EOF", "")
    samples: dict[str, float] = {}
    kinds: dict[str, str] = {}
    family, seen = "", set()
    for line in lines:
        assert line == line.strip() != ""
        if line.startswith("# "):
            keyword, name, rest = line[2:].split(" ", 2)
            assert keyword in {"TYPE", "UNIT", "HELP"}
            if keyword == "TYPE":
                assert name not in kinds, "a family stands in one place"
                family, seen = name, set()
                kinds[name] = rest
            assert name == family
            assert (keyword, name) not in seen, "once a family"
            seen.add((keyword, name))
            if keyword == "UNIT":
                assert name.endswith(f"_{rest}")
            continue
        found = _SAMPLE.fullmatch(line)
        assert found, line
        suffix = found["name"].removeprefix(family)
        assert found["name"].startswith(family)
        assert suffix in _SUFFIXES[kinds[family]], line
        key = line.rpartition(" ")[0]
        assert key not in samples
        samples[key] = float(found["value"])
    for name in (name for name, kind in kinds.items() if kind == "histogram"):
        buckets = [value for key, value in samples.items() if key.startswith(f"{name}_bucket")]
        assert buckets == sorted(buckets)
        assert samples[f'{name}_bucket{{le="+Inf"}}'] == samples[f"{name}_count"] == buckets[-1]
    return samples


def run(plan: Plan, live: Live, folder: Path, *, shard: tuple[int, int] = (0, 1)) -> Any:
    driver = CallableDriver(lambda item: CallOutcome(text="x", error=None if item else "protocol: no"))
    return carried_out(plan, driver, folder, shard=plan.shard(*shard), live=live).rows


@pytest.mark.parametrize(
    "plan",
    [
        open_loop(rate_rps=800.0, items=4, requests=120, warmup=8, max_in_flight=4),
        closed_loop(concurrency=3, items=4, requests=120, warmup=8),
        closed_loop(concurrency=3, items=4, duration_s=0.1),
    ],
    ids=["open", "closed for a count", "closed for a time"],
)
def test_counters_say_what_the_records_say(plan: Plan, tmp_path: Path) -> None:
    live = Live()
    rows = run(plan, live, tmp_path, shard=(1, 2))
    seen = live.seen()
    assert [seen.outcomes[outcome] for outcome in Outcome] == [
        int((rows["outcome"] == outcome).sum()) for outcome in Outcome
    ]
    assert seen.issued == seen.due == len(rows)
    assert seen.in_flight == 0
    ok = rows[(rows["outcome"] == Outcome.OK) & ~rows["warmup"]]
    took_ns = ok["end_ns"] - np.where(ok["due_ns"] == NEVER, ok["sent_ns"], ok["due_ns"])
    assert sum(seen.buckets) == len(took_ns)
    assert seen.latency_sum_s == pytest.approx(float(took_ns.sum()) / 1e9)
    assert seen.phase == "done"
    within = 0
    for bound, count in zip(BOUNDS_S, seen.buckets, strict=False):
        within += count
        assert within == int((took_ns <= bound * 1e9).sum())
    if plan.rate_rps is None:
        assert seen.asked_rps is None
        assert seen.lag_max_s is None
    else:
        assert seen.asked_rps == 0.0, "nothing is asked once the window is over"
        assert seen.lag_max_s == pytest.approx((rows["issued_ns"] - rows["due_ns"]).max() / 1e9)


def test_before_the_run_all_is_nothing() -> None:
    seen = Live().seen()
    assert (seen.elapsed_s, seen.due, seen.issued, seen.in_flight) == (0.0, 0, 0, 0)
    samples = parse(openmetrics(seen, LABELS))
    assert samples["hexgate_load_latency_seconds_count"] == 0


def test_what_is_due_and_in_flight_while_it_runs(tmp_path: Path) -> None:
    live, begun, go_on = Live(), threading.Event(), threading.Event()

    def call(_item: int) -> CallOutcome:
        begun.set()
        assert go_on.wait(30)
        return CallOutcome(text="x")

    plan = open_loop(rate_rps=1000.0, items=1, requests=40, max_in_flight=1)
    driver = CallableDriver(call)
    thread = threading.Thread(target=run_plan, args=(plan, driver, tmp_path, "load"), kwargs={"live": live})
    thread.start()
    assert begun.wait(30)
    while live.seen().issued < 40:
        time.sleep(0.005)
    seen = live.seen()
    assert (seen.due, seen.issued, seen.in_flight, sum(seen.outcomes)) == (40, 40, 40, 0)
    go_on.set()
    thread.join(30)
    assert live.seen().in_flight == 0


def test_the_text_is_openmetrics(tmp_path: Path) -> None:
    live = Live()
    run(open_loop(rate_rps=800.0, items=4, requests=60, max_in_flight=4), live, tmp_path)
    text = openmetrics(live.seen(), LABELS)
    samples = parse(text)
    assert samples['hexgate_load_requests_total{outcome="ok"}'] == 45
    assert samples['hexgate_load_requests_total{outcome="error"}'] == 15
    assert samples["hexgate_load_due_total"] == samples["hexgate_load_sent_total"] == 60
    assert samples["hexgate_load_in_flight"] == 0
    assert samples["hexgate_load_asked_requests_per_second"] == 0
    assert samples["hexgate_load_elapsed_seconds"] > 0
    assert samples["hexgate_load_dispatch_lag_max_seconds"] >= 0
    assert samples["hexgate_load_latency_seconds_count"] == 45
    assert r'target="a \"b\"\\c\nd"' in text


def test_a_closed_loop_has_neither_rate_nor_lag(tmp_path: Path) -> None:
    live = Live()
    run(closed_loop(concurrency=1, items=4, requests=8), live, tmp_path)
    samples = parse(openmetrics(live.seen(), LABELS))
    assert not {name for name in samples if "asked" in name or "lag" in name}


def test_over_http(tmp_path: Path) -> None:
    live = Live()
    with Exporter(live, LABELS, host="127.0.0.1", port=0) as exporter:
        answer = httpx.get(exporter.url, timeout=30)
        assert answer.headers["content-type"] == CONTENT_TYPE
        assert parse(answer.text)["hexgate_load_sent_total"] == 0
        run(closed_loop(concurrency=1, items=4, requests=8), live, tmp_path)
        assert parse(httpx.get(exporter.url + "?x=1", timeout=30).text)["hexgate_load_sent_total"] == 8
        assert httpx.get(exporter.url.removesuffix("metrics"), timeout=30).status_code == 404
        assert httpx.post(exporter.url).status_code == 501
        # One that connects and says nothing does not keep the others waiting for ever.
        host, port = exporter.url.removeprefix("http://").removesuffix("/metrics").split(":")
        with socket.create_connection((host, int(port))) as silent:
            silent.sendall(b"GET /metrics")
            assert httpx.get(exporter.url, timeout=30).status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(exporter.url, timeout=30)


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot be served"):
            Exporter(Live(), LABELS, host="127.0.0.1", port=taken.getsockname()[1])
    with pytest.raises(InputError, match="cannot be served"):
        Exporter(Live(), LABELS, host="192.0.2.1", port=0)


def test_the_rate_asked_is_that_of_the_stage(tmp_path: Path) -> None:
    live, seen = Live(), list[float | None]()
    plan = open_loop(shape=parse_stages("50:0.4,200:0.4"), items=1, duration_s=None, max_in_flight=4)
    thread = threading.Thread(target=run, args=(plan, live, tmp_path))
    thread.start()
    while thread.is_alive():
        seen.append(live.seen().asked_rps)
        time.sleep(0.02)
    assert {50.0, 200.0} <= set(seen)


@pytest.mark.parametrize("count", [1, 4096, 4097, 100_000])
def test_of_many_instants_few_are_kept(count: int) -> None:
    instants = DueInstants()
    for begin in range(0, count, 777):
        instants.add(np.arange(begin, min(begin + 777, count)))
    kept = instants.array()
    assert len(kept) <= 4096
    assert kept.tolist() == list(range(0, count, instants.every))
