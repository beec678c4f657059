"""All figures of a load as one JSON document, computed from its evidence: statistics.json, and what a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from hexgate.contract.schema import schema_mistakes
from hexgate.indicators.latency_p99 import WHY_NOT
from hexgate.indicators.load_evidence import why_none
from hexgate.indicators.load_examples import failures, slowest
from hexgate.indicators.load_folder import LoadFolder
from hexgate.indicators.load_hosts import (
    client_series,
    gap_histogram,
    host_series,
    loop_lag_histogram,
    stream_series,
)
from hexgate.indicators.load_series import load_series, whole_seconds
from hexgate.indicators.load_server import server_series
from hexgate.load.measures.figures import ThroughputFigures, throughput
from hexgate.load.measures.latencies import SHARES, Latencies, latencies
from hexgate.load.measures.server_times import server_times
from hexgate.load.measures.slo import Slo
from hexgate.load.measures.spans import ended_well_inside, lag_ms, queued_ms, timed_window
from hexgate.load.measures.tokens import output_tokens
from hexgate.stats.distribution import Distribution, distributions
from hexgate.stats.histogram import LogHistogram
from hexgate.stats.log_bins import log_bins

__all__ = ["SCHEMA", "load_statistics", "statistics_mistakes"]

Json = dict[str, Any]

SCHEMA = "hexgate/load_statistics/1.0"
"""The contract that the document keeps: schemas/load/statistics.schema.json."""

_STATUSES = ("failed", "invalid", "partial", "complete")
"""Worst first."""
_TIMES = (
    *("e2e_due", "e2e_sent", "ttft_due", "ttft_sent", "ttfa_due", "ttfa_sent"),
    *("tpot", "gap", "gap_max", "queue", "dispatch_lag", "loop_lag"),
)
_BUCKETED = "a histogram of at most 0.4 % error"


def load_statistics(load: LoadFolder) -> Json:
    """All figures of a load, whatever became of it. What could not be measured is None, with a reason in `missing`."""
    artifacts = [artifact for artifact in (load.latency, load.rates) if artifact is not None]
    statuses = {artifact["indicator"]: artifact["status"] for artifact in artifacts}
    reasons = dict.fromkeys(reason for artifact in artifacts for reason in artifact["invalid_reasons"])
    remarks = dict.fromkeys(remark for artifact in artifacts for remark in artifact["remarks"])
    method = load.artifact["method"]
    series = load_series(load.records, load.plan)
    times, rates = _figures(load)
    found = {
        "schema": SCHEMA,
        "tool": load.artifact["provenance"]["tool"],
        "run_id": load.artifact["run_id"],
        "folder": str(load.folder),
        "confidence": method["confidence"],
        "host_class": load.artifact["environment"]["host_class"],
        "status": {"overall": min(statuses.values(), key=_STATUSES.index), **statuses},
        "reasons": list(reasons),
        "remarks": list(remarks),
        "subject": {key: load.artifact["subject"][key] for key in _SUBJECT},
        "asked": _asked(load, method, rates),
        "achieved": _achieved(load, rates),
        **_outcomes(rates),
        "times": times,
        "rates": _rates(load, rates),
        "tokens": _tokens(load, rates),
        "goodput": _goodput(load, rates),
        "arrivals": None if load.rates is None else load.rates["arrivals"],
        "server_times": server_times(load.records).to_json(),
        "series": series,
        "stream": stream_series(load),
        "client": client_series(load),
        "resources": _hosts(load, series),
        "server": [] if series is None else server_series(load, series["step_s"], series["bins"]),
        "failures": failures(load),
        "slowest": slowest(load),
    }
    return {**found, "missing": _missing(load, found, artifacts)}


def statistics_mistakes(statistics: Json) -> list[str]:
    """Every place where a document breaks its contract, as `schema_mistakes` has them."""
    return schema_mistakes("load/statistics", statistics)


_SUBJECT = ("name", "uri", "served_model", "demonstration")


def _figures(load: LoadFolder) -> tuple[Json, ThroughputFigures | None]:
    """The times, and what the rates are read off; nothing but blanks where there is no plan or no record."""
    blank: Json = dict.fromkeys(f"{name}_ms" for name in _TIMES)
    if load.plan is None or not len(load.records):
        return blank, None
    level = load.artifact["method"]["confidence"]
    took = latencies(load.records, load.plan, level=level)
    stream = load.evidence.document("stream") if "stream" in load.evidence.names else None
    slo = load.artifact["method"].get("slo")
    rates = throughput(
        load.records,
        load.plan,
        stopped_ns=load.stopped_ns,
        limits=Slo.from_json(slo).request_limits if slo else None,
        stream=stream,
    )
    return blank | _times(load, took, level), rates


def _times(load: LoadFolder, took: Latencies, level: float) -> Json:
    waits = distributions(
        lambda: (
            {"queue": queued_ms(timed), "dispatch_lag": lag_ms(timed)}
            for timed in (rows[~rows["warmup"]] for rows in load.records.chunks())
        ),
        ("queue", "dispatch_lag"),
        shares=SHARES.values(),
        level=level,
    )
    found = {**took.times, **waits}
    exact = {f"{name}_ms": _exact(found[name], level, took.assumed(name)) for name in _TIMES if name in found}
    return exact | {
        "gap_ms": _bucketed(gap_histogram(load)),
        "loop_lag_ms": _bucketed(loop_lag_histogram(load)),
    }


def _exact(values: Distribution, level: float, assumed: Mapping[str, int]) -> Json | None:
    if not values.count:
        return None
    bounds = {}
    for name, share in SHARES.items():
        interval = values.interval(share, level=level)
        if interval is not None:
            bounds[name] = {"low": interval.low, "high": interval.high}
    return {
        "count": values.count,
        "mean": values.mean,
        "std": values.std,
        "min": values.minimum,
        "max": values.maximum,
        "percentiles": {name: values.percentile(share) for name, share in SHARES.items()},
        "bounds": bounds,
        **assumed,
        "precision": "exact",
        "histogram": values.log_bins(),
    }


def _bucketed(values: LogHistogram | None) -> Json | None:
    """Of what only a histogram was kept: no spread, and no bounds, as its values do not come one a request."""
    if values is None or not values.count:
        return None
    return {
        "count": values.count,
        "mean": values.mean,
        "std": None,
        "min": values.minimum,
        "max": values.maximum,
        "percentiles": {name: values.percentile(share) for name, share in SHARES.items()},
        "bounds": {},
        "precision": _BUCKETED,
        "histogram": log_bins(values),
    }


def _asked(load: LoadFolder, method: Mapping[str, Any], rates: ThroughputFigures | None) -> Json:
    plan = load.plan
    return {
        "kind": method.get("kind"),
        "arrival": method.get("arrival"),
        "rate_rps": None if rates is None else rates.requested_rps,
        # In `method`, an open loop without a cap has 0.
        "concurrency": method.get("concurrency") or None,
        "duration_s": method.get("duration_s"),
        "requests": None if plan is None else plan.timed,
        "turns": 1 if plan is None else plan.turns,
        "seed": method.get("seed"),
        "max_tokens": method.get("max_tokens"),
        "prompts": load.artifact["dataset"]["name"],
    }


def _achieved(load: LoadFolder, rates: ThroughputFigures | None) -> Json:
    wall_ns = load.run.get("started_wall_ns")
    began = None if wall_ns is None else datetime.fromtimestamp(wall_ns / 1e9, timezone.utc)
    return {
        "rps": None if rates is None else rates.throughput_rps,
        "achieved_rps": None if rates is None else rates.achieved_rps,
        "window_s": None if rates is None else rates.window_s,
        "in_flight_max": None if rates is None else rates.in_flight_max,
        "busy_ratio": None if rates is None else rates.busy_ratio,
        "workers": load.run.get("workers"),
        "began": None if began is None else began.strftime("%Y-%m-%d %H:%M:%S UTC"),
    }


def _outcomes(rates: ThroughputFigures | None) -> Json:
    names = ("ok", "error", "timeout", "truncated", "unfinished", "not_sent", "total", "warmup")
    counts = None if rates is None else rates.outcomes
    return {
        "outcomes": {name: 0 if counts is None else getattr(counts, name) for name in names},
        "error_ratio": None if counts is None else counts.error_ratio,
        "timeout_ratio": None if counts is None else counts.timeout_ratio,
    }


def _rates(load: LoadFolder, rates: ThroughputFigures | None) -> Json:
    blank: Json = {"requests_per_s": None, "output_tokens_per_s": None, "total_tokens_per_s": None}
    if rates is None or rates.window_s is None:
        return blank
    seconds = None if load.plan is None else whole_seconds(load.records, load.plan, load.stopped_ns)
    spread: Json = dict(seconds) if seconds else {"min": None, "max": None, "std": None}
    blank["requests_per_s"] = {"mean": rates.throughput_rps, **spread}
    if rates.output_tokens_per_s is not None:
        speed = rates.token_speed
        blank["output_tokens_per_s"] = {
            "mean": rates.output_tokens_per_s,
            "min": None if speed is None else speed.minimum,
            "max": None if speed is None else speed.maximum,
            "std": None if speed is None else speed.std,
            "seconds_mean": None if speed is None else speed.mean,
        }
    total = _total_tokens(load)
    if total is not None:
        blank["total_tokens_per_s"] = {
            "mean": total / rates.window_s,
            **dict.fromkeys(("min", "max", "std")),
        }
    return blank


def _total_tokens(load: LoadFolder) -> int | None:
    """Tokens of prompts and replies of what ended well inside the window; None where a reply has no count of both."""
    window = None if load.plan is None else timed_window(load.records, load.plan, load.stopped_ns)
    if load.plan is None or window is None:
        return None
    total = found = 0
    for rows in load.records.chunks():
        inside = ended_well_inside(rows, load.plan, window)
        output, prompt = output_tokens(inside)[0], inside["prompt_tokens"]
        if (output < 0).any() or (prompt < 0).any():
            return None
        found += len(inside)
        total += int(output.sum()) + int(prompt.sum(dtype="i8"))
    return total if found else None


def _tokens(load: LoadFolder, rates: ThroughputFigures | None) -> Json:
    ledger = None if rates is None else rates.tokens
    received = sum(int(rows["bytes"].sum()) for rows in load.records.chunks())

    def known(count: int, replies: int) -> int | None:
        return count if replies else None

    if ledger is None:
        names = (
            "prompt_tokens",
            "cached_tokens",
            "output_tokens",
            "reasoning_tokens",
            "counted_tokens",
            "events",
        )
        return {**dict.fromkeys(names), "counted_by": None, "bytes": received}
    return {
        "prompt_tokens": known(ledger.prompt, ledger.prompt_replies),
        "cached_tokens": known(ledger.cached, ledger.cached_of),
        "output_tokens": None if ledger.source is None else ledger.output,
        "reasoning_tokens": known(ledger.reasoning, ledger.reasoning),
        "counted_tokens": known(ledger.tokenizer, ledger.tokenizer_replies),
        "events": known(ledger.events, ledger.event_replies),
        "counted_by": None if ledger.source is None else ledger.source.value,
        "bytes": received,
    }


def _goodput(load: LoadFolder, rates: ThroughputFigures | None) -> Json | None:
    if rates is None or rates.goodput is None or rates.goodput.ratio is None or not rates.window_s:
        return None
    return {
        "slo": str(Slo.from_json(load.artifact["method"]["slo"])),
        "good": rates.goodput.good,
        "due": rates.goodput.due,
        "ratio": rates.goodput.ratio,
        "per_s": rates.goodput.good_inside / rates.window_s,
    }


def _hosts(load: LoadFolder, series: Json | None) -> list[Json]:
    if series is None:
        return []
    hosts = host_series(load, series["step_s"], series["bins"])
    levels = {
        name: level
        for name, level in load.artifact["resources"].items()
        if isinstance(level, (dict, list)) and name != "missing"
    }
    return [{**host, "levels": levels if host["host"] == "client" else {}} for host in hosts]


def _missing(load: LoadFolder, found: Mapping[str, Any], artifacts: list[Mapping[str, Any]]) -> Json:
    """Why what is None is None."""
    said: Json = {}
    for artifact in artifacts:
        said |= artifact["missing"]
    for name, value in found["times"].items():
        if value is None:
            said.setdefault(name, _why_no_time(load, name, found["outcomes"]))
    if found["rates"]["output_tokens_per_s"] is None:
        said.setdefault("output_tokens_per_s", "no reply has tokens that can be counted")
    if found["rates"]["total_tokens_per_s"] is None:
        said["total_tokens_per_s"] = "not every reply has a count of its prompt's tokens and of its own"
    if found["arrivals"] is None:
        said.setdefault("arrivals", "the process of the arrivals was not judged")
    if found["server_times"] is None:
        said["server_times"] = "no reply has durations by the server"
    # An artifact names its measures; what they are called here is named here.
    named = {*found["times"], *found["rates"], "arrivals", "server_times"}
    return {name: reason for name, reason in said.items() if name in named}


def _why_no_time(load: LoadFolder, name: str, counts: Mapping[str, int]) -> str:
    sent = counts["total"] - counts["not_sent"]
    none = why_none(sent=sent, warmup=counts["warmup"], stopped_ns=load.stopped_ns)
    closed = load.plan is not None and load.plan.rate_rps is None
    if closed and (name.endswith("_due_ms") or name == "dispatch_lag_ms"):
        return "a closed loop has no due times"
    if name == "loop_lag_ms" or (name == "gap_ms" and "stream" not in load.evidence.names):
        return "the evidence of this load does not have it"
    if name in {"queue_ms", "dispatch_lag_ms"}:
        return "no timed request was sent"
    return WHY_NOT.get(name.partition("_")[0], none) if counts["ok"] else none
