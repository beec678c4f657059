"""One load, carried out once, that leaves both artifacts: latency_p99 and throughput_rps, from the same evidence."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.contract.evidence import EvidenceWriter
from hexgate.errors import HexgateError, InputError
from hexgate.indicators.base import Job
from hexgate.indicators.latency_p99 import latency_method
from hexgate.indicators.recording import recorded, unwritable
from hexgate.indicators.sheet import Measured, Run, Sheet
from hexgate.indicators.throughput_rps import throughput_method
from hexgate.indicators.workload import Workload, carry_out, workload
from hexgate.load.live import Live
from hexgate.load.plan import Arrival, Plan, closed_loop, open_loop
from hexgate.load.start import Start

__all__ = ["LOAD_STEM", "MEASURED_BY_LOAD", "LoadOptions", "Prepared", "measure_load", "prepare"]

MEASURED_BY_LOAD = ("latency_p99", "throughput_rps")
"""What a load measures."""
LOAD_STEM = "load"
"""What the names of its evidence begin with; both artifacts name the same files."""


@dataclass(frozen=True)
class LoadOptions:
    """What may be chosen of a load. Each means what the option of that name means in the two indicators."""

    rate_rps: float | None
    """Send at this rate; None for a closed loop."""
    arrival: str
    """How requests at a rate are spaced."""
    concurrency: int
    """Requests kept in flight where there is no rate."""
    requests: int | None
    """Timed requests; None where the duration decides."""
    duration_s: float | None
    """Length of the timed window; None where the number of requests decides."""
    warmup: int
    """Requests before the timed ones."""
    limit_ms: float
    """Count the requests that take longer."""
    windows: int
    """Equal parts of the timed window for the interval of the rate."""
    mode: str | None
    """What to ask of a target that gives both scores and text."""
    max_tokens: int
    """Most tokens of a reply."""


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


def prepare(job: Job) -> Prepared:
    """Make the requests and the plan of a load: the same options and data give the same plan, wherever it is made.

    Raises:
        InputError: if the options or the data make no load on this target.
    """
    chosen: LoadOptions = job.options
    load = workload(job, mode=chosen.mode, max_tokens=chosen.max_tokens)
    amount: dict[str, Any] = {
        "items": load.items,
        "requests": chosen.requests,
        "duration_s": chosen.duration_s,
        "warmup": chosen.warmup,
        "seed": job.seed,
    }
    length = f"{chosen.requests} requests" if chosen.requests else f"{chosen.duration_s:g} s"
    if chosen.rate_rps is None:
        plan = closed_loop(concurrency=chosen.concurrency, **amount)
        what = f"{chosen.concurrency} in flight, {length}"
    else:
        plan = open_loop(
            rate_rps=chosen.rate_rps,
            arrival=Arrival(chosen.arrival),
            max_in_flight=load.most_in_flight,
            **amount,
        )
        what = f"{chosen.rate_rps:g} requests/s, {length}"
    tokens = chosen.max_tokens
    methods = {
        "latency_p99": latency_method(plan, load, limit_ms=chosen.limit_ms, max_tokens=tokens),
        "throughput_rps": throughput_method(plan, load, windows=chosen.windows, max_tokens=tokens),
    }
    return Prepared(load, plan, methods, what)


def measure_load(
    job: Job, folder: Path, run: Run, *, start: Start | None = None, live: Live | None = None
) -> list[Measured]:
    """Carry out a load and leave its two artifacts in `folder`, whatever happens on the way.

    Args:
        job: the target, its data, and `LoadOptions`.
        folder: where the artifacts and their evidence go.
        run: the call that they are of.
        start: when to begin; None for now.
        live: counters to keep while it goes on.

    Raises:
        HexgateError: if it cannot begin; the artifacts say so if they can be written.
        TargetFailed: if the disk fails while an artifact is written; the evidence stays.
    """
    subject = job.target.subject.to_json()
    sheets = [
        Sheet(name, subject, job.seed, job.confidence, folder / f"{name}.json", run, job.target.opened)
        for name in MEASURED_BY_LOAD
    ]
    try:
        ready = prepare(job)
    except HexgateError as error:
        for sheet in sheets:
            sheet.begin(str(error))
        raise
    writers = [sheet.begin("the load did not run to its end") for sheet in sheets]
    shared = EvidenceWriter(folder, LOAD_STEM)
    for sheet, writer in zip(sheets, writers, strict=True):
        writer.describe(method=ready.methods[sheet.name], dataset=ready.load.dataset)

    def collect() -> None:
        carry_out(job, ready.plan, ready.load, shared, ready.what, start=start, live=live)

    measured = []
    try:
        with ExitStack() as keeping:
            stopped = recorded(collect, shared, keeping)
            for sheet, writer in zip(sheets, writers, strict=True):
                writer.share(shared)
                if isinstance(stopped, InputError):
                    sheet.fail(str(stopped), writer, writer.finish())
                else:
                    measured.append(sheet.conclude(writer, stopped))
    except OSError as error:
        raise unwritable(error, shared) from None
    if isinstance(stopped, InputError):
        raise stopped
    return measured
