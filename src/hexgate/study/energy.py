"""Energy of the runs of one visit, from the readings of the meters that belong to its model."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import Any

from hexgate.errors import InputError
from hexgate.meters.base import Basis, Domain, Scope, Unavailable
from hexgate.meters.countable import countable
from hexgate.meters.curve import Trace
from hexgate.meters.net import Net, net_energy
from hexgate.meters.quiet import quiet_energy_j, quiet_times_s
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j, total
from hexgate.study.spec import Quiet

__all__ = [
    "RunEnergy",
    "Scales",
    "Traces",
    "energy_of_run",
    "idle_energy",
    "net_block",
    "scales_of",
    "too_short_quiet",
]

_ELSEWHERE = "the endpoint runs on another machine, whose energy cannot be read from here"
_LESS_THAN_EDGES = "the request drew less than what is unknown of the idle around it"
_MARGIN_NS = 10_000_000_000
"""Readings on either side of a window that are looked at: what lies further off says nothing of it."""

Traces = Mapping[str, Trace]


@dataclass(frozen=True)
class Scales:
    """The domains whose energy is a model's, side by side, or why there are none."""

    domains: tuple[Domain, ...]
    """The domains; empty where there is a reason."""
    lack: str | None
    """Why there are none."""

    @property
    def boards(self) -> tuple[Domain, ...]:
        """Those of accelerator boards alone."""
        return tuple(domain for domain in self.domains if domain.scope is Scope.BOARD)


@dataclass(frozen=True)
class RunEnergy:
    """Energy of one run."""

    energy: Energy | NotMeasured
    """Of all domains together; with quiet edges it includes the settling after the reply."""
    window: Window
    """The request, from its send to its end."""
    parts: Mapping[str, Energy | NotMeasured]
    """By domain."""
    scales: Scales
    """What was read."""
    doubts: tuple[str, ...] = ()
    """Why it is worse than it should be, beyond what the energy itself says."""

    @property
    def gross_j(self) -> float | None:
        """Joules of the request, and with quiet edges what the cooling down after it drew above idle."""
        if isinstance(self.energy, NotMeasured):
            return None
        tail = self.energy.tail
        return (
            self.energy.energy_j if tail is None else self.energy.energy_j - tail.energy_j + tail.above_idle_j
        )

    @property
    def mean_power_w(self) -> float | None:
        """Watts from the send to the end of the request, without what was drawn after it."""
        if isinstance(self.energy, NotMeasured):
            return None
        tail = self.energy.tail
        return (self.energy.energy_j - (0.0 if tail is None else tail.energy_j)) / self.window.seconds

    def to_json(self) -> dict[str, Any]:
        """The block ``energy`` of a record; net energy is known only at the end of the visit."""
        energy, gross_j = self.energy, self.gross_j
        if isinstance(energy, NotMeasured) or gross_j is None:
            head: dict[str, Any] = {"basis": Basis.NOT_MEASURED.value} | dict.fromkeys(
                ("gross_j", "uncertainty_j", "mean_power_w", "edges", "tail_j", "tail_s")
            )
        else:
            tail = energy.tail
            head = {
                "basis": Basis.MEASURED.value,
                "gross_j": gross_j,
                "uncertainty_j": energy.uncertainty_j,
                "mean_power_w": self.mean_power_w,
                "edges": "quiet" if tail else "abutting",
                "tail_j": tail.above_idle_j if tail else None,
                "tail_s": tail.seconds if tail else None,
            }
        degraded = [*self.doubts, *(energy.degraded if isinstance(energy, Energy) else ())]
        return head | {"degraded": degraded, "domains": [self._row(domain) for domain in self.scales.domains]}

    def reason(self) -> str | None:
        """Why there is no energy; None where there is."""
        return "; ".join(self.energy.reasons) if isinstance(self.energy, NotMeasured) else None

    def of_boards(self) -> RunEnergy | None:
        """The energy of the accelerator boards alone; None where none was read."""
        boards = self.scales.boards
        if not boards:
            return None
        both = total(boards, self.parts)
        return None if isinstance(both, NotMeasured) else replace(self, energy=both)

    def _row(self, domain: Domain) -> dict[str, Any]:
        part = self.parts.get(domain.id)
        energy = part.energy_j if isinstance(part, Energy) else None
        reasons = () if part is None else part.degraded if isinstance(part, Energy) else part.reasons
        return {
            "id": domain.id,
            "scope": domain.scope.value,
            "device": domain.device,
            "energy_j": energy,
            "reasons": list(reasons),
        }


def scales_of(
    domains: Sequence[Domain],
    unavailable: Sequence[Unavailable],
    patterns: Sequence[str],
    *,
    here: bool,
    shared: Callable[[str], str | None],
) -> Scales:
    """The domains whose energy is that of one model's runs.

    Args:
        domains: what is read.
        unavailable: what cannot be read.
        patterns: those of the model; none for all domains.
        here: whether its server runs on this machine.
        shared: why a domain, by its id, belongs to another model too; None where it does not.
    """
    if not here:
        return Scales((), _ELSEWHERE)
    if not domains:
        # What is lacking of the host says nothing of energy; a meter that lacks several things says why once.
        reasons = dict.fromkeys(
            f"{lack.meter}: {lack.reason}" for lack in unavailable if lack.meter != "host"
        )
        lacks = "; ".join(reasons) or "none was found"
        return Scales((), f"no power meter can be read: {lacks}")
    own = [
        domain
        for domain in domains
        if not patterns or any(fnmatchcase(domain.id, pattern) for pattern in patterns)
    ]
    if not own:
        return Scales((), f"no domain of energy is like {', '.join(patterns)}")
    for domain in own:
        if (reason := shared(domain.id)) is not None:
            return Scales((), reason)
    summed = countable(own)
    return Scales(
        summed, None if summed else "nothing but supply rails is read, which are parts of an unknown whole"
    )


def too_short_quiet(scales: Scales, quiet: Quiet) -> str | None:
    """What to say where a sensor needs longer idle around a request than the study holds; None where none does."""
    before_s = max((quiet_times_s(domain)[0] for domain in scales.domains), default=0.0)
    after_s = max((quiet_times_s(domain)[1] for domain in scales.domains), default=0.0)
    if before_s <= quiet.before_s and after_s <= quiet.after_s:
        return None
    return (
        f"the sensors need quiet edges of {before_s:g} s and {after_s:g} s: before_s and after_s are shorter"
    )


def energy_of_run(traces: Traces, scales: Scales, window: Window, quiet: Quiet | None) -> RunEnergy:
    """Energy of one request.

    With quiet edges where they were held and the readings show them quiet, else between its two ends.
    """
    if scales.lack is not None:
        return RunEnergy(NotMeasured("", (scales.lack,)), window, {}, scales)
    if quiet is not None:
        parts = {
            domain.id: quiet_energy_j(
                _near(traces, domain, window),
                domain,
                window,
                before_s=quiet.before_s,
                after_s=quiet.after_s,
            )
            for domain in scales.domains
        }
        found = _sum(scales.domains, parts)
        if isinstance(found, Energy):
            run = RunEnergy(found, window, parts, scales)
            if run.gross_j is not None and run.gross_j > 0:
                return run
            doubts: tuple[str, ...] = (_LESS_THAN_EDGES,)
        else:
            doubts = tuple(f"the edges were not quiet: {reason}" for reason in found.reasons)
    else:
        doubts = ("the edges abut other work: no quiet was held",)
    abutting = _between(traces, scales, window)
    return RunEnergy(_sum(scales.domains, abutting), window, abutting, scales, doubts)


def idle_energy(traces: Traces, scales: Scales, window: Window | None) -> Energy | NotMeasured:
    """Energy of a time of idle."""
    if scales.lack is not None:
        return NotMeasured("", (scales.lack,))
    if window is None:
        return NotMeasured("", ("idle was not measured",))
    return _sum(scales.domains, _between(traces, scales, window))


def net_block(run: RunEnergy, before: Energy | NotMeasured, after: Energy | NotMeasured) -> dict[str, Any]:
    """What a run drew above idle, or the reason why that is not known."""
    energy = run.energy
    window = energy.window if isinstance(energy, Energy) and energy.window is not None else run.window
    try:
        net = net_energy(energy, window, before, after)
    except ValueError as error:
        net = NotMeasured("", (str(error),))
    if isinstance(net, Net):
        return {
            "net_j": net.energy_j,
            "net_uncertainty_j": net.uncertainty_j,
            "idle_power_w": net.idle.mean_w,
            "idle_drift_ratio": net.idle.drift_ratio,
        }
    return {"reason": "; ".join(net.reasons)}


def _between(traces: Traces, scales: Scales, window: Window) -> dict[str, Energy | NotMeasured]:
    return {domain.id: energy_j(_near(traces, domain, window), domain, window) for domain in scales.domains}


def _near(traces: Traces, domain: Domain, window: Window) -> list[tuple[int, float]]:
    trace = traces.get(domain.id, ())
    low = bisect_left(trace, window.start_ns - _MARGIN_NS, key=itemgetter(0))
    high = bisect_right(trace, window.end_ns + _MARGIN_NS, key=itemgetter(0))
    return list(trace[low:high])


def _sum(domains: Sequence[Domain], parts: Mapping[str, Energy | NotMeasured]) -> Energy | NotMeasured:
    try:
        return total(domains, parts)
    except InputError as error:
        return NotMeasured("+".join(domain.id for domain in domains), (str(error),))
