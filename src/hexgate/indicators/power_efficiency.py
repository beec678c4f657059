"""power_efficiency: what an answer costs in energy, gross and net of what the machine draws when idle."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter, RowWriter
from hexgate.errors import InputError
from hexgate.indicators.base import Counts, Figures, Job, Method, option
from hexgate.indicators.load_evidence import LoadEvidence, load_evidence
from hexgate.indicators.power_interval import widened
from hexgate.indicators.power_reading import IDLE, PowerReading, uncertainty
from hexgate.indicators.power_study import STUDY, study_figures
from hexgate.indicators.workload import carry_out, mode_option, tokens_option, workload
from hexgate.load.measures.tokens import one_source, output_tokens
from hexgate.load.plans.plan import closed_loop
from hexgate.load.records import Outcome, Records
from hexgate.meters.base import Basis
from hexgate.meters.cells import cells, steady
from hexgate.meters.countable import countable, unstated
from hexgate.meters.estimate import estimate_energy
from hexgate.meters.net import MOST_DRIFT, Net, idle_line, net_energy
from hexgate.meters.windows import Energy, NotMeasured, Window
from hexgate.stats.interval import Interval
from hexgate.stats.windows import batch_means

__all__ = ["PowerEfficiency"]

_SETTLE_S = 1.0
"""After work a device cools down for a moment; as long as the idle itself where that is shorter."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
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
_OF_STUDIES = ("accepted", "accepted_ratio", "energy_per_accepted_j", "accepted_per_joule", "truncated_ratio")


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
                "most_idle_drift": MOST_DRIFT,
            },
        )
        plan = closed_loop(
            concurrency=chosen.concurrency, items=load.items, duration_s=chosen.duration_s, seed=job.seed
        )
        marks = evidence.rows("windows")
        _idle(IDLE[0], chosen.idle_s, job, marks)
        info = carry_out(job, plan, load, evidence, f"work for {chosen.duration_s:g} s")
        marks.write(
            {"name": "work", "start_ns": info.started_ns, "end_ns": info.started_ns + info.ended_ns}
            | {"cpu_s": info.cpu_s}
        )
        _idle(IDLE[1], chosen.idle_s, job, marks)

    def figures(self, method: Method, evidence: EvidenceReader) -> Figures:
        """Energy of the work, from a meter where one was read, else from declared watts, else null; or of a study."""
        if method.get("source") == STUDY:
            return study_figures(method, evidence)
        load = load_evidence(evidence)
        counts = load.counts(load.plan.timed)
        rows = {row["name"]: row for row in evidence.rows("windows")}
        windows = {name: Window(row["start_ns"], row["end_ns"]) for name, row in rows.items()}
        work = windows.get("work")
        served = _Served.of(load)
        values: dict[str, Any] = {
            **dict.fromkeys(("meter", "scope", "power_series", "uncertainty", "study")),
            **dict.fromkeys((*_ENERGY_MEASURES, *_OF_STUDIES)),
            "measurement": Basis.NOT_MEASURED.value,
            "duration_s": None if work is None else work.seconds,
            "requests": counts.succeeded,
            "output_tokens": served.tokens,
            "cpu_seconds": None if work is None else rows["work"]["cpu_s"],
            "domains": [],
        }
        missing = {
            **dict.fromkeys(
                ("output_tokens", "energy_per_token_j"), "no reply has tokens that can be counted"
            ),
            **dict.fromkeys(_OF_STUDIES, "only a study tells"),
            "requests_per_joule": "the energy is 0",
        }
        intervals: dict[str, Interval] = {}
        cannot: dict[str, str] = {}
        reading = PowerReading.of(method, evidence, windows)
        if isinstance(reading.energy, Energy) and work is not None:
            values |= _measured(reading, reading.energy, method, work, missing, cannot)
            _per_request(values, counts.succeeded, served.tokens)
            cannot = {name: reason for name, reason in cannot.items() if values[name] is not None}
            intervals = _interval(values, reading, reading.energy, served, method, work)
        elif work is not None and method["in_process"] and method["watts_per_core"] is not None:
            estimate = estimate_energy(values["cpu_seconds"], watts_per_busy_core=method["watts_per_core"])
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

    def steady(self, work: Window, concurrency: int) -> Window | None:
        """The part of the work with so many requests in flight; None where there never were so many."""
        sent: list[NDArray[np.int64]] = []
        ended: list[NDArray[np.int64]] = []
        for rows in self.records.chunks():
            known = rows[(rows["sent_ns"] >= 0) & (rows["end_ns"] >= 0)]
            sent.append(known["sent_ns"])
            ended.append(known["end_ns"])
        found = steady(np.concatenate(sent), np.concatenate(ended), concurrency) if sent else None
        if found is None:
            return None
        until_ns = min(work.start_ns + found.end_ns, work.end_ns)
        return Window(work.start_ns + found.start_ns, until_ns)


def _measured(
    reading: PowerReading,
    energy: Energy,
    method: Method,
    work: Window,
    missing: dict[str, str],
    cannot: dict[str, str],
) -> dict[str, Any]:
    """Figures of a measured energy; why some are missing, or cannot certify, goes into the two others."""
    parts = cells(work, method["cells"])
    powers = reading.powers_w(parts)
    values: dict[str, Any] = {
        "measurement": Basis.MEASURED.value,
        "meter": "+".join(sorted({domain.source for domain in countable(reading.domains)})),
        "scope": "+".join(sorted({domain.scope.value for domain in countable(reading.domains)})),
        "energy_j": energy.energy_j,
        "energy_uncertainty_j": energy.uncertainty_j,
        "mean_power_w": energy.energy_j / work.seconds,
        "max_power_w": None if powers is None else max(powers),
    }
    missing["max_power_w"] = "the meter is too slow for the cells of this workload"
    if powers is not None:
        middles = [((cell.start_ns + cell.end_ns) / 2 - work.start_ns) / 1e9 for cell in parts]
        values["power_series"] = {"t_s": middles, "power_w": powers}
    net = _net(reading, energy, method, work, values, missing)
    silent = unstated(countable(reading.domains))
    if silent is not None:
        missing["energy_uncertainty_j"] = silent
    unsure = [] if silent is None else [silent]
    if energy.degraded or unsure:
        cannot |= dict.fromkeys(_ENERGY_MEASURES, "; ".join([*energy.degraded, *unsure]))
    if net is not None and (net.degraded or net.energy_j <= 0):
        bad = net.degraded or ("the work drew no more than idle did: the idle was not one",)
        why = "; ".join([*bad, *unsure])
        cannot |= dict.fromkeys(("net_energy_j", "net_energy_per_request_j"), why)
    return values | {"uncertainty": uncertainty(energy, net)}


def _net(
    reading: PowerReading,
    energy: Energy,
    method: Method,
    work: Window,
    values: dict[str, Any],
    missing: dict[str, str],
) -> Net | None:
    """Idle power, its drift and the net energy into `values`, or why there are none into `missing`."""
    unmeasured = "idle was not measured before and after"
    before, after = reading.idle or (None, None)
    if isinstance(before, Energy) and isinstance(after, Energy):
        idle = idle_line(work, before, after)
        values |= {"idle_power_w": idle.mean_w, "idle_drift_ratio": idle.drift_ratio}
        net = net_energy(energy, work, before, after, most_drift=method["most_idle_drift"])
        if isinstance(net, Net):
            values["net_energy_j"] = net.energy_j
            return net
        why = "; ".join(net.reasons)
        missing |= dict.fromkeys(("net_energy_j", "net_energy_per_request_j"), why)
        return None
    reasons = [reason for part in (before, after) if isinstance(part, NotMeasured) for reason in part.reasons]
    why = "; ".join([unmeasured, *dict.fromkeys(reasons)])
    for name in ("idle_power_w", "idle_drift_ratio", "net_energy_j", "net_energy_per_request_j"):
        missing[name] = why
    return None


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
    values: Mapping[str, Any],
    reading: PowerReading,
    energy: Energy,
    served: _Served,
    method: Method,
    work: Window,
) -> dict[str, Interval]:
    point = values["energy_per_request_j"]
    several = method["concurrency"] > 1
    span = served.steady(work, method["concurrency"]) if several else work
    if point is None or span is None:
        return {}
    costs = []
    parts = cells(span, method["cells"])
    for cell, requests in zip(parts, served.ended_in(parts, work.start_ns), strict=True):
        drawn = reading.between(cell)
        if not isinstance(drawn, Energy) or not requests:
            return {}
        costs.append(drawn.energy_j / requests)
    what = "energy per request by cell" + (" of the steady state" if several else "")
    spread = batch_means(costs, level=method["confidence"], what=what)
    error = None if energy.sensor_j is None else energy.sensor_j / energy.energy_j
    return {"energy_per_request_j": widened(spread, point, error, "the sensor's")}


def _faults(load: LoadEvidence, counts: Counts) -> tuple[str, ...]:
    faults = [] if counts.succeeded else ["no request succeeded"]
    stopped = load.run.get("stopped")
    if stopped is not None:
        faults.append(f"the workload was stopped before its end ({stopped})")
    return tuple(faults)


def _idle(name: str, seconds: float, job: Job, marks: RowWriter) -> None:
    if seconds == 0:
        return
    settle_s = min(_SETTLE_S, seconds)
    job.progress.start(f"idle for {seconds:g} s", None)
    time.sleep(settle_s)
    start_ns = time.monotonic_ns()
    time.sleep(seconds)
    marks.write({"name": name, "start_ns": start_ns, "end_ns": time.monotonic_ns(), "cpu_s": None})
    if name == IDLE[0]:
        # A sensor that is refreshed late must not show the work in the idle, nor the idle in the work.
        time.sleep(settle_s)


def _elsewhere(job: Job) -> bool:
    endpoint = job.target.endpoint
    return endpoint is not None and urlsplit(endpoint.base_url).hostname not in _LOOPBACK
