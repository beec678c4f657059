"""Loads at several rates on one target, each with its own artifacts: what a search and a sweep are made of."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hexgate.errors import Interrupted, TargetFailed
from hexgate.indicators.base import Job, Progress
from hexgate.indicators.load_evidence import load_evidence
from hexgate.indicators.load_run import LoadOptions, measure_load, workload_of
from hexgate.indicators.sheet import Measured, Run
from hexgate.indicators.workload import Workload
from hexgate.load.errand import Stopped
from hexgate.load.live import BOUNDS_S, Live, Seen
from hexgate.load.measures.search import Answer, Verdict
from hexgate.load.measures.slo import Slo
from hexgate.load.measures.slo_judge import Judged, Kept, judge
from hexgate.stats.percentile import interval_of_ranks

__all__ = [
    "Fatal",
    "Prober",
    "Step",
    "Watch",
    "ended_when_hopeless",
    "fatal_counts",
    "is_hopeless",
    "judge_folder",
]

Watch = Callable[[str], AbstractContextManager[tuple[Progress, Live]]]
"""Shows a load with the given name while it goes on."""

_WARMUP_RATIO = 0.25
_LOOK_S = 0.25
_HEADLINES = {
    "latency_p99": (
        "p50_ms",
        "p99_ms",
        "ttft_p50_ms",
        "ttft_p99_ms",
        "tpot_p50_ms",
        "tpot_p99_ms",
        "error_ratio",
    ),
    "throughput_rps": ("rps", "achieved_rps", "output_tokens_per_s"),
}


@dataclass(frozen=True)
class Step:
    """One load of several."""

    folder: str
    """Where its artifacts lie, from the folder of all."""
    rate_rps: float
    """The rate that it asked for."""
    seconds: float
    """How long its timed window was to be."""
    status: str
    """Status of its artifacts, the worse of the two."""
    judged: tuple[Judged, ...]
    """What it says of each term; empty where nothing was to be kept."""
    reasons: tuple[str, ...]
    """Why the client, and not the target, shaped it; empty where it did not."""
    figures: Mapping[str, float | None]
    """Its main figures, by the names of their measures."""
    stopped: str | None = None
    """Why it was stopped before its end, one of `errand.Stopped`; None where it was not."""
    lacking: str = ""
    """Why its artifacts are not complete; empty where they are."""

    def to_json(self) -> dict[str, Any]:
        """The step as it stands in a document."""
        return {
            "folder": self.folder,
            "rate_rps": self.rate_rps,
            "seconds": self.seconds,
            "status": self.status,
            "judged": [one.to_json() for one in self.judged],
            "client_reasons": list(self.reasons),
            "figures": dict(self.figures),
        }


def judge_folder(measured: Measured, slo: Slo | None) -> tuple[list[Judged], tuple[str, ...]]:
    """What a load says of each term of its SLO, and why its client did not keep up; both may be empty.

    Raises:
        EvidenceError: if its evidence is not what was written.
    """
    reader = measured.artifact.evidence()
    if not {"plan", "plan_head", "requests"} <= reader.names:
        return [], ()
    load = load_evidence(reader)
    method = measured.artifact.data["method"]
    stopped = load.run.get("stopped") is not None if load.run else True
    judged = (
        []
        if slo is None
        else judge(slo, load.records, load.plan, stopped=stopped, level=method["confidence"])
    )
    return judged, load.client_faults(in_process=method["in_process"])


def _stopped(measured: Measured) -> str | None:
    """Why a load was stopped before its end; None where it was not, or did not come to an orderly end."""
    reader = measured.artifact.evidence()
    return reader.document("run").get("stopped") if "run" in reader.names else None


@dataclass
class Prober:
    """Puts loads at several rates on the target of a job, one after the other."""

    job: Job
    """The target, its data and `LoadOptions`; its rate and lengths are replaced."""
    folder: Path
    """Where the folders of the loads go."""
    name: str
    """The name of the folder that they go into, in that one: ``search`` or ``sweep``."""
    run: Run
    """The call that they are of."""
    watch: Watch
    """Shows each."""
    slo: Slo | None = None
    """What is to be kept."""
    steps: list[Step] = field(default_factory=list)
    """The loads so far."""
    _load: Workload | None = None

    def probe(self, rate_rps: float, seconds: float) -> Answer:
        """One load of so many seconds, ended early where its terms are missed whatever still comes.

        Raises:
            KeyboardInterrupt: if the user stopped it; its artifacts are complete up to then.
            HexgateError: if the target failed, or not one request succeeded, and it answered at no lower rate.
        """
        stop = threading.Event()
        measured = self._measure(rate_rps, seconds, stop)
        step = self.steps[-1]
        counts = measured[0].artifact.data["counts"]
        rates = measured[1].artifact.data
        served = None if step.status == "failed" else rates["rps"]
        try:
            _raise_stopped(measured)
            verdict, why = _verdict(step, stopped=stop.is_set())
        except TargetFailed as failed:
            if step.reasons or not self._refuses(step, measured[0]):
                raise
            verdict, why = Verdict.MISSED, failed.what
        return Answer(verdict, why, counts["requested"] + rates["warmup_requests"], served)

    def _refuses(self, step: Step, measured: Measured) -> bool:
        """Whether a target that answered at a lower rate took no connection at this one, or answered nothing."""
        by_target = (None, Stopped.UNREACHABLE.value, Stopped.ERRORS.value)
        has_run = "run" in measured.artifact.evidence().names
        answered = any(one.rate_rps < step.rate_rps and one.figures["rps"] for one in self.steps[:-1])
        return has_run and step.stopped in by_target and answered

    def measure(self, rate_rps: float, seconds: float) -> Step:
        """One load of so many seconds, to its end.

        Raises:
            KeyboardInterrupt, HexgateError: as `probe` does.
        """
        _raise_stopped(self._measure(rate_rps, seconds, None))
        return self.steps[-1]

    def _measure(self, rate_rps: float, seconds: float, stop: threading.Event | None) -> list[Measured]:
        own = Path(self.name) / f"{len(self.steps) + 1:02d}-{rate_rps:.4g}"
        chosen: LoadOptions = self.job.options
        options = replace(
            chosen,
            rate_rps=rate_rps,
            requests=None,
            duration_s=seconds,
            warmup=max(math.ceil(rate_rps * seconds * _WARMUP_RATIO), 1),
        )
        with self.watch(f"{self.name} {len(self.steps) + 1}") as (progress, live):
            job = replace(self.job, options=options, progress=progress)
            self._load = self._load or workload_of(job)
            with ended_when_hopeless(self.slo, live, rate_rps * seconds, job.confidence, stop):
                measured = measure_load(
                    job, self.folder / own, self.run, live=live, load=self._load, stop=stop
                )
        judged, reasons = judge_folder(measured[0], self.slo)
        self.steps.append(
            Step(
                own.as_posix(),
                rate_rps,
                seconds,
                _worse(measured),
                tuple(judged),
                reasons,
                _figures(measured),
                _stopped(measured[0]),
                next((why for one in measured for why in one.artifact.data["invalid_reasons"]), ""),
            )
        )
        return measured


def _raise_stopped(measured: Sequence[Measured]) -> None:
    errors = [one.error for one in measured if one.error is not None]
    if any(isinstance(error, Interrupted) for error in errors):
        raise KeyboardInterrupt
    for error in errors:
        if isinstance(error, TargetFailed):
            raise error


def _worse(measured: Sequence[Measured]) -> str:
    order = ("failed", "invalid", "partial", "complete")
    return min((str(one.artifact.data["status"]) for one in measured), key=order.index)


def _figures(measured: Sequence[Measured]) -> dict[str, float | None]:
    data = {one.artifact.indicator: one.artifact.data for one in measured}
    return {name: data[indicator][name] for indicator, names in _HEADLINES.items() for name in names}


_BY_THE_CLIENT = (Stopped.CLIENT.value, Stopped.DIED.value, Stopped.DISK.value)
"""What stops a load and says nothing of its target."""


def _verdict(step: Step, *, stopped: bool) -> tuple[Verdict, str]:
    """What a load says of its rate; `stopped` is whether it was ended early as hopeless. Only a whole one is met."""
    if step.reasons or step.stopped in _BY_THE_CLIENT:
        return Verdict.INVALID, (*step.reasons, step.lacking)[0]
    if (missed := _missed(step, stopped=stopped)) is not None:
        return Verdict.MISSED, missed
    if (undecided := _undecided(step)) is not None:
        return Verdict.UNDECIDED, undecided
    return Verdict.MET, "; ".join(f"{one.term}: {one.why}" for one in step.judged)


def _missed(step: Step, *, stopped: bool) -> str | None:
    """Why a rate is too much; None where that is not known."""
    if step.stopped == Stopped.ERRORS.value:
        return step.lacking
    missed = [one for one in step.judged if one.kept is Kept.MISSED]
    if not stopped and not missed:
        return None
    said = missed or [one for one in step.judged if one.kept is Kept.UNDECIDED]
    early = "; ended early" if stopped else ""
    return f"{said[0].term}: {said[0].why}{early}" if said else "ended early"


def _undecided(step: Step) -> str | None:
    """Why a rate that is not missed is not kept either; None where it is."""
    if not step.judged:
        return "nothing was measured"
    for kept in (Kept.UNMEASURED, Kept.UNDECIDED):
        for one in step.judged:
            if one.kept is kept:
                return f"{one.term}: {one.why}"
    return None if step.status == "complete" else step.lacking


@contextmanager
def ended_when_hopeless(
    slo: Slo | None, live: Live, planned: float, level: float, stop: threading.Event | None
) -> Iterator[None]:
    """End a load by `stop` once so many replies are beyond a limit that the rest cannot save its percentile.

    Args:
        slo: what is to be kept; None for nothing.
        live: the counters of the load.
        planned: how many timed requests are to be expected.
        level: confidence of the bounds.
        stop: ends the load; None where it is to go on whatever happens.
    """
    fatal = () if slo is None else fatal_counts(slo, math.ceil(planned), level)
    if stop is None or not fatal:
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_S):
            if is_hopeless(live.seen(), fatal):
                stop.set()
                return

    looker = threading.Thread(target=look, name="hopeless", daemon=True)
    looker.start()
    try:
        yield
    finally:
        over.set()
        looker.join()


@dataclass(frozen=True)
class Fatal:
    """When a percentile is missed, whatever still comes."""

    measure: str
    """``e2e_ms`` or ``ttft_ms``."""
    bucket: int
    """The first bucket that lies beyond the limit as a whole."""
    most: int
    """More replies than this in it and above are too many."""


def fatal_counts(slo: Slo, planned: int, level: float) -> tuple[Fatal, ...]:
    """What is too many for each percentile of an SLO, of so many timed requests.

    The number of arrivals is random: three standard deviations more than planned are allowed for.
    """
    n = planned + 3 * math.ceil(math.sqrt(planned))
    found = []
    for term in slo.run_terms:
        if term.share is None or term.measure not in ("e2e_ms", "ttft_ms"):
            continue
        bucket = next((place + 1 for place, bound in enumerate(BOUNDS_S) if bound >= term.limit / 1e3), None)
        least = interval_of_ranks(n, float, term.share, level=level).lower_bound
        if bucket is not None and least is not None:
            found.append(Fatal(term.measure, bucket, n - int(least)))
    return tuple(found)


def is_hopeless(seen: Seen, fatal: Sequence[Fatal]) -> bool:
    """Whether a percentile is missed, whatever still comes."""
    return any(
        sum((seen.buckets if one.measure == "e2e_ms" else seen.ttft_buckets)[one.bucket :]) > one.most
        for one in fatal
    )
