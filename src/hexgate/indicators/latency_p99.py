"""latency_p99: how long one answer takes, by percentile, with bounds that hold for every distribution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.contract.schema import measures
from hexgate.indicators.base import Figures, Job, Method, option
from hexgate.indicators.load_evidence import load_evidence
from hexgate.indicators.load_method import load_method
from hexgate.indicators.workload import Workload, carry_out, mode_option, tokens_option, workload
from hexgate.load.measures.latencies import SHARES, Latencies, latencies
from hexgate.load.plans.plan import Arrival, LoadKind, Plan, closed_loop, open_loop
from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.distribution import Distribution
from hexgate.stats.histogram import LogHistogram
from hexgate.stats.interval import Interval

__all__ = ["WHY_NOT", "LatencyP99", "latency_method"]

_PERCENTILES = {
    "e2e": ("p50", "p90", "p95", "p99", "p999"),
    "ttft": ("p50", "p90", "p95", "p99"),
    "ttfa": ("p50", "p99"),
    "tpot": ("p50", "p95", "p99"),
}
"""The percentiles that are measures, by the time they are of. All others stand in the table `times`."""
WHY_NOT = {
    "ttft": "no reply was streamed",
    "ttfa": "no reply streamed an answer",
    "tpot": "no reply was streamed with a token after its first event",
    "gap": "no reply was streamed with a second event",
}
"""Why a time is not there, though requests succeeded, by what it is a time of."""
_NO_GAPS = "the times between events were not recorded"


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
        level = method["confidence"]
        found = latencies(load.records, load.plan, limit_ms=method["limit_ms"], level=level)
        e2e, gaps = found.of("e2e"), load.gaps
        n, over = e2e.count, found.over_limit
        tried = counts.succeeded + counts.errored
        values: dict[str, Any] = {
            "min_ms": e2e.minimum,
            "mean_ms": e2e.mean,
            "max_ms": e2e.maximum,
            "std_ms": e2e.std,
            "over_limit_count": over if n else None,
            "over_limit_ratio": over / n if n else None,
            "ttft_mean_ms": found.of("ttft").mean,
            "tpot_mean_ms": found.of("tpot").mean,
            "gap_p50_ms": _percentile(gaps, 0.5),
            "gap_p99_ms": _percentile(gaps, 0.99),
            "gap_max_ms": found.of("gap_max").maximum,
            "requests": n,
            "warmup_requests": load.outcomes.warmup,
            "error_ratio": counts.errored / tried if tried else None,
            "timeout_ratio": load.outcomes.timeout / tried if tried else None,
            "histogram": _histogram(found, "e2e"),
            "ttft_histogram": _histogram(found, "ttft"),
            "tpot_histogram": _histogram(found, "tpot"),
            "times": {
                name: _statistics(time, level, found.assumed(name)) for name, time in found.times.items()
            },
            "remarks": list(load.remarks(in_process=method["in_process"], timeout_s=method.get("timeout_s"))),
        }
        intervals: dict[str, Interval] = {}
        for name, time, share in _percentiles(found):
            values[name] = time.percentile(share)
            if (interval := time.interval(share, level=level)) is not None:
                intervals[name] = interval
        if n:
            intervals["over_limit_ratio"] = clopper_pearson(over, n, level=level)
        if tried:
            intervals["error_ratio"] = clopper_pearson(counts.errored, tried, level=level)
            intervals["timeout_ratio"] = clopper_pearson(load.outcomes.timeout, tried, level=level)
        return Figures(
            values=values,
            counts=counts,
            intervals=intervals,
            missing=_missing(values, load.why_none, recorded=gaps is not None),
            cannot_certify=load.uncertified(self.name, values),
            invalid_reasons=(
                *load.faults(in_process=method["in_process"]),
                *(() if n else (load.why_none,)),
            ),
        )


def latency_method(
    plan: Plan, load: Workload, *, limit_ms: float, max_tokens: int, **sent: Any
) -> dict[str, Any]:
    """The artifact's block `method` of latencies under a plan; `sent` is what else `load_method` takes.

    `requested` is null where the plan's duration decides.
    """
    return {
        **load_method(plan, load, max_tokens=max_tokens, **sent),
        "requested": plan.timed,
        "limit_ms": limit_ms,
        "percentile": "nearest rank: the least value that at least the share does not exceed",
        "from": "sent" if plan.kind is LoadKind.CLOSED_LOOP else "due",
    }


def _percentiles(found: Latencies) -> Iterator[tuple[str, Distribution, float]]:
    """The measures that are percentiles: the name of each, of which time, at which share."""
    for time, shares in _PERCENTILES.items():
        for share in shares:
            name = f"{share}_ms" if time == "e2e" else f"{time}_{share}_ms"
            yield name, found.of(time), SHARES[share]


def _percentile(gaps: LogHistogram | None, share: float) -> float | None:
    return gaps.percentile(share) if gaps is not None and gaps.count else None


def _statistics(time: Distribution, level: float, assumed: Mapping[str, int]) -> dict[str, Any] | None:
    """The row of a time in the table `times`."""
    if not time.count:
        return None
    bounds = {f"{name}_ms": time.interval(share, level=level) for name, share in SHARES.items()}
    return {
        "count": time.count,
        "mean_ms": time.mean,
        "std_ms": time.std,
        "min_ms": time.minimum,
        "max_ms": time.maximum,
        **{f"{name}_ms": time.percentile(share) for name, share in SHARES.items()},
        **assumed,
        "bounds": {name: [one.low, one.high] for name, one in bounds.items() if one is not None},
    }


def _histogram(found: Latencies, name: str) -> dict[str, Any] | None:
    bins = found.bins[name]
    return {"edges_ms": bins["edges"], "counts": bins["counts"]} if bins["counts"] else None


def _missing(values: Mapping[str, Any], why_none: str, *, recorded: bool) -> dict[str, str]:
    if not values["requests"]:
        reasons = {}
    elif recorded:
        reasons = WHY_NOT
    else:
        reasons = WHY_NOT | {"gap_p50_ms": _NO_GAPS, "gap_p99_ms": _NO_GAPS}
    return {
        name: reasons.get(name, reasons.get(name.partition("_")[0], why_none))
        for name in measures(LatencyP99.name)
        if values[name] is None
    }
