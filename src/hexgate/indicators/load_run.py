"""One load, carried out once, that leaves both artifacts: latency_p99 and throughput_rps, from the same evidence."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hexgate.contract.evidence import EvidenceWriter
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import HexgateError, InputError
from hexgate.indicators.base import Job
from hexgate.indicators.latency_p99 import latency_method
from hexgate.indicators.load_beside import LOAD_STEM, remove_left
from hexgate.indicators.load_title import planned
from hexgate.indicators.load_unanswered import told_where_none_answered
from hexgate.indicators.recording import recorded, unwritable
from hexgate.indicators.sheet import Measured, Run, Sheet
from hexgate.indicators.throughput_rps import throughput_method
from hexgate.indicators.workload import MAX_TOKENS, Workload, carry_out, workload
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.engine import DRAIN_S
from hexgate.load.live import Live
from hexgate.load.measures.slo import TIMES, Slo
from hexgate.load.plans.plan import Arrival, Plan
from hexgate.load.plans.trace_lengths import TraceLengths, trace_lengths
from hexgate.load.start import Start
from hexgate.meters.recorder import Recorder

__all__ = [
    "MEASURED_BY_LOAD",
    "LoadOptions",
    "Prepared",
    "limits_of",
    "measure_load",
    "prepare",
    "recorder_of",
    "workload_of",
]

MEASURED_BY_LOAD = ("latency_p99", "throughput_rps")
"""What a load measures."""


@dataclass(frozen=True)
class LoadOptions:
    """What may be chosen of a load. At most one of rate, stages, ramp and replay; with none of them a closed loop."""

    rate_rps: float | None = None
    """Send at this rate."""
    arrival: str = Arrival.POISSON.value
    """How requests at a rate are spaced."""
    burstiness: float | None = None
    """Shape of gamma arrivals."""
    concurrency: int = 4
    """Requests kept in flight in a closed loop."""
    stages: str | None = None
    """Rates one after the other, as `parse_stages` reads them."""
    ramp: str | None = None
    """From one rate to another, as `parse_ramp` reads it."""
    replay: Path | None = None
    """A trace whose instants are kept."""
    time_scale: float = 1.0
    """Every instant of the trace is multiplied by it."""
    requests: int | None = None
    """Timed requests, or conversations; None where the duration decides."""
    duration_s: float | None = None
    """Length of the timed window; None where the number of requests, the stages or the trace decide."""
    warmup: int = 50
    """Requests, or conversations, before the timed ones."""
    max_in_flight: int | None = None
    """Cap on what an open loop has in flight; None for no cap."""
    limit_ms: float = 300.0
    """Count the requests that take longer."""
    windows: int = 20
    """Equal parts of the timed window for the interval of the rate."""
    mode: str | None = None
    """What to ask of a target that gives several things."""
    max_tokens: int | None = None
    """Most tokens of a reply; None for what the trace says of each, else for `MAX_TOKENS`."""
    temperature: float | None = None
    """Sampling temperature; None for 0, which is greedy."""
    top_p: float | None = None
    """Nucleus mass; None for the server's default."""
    system: str | None = None
    """System message of every request whose data has none."""
    ignore_eos: bool = False
    """Whether every reply is to have `max_tokens`."""
    extra_body: str | None = None
    """A JSON object with further fields of every body."""
    input_tokens: str | None = None
    """How many tokens prompts have, such as ``1000`` or ``1000..4096``."""
    tokenizer: str | None = None
    """File of a tokenizer that counts tokens of prompts and replies."""
    token_times: bool = False
    """Whether each reply is kept with the instants at which its text came."""
    turns: int = 1
    """Requests of a conversation."""
    think_s: float = 0.0
    """Seconds from the end of a reply to the next turn."""
    slo: str | None = None
    """What is to be kept, as `Slo.parse` reads it."""
    max_error_ratio: float | None = None
    """Stop once more than this share of the requests has failed."""
    drain_s: float = DRAIN_S
    """Longest wait for what is in flight at the end, of a load with a duration or one that is stopped."""
    workers: int | None = None
    """Processes that send; None for one for each core, where the load can use them."""
    proxy: str | None = None
    """URL of a proxy."""
    http2: bool = False
    """Whether to speak HTTP/2."""
    server_pid: int | None = None
    """The server's process, where it runs here and does not listen at the target's address itself."""
    server_metrics: tuple[str, ...] = ()
    """Prometheus endpoints of the server."""


@dataclass(frozen=True)
class Prepared:
    """A load that can begin."""

    load: Workload
    """Its requests."""
    plan: Plan
    """When each is sent."""
    methods: Mapping[str, Mapping[str, Any]]
    """The block `method` of each artifact, without what is common to all indicators."""
    what: str
    """The load in a few words."""


def limits_of(chosen: LoadOptions) -> dict[str, Any]:
    """What bounds a load that is carried out, by the names that `carry_out` has."""
    return {
        "drain_s": chosen.drain_s,
        "max_error_ratio": chosen.max_error_ratio,
        "workers": chosen.workers,
    }


def recorder_of(job: Job, evidence: EvidenceWriter) -> Recorder:
    """What samples resources beside a load: of this process and, where it runs here, of the server.

    Raises:
        InputError: if an endpoint of metrics is none.
    """
    chosen: LoadOptions = job.options
    endpoint = job.target.endpoint
    return Recorder(
        evidence.folder,
        evidence.stem,
        pid=os.getpid(),
        server_pid=chosen.server_pid,
        server_url=None if endpoint is None else endpoint.base_url,
        metrics_urls=chosen.server_metrics,
        wait=False,
    )


def workload_of(job: Job) -> Workload:
    """The requests of a load, as its options have them.

    Raises:
        InputError: if the options or the data make no requests for this target.
        MissingExtra: if a tokenizer is given and its library is not installed.
        TargetFailed: if the target does not answer while lengths are fitted to its counts.
    """
    chosen: LoadOptions = job.options
    trace = _lengths_of_trace(job)
    load = workload(
        job,
        mode=chosen.mode,
        max_tokens=chosen.max_tokens,
        temperature=chosen.temperature,
        top_p=chosen.top_p,
        system=chosen.system,
        ignore_eos=chosen.ignore_eos,
        extra_body=chosen.extra_body,
        input_tokens=chosen.input_tokens,
        tokenizer=chosen.tokenizer if chosen.input_tokens or trace is not None else None,
        trace=trace,
        turns=chosen.turns,
    )
    used: dict[str, Any] = {
        name: getattr(chosen, name) for name in ("proxy", "http2", "tokenizer", "token_times")
    }
    if isinstance(load.driver, EndpointDriver):
        asked = dict(load.asked)
        if chosen.tokenizer is not None and asked.get("tokenizer") is None:
            asked["tokenizer"] = Tokenizer.read(chosen.tokenizer).to_json()
        return replace(load, driver=replace(load.driver, **used), asked=asked)
    if given := [name for name, value in used.items() if value]:
        raise InputError(
            f"--{given[0].replace('_', '-')} is for a target that is reached over the network",
            where=job.target.uri,
            hint="take it out",
        )
    return load


def _lengths_of_trace(job: Job) -> TraceLengths | None:
    """What the trace says of lengths, where nothing else says what is sent, and the target takes it."""
    chosen: LoadOptions = job.options
    if chosen.replay is not None and not chosen.replay.is_file():
        raise InputError(
            "the trace is no regular file, and is read more than once",
            where="--replay",
            got=str(chosen.replay),
            hint="write it to a file first",
        )
    if chosen.replay is None or job.data is not None or chosen.input_tokens is not None:
        return None
    if chosen.turns != 1 or job.target.endpoint is None:
        return None
    return trace_lengths(
        chosen.replay,
        time_scale=chosen.time_scale,
        requests=chosen.requests,
        duration_s=chosen.duration_s,
        warmup=chosen.warmup,
    )


def prepare(job: Job, load: Workload | None = None) -> Prepared:
    """Make the requests and the plan of a load: the same options and data give the same plan, wherever it is made.

    Args:
        job: the target, its data, and `LoadOptions`.
        load: the requests, where they were made before; None to make them.

    Raises:
        InputError: if the options or the data make no load on this target.
        TargetFailed: as for `workload_of`.
    """
    chosen: LoadOptions = job.options
    slo = None if chosen.slo is None else Slo.parse(chosen.slo)
    load = workload_of(job) if load is None else load
    if slo is not None and load.mode != "text":
        _refuse_times_of_streams(slo, load.mode)
    plan, what = planned(job, chosen, load)
    kept: dict[str, Any] = {} if slo is None else {"slo": slo.to_json()}
    most = load.asked.get("max_tokens", MAX_TOKENS)
    sent: dict[str, Any] = {"max_tokens": most, "workers": chosen.workers}
    if chosen.replay is not None:
        sent |= {"trace": chosen.replay.name, "time_scale": chosen.time_scale}
    methods = {
        "latency_p99": latency_method(plan, load, limit_ms=chosen.limit_ms, **sent) | kept,
        "throughput_rps": throughput_method(plan, load, windows=chosen.windows, **sent) | kept,
    }
    return Prepared(load, plan, methods, what)


def _refuse_times_of_streams(slo: Slo, mode: str) -> None:
    for term in slo.terms:
        if term.measure in TIMES and term.measure != "e2e_ms":
            raise InputError(
                f"{mode} do not come in pieces: there is no {term.measure} to bound",
                where="--slo",
                got=str(term),
                hint="bound e2e_ms, or a ratio",
            )


def measure_load(
    job: Job,
    folder: Path,
    run: Run,
    *,
    start: Start | None = None,
    live: Live | None = None,
    load: Workload | None = None,
    stop: threading.Event | None = None,
) -> list[Measured]:
    """Carry out a load and leave its two artifacts in `folder`, whatever happens on the way.

    Args:
        job: the target, its data, and `LoadOptions`.
        folder: where the artifacts and their evidence go.
        run: the call that they are of.
        start: when to begin; None for now.
        live: counters to keep while it goes on.
        load: its requests, where they were made before.
        stop: ends the load early once it is set.

    Raises:
        HexgateError: if it cannot begin; the artifacts say so if they can be written.
        TargetFailed: if the disk fails while an artifact is written; the evidence stays.
    """
    remove_left(folder)
    subject = job.target.subject.to_json()
    sheets = [
        Sheet(name, subject, job.seed, job.confidence, folder / f"{name}.json", run, job.target.opened)
        for name in MEASURED_BY_LOAD
    ]
    try:
        ready = prepare(job, load)
    except HexgateError as error:
        for sheet in sheets:
            sheet.begin(str(error))
        raise
    writers = [sheet.begin("the load did not run to its end") for sheet in sheets]
    shared = EvidenceWriter(folder, LOAD_STEM)
    for sheet, writer in zip(sheets, writers, strict=True):
        writer.describe(method=ready.methods[sheet.name], dataset=ready.load.dataset)

    recorder = recorder_of(job, shared)

    def collect() -> None:
        carry_out(
            job,
            ready.plan,
            ready.load,
            shared,
            ready.what,
            start=start,
            live=live,
            stop=stop,
            ready=recorder.wait,
            **limits_of(job.options),
        )

    measured = []
    try:
        with ExitStack() as keeping:
            stopped = recorded(collect, shared, keeping, recorder=recorder)
            for sheet, writer in zip(sheets, writers, strict=True):
                writer.share(shared)
                if isinstance(stopped, InputError):
                    sheet.fail(str(stopped), writer, writer.finish())
                else:
                    measured.append(told_where_none_answered(sheet.conclude(writer, stopped), stopped))
    except OSError as error:
        raise unwritable(error, shared) from None
    if isinstance(stopped, InputError):
        raise stopped
    return measured
