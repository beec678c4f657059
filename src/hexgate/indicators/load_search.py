"""A search and a sweep over the rates of a load, each with the document that it leaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import file_bytes, write_atomically
from hexgate.contract.provenance import redacted, utc_now
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import EvidenceError, HexgateError, InputError, TargetFailed
from hexgate.indicators.base import Job
from hexgate.indicators.load_beside import SEARCH, SWEEP
from hexgate.indicators.load_probe import Prober, Step, Watch
from hexgate.indicators.load_run import LoadOptions
from hexgate.indicators.sheet import Run
from hexgate.load.measures.search import (
    Answer,
    Found,
    Probe,
    Probing,
    Verdict,
    saturation,
    search,
    sweep_rates,
)
from hexgate.load.measures.slo import Comparator, Slo, Term
from hexgate.stats.percentile import minimum_n

__all__ = ["Searched", "Swept", "run_search", "run_sweep"]

_SCHEMAS = {SEARCH: "load_search", SWEEP: "load_sweep"}
_DEFAULT_WAIT_S = 1.0
_DEFAULT_ERRORS = Term("error_ratio", None, Comparator.AT_MOST, 0.01)
_SHORT_S = 5.0


@dataclass(frozen=True)
class Searched:
    """What a search left."""

    found: Found
    """What it found."""
    slo: Slo
    """What the rate keeps."""
    steps: tuple[Step, ...]
    """The load of each probe."""
    path: Path
    """Its document."""
    error: HexgateError | None
    """What ended it before its end; None where it came to it."""

    @property
    def folder(self) -> str | None:
        """The artifacts of the load that showed the rate, from the folder of the document."""
        shown = [
            (probe.seconds, step.folder)
            for probe, step in zip(self.found.probes, self.steps, strict=False)
            if probe.rate_rps == self.found.rate_rps and probe.answer.verdict is Verdict.MET
        ]
        return max(shown)[1] if shown else None


@dataclass(frozen=True)
class Swept:
    """What a sweep left."""

    points: tuple[Step, ...]
    """The loads, in order of rate."""
    served_rps: float | None
    """What the target served at most; None where the highest rate was given."""
    ended: str
    """``complete``, ``client`` or ``stopped``."""
    path: Path
    """Its document."""
    error: HexgateError | None
    """What ended it before its end; None where it came to it."""
    retried: tuple[Step, ...] = ()
    """Loads that this machine was too busy for, and that were measured a second time."""


def run_search(job: Job, folder: Path, run: Run, watch: Watch, told: Callable[[Probe], None]) -> Searched:
    """Find the highest rate that keeps the SLO of the options, and leave ``search.json`` however it ends.

    An SLO that says nothing of failures is taken to allow one in a hundred: a rate at which a target refuses requests
    is not one that it keeps.

    Args:
        job: the target, its data and `LoadOptions`: `rate_rps` is the first rate, `duration_s` the longest probe.
        folder: where the loads and the document go.
        run: the call.
        watch: shows each load.
        told: takes each probe as it ends.

    Raises:
        InputError: if the search makes no sense, or the document cannot be written.
    """
    chosen: LoadOptions = job.options
    slo = Slo.parse(chosen.slo or "")
    if not any(term.measure in ("error_ratio", "goodput_ratio") for term in slo.terms):
        slo = Slo((*slo.terms, _DEFAULT_ERRORS))
    probing = Probing(
        fewest=_fewest(slo, job.confidence), wait_s=_longest_wait_s(slo), most_s=chosen.duration_s or math.inf
    )
    prober = Prober(job, folder, "search", run, watch, slo)
    probes: list[Probe] = []
    error: HexgateError | None = None

    def probe(rate_rps: float, seconds: float) -> Answer:
        nonlocal error
        try:
            answer = prober.probe(rate_rps, seconds)
        except HexgateError as failed:
            error = failed
            raise KeyboardInterrupt from None
        probes.append(Probe(len(probes) + 1, rate_rps, seconds, answer))
        told(probes[-1])
        return answer

    found = search(probe, probing, start_rps=chosen.rate_rps or 1.0)
    searched = Searched(found, slo, tuple(prober.steps), folder / SEARCH, error)
    _write(
        searched.path,
        {
            "schema": "hexgate/load_search/1.0",
            **_head(job, run),
            "slo": slo.to_json(),
            "ended": found.ended.value,
            "rate_rps": found.rate_rps,
            "above_rps": found.above_rps,
            "folder": searched.folder,
            "width": probing.width,
            "requests": found.requests,
            "probes": [
                {**one.to_json(), **step.to_json()}
                for one, step in zip(found.probes, prober.steps, strict=False)
            ],
        },
    )
    return searched


def run_sweep(
    job: Job, folder: Path, run: Run, watch: Watch, told: Callable[[Step], None], *, points: int
) -> Swept:
    """Measure a target at several rates, and leave ``sweep.json`` however it ends.

    The highest rate is that of the options; where they have none it is what the target serves at most, found with
    short loads at doubled rates. A load that this machine was too busy for is measured once more; if it is again,
    the sweep ends there, as higher rates ask more of it.

    Args:
        job: the target, its data and `LoadOptions`, whose `duration_s` every load lasts.
        folder: where the loads and the document go.
        run: the call.
        watch: shows each load.
        told: takes each load as it ends.
        points: how many rates.

    Raises:
        InputError: if the sweep makes no sense, or the document cannot be written.
    """
    chosen: LoadOptions = job.options
    slo = None if chosen.slo is None else Slo.parse(chosen.slo)
    finder = Prober(job, folder, "sweep/finding", run, watch, None)
    prober = Prober(job, folder, "sweep", run, watch, slo)
    served, ended, error = None, "complete", None
    retried: list[Step] = []
    try:
        most = chosen.rate_rps
        if most is None:
            short_s = min(_SHORT_S, chosen.duration_s or _SHORT_S)
            served = most = saturation(lambda rate: finder.probe(rate, short_s))
        for rate in sweep_rates(most, points):
            step = prober.measure(rate, chosen.duration_s or _SHORT_S)
            told(step)
            if step.reasons:
                # One disturbance says nothing of what this machine can send.
                retried.append(step)
                step = prober.measure(rate, chosen.duration_s or _SHORT_S)
                told(step)
            if step.reasons:
                ended = "client"
                break
    except KeyboardInterrupt:
        ended = "stopped"
    except InputError:
        raise
    except (EvidenceError, TargetFailed) as failed:
        ended, error = "stopped", failed
    kept = tuple(step for step in prober.steps if not any(step is one for one in retried))
    swept = Swept(kept, served, ended, folder / SWEEP, error, tuple(retried))
    _write(
        swept.path,
        {
            "schema": "hexgate/load_sweep/1.0",
            **_head(job, run),
            "slo": None if slo is None else slo.to_json(),
            "ended": ended,
            "served_rps": served,
            "points": [step.to_json() for step in kept],
            "probes": [step.to_json() for step in (*finder.steps, *retried)],
        },
    )
    return swept


def _fewest(slo: Slo, level: float) -> int:
    """The fewest requests that can show that every term is kept."""
    shares = [term.share for term in slo.run_terms if term.share is not None]
    # Of n requests without a failure the exact bound is 1 - (1 - level)^(1 / n), as for a percentile.
    shares += [
        1.0 - term.limit for term in slo.run_terms if term.measure.endswith("_ratio") and _is_low(term)
    ]
    shares += [
        term.limit for term in slo.run_terms if term.comparator is Comparator.AT_LEAST and term.limit < 1
    ]
    return max((minimum_n(share, level=level) for share in shares), default=30)


def _is_low(term: Term) -> bool:
    return term.comparator is Comparator.AT_MOST and 0.0 < term.limit < 1.0


def _longest_wait_s(slo: Slo) -> float:
    """The longest wait that the terms allow."""
    waits = [term.limit / 1e3 for term in slo.terms if term.measure in ("ttft_ms", "ttfa_ms", "e2e_ms")]
    return max(waits, default=_DEFAULT_WAIT_S)


def _head(job: Job, run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "created_at": utc_now(),
        "target": redacted([job.target.uri])[0],
        "confidence": job.confidence,
    }


def _write(path: Path, document: Mapping[str, Any]) -> None:
    mistakes: Sequence[str] = schema_mistakes(_SCHEMAS[path.name], document)
    if mistakes:
        raise EvidenceError(
            f"the document breaks its own contract, which is a fault of hexgate: {mistakes[0]}",
            where=str(path),
            hint="the loads are kept; please report this with them",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, file_bytes(document))
    except OSError as error:
        raise InputError(f"it cannot be written ({error.strerror})", where=str(path)) from None
