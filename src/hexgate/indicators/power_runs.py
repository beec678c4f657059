"""The runs of one model of a study as evidence has them, and what their energy is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hexgate.indicators.base import Counts
from hexgate.meters.base import Basis
from hexgate.meters.validity import Validity
from hexgate.meters.windows import sum_known

__all__ = [
    "MOST_LACKING",
    "Drawn",
    "Row",
    "Runs",
    "degraded",
    "domain_rows",
    "doubts",
    "mixed",
    "question",
    "sensor_ratio",
    "uncertainty_j",
]

MOST_LACKING = 0.05
"""Where a larger share of the runs has no energy, no figure is made of the rest."""

Row = Mapping[str, Any]

_ONE_MODEL = ("served_model", "digest", "quantization", "server_version")
"""What all visits of one model state alike, where they state it."""
_MOST_REASONS = 3


@dataclass(frozen=True)
class Runs:
    """Rows of runs, by what became of them."""

    ok: tuple[Row, ...]
    """Those that succeeded."""
    failed: tuple[Row, ...]
    """Those that failed."""
    left: int
    """How many are still to be made."""

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Runs:
        """The runs of all rows."""
        ok, failed = (tuple(row for row in rows if row["status"] == word) for word in ("ok", "failed"))
        return cls(ok, failed, len(rows) - len(ok) - len(failed))

    @property
    def attempted(self) -> tuple[Row, ...]:
        """Those that were made."""
        return (*self.ok, *self.failed)

    @property
    def counts(self) -> Counts:
        """How many of each."""
        done, failed = len(self.ok), len(self.failed)
        return Counts(done + failed + self.left, done, failed, self.left)


@dataclass(frozen=True)
class Drawn:
    """Energy of some runs: of those that have it."""

    kind: str
    """``gross`` or ``net``."""
    rows: tuple[Row, ...]
    """Those that have it."""
    joules: tuple[float, ...]
    """Of each."""
    of: int
    """How many runs there are."""
    why: str | None
    """Why the first one without it has none; None where each has it."""

    @classmethod
    def by(cls, rows: Sequence[Row], kind: str) -> Drawn:
        """The energy of one kind of some runs."""
        have = tuple(row for row in rows if row["energy"][f"{kind}_j"] is not None)
        lacking = next((row for row in rows if row["energy"][f"{kind}_j"] is None), None)
        why = (
            None if lacking is None else str(lacking["missing"].get(f"energy.{kind}_j", "no reason is kept"))
        )
        return cls(kind, have, tuple(float(row["energy"][f"{kind}_j"]) for row in have), len(rows), why)

    @property
    def total_j(self) -> float:
        """Of all that have it."""
        return math.fsum(self.joules)

    def lack(self) -> str | None:
        """That not every run has its energy; None where each has."""
        lacking = self.of - len(self.rows)
        return f"{lacking} of {self.of} runs have no {self.kind} energy ({self.why})" if lacking else None

    def fault(self) -> str | None:
        """Why no figure is made of it; None where one is."""
        if not self.of:
            return "no run succeeded"
        if self.of - len(self.rows) > MOST_LACKING * self.of:
            return self.lack()
        if self.kind == "gross" and not self.total_j > 0:
            return "the energies of the runs do not add up to more than zero"
        return None


def question(row: Row) -> tuple[str, str]:
    """What is asked: the same item at other loads and in other repeats is one question."""
    return row["task"], row["item"]


def degraded(row: Row) -> list[str]:
    """Why the figures of a run are worth less than they should be."""
    return [*row["degraded"], *row["energy"]["degraded"]]


def doubts(runs: Runs, *, cold: bool) -> list[str]:
    """Why no figure of energy certifies anything, whatever it is.

    Args:
        runs: the runs.
        cold: whether the study asks for prompts that no cache knows.
    """
    found = []
    if any(row["energy"]["basis"] == Basis.ESTIMATED.value for row in runs.attempted):
        found.append("estimated, not measured")
    below = sum((row["energy"]["gross_j"] or 0.0) < 0 for row in runs.attempted)
    if below:
        found.append(
            f"{below} of {len(runs.attempted)} runs have an energy below zero: they were too short to tell"
        )
    reasons = [each for row in runs.ok if (each := degraded(row))]
    if reasons:
        why = list(dict.fromkeys(reason for each in reasons for reason in each))
        more = f"; and {len(why) - _MOST_REASONS} more" if len(why) > _MOST_REASONS else ""
        shown = "; ".join(why[:_MOST_REASONS])
        found.append(f"{len(reasons)} of {len(runs.ok)} runs are degraded ({shown}{more})")
    warm = sum(row["prompt_state"] == "warm" for row in runs.ok)
    if warm and cold:
        found.append(
            f"{warm} of {len(runs.ok)} prompts came from the server's cache, where the study asks for cold ones"
        )
    return found


def mixed(visits: Sequence[Row]) -> list[str]:
    """Why the visits of a model are not those of one model on one machine by one set of meters, one line each."""
    found = []
    for name in _ONE_MODEL:
        found += _several(name, [visit["configuration"].get(name) for visit in visits])
    found += _several("host_class", [visit["environment"]["host_class"] for visit in visits])
    meters = ["+".join(sorted(domain["id"] for domain in visit["domains"])) or None for visit in visits]
    return found + _several("the set of meters", meters)


def _several(name: str, values: Sequence[Any]) -> list[str]:
    known = list(dict.fromkeys(str(value) for value in values if value is not None))
    return [f"{name} is {known[0]} in one visit and {known[1]} in another"] if len(known) > 1 else []


def uncertainty_j(rows: Sequence[Row], visits: Sequence[Row]) -> float | None:
    """Standard uncertainty of a sum of gross energies, J; None where a sensor states nothing of its own error.

    The sensors' own errors all go the same way and are added up; what is left of the uncertainty of a run (edges,
    sampling) is independent of that of the others.
    """
    ratios = _ratios(visits)
    sensors, others = [], []
    for row in rows:
        energy = row["energy"]
        sensor_j = sum_known(
            None if (ratio := ratios.get((row["visit"], part["id"]))) is None else part["energy_j"] * ratio
            for part in energy["domains"]
        )
        if sensor_j is None or energy["uncertainty_j"] is None:
            return None
        sensors.append(sensor_j)
        others.append(max(0.0, energy["uncertainty_j"] ** 2 - sensor_j**2))
    return math.hypot(math.fsum(sensors), math.sqrt(math.fsum(others)))


def sensor_ratio(rows: Sequence[Row], visits: Sequence[Row]) -> float | None:
    """The greatest relative standard uncertainty that a meter of some runs states of itself.

    None where one of them states none, or there is no meter.
    """
    ratios = _ratios(visits)
    found = {ratios.get((row["visit"], part["id"])) for row in rows for part in row["energy"]["domains"]}
    known = [ratio for ratio in found if ratio is not None]
    return max(known) if known and len(known) == len(found) else None


def _ratios(visits: Sequence[Row]) -> dict[tuple[str, str], float | None]:
    return {
        (visit["visit"], domain["id"]): domain["systematic_ratio"]
        for visit in visits
        for domain in visit["domains"]
    }


def domain_rows(visits: Sequence[Row], gross: Drawn) -> list[dict[str, Any]]:
    """The artifact's table of domains; with quiet edges their energies hold the idle after the requests too."""
    domains = {domain["id"]: domain for visit in visits for domain in visit["domains"]}
    return [_domain_row(domain, gross) for domain in domains.values()]


def _domain_row(domain: Row, gross: Drawn) -> dict[str, Any]:
    parts = [part for row in gross.rows for part in row["energy"]["domains"] if part["id"] == domain["id"]]
    lack = gross.lack() if parts else "no run has an energy of it"
    reasons = list(dict.fromkeys(reason for part in parts for reason in part["reasons"]))[:_MOST_REASONS]
    if lack is not None:
        validity, energy_j = Validity.INVALID, None
    else:
        validity = Validity.DEGRADED if reasons else Validity.OK
        energy_j = math.fsum(part["energy_j"] for part in parts)
    return {
        "id": domain["id"],
        "scope": domain["scope"],
        "source": domain["source"],
        "energy_j": energy_j,
        "joined": None,
        "update_s": domain["update_s"],
        "validity": validity.value,
        "reasons": [*([] if lack is None else [lack]), *reasons],
    }
