"""The figures of one command from what was recorded of it. Pure: the same recording gives the same figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from typing import Any

from hexgate.meters.base import Domain
from hexgate.meters.countable import countable, doubts, unstated
from hexgate.meters.curve import Curve, Trace
from hexgate.meters.estimate import estimate_energy
from hexgate.meters.net import Net, net_energy
from hexgate.meters.summary import summarise_resources
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j, explained, total

__all__ = ["Recorded", "Usage", "Windows", "figures", "power_lines"]

Json = dict[str, Any]

_POWER_SPAN_S = 1.0
"""A highest power is a mean over so long: a counter that is refreshed ten times a second shows no shorter one."""
_POWER_SPAN_UPDATES = 2
_MOST_BINS = 300
_BIN_UPDATES = 3
_ONLY_PARTS = "only supply rails were read, and which of them make up the whole is not known"
_OF_ENERGY = (
    "energy_j",
    "uncertainty_j",
    "edge_j",
    "sampling_j",
    "sensor_j",
    "readings",
    "mean_power_w",
)
_OF_NET = ("net_energy_j", "net_uncertainty_j", "idle_power_w", "idle_drift_ratio")


@dataclass(frozen=True)
class Windows:
    """The spans of one measurement, in `time.monotonic_ns`."""

    command: Window
    """From the moment that the command was let go to its end."""
    idle_before: Window | None = None
    """At rest, before it; None where none was measured."""
    idle_after: Window | None = None
    """At rest, after it; None where none was measured, or it was cut short."""

    @property
    def whole(self) -> Window:
        """From the first begin to the last end."""
        spans = [each for each in (self.idle_before, self.command, self.idle_after) if each is not None]
        return Window(spans[0].start_ns, spans[-1].end_ns)

    def to_json(self) -> Json:
        """The spans as they stand in a document."""
        return {
            name: None if span is None else {"start_ns": span.start_ns, "end_ns": span.end_ns}
            for name, span in vars(self).items()
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Windows:
        """The spans that `to_json` wrote."""
        before, after = block["idle_before"], block["idle_after"]
        return cls(
            Window(**block["command"]),
            None if before is None else Window(**before),
            None if after is None else Window(**after),
        )


@dataclass(frozen=True)
class Usage:
    """What the kernel booked for the command and for all processes that it waited for."""

    user_s: float
    """CPU seconds in user mode."""
    system_s: float
    """CPU seconds in the kernel."""
    largest_rss_bytes: int | None
    """Most resident memory of any single process; None where that is not known."""


@dataclass(frozen=True)
class Recorded:
    """What was recorded of one command."""

    windows: Windows
    """When it ran, and when the machine was at rest."""
    running_ns: int
    """The first moment at which it was surely itself, and no more the process that held it."""
    usage: Usage
    """What the kernel booked."""
    domains: Sequence[Domain]
    """The domains of energy that were asked for."""
    traces: Mapping[str, Trace]
    """Their readings, by id."""
    resources: Sequence[Mapping[str, Any]]
    """The rows of the resources file."""
    gpus: Sequence[Domain]
    """The GPUs, in the order of the lists in those rows."""
    lack: str
    """Why there is no domain of energy, where there is none."""
    watts_per_core: float | None = None
    """Declared watts of one busy core; None for no estimate."""
    failed: Mapping[str, Sequence[tuple[int, str]]] = field(default_factory=dict)
    """Their failed reads, by id, as `rows.failed_reads` gives them."""
    unavailable: Sequence[Mapping[str, Any]] = ()
    """What the meters that were asked for could not read, as `base.Unavailable.to_json` writes it."""


def figures(recorded: Recorded) -> Json:
    """Energy, power and resources of the command. What is null has its reason under ``missing``, by its path."""
    missing: dict[str, str] = {}
    added = countable(recorded.domains)
    energies = _Energies.of(recorded)
    return {
        "duration_s": recorded.windows.command.seconds,
        "total": _total(recorded, added, energies, missing),
        "domains": [
            _domain(recorded, place, domain, energies, missing) | {"in_total": domain in added}
            for place, domain in enumerate(recorded.domains)
        ],
        "estimate": _estimate(recorded),
        **_resources(recorded, missing),
        "missing": missing,
    }


def power_lines(recorded: Recorded) -> Json:
    """Power over time, from the first begin to the last end, of each domain that has a curve.

    Returns:
        ``command``, begin and end of the command in seconds; and ``lines``, by id: ``step_s``, the length of a bin, and
        ``watts``, the mean power of each, None where there are no readings around it.
    """
    whole, own = recorded.windows.whole, recorded.windows.command
    lines: dict[str, Json] = {}
    for domain in recorded.domains:
        curve = _curve(recorded, domain, whole)
        if curve is not None:
            step_s = max(whole.seconds / _MOST_BINS, _BIN_UPDATES * _refresh_s(curve, domain))
            edges = [
                whole.start_ns + round(place * step_s * 1e9)
                for place in range(math.ceil(whole.seconds / step_s))
            ]
            lines[domain.id] = {
                "step_s": step_s,
                "watts": [
                    curve.mean_power_w(begin, end, (end - begin) / 1e9)
                    for begin, end in pairwise([*edges, whole.end_ns])
                    if end > begin
                ],
            }
    command = [(at - whole.start_ns) / 1e9 for at in (own.start_ns, own.end_ns)]
    return {"command": command, "lines": lines}


@dataclass(frozen=True)
class _Energies:
    """The energy of each domain, by id, of the command and of both rests."""

    command: Mapping[str, Energy | NotMeasured]
    before: Mapping[str, Energy | NotMeasured]
    after: Mapping[str, Energy | NotMeasured]

    @classmethod
    def of(cls, recorded: Recorded) -> _Energies:
        def within(window: Window | None) -> dict[str, Energy | NotMeasured]:
            return {
                domain.id: explained(
                    energy_j(recorded.traces.get(domain.id, ()), domain, window),
                    recorded.failed.get(domain.id, ()),
                    window,
                )
                for domain in recorded.domains
                if window is not None
            }

        windows = recorded.windows
        return cls(within(windows.command), within(windows.idle_before), within(windows.idle_after))


def _total(
    recorded: Recorded, added: Sequence[Domain], energies: _Energies, missing: dict[str, str]
) -> Json | None:
    if not added:
        missing["total"] = _ONLY_PARTS if recorded.domains else recorded.lack
        return None
    gross, before, after = (
        total(added, each) if each else None for each in (energies.command, energies.before, energies.after)
    )
    assert gross is not None  # noqa: S101 - the command has a window
    if isinstance(gross, Energy):
        reasons = doubts(recorded.domains, recorded.unavailable)
        gross = replace(gross, degraded=(*gross.degraded, *reasons))
    most = _most_power(recorded, added)
    block = _block("total", recorded.windows, gross, (before, after), most, unstated(added), missing)
    return {"ids": [domain.id for domain in added], **block}


def _domain(
    recorded: Recorded, place: int, domain: Domain, energies: _Energies, missing: dict[str, str]
) -> Json:
    gross = energies.command[domain.id]
    rests = (energies.before.get(domain.id), energies.after.get(domain.id))
    most = _most_power(recorded, [domain])
    head = {"id": domain.id, "source": domain.source, "label": domain.label, "scope": domain.scope.value}
    path, silent = f"domains.{place}", unstated([domain])
    return head | _block(path, recorded.windows, gross, rests, most, silent, missing)


def _block(
    path: str,
    windows: Windows,
    gross: Energy | NotMeasured,
    rests: tuple[Energy | NotMeasured | None, Energy | NotMeasured | None],
    most: tuple[float, float] | str,
    silent: str | None,
    missing: dict[str, str],
) -> Json:
    """Gross and net energy and the power of one domain, or of their total; `silent` is why its error is not known."""
    net = _net(windows, gross, *rests)
    measured = gross if isinstance(gross, Energy) else None
    most_w, over_s = most if isinstance(most, tuple) and measured else (None, None)
    if isinstance(gross, NotMeasured):
        missing[f"{path}.energy_j"] = "; ".join(gross.reasons)
    elif isinstance(most, str):
        missing[f"{path}.max_power_w"] = most
    if isinstance(net, str):
        missing[f"{path}.net_energy_j"] = net
    if silent is not None and measured is not None:
        missing[f"{path}.uncertainty_j"] = silent
        if not isinstance(net, str):
            missing[f"{path}.net_uncertainty_j"] = silent
    return {
        **{name: None if measured is None else getattr(measured, name) for name in _OF_ENERGY},
        "degraded": [] if measured is None else list(measured.degraded),
        "max_power_w": most_w,
        "max_power_over_s": over_s,
        **_of_net(net),
    }


def _net(
    windows: Windows,
    gross: Energy | NotMeasured,
    before: Energy | NotMeasured | None,
    after: Energy | NotMeasured | None,
) -> Net | str:
    if windows.idle_before is None or before is None:
        return "the machine at rest was not measured"
    if windows.idle_after is None or after is None:
        return "the rest after the command was cut short"
    net = net_energy(gross, windows.command, before, after)
    return "; ".join(net.reasons) if isinstance(net, NotMeasured) else net


def _of_net(net: Net | str) -> Json:
    if isinstance(net, str):
        return {**dict.fromkeys(_OF_NET), "net_degraded": []}
    values = (net.energy_j, net.uncertainty_j, net.idle.mean_w, net.idle.drift_ratio)
    return {**dict(zip(_OF_NET, values, strict=True)), "net_degraded": list(net.degraded)}


def _curve(recorded: Recorded, domain: Domain, span: Window) -> Curve | None:
    readings = list(dict(recorded.traces.get(domain.id, ())).items())
    curve = Curve.of(readings, domain, span) if len(readings) > 1 else ""
    # Of a counter that was reset at the very end, one reading is left.
    return None if isinstance(curve, str) or len(curve.stamps) < 2 else curve


def _refresh_s(curve: Curve, domain: Domain) -> float:
    """How often the curve has something new to say."""
    reading_s = median(later - sooner for sooner, later in pairwise(curve.stamps)) / 1e9
    return max(curve.update_s or 0.0, domain.averaging_s, reading_s)


def _most_power(recorded: Recorded, domains: Sequence[Domain]) -> tuple[float, float] | str:
    """The highest mean power of domains together over any span of one length in the command, and that length."""
    window = recorded.windows.command
    curves = [_curve(recorded, domain, window) for domain in domains]
    known = [curve for curve in curves if curve is not None]
    if len(known) < len(curves):
        return "there is no curve of its power"
    refresh_s = max(_refresh_s(curve, domain) for curve, domain in zip(known, domains, strict=True))
    span_s = max(_POWER_SPAN_S, _POWER_SPAN_UPDATES * refresh_s)
    if window.seconds < span_s:
        return f"the command ran for less than {span_s:.3g} s"
    span_ns = round(span_s * 1e9)
    begins = {window.start_ns, window.end_ns - span_ns}
    for curve in known:
        begins.update(at for at in curve.times if window.start_ns < at < window.end_ns - span_ns)
    most_j = max(
        math.fsum(curve.at(begin + span_ns) - curve.at(begin) for curve in known) for begin in begins
    )
    return most_j / span_s, span_s


def _estimate(recorded: Recorded) -> Json | None:
    if recorded.watts_per_core is None:
        return None
    cpu_s = recorded.usage.user_s + recorded.usage.system_s
    made = estimate_energy(cpu_s, watts_per_busy_core=recorded.watts_per_core)
    return {"energy_j": made.energy_j, "cpu_s": cpu_s, "watts_per_busy_core": made.watts_per_busy_core}


def _resources(recorded: Recorded, missing: dict[str, str]) -> Json:
    """The blocks ``process``, ``host`` and ``gpus``."""
    own, usage = recorded.windows.command, recorded.usage
    summary = summarise_resources(recorded.resources, own)
    # What the process had before it became the command is no memory of the command.
    running_ns = min(recorded.running_ns, own.end_ns - 1)
    inner = summarise_resources(recorded.resources, Window(running_ns, own.end_ns))
    cpu_s = usage.user_s + usage.system_s
    process = {
        "user_s": usage.user_s,
        "system_s": usage.system_s,
        "cpu_s": cpu_s,
        "cpu_cores": cpu_s / own.seconds,
        "largest_rss_bytes": usage.largest_rss_bytes,
        "rss_bytes": inner["process_rss_bytes"],
    }
    if usage.largest_rss_bytes is None:
        missing["process.largest_rss_bytes"] = "less than a fork of Python has"
    if process["rss_bytes"] is None:
        missing["process.rss_bytes"] = inner["missing"]["process_rss_bytes"]
    host = {
        name: summary[name]
        for name in (
            "cpu_ratio",
            "memory_used_bytes",
            "memory_total_bytes",
            "disk_read_bytes",
            "disk_written_bytes",
        )
    }
    for name, figure in host.items():
        if figure is None:
            missing[f"host.{name}"] = summary["missing"][name]
    gpus: list[Json] = []
    for place, gpu in enumerate(recorded.gpus):
        block: Json = {"device": gpu.device, "label": gpu.label}
        for name in ("gpu_util_ratio", "gpu_memory_used_bytes"):
            listed = summary[name]
            block[name] = listed[place] if listed is not None and place < len(listed) else None
            if block[name] is None:
                reasons = summary["missing"]
                missing[f"gpus.{place}.{name}"] = reasons.get(f"{name}.{place}") or reasons.get(
                    name, "no sample of it"
                )
        gpus.append(block)
    return {"process": process, "host": host, "gpus": gpus}
