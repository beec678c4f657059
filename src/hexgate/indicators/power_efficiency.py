"""power_efficiency: what an answer costs in energy, gross and net of what the machine draws when idle."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist
from typing import Any, ClassVar
from urllib.parse import urlsplit

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter, RowWriter
from hexgate.errors import InputError
from hexgate.indicators.base import Counts, Figures, Job, Method, option
from hexgate.indicators.load_evidence import LoadEvidence, load_evidence
from hexgate.indicators.workload import carry_out, mode_option, tokens_option, workload
from hexgate.load.measures.tokens import one_source, output_tokens
from hexgate.load.plans.plan import closed_loop
from hexgate.load.records import Outcome, Records
from hexgate.meters.base import Basis, Domain
from hexgate.meters.estimate import estimate_energy
from hexgate.meters.rows import traces
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j, total
from hexgate.stats.interval import Interval
from hexgate.stats.windows import batch_means

__all__ = ["PowerEfficiency"]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MOST_DRIFT = 0.03
_ENERGY_MEASURES = (
    "energy_j",
    "energy_uncertainty_j",
    "net_energy_j",
    "idle_power_w",
    "idle_drift_ratio",
    "mean_power_w",
    "max_power_w",
    "energy_per_request_j",
    "net_energy_per_request_j",
    "energy_per_token_j",
    "requests_per_joule",
)


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    duration_s: float = option(
        10.0, "Length of the workload, seconds.", "负载时长，秒。", flag="--power-duration-s", above=0
    )
    concurrency: int = option(
        1, "Requests kept in flight.", "保持并发的请求数。", flag="--power-concurrency", least=1
    )
    idle_s: float = option(
        3.0,
        "Idle measured before and after, model loaded, seconds.",
        "前后各测空载（模型已加载）的秒数。",
        least=0,
    )
    watts_per_core: float | None = option(
        None,
        "Declared watts of one busy core: gives an estimate, labelled as one, where no meter can be read.",
        "声明单个忙核的瓦数：无法测量时给出标明为估计的数值。",
        above=0,
    )
    cells: int = option(
        10, "Equal parts of the workload for the interval.", "用于区间估计的等分段数。", least=3
    )
    mode: str | None = mode_option()
    max_tokens: int = tokens_option()


class PowerEfficiency:
    """Energy from traces by window; an estimate is labelled as one; what cannot be had is null."""

    name: ClassVar[str] = "power_efficiency"
    options: ClassVar[type[Any]] = Options

    def collect(self, job: Job, evidence: EvidenceWriter) -> None:
        """Idle, work, idle: the recorder that runs beside every measurement keeps the traces."""
        chosen: Options = job.options
        if not chosen.duration_s > 0 or not chosen.idle_s >= 0 or chosen.cells < 3:
            raise InputError(
                "the workload cannot be cut like this",
                expected="--power-duration-s above 0, --idle-s 0 or more, --cells 3 or more",
            )
        load = workload(job, mode=chosen.mode, max_tokens=chosen.max_tokens)
        evidence.describe(
            dataset=load.dataset,
            method={
                "mode": load.mode,
                "in_process": load.in_process,
                "elsewhere": _elsewhere(job),
                "duration_s": chosen.duration_s,
                "concurrency": chosen.concurrency,
                "idle_s": chosen.idle_s,
                "cells": chosen.cells,
                "watts_per_core": chosen.watts_per_core,
                "max_tokens": chosen.max_tokens if load.mode == "text" else None,
                "most_idle_drift": _MOST_DRIFT,
            },
        )
        plan = closed_loop(
            concurrency=chosen.concurrency, items=load.items, duration_s=chosen.duration_s, seed=job.seed
        )
        marks = evidence.rows("windows")
        _idle("idle_before", chosen.idle_s, job, marks)
        info = carry_out(job, plan, load, evidence, f"work for {chosen.duration_s:g} s")
        marks.write(
            {"name": "work", "start_ns": info.started_ns, "end_ns": info.started_ns + info.ended_ns}
            | {"cpu_s": info.cpu_s}
        )
        _idle("idle_after", chosen.idle_s, job, marks)

    def figures(self, method: Method, evidence: EvidenceReader) -> Figures:
        """Energy of the work, from a meter where one was read, else from declared watts, else null."""
        load = load_evidence(evidence)
        counts = load.counts(load.plan.timed)
        windows = {row["name"]: row for row in evidence.rows("windows")}
        work = windows.get("work")
        served = _Served.of(load)
        values: dict[str, Any] = {
            **dict.fromkeys(("meter", "scope", "power_series", *_ENERGY_MEASURES)),
            "measurement": Basis.NOT_MEASURED.value,
            "duration_s": None if work is None else (work["end_ns"] - work["start_ns"]) / 1e9,
            "requests": counts.succeeded,
            "output_tokens": served.tokens,
            "cpu_seconds": None if work is None else work["cpu_s"],
            "domains": [],
        }
        missing = dict.fromkeys(
            ("output_tokens", "energy_per_token_j"), "no reply has tokens that can be counted"
        ) | {"requests_per_joule": "the energy is 0"}
        intervals: dict[str, Interval] = {}
        cannot: dict[str, str] = {}
        reading = _Reading.of(method, evidence, windows)
        if isinstance(reading.energy, Energy) and work is not None:
            values |= _measured(reading, reading.energy, method, work, missing)
            _per_request(values, counts.succeeded, served.tokens)
            intervals = _interval(values, reading, served, method, work)
        elif work is not None and method["in_process"] and method["watts_per_core"] is not None:
            estimate = estimate_energy(work["cpu_s"], watts_per_busy_core=method["watts_per_core"])
            values |= {
                "measurement": Basis.ESTIMATED.value,
                "meter": f"estimate: {estimate.method}",
                "scope": "the CPU time of this process, nothing else",
                "energy_j": estimate.energy_j,
                "mean_power_w": estimate.energy_j / values["duration_s"],
            }
            _per_request(values, counts.succeeded, served.tokens)
            reason = f"estimated, not measured ({estimate.method})"
            cannot = {name: reason for name in _ENERGY_MEASURES if values[name] is not None}
            missing |= dict.fromkeys(_ENERGY_MEASURES, "an estimate from CPU time does not tell")
        else:
            missing |= dict.fromkeys(_ENERGY_MEASURES, reading.why_not(method))
        missing |= {"duration_s": "the work did not end", "cpu_seconds": "the work did not end"}
        if not counts.succeeded:
            missing |= dict.fromkeys(
                ("energy_per_request_j", "net_energy_per_request_j", "energy_per_token_j"),
                "no request succeeded",
            )
        values["domains"] = reading.table()
        return Figures(
            values=values,
            counts=counts,
            intervals=intervals,
            missing={
                name: missing[name] for name in sorted(missing) if name in values and values[name] is None
            },
            cannot_certify=cannot,
            invalid_reasons=_faults(load, counts),
        )


@dataclass(frozen=True)
class _Served:
    """What the work was made of."""

    records: Records
    """Its requests."""
    tokens: int | None
    """Tokens of the replies; None where nobody counted them."""

    @classmethod
    def of(cls, load: LoadEvidence) -> _Served:
        total, source = 0, None
        for rows in load.records.chunks():
            tokens, counted_by = output_tokens(rows[rows["outcome"] == Outcome.OK])
            total += int(tokens[tokens >= 0].sum())
            source = one_source([source, counted_by])
        return cls(load.records, None if source is None else total)

    def ended_in(self, cells: Sequence[Window], start_ns: int) -> list[int]:
        """How many successful requests ended in each of some consecutive windows, counted from a start."""
        edges = [cell.start_ns - start_ns for cell in cells] + [cells[-1].end_ns - start_ns]
        passed = [0] * len(edges)
        for rows in self.records.chunks():
            ended = rows["end_ns"][rows["outcome"] == Outcome.OK]
            passed = [count + int((ended <= edge).sum()) for count, edge in zip(passed, edges, strict=True)]
        return [later - earlier for earlier, later in pairwise(passed)]


@dataclass(frozen=True)
class _Reading:
    """What the meters say of the windows."""

    domains: tuple[Domain, ...]
    traces: Mapping[str, Sequence[tuple[int, float]]]
    parts: Mapping[str, Energy | NotMeasured]
    """Energy of the work by domain."""
    energy: Energy | NotMeasured | None
    """Energy of the work in all; None where no meter was read."""
    idle_w: tuple[float, ...]
    """Mean power of the idle windows that could be measured."""
    lacks: tuple[str, ...]
    """Why there is no meter."""

    @classmethod
    def of(cls, method: Method, evidence: EvidenceReader, windows: Mapping[str, Any]) -> _Reading:
        meters = evidence.document("meters") if "meters" in evidence.names else {}
        lacks = tuple(f"{lack['meter']}: {lack['reason']}" for lack in meters.get("unavailable", ()))
        if meters.get("failure"):
            lacks = (*lacks, str(meters["failure"]))
        domains = tuple(Domain.from_json(block) for block in meters.get("domains", ()))
        if method["elsewhere"] or "power" not in evidence.names or not domains or "work" not in windows:
            return cls((), {}, {}, None, (), lacks)
        found = traces(evidence.rows("power"))
        work = _window(windows["work"])
        parts = {domain.id: energy_j(found.get(domain.id, ()), domain, work) for domain in domains}
        reading = cls(domains, found, parts, _sum(domains, parts), (), lacks)
        idle = (
            reading.between(_window(windows[name]))
            for name in ("idle_before", "idle_after")
            if name in windows
        )
        return replace(reading, idle_w=tuple(one.mean_power_w for one in idle if isinstance(one, Energy)))

    def between(self, window: Window) -> Energy | NotMeasured:
        """Energy of all domains in one window."""
        parts = {
            domain.id: energy_j(self.traces.get(domain.id, ()), domain, window) for domain in self.domains
        }
        return _sum(self.domains, parts)

    def why_not(self, method: Method) -> str:
        """Why there is no measured energy."""
        if method["elsewhere"]:
            return "the endpoint runs on another machine, whose energy cannot be read from here"
        if isinstance(self.energy, NotMeasured):
            return "; ".join(self.energy.reasons)
        return "no power meter can be read: " + ("; ".join(self.lacks) or "none was found")

    def table(self) -> list[dict[str, Any]]:
        """The artifact's table of domains."""
        rows = []
        for domain in self.domains:
            part = self.parts[domain.id]
            good = isinstance(part, Energy)
            reasons = part.degraded if isinstance(part, Energy) else part.reasons
            validity = "invalid" if not good else "degraded" if reasons else "ok"
            rows.append(
                {"id": domain.id, "scope": domain.scope.value, "source": domain.source}
                | {"energy_j": part.energy_j if isinstance(part, Energy) else None}
                | {"validity": validity, "reasons": list(reasons)}
            )
        return rows


def _sum(domains: Sequence[Domain], parts: Mapping[str, Energy | NotMeasured]) -> Energy | NotMeasured:
    try:
        return total(domains, parts)
    except InputError as error:
        return NotMeasured("+".join(domain.id for domain in domains), (str(error),))


def _measured(
    reading: _Reading, energy: Energy, method: Method, work: Mapping[str, Any], missing: dict[str, str]
) -> dict[str, Any]:
    cells = _cells(work, method["cells"])
    powers = [one.mean_power_w for one in map(reading.between, cells) if isinstance(one, Energy)]
    whole = len(powers) == len(cells)
    values: dict[str, Any] = {
        "measurement": Basis.MEASURED.value,
        "meter": "+".join(sorted({domain.source for domain in reading.domains})),
        "scope": "+".join(sorted({domain.scope.value for domain in reading.domains})),
        "energy_j": energy.energy_j,
        "energy_uncertainty_j": energy.uncertainty_j,
        "mean_power_w": energy.energy_j / ((work["end_ns"] - work["start_ns"]) / 1e9),
        "max_power_w": max(powers) if whole else None,
    }
    missing["max_power_w"] = "the meter is too slow for the cells of this workload"
    if whole:
        middles = [((cell.start_ns + cell.end_ns) / 2 - work["start_ns"]) / 1e9 for cell in cells]
        values["power_series"] = {"t_s": middles, "power_w": powers}
    for name in ("idle_power_w", "idle_drift_ratio", "net_energy_j", "net_energy_per_request_j"):
        missing[name] = "idle was not measured before and after"
    if len(reading.idle_w) == 2:
        before, after = reading.idle_w
        idle = (before + after) / 2
        drift = abs(after - before) / idle if idle > 0 else None
        values |= {"idle_power_w": idle, "idle_drift_ratio": drift}
        if drift is not None and drift <= method["most_idle_drift"]:
            values["net_energy_j"] = energy.energy_j - idle * (work["end_ns"] - work["start_ns"]) / 1e9
        else:
            reason = f"idle before and after differ too much ({before:.4g} W and {after:.4g} W)"
            missing |= dict.fromkeys(("net_energy_j", "net_energy_per_request_j"), reason)
        missing["idle_drift_ratio"] = "the idle power is 0"
    return values


def _per_request(values: dict[str, Any], requests: int, tokens: int | None) -> None:
    energy, net = values["energy_j"], values["net_energy_j"]
    if energy > 0:
        values["requests_per_joule"] = requests / energy
    if requests:
        values["energy_per_request_j"] = energy / requests
        values["net_energy_per_request_j"] = None if net is None else net / requests
    if tokens:
        values["energy_per_token_j"] = energy / tokens


def _interval(
    values: Mapping[str, Any], reading: _Reading, served: _Served, method: Method, work: Mapping[str, Any]
) -> dict[str, Interval]:
    point = values["energy_per_request_j"]
    if point is None:
        return {}
    costs = []
    cells = _cells(work, method["cells"])
    for cell, requests in zip(cells, served.ended_in(cells, work["start_ns"]), strict=True):
        energy = reading.between(cell)
        if not isinstance(energy, Energy) or not requests:
            return {}
        costs.append(energy.energy_j / requests)
    drawn = batch_means(costs, level=method["confidence"], what="energy per request by cell")
    total_energy = reading.energy
    sensor = total_energy.sensor_j / total_energy.energy_j if isinstance(total_energy, Energy) else 0.0
    return {"energy_per_request_j": _widened(drawn, point, sensor)}


def _widened(drawn: Interval, point: float, sensor: float) -> Interval:
    """The interval around the ratio of the sums, with the sensor's relative standard uncertainty in it."""
    normal, miss = NormalDist(), 1.0 - drawn.level
    two_sided, one_sided = (normal.inv_cdf(1.0 - share) * sensor * point for share in (miss / 2.0, miss))

    def below(bound: float | None, error: float) -> float | None:
        # What costs energy cannot give it back.
        return None if bound is None else max(0.0, point - math.hypot(max(0.0, point - bound), error))

    def above(bound: float | None, error: float) -> float | None:
        return None if bound is None else point + math.hypot(max(0.0, bound - point), error)

    method = f"{drawn.method}; widened to hold the ratio of the sums where needed"
    if sensor:
        method += f"; in quadrature with the sensor's relative standard uncertainty of {sensor:.4g}, taken as normal"
    return replace(
        drawn,
        low=below(drawn.low, two_sided),
        high=above(drawn.high, two_sided),
        lower_bound=below(drawn.lower_bound, one_sided),
        upper_bound=above(drawn.upper_bound, one_sided),
        method=method,
    )


def _faults(load: LoadEvidence, counts: Counts) -> tuple[str, ...]:
    faults = [] if counts.succeeded else ["no request succeeded"]
    stopped = load.run.get("stopped")
    if stopped is not None:
        faults.append(f"the workload was stopped before its end ({stopped})")
    return tuple(faults)


def _cells(work: Mapping[str, Any], count: int) -> list[Window]:
    start, span = work["start_ns"], work["end_ns"] - work["start_ns"]
    edges = [start + span * place // count for place in range(count + 1)]
    return [Window(begin, end) for begin, end in pairwise(edges)]


def _window(row: Mapping[str, Any]) -> Window:
    return Window(row["start_ns"], row["end_ns"])


def _idle(name: str, seconds: float, job: Job, marks: RowWriter) -> None:
    if seconds == 0:
        return
    job.progress.start(f"idle for {seconds:g} s", None)
    start_ns = time.monotonic_ns()
    time.sleep(seconds)
    marks.write({"name": name, "start_ns": start_ns, "end_ns": time.monotonic_ns(), "cpu_s": None})


def _elsewhere(job: Job) -> bool:
    endpoint = job.target.endpoint
    return endpoint is not None and urlsplit(endpoint.base_url).hostname not in _LOOPBACK
