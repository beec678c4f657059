"""One visit: a model's runs of one block, between two times of idle, with the recorder beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import canonical_bytes
from hexgate.contract.provenance import utc_now
from hexgate.errors import EvidenceError, TargetFailed
from hexgate.meters.base import METERS
from hexgate.meters.recorder import Recorder
from hexgate.meters.windows import Energy, NotMeasured, Window
from hexgate.study.asking import Asked, ask_once
from hexgate.study.configuration import Configuration, changes_of
from hexgate.study.design import Run, Visit
from hexgate.study.energy import RunEnergy, idle_energy, net_block, scales_of, too_short_quiet
from hexgate.study.lines import write_whole
from hexgate.study.opening import Opened, is_here, open_model
from hexgate.study.record import run_record
from hexgate.study.requests import ask_of, cold_start, nonce_of, warm_up_once
from hexgate.study.servers import Wait
from hexgate.study.spec import Clean, Cold, ModelSpec, Quiet, Spec
from hexgate.study.watching import Watch
from hexgate.targets.http_client import Failure
from hexgate.targets.probe import failed

__all__ = ["Around", "carry_out_visit"]

_SETTLE_S = 1.0
"""What has worked until now comes to rest before its idle is measured."""
_MOST_SILENT = 3
"""After so many runs in a row to which nobody answered, the server is taken for gone."""


@dataclass(frozen=True)
class Around:
    """What a visit has around it: how it waits, where it leaves things, and whom it tells."""

    spec: Spec
    """The study."""
    traces: Path
    """Folder of the recordings."""
    environment: Mapping[str, Any]
    """What this machine is."""
    wait: Wait
    """Waits so many seconds, or raises where the study is stopped."""
    earlier: Callable[[str], Mapping[str, Any] | None]
    """The configuration of a model in its first visit; None before that."""
    attempt: Callable[[str], int]
    """Which attempt at a run the next one is."""
    shared: Callable[[str], str | None]
    """Why a domain of energy belongs to another model too; None where it does not."""
    note_visit: Callable[[Mapping[str, Any]], None]
    """Keeps the begin or the end of the visit."""
    keep: Callable[[Mapping[str, Any], Mapping[str, Any]], None]
    """Keeps the record of a run, with the begin of its visit."""
    tell: Callable[[str], None]
    """Tells the person who watches one line."""
    tell_once: Callable[[str], None]
    """The same, unless it was told in an earlier visit of this call."""
    rapl_root: Path | None = None
    """Root of the powercap tree, where it is not the kernel's own."""


@dataclass(frozen=True)
class _Going:
    """A visit that has begun."""

    visit: Visit
    """Its runs."""
    visit_id: str
    """What it is called."""
    opened: Opened
    """The server."""
    configuration: Configuration
    """What it says of the loaded model."""
    options: Mapping[str, Any]
    """Further fields of each request's body."""
    watch: Watch
    """The recorder beside it."""
    begin: Mapping[str, Any]
    """What is kept of its begin."""
    energies: dict[str, RunEnergy]
    """Energy of each run so far, by id and attempt."""
    quiet: Quiet | None
    """Idle held around each request; None where none is asked for, or no meter would see it."""
    degraded: tuple[str, ...] = ()
    """Why the figures of its runs are worth less than they should be."""


def carry_out_visit(visit: Visit, visit_id: str, around: Around) -> None:
    """Carry out one visit.

    Clean state, loading, idle, warm-up, the runs, idle, and the model let go. However it ends, its end is kept.

    Args:
        visit: the runs.
        visit_id: what it is called; names its recording.
        around: what it needs.

    Raises:
        TargetFailed: if the server fails outside a run, or no longer answers.
        InputError: if the server does not serve the model.
        EvidenceError: if the model or its server is another one than in the model's first visit.
        OSError: if the disk does not take what is kept.
    """
    spec = around.spec
    model = spec.model(visit.model)
    here = is_here(model)
    with open_model(model, spec) as opened:
        try:
            unloaded = opened.server.unload(around.wait) if spec.clean is Clean.UNLOAD else "not asked for"
            recorder = _recorder(around, visit_id, opened, here=here)
            try:
                with recorder:
                    watch = _watch(recorder, model, around, here=here)
                    going = _begin(visit, visit_id, model, opened, watch, around, unloaded)
                    _between_idles(going, around)
            finally:
                said = canonical_bytes(recorder.to_json()) + b"\n"
                write_whole(around.traces / f"{visit_id}.meters.json", said)
        except Failure as failure:
            raise failed(failure, opened.base_url, model.api_key_env) from None


def _recorder(around: Around, visit_id: str, opened: Opened, *, here: bool) -> Recorder:
    spec = around.spec
    around.traces.mkdir(parents=True, exist_ok=True)
    return Recorder(
        around.traces,
        visit_id,
        pid=None,
        resources_hz=spec.resources_hz,
        power_hz=spec.power_hz,
        meters=spec.meters or [name for name in METERS if name != "host"],
        rapl_root=around.rapl_root,
        **(opened.place if here else {}),
    )


def _watch(recorder: Recorder, model: ModelSpec, around: Around, *, here: bool) -> Watch:
    if recorder.failure is not None:
        around.tell(recorder.failure)
    scales = scales_of(recorder.domains, recorder.unavailable, model.domains, here=here, shared=around.shared)
    if scales.lack is not None:
        around.tell_once(f"{model.name}: no energy is measured: {scales.lack}")
    quiet = around.spec.quiet
    if quiet is not None and (why := too_short_quiet(scales, quiet)) is not None:
        around.tell_once(why)
    return Watch(recorder, scales)


def _begin(
    visit: Visit,
    visit_id: str,
    model: ModelSpec,
    opened: Opened,
    watch: Watch,
    around: Around,
    unloaded: str | None,
) -> _Going:
    """Load the model, measure idle, warm up, and keep that the visit has begun."""
    spec = around.spec
    load_ns = time.monotonic_ns()
    opened.server.preload()
    preload_s = (time.monotonic_ns() - load_ns) / 1e9
    configuration = opened.configuration(model)
    _refuse_another(visit, visit_id, configuration, opened.base_url, around)
    idle = _idle(spec.idle_s, watch, around.wait)
    options = opened.server.options(spec.cold)
    quiet = spec.quiet if watch.scales.lack is None else None
    going = _Going(visit, visit_id, opened, configuration, options, watch, {}, {}, quiet)
    warm_up = [warm_up_once(opened, options, spec, f"{visit_id}/{number}") for number in range(spec.warmup)]
    degraded = cold_start(warm_up)
    for line in degraded:
        around.tell(f"{visit.model}: {line}")
    lack = watch.scales.lack
    begin = {
        "event": "begin",
        "visit": visit_id,
        "block": visit.block,
        "model": visit.model,
        "started_at": utc_now(),
        "wall_ns": time.time_ns(),
        "monotonic_ns": time.monotonic_ns(),
        "base_url": opened.base_url,
        "unloaded_before": unloaded is None,
        "preload_seconds": preload_s,
        "configuration": configuration.to_json(),
        "environment": dict(around.environment),
        "warnings": list(opened.warnings),
        "domains": [domain.to_json() for domain in watch.scales.domains],
        "idle_before": None if idle is None else _span(idle),
        "warm_up": warm_up,
        "degraded": list(degraded),
        "missing": {
            **({} if unloaded is None else {"unloaded_before": unloaded}),
            **({} if lack is None else {"domains": lack}),
        },
    }
    around.note_visit(begin)
    return replace(going, begin=begin, degraded=degraded)


def _refuse_another(
    visit: Visit, visit_id: str, configuration: Configuration, base_url: str, around: Around
) -> None:
    """Refuse a model that is no longer the one of its earlier runs, and keep that it was refused."""
    earlier, now = around.earlier(visit.model), configuration.to_json()
    changes = [] if earlier is None else changes_of(earlier, now)
    if not changes:
        return
    around.note_visit(
        {
            "event": "refused",
            "visit": visit_id,
            "block": visit.block,
            "model": visit.model,
            "at": utc_now(),
            "kind": "configuration_changed",
            "changes": changes,
            "configuration": now,
        }
    )
    raise EvidenceError(
        "the model or its server is another one than in the model's first visit",
        where=f"{visit.model} at {base_url}",
        got="; ".join(changes),
        expected="one configuration in all runs of a model",
        hint="bring the earlier one back and run the same command again, or begin anew in another --out",
    )


def _between_idles(going: _Going, around: Around) -> None:
    """The runs, the idle after them, and the end of the visit, which is kept however it comes."""
    spec = around.spec
    idle_after: Window | None = None
    cut: str | None = "the visit was stopped before its end"
    try:
        _runs(going, around)
        idle_after = _idle(spec.idle_s, going.watch, around.wait)
        cut = None
    except TargetFailed as error:
        cut = error.what
        raise
    finally:
        around.note_visit(_end(going, idle_after, cut))
        if spec.clean is Clean.UNLOAD:
            # A server that has failed fails here too, and its own failure is the one to tell.
            with suppress(Failure):
                going.opened.server.unload(time.sleep)


def _runs(going: _Going, around: Around) -> None:
    silent = 0
    for run in going.visit.runs:
        asked, record = _run(going, run, around)
        around.keep(record, going.begin)
        silent = silent + 1 if asked.failure is not None and asked.failure.kind == "connection" else 0
        if silent == min(_MOST_SILENT, len(going.visit.runs)):
            raise TargetFailed(
                f"the endpoint has not answered {silent} runs in a row",
                where=going.opened.base_url,
                got=asked.failure.detail if asked.failure is not None else None,
                hint="start the server and run the same command again: these runs are made again, no other is",
            )


def _run(going: _Going, run: Run, around: Around) -> tuple[Asked, dict[str, Any]]:
    spec, server = around.spec, going.opened.server
    if spec.cold is Cold.UNLOAD:
        server.unload(around.wait)
        server.preload()
    begin_ns = time.monotonic_ns()
    if going.quiet is not None:
        around.wait(going.quiet.before_s)
    attempt = around.attempt(run.run_id)
    nonce = None
    if spec.cold is Cold.NONCE:
        nonce = nonce_of(f"{run.run_id}/{attempt}/{going.visit_id}")
    started_at = utc_now()
    asked = ask_once(going.opened.line, ask_of(run, going.opened.served_model, going.options, spec, nonce))
    if going.quiet is not None:
        around.wait(going.quiet.after_s)
    stamps = asked.stamps
    window = Window(stamps.sent_ns, max(stamps.end_ns, stamps.sent_ns + 1))
    energy = going.watch.energy(window, going.quiet)
    going.energies[f"{run.run_id}/{attempt}"] = energy
    record = run_record(
        run,
        asked,
        study=spec.name,
        attempt=attempt,
        visit=going.visit_id,
        started_at=started_at,
        server=going.configuration.server,
        cold=spec.cold,
        nonce=nonce,
        occupied_seconds=(time.monotonic_ns() - begin_ns) / 1e9,
        system=going.watch.system(window, energy),
        energy=energy.to_json(),
        energy_reason=energy.reason(),
        degraded=going.degraded,
    )
    return asked, record


def _end(going: _Going, idle_after: Window | None, cut: str | None) -> dict[str, Any]:
    watch, spanned = going.watch, going.begin["idle_before"]
    if idle_after is not None:
        watch.read_until(idle_after.end_ns)
    idle_before = None if spanned is None else Window(spanned["start_ns"], spanned["end_ns"])
    before = idle_energy(watch.traces, watch.scales, idle_before)
    after = idle_energy(watch.traces, watch.scales, idle_after)
    return {
        "event": "end",
        "visit": going.visit_id,
        "ended_at": utc_now(),
        "cut": cut,
        "idle_after": None if idle_after is None else _span(idle_after),
        "idle_before_w": _watts(before),
        "idle_after_w": _watts(after),
        "missing": {
            name: "; ".join(idle.reasons)
            for name, idle in (("idle_before_w", before), ("idle_after_w", after))
            if isinstance(idle, NotMeasured)
        },
        "net": {key: net_block(energy, before, after) for key, energy in going.energies.items()},
    }


def _idle(seconds: float, watch: Watch, wait: Wait) -> Window | None:
    """Wait, with the model loaded; None where no idle is asked for, or no meter would see it."""
    if seconds == 0 or watch.scales.lack is not None:
        return None
    wait(_SETTLE_S)
    start_ns = time.monotonic_ns()
    wait(seconds)
    return Window(start_ns, time.monotonic_ns())


def _watts(idle: Energy | NotMeasured) -> float | None:
    return idle.mean_power_w if isinstance(idle, Energy) else None


def _span(window: Window) -> dict[str, int]:
    return {"start_ns": window.start_ns, "end_ns": window.end_ns}
