"""latency_p99: how long one answer takes, by percentile, with bounds that hold for every distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.indicators.base import Figures, Job, Method, option
from hexgate.indicators.load_evidence import load_evidence
from hexgate.indicators.workload import Workload, carry_out, mode_option, tokens_option, workload
from hexgate.load.figures import latencies
from hexgate.load.plan import Arrival, LoadKind, Plan, closed_loop, open_loop
from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.histogram import display_bins
from hexgate.stats.interval import Interval
from hexgate.stats.percentile import nearest_rank, percentile_interval

__all__ = ["LatencyP99", "latency_method"]

_SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_TOKEN_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    requests: int = option(1000, "Timed requests.", "计时请求数。", least=1)
    warmup: int = option(
        50, "Requests before the timed ones, in no figure.", "预热请求数，不计入任何指标。", least=0
    )
    concurrency: int = option(
        1, "Requests kept in flight.", "保持并发的请求数。", flag="--latency-concurrency", least=1
    )
    rate_rps: float | None = option(
        None,
        "Send at this rate (Poisson) instead of one after the other; latency then counts from the due time.",
        "按此速率（泊松到达）发送；延迟从计划时刻起算。",
        flag="--latency-rate-rps",
        above=0,
    )
    limit_ms: float = option(
        300.0, "Count the requests that take longer, milliseconds.", "统计超过该毫秒数的请求。", above=0
    )
    mode: str | None = mode_option()
    max_tokens: int = tokens_option()


class LatencyP99:
    """Percentiles by nearest rank, order-statistic bounds, warm-up told apart."""

    name: ClassVar[str] = "latency_p99"
    options: ClassVar[type[Any]] = Options

    def collect(self, job: Job, evidence: EvidenceWriter) -> None:
        """Send the requests by a plan, and write a record for each."""
        chosen: Options = job.options
        load = workload(job, mode=chosen.mode, max_tokens=chosen.max_tokens)
        if chosen.rate_rps is None:
            plan = closed_loop(
                concurrency=chosen.concurrency,
                items=load.items,
                requests=chosen.requests,
                warmup=chosen.warmup,
                seed=job.seed,
            )
        else:
            plan = open_loop(
                rate_rps=chosen.rate_rps,
                items=load.items,
                arrival=Arrival.POISSON,
                requests=chosen.requests,
                warmup=chosen.warmup,
                seed=job.seed,
                max_in_flight=load.most_in_flight,
            )
        evidence.describe(
            dataset=load.dataset,
            method=latency_method(plan, load, limit_ms=chosen.limit_ms, max_tokens=chosen.max_tokens),
        )
        carry_out(job, plan, load, evidence, f"{chosen.requests} requests")

    def figures(self, method: Method, evidence: EvidenceReader) -> Figures:
        """Every percentile over the timed requests that succeeded."""
        load = load_evidence(evidence)
        counts = load.counts(method["requested"])
        measured = latencies(load.records, load.plan)
        e2e = np.sort(measured.e2e_ms)
        ttft = np.sort(measured.ttft_sent_ms if measured.ttft_due_ms is None else measured.ttft_due_ms)
        tpot = np.sort(measured.tpot_ms)
        level, n = method["confidence"], len(e2e)
        over = int((e2e > method["limit_ms"]).sum())
        tried = counts.succeeded + counts.errored
        values: dict[str, Any] = {
            **_percentiles("", e2e, _SHARES),
            "min_ms": float(e2e[0]) if n else None,
            "mean_ms": math.fsum(e2e) / n if n else None,
            "max_ms": float(e2e[-1]) if n else None,
            "std_ms": _spread(e2e),
            "over_limit_count": over if n else None,
            "over_limit_ratio": over / n if n else None,
            **_percentiles("ttft_", ttft, _TOKEN_SHARES),
            **_percentiles("tpot_", tpot, _TOKEN_SHARES),
            "requests": n,
            "warmup_requests": int(load.records["warmup"].sum()),
            "error_ratio": counts.errored / tried if tried else None,
            "histogram": _histogram(e2e),
        }
        intervals = {
            **_bounds("", e2e, _SHARES, level),
            **_bounds("ttft_", ttft, _TOKEN_SHARES, level),
            **_bounds("tpot_", tpot, _TOKEN_SHARES, level),
        }
        if n:
            intervals["over_limit_ratio"] = clopper_pearson(over, n, level=level)
        if tried:
            intervals["error_ratio"] = clopper_pearson(counts.errored, tried, level=level)
        return Figures(
            values=values,
            counts=counts,
            intervals=intervals,
            missing=_missing(values),
            cannot_certify=load.uncertified(self.name, values),
            invalid_reasons=(
                *load.faults(in_process=method["in_process"]),
                *(() if n else ("no request succeeded",)),
            ),
        )


def latency_method(plan: Plan, load: Workload, *, limit_ms: float, max_tokens: int) -> dict[str, Any]:
    """The artifact's block `method` of latencies under a plan; `requested` is null where its duration decides."""
    return {
        "mode": load.mode,
        "in_process": load.in_process,
        "requested": plan.timed,
        "limit_ms": limit_ms,
        "max_tokens": max_tokens if load.mode == "text" else None,
        "percentile": "nearest rank: the least value that at least the share does not exceed",
        "from": "sent" if plan.kind is LoadKind.CLOSED_LOOP else "due",
        **{key: value for key, value in plan.head().items() if key != "rows"},
    }


def _percentiles(
    prefix: str, values: NDArray[np.float64], shares: dict[str, float]
) -> dict[str, float | None]:
    return {
        f"{prefix}{name}_ms": nearest_rank(values, share) if len(values) else None
        for name, share in shares.items()
    }


def _bounds(
    prefix: str, values: NDArray[np.float64], shares: dict[str, float], level: float
) -> dict[str, Interval]:
    if not len(values):
        return {}
    return {
        f"{prefix}{name}_ms": percentile_interval(values, share, level=level)
        for name, share in shares.items()
    }


def _spread(values: NDArray[np.float64]) -> float | None:
    if not len(values):
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _histogram(values: NDArray[np.float64]) -> dict[str, Any] | None:
    if not len(values):
        return None
    bins = display_bins(values)
    return {"edges_ms": bins["edges"], "counts": bins["counts"]}


def _missing(values: dict[str, Any]) -> dict[str, str]:
    why = {
        "ttft_": "no reply was streamed",
        "tpot_": "no reply was streamed with a token after its first event",
    }
    return {
        name: next(
            (reason for prefix, reason in why.items() if name.startswith(prefix)), "no request succeeded"
        )
        for name, value in values.items()
        if value is None and name != "histogram"
    }
