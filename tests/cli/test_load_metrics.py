"""Live metrics of a load, read as it runs: by an HTTP client, and by a real Prometheus."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hexgate.load.exporter import CONTENT_TYPE
from support.measuring import check
from support.needs import program

PATIENCE_S = 60.0


class Load:
    """`hexgate load` on the embedded model, as a process of its own, with metrics."""

    def __init__(self, out: Path, *flags: str) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "hexgate",
                "load",
                "demo:",
                *flags,
                "--metrics-port",
                "0",
                "--out",
                str(out),
            ],
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "HEXGATE_LANG": "en"},
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line.startswith("metrics: http://127.0.0.1:"), line
        self.url = line.removeprefix("metrics: ").strip()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    running = Load(tmp_path / "out", "--rate", "50", "--duration", "120", "--warmup", "0", "--mode", "scores")
    yield running
    running.stop()


def value(text: str, sample: str) -> float:
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{sample} "))


def test_counters_grow_while_the_load_runs(load: Load, tmp_path: Path) -> None:
    seen: list[float] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(set(seen)) < 3 and time.monotonic() < deadline:
        answer = httpx.get(load.url, timeout=PATIENCE_S)
        assert answer.headers["content-type"] == CONTENT_TYPE
        seen.append(value(answer.text, 'hexgate_load_requests_total{outcome="ok"}'))
        time.sleep(0.05)
    assert seen == sorted(seen)
    assert len(set(seen)) >= 3
    load.stop()
    latency = check(tmp_path / "out" / "latency_p99.json")
    assert latency.data["requests"] >= seen[-1]
    assert latency.data["status"] == "partial"


@pytest.mark.infra
def test_a_real_prometheus_scrapes_them(load: Load, tmp_path: Path) -> None:
    program("prometheus")
    from support.prometheus import ask, prometheus, until

    target = load.url.removeprefix("http://").removesuffix("/metrics")
    with prometheus(tmp_path / "prometheus", target) as address:
        until(lambda: ask(address, 'hexgate_load_requests_total{outcome="ok"} > 20'), "requests are counted")
        assert float(ask(address, "up")[0]["value"][1]) == 1
        quantile = "histogram_quantile(0.9, sum by (le) (rate(hexgate_load_latency_seconds_bucket[10s])))"
        found = until(lambda: ask(address, f"{quantile} >= 0"), "a quantile")
        assert 0 < float(found[0]["value"][1]) < 250
        assert float(ask(address, "hexgate_load_asked_requests_per_second")[0]["value"][1]) == 50
        info = ask(address, "hexgate_load_run_info")[0]["metric"]
        assert info["target"] == "demo:"
        sent = float(ask(address, "hexgate_load_sent_total")[0]["value"][1])
        due = float(ask(address, "hexgate_load_due_total")[0]["value"][1])
        assert sent > 0
        assert due > 0
        known = httpx.get(f"{address}/api/v1/metadata", timeout=PATIENCE_S).json()["data"]
        kinds = {name: entries[0]["type"] for name, entries in known.items()}
        # Prometheus read it as OpenMetrics, not as its older text format, which has no unit and no info.
        assert kinds["hexgate_load_run"] == "info"
        assert known["hexgate_load_latency_seconds"][0]["unit"] == "seconds"
        assert kinds["hexgate_load_latency_seconds"] == "histogram"
