"""What the meters say of the windows of one measurement of power_efficiency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hexgate.contract.evidence import EvidenceReader
from hexgate.errors import InputError
from hexgate.indicators.base import Method
from hexgate.meters.base import Domain
from hexgate.meters.cells import too_short
from hexgate.meters.countable import countable, doubts
from hexgate.meters.curve import Trace, Window
from hexgate.meters.net import Net
from hexgate.meters.rows import failed_reads, traces
from hexgate.meters.validity import Validity
from hexgate.meters.windows import Energy, NotMeasured, energy_j, explained, total

__all__ = ["IDLE", "PowerReading", "uncertainty"]

IDLE = ("idle_before", "idle_after")
"""The windows of idle, in order."""


@dataclass(frozen=True)
class PowerReading:
    """Traces of power, and the energies of the windows that were marked."""

    domains: tuple[Domain, ...]
    """What was read."""
    traces: Mapping[str, Trace]
    """Readings by domain."""
    parts: Mapping[str, Energy | NotMeasured]
    """Energy of the work by domain."""
    energy: Energy | NotMeasured | None
    """Energy of the work in all; None where no meter was read."""
    idle: tuple[Energy | NotMeasured, Energy | NotMeasured] | None
    """Energy of the idle before and after; None where one of them was not marked."""
    lacks: tuple[str, ...]
    """Why there is no meter."""
    short: str | None
    """Why the work is short for its concurrency; None where it is not."""

    @classmethod
    def of(cls, method: Method, evidence: EvidenceReader, windows: Mapping[str, Window]) -> PowerReading:
        """The energies of some windows, among them ``work``, from a collection's evidence."""
        meters = evidence.document("meters") if "meters" in evidence.names else {}
        lacks = tuple(f"{lack['meter']}: {lack['reason']}" for lack in meters.get("unavailable", ()))
        if meters.get("failure"):
            lacks = (*lacks, str(meters["failure"]))
        domains = tuple(Domain.from_json(block) for block in meters.get("domains", ()))
        if method["elsewhere"] or "power" not in evidence.names or not domains or "work" not in windows:
            return cls((), {}, {}, None, None, lacks, None)
        found, failed = traces(evidence.rows("power")), failed_reads(evidence.rows("power"))

        def within(window: Window) -> dict[str, Energy | NotMeasured]:
            parts = _parts(domains, found, window)
            return {name: explained(part, failed.get(name, ()), window) for name, part in parts.items()}

        parts = within(windows["work"])
        before, after = (_sum(domains, within(windows[name])) if name in windows else None for name in IDLE)
        return cls(
            domains=domains,
            traces=found,
            parts=parts,
            energy=_doubted(_sum(domains, parts), doubts(domains, meters.get("unavailable", ()))),
            idle=None if before is None or after is None else (before, after),
            lacks=lacks,
            short=too_short(windows["work"], method["concurrency"]),
        )

    def between(self, window: Window) -> Energy | NotMeasured:
        """Energy of all domains in one window."""
        return _sum(self.domains, _parts(self.domains, self.traces, window))

    def powers_w(self, cells: Sequence[Window]) -> list[float] | None:
        """Mean power in each of some windows; None where the meter is too slow for one of them."""
        energies = [self.between(cell) for cell in cells]
        powers = [energy.mean_power_w for energy in energies if isinstance(energy, Energy)]
        return powers if len(powers) == len(cells) else None

    def why_not(self, method: Method) -> str:
        """Why there is no measured energy."""
        if method["elsewhere"]:
            return "the endpoint runs on another machine, whose energy cannot be read from here"
        if isinstance(self.energy, NotMeasured):
            return "; ".join(self.energy.reasons)
        return "no power meter can be read: " + ("; ".join(self.lacks) or "none was found")

    def table(self) -> list[dict[str, Any]]:
        """The artifact's table of domains."""
        return [self._row(domain, self.parts[domain.id]) for domain in self.domains]

    def _row(self, domain: Domain, part: Energy | NotMeasured) -> dict[str, Any]:
        row: dict[str, Any] = {"id": domain.id, "scope": domain.scope.value, "source": domain.source}
        if isinstance(part, NotMeasured):
            row |= {"energy_j": None, "joined": None, "update_s": None}
            return row | {"validity": part.validity.value, "reasons": list(part.reasons)}
        reasons = [*part.degraded, *([] if self.short is None else [self.short])]
        validity = Validity.DEGRADED if reasons else Validity.OK
        row |= {"energy_j": part.energy_j, "joined": part.joined, "update_s": part.update_s}
        return row | {"validity": validity.value, "reasons": reasons}


def uncertainty(gross: Energy, net: Net | None) -> dict[str, Any]:
    """The artifact's standard uncertainties by cause, J."""
    causes = ("edge_j", "sampling_j", "sensor_j")
    both: dict[str, Any] = {
        "gross": {cause: getattr(gross, cause) for cause in causes} | {"total_j": gross.uncertainty_j},
        "net": None,
    }
    if net is not None:
        fields = asdict(net)
        both["net"] = {cause: fields[cause] for cause in (*causes, "idle_j", "drift_j")}
        both["net"]["total_j"] = net.uncertainty_j
    return both


def _parts(
    domains: Sequence[Domain], found: Mapping[str, Trace], window: Window
) -> dict[str, Energy | NotMeasured]:
    return {domain.id: energy_j(found.get(domain.id, ()), domain, window) for domain in domains}


def _doubted(energy: Energy | NotMeasured, reasons: Sequence[str]) -> Energy | NotMeasured:
    if isinstance(energy, NotMeasured):
        return energy
    return replace(energy, degraded=(*energy.degraded, *reasons))


def _sum(domains: Sequence[Domain], parts: Mapping[str, Energy | NotMeasured]) -> Energy | NotMeasured:
    added = countable(domains)
    if not added:
        return NotMeasured(
            "+".join(domain.id for domain in domains),
            ("only supply rails were read, and which of them make up the whole is not known",),
        )
    try:
        return total(added, parts)
    except InputError as error:
        return NotMeasured("+".join(domain.id for domain in domains), (str(error),))
