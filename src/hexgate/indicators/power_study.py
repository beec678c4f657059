"""power_efficiency of one model of a study: figures from its runs, each of which has an energy of its own.

Evidence: `study`, what was studied; `study_runs`, a row for each planned run; `study_visits`, one for each visit of the
model. What a run lacks is never taken for nothing: a sum is there only where every run has its part, a ratio where
nearly every one has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hexgate.contract.evidence import EvidenceReader
from hexgate.indicators.base import Figures, Method
from hexgate.indicators.power_accepted import Acceptance
from hexgate.indicators.power_interval import widened
from hexgate.indicators.power_runs import (
    Drawn,
    Row,
    Runs,
    degraded,
    domain_rows,
    doubts,
    mixed,
    question,
    sensor_ratio,
    uncertainty_j,
)
from hexgate.meters.base import Basis
from hexgate.meters.countable import UNSTATED
from hexgate.meters.windows import sum_known
from hexgate.stats.bootstrap import cluster_bootstrap
from hexgate.stats.clustered import Observation, clustered_proportion
from hexgate.stats.interval import Interval

__all__ = ["RESAMPLES", "STUDY", "study_figures"]

STUDY = "study"
"""What the method names as its source where the figures are those of a study."""
RESAMPLES = 2000
"""Resamples of every interval."""

_TOTALS = ("energy_j", "energy_uncertainty_j")
_RATIOS = ("energy_per_request_j", "energy_per_token_j", "requests_per_joule")
_NET = ("net_energy_j", "net_energy_per_request_j")
_ACCEPTED = ("accepted", "accepted_ratio")
_BY_ACCEPTANCE = ("energy_per_accepted_j", "accepted_per_joule")
_OF_ENERGY = frozenset({*_TOTALS, *_RATIOS, *_NET, *_BY_ACCEPTANCE})
_APART = "the runs of a study lie apart in time: the evidence has each one's"
_NONE_SUCCEEDED = "no run succeeded"


def study_figures(method: Method, evidence: EvidenceReader) -> Figures:
    """The figures of one model of a study.

    Raises:
        EvidenceError: if the evidence is not what the artifact was made from.
    """
    study = evidence.document("study")
    runs = Runs.of(list(evidence.rows("study_runs")))
    visits = list(evidence.rows("study_visits"))
    made = _Made(method, runs, visits)
    made.energy()
    made.net_energy()
    made.acceptance(str(study["no_rule"]))
    made.answers()
    made.absent()
    reasons = [] if runs.ok else [_NONE_SUCCEEDED]
    if runs.left:
        reasons.append(f"{runs.left} of {runs.counts.requested} runs of the model are left")
    return Figures(
        values=made.values | _facts(study, runs, visits, made),
        counts=runs.counts,
        intervals=made.intervals,
        missing=dict(sorted(made.missing.items())),
        cannot_certify=dict(sorted(made.cannot.items())),
        invalid_reasons=(*reasons, *mixed(visits)),
    )


def _facts(study: Mapping[str, Any], runs: Runs, visits: Sequence[Row], made: _Made) -> dict[str, Any]:
    gross = made.gross
    domains = [domain for visit in visits for domain in visit["domains"]] if gross.rows else []
    estimated = any(row["energy"]["basis"] == Basis.ESTIMATED.value for row in gross.rows)
    basis = Basis.ESTIMATED if estimated else Basis.MEASURED if gross.rows else Basis.NOT_MEASURED
    return {
        "measurement": basis.value,
        "meter": "+".join(sorted({domain["source"] for domain in domains})) or None,
        "scope": "+".join(sorted({domain["scope"] for domain in domains})) or None,
        "domains": domain_rows(visits, gross),
        "study": {
            "name": study["study"]["name"],
            "model": study["model"],
            "configuration": visits[0]["configuration"] if visits else {},
            "planned": runs.counts.requested,
            "attempted": len(runs.attempted),
            "measured": len(gross.rows),
            "measured_net": len(made.net.rows),
            "degraded": sum(bool(degraded(row)) for row in runs.ok),
            "questions": len({question(row) for row in runs.ok}),
            "prompt_states": dict(Counter(row["prompt_state"] or "unknown" for row in runs.ok)),
            "edges": dict(Counter(row["energy"]["edges"] for row in gross.rows)),
            "sensor_ratio": made.sensor_ratio,
        },
    }


class _Made:
    """Figures as they are made: the values, their intervals, and why one is missing or certifies nothing."""

    def __init__(self, method: Method, runs: Runs, visits: Sequence[Row]) -> None:
        self._method = method
        self._runs = runs
        self._visits = visits
        self._doubts = doubts(runs, cold=method["cold"] != "none")
        self.gross = Drawn.by(runs.ok, "gross")
        self.net = Drawn.by(runs.ok, "net")
        self.sensor_ratio = sensor_ratio(self.gross.rows, visits)
        if self.sensor_ratio is None:
            self._doubts.append(UNSTATED)
        self.values: dict[str, Any] = {}
        self.intervals: dict[str, Interval] = {}
        self.missing: dict[str, str] = {}
        self.cannot: dict[str, str] = {}

    def energy(self) -> None:
        """Gross energy: of all runs, of a request, of a token."""
        drawn, fault = self.gross, self.gross.fault()
        if fault is not None:
            self._none((*_TOTALS, *_RATIOS), fault)
            return
        ones, lack = [1.0] * len(drawn.rows), drawn.lack()
        if lack is None:
            self._put("energy_j", drawn.total_j)
            spread_j = uncertainty_j(drawn.rows, self._visits)
            if spread_j is None:
                self._none(("energy_uncertainty_j",), UNSTATED)
            else:
                self._put("energy_uncertainty_j", spread_j)
        else:
            self._none(_TOTALS, lack)
        self._ratio("energy_per_request_j", drawn.rows, drawn.joules, ones, "joules per request", lack)
        self._ratio("requests_per_joule", drawn.rows, ones, drawn.joules, "requests per joule", lack)
        why, tokens = _tokens(drawn.rows)
        if why is None:
            self._ratio(
                "energy_per_token_j", drawn.rows, drawn.joules, tokens, "joules per output token", lack
            )
        else:
            self._none(("energy_per_token_j",), why)

    def net_energy(self) -> None:
        """Energy above the idle of the visits."""
        drawn, fault = self.net, self.net.fault()
        if fault is not None:
            self._none((*_NET, "idle_drift_ratio"), fault)
            return
        lack, total_j = drawn.lack(), drawn.total_j
        bad = None if total_j > 0 else "the runs drew no more than idle did: the idle was not one"
        if lack is None:
            self._put("net_energy_j", total_j, bad)
        else:
            self._none(("net_energy_j",), lack)
        point = total_j / len(drawn.rows)
        self._put("idle_drift_ratio", max(row["energy"]["idle_drift_ratio"] for row in drawn.rows))
        self._put("net_energy_per_request_j", point, lack, bad)
        spread = self._bootstrap(drawn.rows, drawn.joules, [1.0] * len(drawn.rows), "net joules per request")
        # The idle and its drift are those of a whole visit: the errors of the runs are taken as all going one way.
        own_j = sum_known(row["energy"]["net_uncertainty_j"] for row in drawn.rows)
        error = None if own_j is None else own_j / abs(total_j) if total_j else 0.0
        self.intervals["net_energy_per_request_j"] = widened(
            spread, point, error, "the runs' own", at_least_zero=False
        )

    def acceptance(self, no_rule: str) -> None:
        """Accepted answers, and what one of them costs, failures included."""
        found = Acceptance.of(self._method["accepted"], self._runs.attempted, no_rule)
        if found.why is not None:
            self._none((*_ACCEPTED, *_BY_ACCEPTANCE), found.why)
            return
        accepted = sum(found.each)
        self._put("accepted", accepted)
        self._share("accepted_ratio", found.rows, found.each)
        drawn = Drawn.by(found.rows, "gross")
        # Without the energy of one of them it would cost less than it does.
        fault = drawn.lack() or drawn.fault()
        if fault is not None:
            self._none(_BY_ACCEPTANCE, fault)
            return
        ones = [float(one) for one in found.each]
        self._ratio("accepted_per_joule", drawn.rows, ones, drawn.joules, "accepted answers per joule")
        if accepted:
            self._ratio("energy_per_accepted_j", drawn.rows, drawn.joules, ones, "joules per accepted answer")
        else:
            self._none(("energy_per_accepted_j",), "no answer was accepted")

    def answers(self) -> None:
        """What is known of the answers beside their energy."""
        ok = self._runs.ok
        self._put("requests", len(ok))
        if not ok:
            self._none(("duration_s", "output_tokens", "truncated_ratio"), _NONE_SUCCEEDED)
            return
        self._put("duration_s", math.fsum(row["latency_seconds"] for row in ok))
        uncounted = sum(row["output_tokens"] is None for row in ok)
        if uncounted:
            self._none(("output_tokens",), _uncounted(uncounted, len(ok)))
        else:
            self._put("output_tokens", sum(row["output_tokens"] for row in ok))
        cut = [row["truncated"] for row in ok]
        if None in cut:
            self._none(("truncated_ratio",), "it is not known of every answer whether it was cut")
        else:
            self._share("truncated_ratio", ok, cut)

    def absent(self) -> None:
        """What no study has."""
        self._none(("mean_power_w", "max_power_w", "power_series"), f"{_APART} power")
        self._none(("idle_power_w",), f"{_APART} idle power")
        self._none(("cpu_seconds",), "the server is another process: the records of the study have its CPU")
        self._none(("uncertainty",), "the records of a study keep no causes apart")

    def _put(self, name: str, value: float, *why_not: str | None) -> None:
        self.values[name] = value
        found = [*(why for why in why_not if why), *(self._doubts if name in _OF_ENERGY else ())]
        if found:
            self.cannot[name] = "; ".join(found)

    def _none(self, names: Sequence[str], why: str) -> None:
        for name in names:
            self.values[name] = None
            self.missing[name] = why

    def _ratio(
        self,
        name: str,
        rows: Sequence[Row],
        top: Sequence[float],
        bottom: Sequence[float],
        what: str,
        lack: str | None = None,
    ) -> None:
        point = math.fsum(top) / math.fsum(bottom)
        self._put(name, point, lack)
        if min(bottom) >= 0:
            spread = self._bootstrap(rows, top, bottom, what)
            self.intervals[name] = widened(spread, point, self.sensor_ratio, "the sensor's")

    def _bootstrap(
        self, rows: Sequence[Row], top: Sequence[float], bottom: Sequence[float], what: str
    ) -> Interval:
        return cluster_bootstrap(
            top,
            bottom,
            [question(row) for row in rows],
            resamples=self._method["resamples"],
            seed=self._method["seed"],
            level=self._method["confidence"],
            what=f"{what}, by question,",
        )

    def _share(self, name: str, rows: Sequence[Row], each: Sequence[bool]) -> None:
        seen = [Observation(question(row), None, one) for row, one in zip(rows, each, strict=True)]
        self._put(name, sum(each) / len(each))
        level = self._method["confidence"]
        self.intervals[name] = clustered_proportion(seen, level=level, items="questions")


def _tokens(rows: Sequence[Row]) -> tuple[str | None, list[float]]:
    """Output tokens of each run, or why they are not known."""
    counts = [row["output_tokens"] for row in rows]
    if None in counts:
        return _uncounted(counts.count(None), len(counts)), []
    return (None if any(counts) else "the answers have no tokens"), [float(count) for count in counts]


def _uncounted(lacking: int, of: int) -> str:
    return f"{lacking} of {of} answers have no count of tokens"
