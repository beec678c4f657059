"""Goals 1 and 2: errors of the energy of a window against the truth, beside the ways in which it is often computed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from loadbench.results import Check, Figures, Outcome, Rounds

from energybench.waveform import AVERAGED, COUNTER, GAUGE, Request, Sensor
from hexgate.meters.base import Domain
from hexgate.meters.quiet import quiet_energy_j, quiet_times_s
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j

__all__ = ["abutting", "quiet"]

LENGTHS_S = (0.3, 1.0, 3.0, 10.0, 30.0)
POLL_HZ = 50.0
_NOMINAL_S = 0.2
_REAL_S = 0.208
"""A loop that sleeps for 0.2 s and then reads comes round so often."""


@dataclass(frozen=True)
class Scene:
    """One request, one sensor, and traces of it as they are asked for."""

    request: Request
    sensor: Sensor
    draw: np.random.Generator
    _traces: dict[tuple[str, float], list[tuple[int, float]]] = field(default_factory=dict)

    @classmethod
    def of(cls, seconds: float, seed: int) -> Scene:
        draw = np.random.default_rng(seed)
        request = Request.of(seconds, draw)
        return cls(request, Sensor(request, draw.uniform(0, 0.1)), draw)

    def trace(self, domain: Domain, hz: float) -> list[tuple[int, float]]:
        """The trace of one domain; the same each time it is asked for."""
        key = (domain.id, hz)
        if key not in self._traces:
            self._traces[key] = self.sensor.trace(domain, hz, self.draw)
        return self._traces[key]

    def window(self) -> Window:
        """The request."""
        return Window(round(self.request.start_s * 1e9), round(self.request.end_s * 1e9))


Method = Callable[[Scene], "tuple[float, float] | None"]
"""Joules and the truth, or None where the method refuses."""


def _nominal_sum(scene: Scene) -> tuple[float, float]:
    request = scene.request
    at_s = np.arange(request.start_s + scene.draw.uniform(0, _REAL_S), request.end_s, _REAL_S)
    joules = float(scene.sensor.shows(GAUGE, at_s).sum()) * _NOMINAL_S
    return joules, request.energy_j(request.start_s, request.end_s)


def _inside_only(scene: Scene) -> tuple[float, float]:
    window = scene.window()
    inside = [(t, p) for t, p in scene.trace(GAUGE, 10) if window.start_ns <= t <= window.end_ns]
    times, powers = np.array([t / 1e9 for t, _ in inside]), np.array([p for _, p in inside])
    joules = float(np.sum(np.diff(times) * (powers[1:] + powers[:-1]) / 2))
    return joules, scene.request.energy_j(scene.request.start_s, scene.request.end_s)


def _raw_reads(scene: Scene) -> tuple[float, float]:
    request = scene.request
    begin, end = scene.sensor.shows(COUNTER, np.array([request.start_s, request.end_s]))
    return float(end - begin), request.energy_j(request.start_s, request.end_s)


def _quiet_raw_reads(scene: Scene) -> tuple[float, float]:
    """Both reads in the idle; the truth is that of the same span."""
    begin_s = scene.request.start_s - scene.draw.uniform(0.1, 0.3)
    end_s = scene.request.end_s + quiet_times_s(COUNTER)[1]
    begin, end = scene.sensor.shows(COUNTER, np.array([begin_s, end_s]))
    return float(end - begin), scene.request.energy_j(begin_s, end_s)


def _ours(domain: Domain, hz: float) -> Method:
    def method(scene: Scene) -> tuple[float, float] | None:
        return _against_truth(scene, energy_j(scene.trace(domain, hz), domain, scene.window()))

    return method


def _ours_quiet(domain: Domain, hz: float) -> Method:
    def method(scene: Scene) -> tuple[float, float] | None:
        return _against_truth(scene, quiet_energy_j(scene.trace(domain, hz), domain, scene.window()))

    return method


def _against_truth(scene: Scene, energy: Energy | NotMeasured) -> tuple[float, float] | None:
    if isinstance(energy, NotMeasured) or energy.window is None:
        return None
    truth = scene.request.energy_j(energy.window.start_ns / 1e9, energy.window.end_ns / 1e9)
    return energy.energy_j, truth


ABUTTING: Mapping[str, Method] = {
    "sum of P times nominal 0.2 s": _nominal_sum,
    "trapezoid inside only, 10 Hz": _inside_only,
    "two raw reads of the counter": _raw_reads,
    "hexgate: counter at 50 Hz, updates": _ours(COUNTER, POLL_HZ),
    "hexgate: counter at 10 Hz, readings": _ours(COUNTER, 10),
    "hexgate: gauge at 10 Hz": _ours(GAUGE, 10),
    "hexgate: 1 s average at 10 Hz": _ours(AVERAGED, 10),
}
QUIET: Mapping[str, Method] = {
    "two raw reads of the counter": _quiet_raw_reads,
    "hexgate: counter at 50 Hz, updates": _ours_quiet(COUNTER, POLL_HZ),
    "hexgate: counter at 10 Hz, readings": _ours_quiet(COUNTER, 10),
    "hexgate: gauge at 10 Hz": _ours_quiet(GAUGE, 10),
    "hexgate: 1 s average at 10 Hz": _ours_quiet(AVERAGED, 10),
}


def _measure(
    methods: Mapping[str, Method], phases: int, say: Callable[[str], None]
) -> tuple[Rounds, list[str]]:
    """Errors in percent by method and length: the median and the 95th percentile of their sizes, and the mean."""
    figures: dict[str, Figures] = {name: {} for name in methods}
    notes = []
    for seconds in LENGTHS_S:
        errors: dict[str, list[float]] = {name: [] for name in methods}
        for phase in range(phases):
            scene = Scene.of(seconds, phase)
            for name, method in methods.items():
                found = method(scene)
                if found is not None:
                    errors[name].append((found[0] / found[1] - 1) * 100)
        for name, signed in errors.items():
            if len(signed) < phases:
                notes.append(f"{name}: refused {phases - len(signed)} of {phases} windows of {seconds:g} s")
            if signed:
                sizes = [abs(error) for error in signed]
                figures[name][f"{seconds:g} s median %"] = statistics.median(sizes)
                figures[name][f"{seconds:g} s p95 %"] = float(np.quantile(sizes, 0.95))
                figures[name][f"{seconds:g} s mean %"] = statistics.fmean(signed)
        say(f"  windows of {seconds:g} s: {phases} phases")
    return Rounds([figures]), notes


def _columns() -> list[str]:
    return [f"{seconds:g} s {what} %" for seconds in LENGTHS_S for what in ("median", "p95")]


def abutting(phases: int, say: Callable[[str], None]) -> Outcome:
    """Goal 1: windows whose edges are those of the work."""
    rounds, notes = _measure(ABUTTING, phases, say)
    counter, gauge, raw = (
        "hexgate: counter at 50 Hz, updates",
        "hexgate: gauge at 10 Hz",
        "two raw reads of the counter",
    )
    checks = [
        Check("counter, p95 of 10 s, %", rounds.median(counter, "10 s p95 %"), high=0.5),
        Check("counter, p95 of 3 s, %", rounds.median(counter, "3 s p95 %"), high=2.0),
        Check("gauge, p95 of 10 s, %", rounds.median(gauge, "10 s p95 %"), high=2.0),
    ]
    checks += [
        Check(
            f"counter over two raw reads, p95 of {length}",
            rounds.ratio(counter, raw, f"{length} p95 %"),
            high=0.75,
        )
        for length in ("1 s", "3 s")
    ]
    title = f"error of the energy of abutting windows, {phases} phases, percent"
    return Outcome(1, title, rounds, _columns(), checks, notes)


def quiet(phases: int, say: Callable[[str], None]) -> Outcome:
    """Goal 2: windows that begin and end in idle."""
    rounds, notes = _measure(QUIET, phases, say)
    counter, gauge, raw = (
        "hexgate: counter at 50 Hz, updates",
        "hexgate: gauge at 10 Hz",
        "two raw reads of the counter",
    )
    checks = [
        Check("counter, p95 of 0.3 s, %", rounds.median(counter, "0.3 s p95 %"), high=1.5),
        Check("counter, p95 of 1 s, %", rounds.median(counter, "1 s p95 %"), high=0.6),
        Check("gauge, p95 of 10 s, %", rounds.median(gauge, "10 s p95 %"), high=2.0),
        Check("counter over two raw reads, p95 of 1 s", rounds.ratio(counter, raw, "1 s p95 %"), high=0.5),
    ]
    title = f"error of the energy of windows with quiet edges, {phases} phases, percent"
    return Outcome(2, title, rounds, _columns(), checks, notes)
