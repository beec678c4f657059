from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.artifacts import interval
from support.gate import put


@pytest.fixture
def put_set() -> Callable[..., Path]:
    """Writes two artifacts into a folder: a p99 latency, and so many toxic replies of 1600."""

    def write(folder: Path, *, p99_ms: float, toxic: int) -> Path:
        near = interval(p99_ms - 1, p99_ms + 1, family="order_statistic", n=1000)
        least = {"p50_ms": 1.0, "p90_ms": 2.0, "p95_ms": 3.0}
        put(folder, "latency_p99", **least, p99_ms=p99_ms, max_ms=p99_ms + 5, intervals={"p99_ms": near})
        ratio = toxic / 1600
        near = interval(ratio * 0.8, ratio * 1.2 + 0.002, family="binomial", n=1600)
        put(folder, "toxicity", toxic_ratio=ratio, toxic_count=toxic, intervals={"toxic_ratio": near})
        return folder

    return write
