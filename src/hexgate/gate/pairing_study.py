"""The energies of two studies of the same questions, compared question by question.

How much a question asks for is what energies differ by most, and both studies asked the same: drawn together, the
questions' own differences cancel. What stays is what the two models make of them, and the error of either meter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from hexgate.gate.evidence import Exhibit
from hexgate.gate.policy import Comparator, Rule
from hexgate.stats.interval import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["STUDY_MEASURES", "paired_study_loss"]

STUDY_MEASURES: Mapping[str, str | None] = {
    "energy_per_request_j": None,
    "energy_per_token_j": "output_tokens",
}
"""The measures that are known by question, each with what its energies are divided by; None for the runs."""
_SAME = 1e-9

Rows = Sequence[Mapping[str, Any]]


def paired_study_loss(
    rule: Rule, candidate: Exhibit, baseline: Exhibit, rows: tuple[Rows, Rows], level: float
) -> Interval | str:
    """The interval of a rule's loss over the same questions, or why there is none.

    Args:
        rule: a comparison of one of `STUDY_MEASURES`.
        candidate: the artifact that is judged.
        baseline: the one that it is compared with.
        rows: the baseline's rows of runs, and the candidate's.
        level: confidence of the bounds.
    """
    import numpy as np

    from hexgate.stats.bootstrap import sums_bootstrap

    old, new = (_by_question(each, STUDY_MEASURES[rule.measure]) for each in rows)
    if isinstance(old, str) or isinstance(new, str):
        return old if isinstance(old, str) else str(new)
    if old.keys() != new.keys():
        return "the two did not answer the same questions"
    sums = np.array([[*old[key], *new[key]] for key in sorted(old)])
    in_proportion = rule.comparator is Comparator.MAX_LOSS_RATIO

    def lost(each: NDArray[np.float64]) -> NDArray[np.float64]:
        before, after = each[:, 0] / each[:, 1], each[:, 2] / each[:, 3]
        loss: NDArray[np.float64] = (after - before) / before if in_proportion else after - before
        return loss

    was, now = baseline.data[rule.measure], candidate.data[rule.measure]
    value = (now - was) / was if in_proportion else now - was
    point = float(lost(sums.sum(axis=0)[np.newaxis])[0])
    if not math.isclose(point, value, rel_tol=_SAME, abs_tol=_SAME):
        return "the rows do not give the published values"
    spread = sums_bootstrap(sums, lost, level=level, point=point, what=f"the loss of {rule.measure}")
    if spread.lower_bound is None or spread.upper_bound is None:
        return "the differences between the questions give no bound"
    of_new, of_old = (each.data["study"]["sensor_ratio"] for each in (candidate, baseline))
    if of_new is None or of_old is None:
        return "a meter's own error is not stated"
    error = math.hypot(of_new * now, of_old * was)
    return _with_meters(spread, point, error / was if in_proportion else error)


def _by_question(rows: Rows, per: str | None) -> dict[tuple[str, str], tuple[float, float]] | str:
    """Joules of each question, and what they are divided by; or why that is not known."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for row in rows:
        if row["status"] != "ok" or row["energy"]["gross_j"] is None:
            return "not every run of both has an energy"
        share = 1 if per is None else row[per]
        if not share:
            return f"not every answer of both has {per}"
        joules, of = found.get((row["task"], row["item"]), (0.0, 0.0))
        found[row["task"], row["item"]] = joules + row["energy"]["gross_j"], of + share
    if not found or not all(joules > 0 for joules, _ in found.values()):
        return "not every question of both has an energy above zero"
    return found


def _with_meters(spread: Interval, point: float, error: float) -> Interval:
    """The bounds with the error of both meters in them: a class of machine is not one machine."""
    normal, miss = NormalDist(), 1.0 - spread.level

    def moved(bound: float | None, side: int, share: float) -> float | None:
        if bound is None:
            return None
        return point + side * math.hypot(bound - point, normal.inv_cdf(1.0 - share) * error)

    return replace(
        spread,
        low=moved(spread.low, -1, miss / 2),
        high=moved(spread.high, 1, miss / 2),
        lower_bound=moved(spread.lower_bound, -1, miss),
        upper_bound=moved(spread.upper_bound, 1, miss),
        method=f"{spread.method}; in quadrature with the declared error of both meters, taken as independent",
    )
