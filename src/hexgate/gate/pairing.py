"""Candidate and baseline compared item by item, where both left the rows and saw the same items.

Known for the measures of `accuracy_f1` that its rows (id, label, prediction, error) decide, `exact_match` and `f1`, and
for those of `power_efficiency` that the runs of a study decide (`pairing_study`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hexgate.gate.case import Case
from hexgate.gate.evidence import Exhibit
from hexgate.gate.pairing_study import STUDY_MEASURES, paired_study_loss
from hexgate.gate.policy import Comparator, Mode, Policy, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hexgate.stats.interval import Interval

__all__ = ["paired_loss", "samples_needed"]

_INDICATOR = "accuracy_f1"
_ENERGY = "power_efficiency"
_MEASURES = ("exact_match", "f1")
_MOST_CELLS = 20_000
"""Cells of a table of label by prediction by prediction that can be resampled in seconds."""
_SAME = 1e-9


def samples_needed(policy: Policy) -> tuple[str, ...]:
    """Indicators whose rows a policy's comparisons want: what to give `load_evidence` as `samples_of`."""
    compared = [
        rule for rule in policy.rules if rule.comparator.needs_baseline and rule.mode is Mode.INTERVAL
    ]
    by_item = any(
        rule.indicator == _INDICATOR and rule.measure in _MEASURES and rule.comparator is Comparator.MAX_LOSS
        for rule in compared
    )
    by_question = any(rule.indicator == _ENERGY and rule.measure in STUDY_MEASURES for rule in compared)
    return (*([_INDICATOR] if by_item else []), *([_ENERGY] if by_question else []))


def paired_loss(rule: Rule, candidate: Exhibit, baseline: Exhibit, case: Case) -> tuple[Interval | None, str]:
    """The interval of the loss over the same items or questions, or None and why there is none."""
    of_study = rule.measure in STUDY_MEASURES and "study_runs" in candidate.data["evidence"]
    if not of_study and (why_not := _undecided_by_rows(rule)) is not None:
        return None, why_not
    kept = case.baseline.samples if case.baseline is not None else {}
    old, new = kept.get(baseline.artifact_id), case.evidence.samples.get(candidate.artifact_id)
    if old is None or new is None:
        return None, "the rows of both are not at hand"
    level = case.policy.confidence
    try:
        if of_study:
            found = paired_study_loss(rule, candidate, baseline, (old, new), level)
            return (None, found) if isinstance(found, str) else (found, "")
        published = baseline.data[rule.measure] - candidate.data[rule.measure]
        pairs = _pairs(old, new)
        score, classes = _score(rule.measure, candidate.data["method"], pairs)
        return _bootstrap(rule, published, _joint(pairs, classes), score, level), ""
    except _Unpaired as error:
        return None, str(error)
    except (KeyError, TypeError, ValueError):
        # Another tool's rows, or another definition's method block: nothing that speaks against the artifact.
        return None, f"rows or method are not those of a {'study' if of_study else 'classification'}"


def _undecided_by_rows(rule: Rule) -> str | None:
    """Why rows of samples say nothing of a rule's measure; None where they do."""
    if rule.indicator != _INDICATOR or rule.measure not in _MEASURES:
        return "no rows decide this measure"
    return None if rule.comparator is Comparator.MAX_LOSS else "a loss in proportion is not resampled"


class _Unpaired(Exception):
    """Why two sets of rows cannot be compared item by item."""


_Pair = tuple[str, "str | None", "str | None"]
_Score = Callable[["NDArray[np.int64]"], "NDArray[np.float64]"]


def _pairs(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[_Pair]:
    """Label, baseline's prediction and candidate's, by item."""
    before, after = ({row["id"]: row for row in rows if row["error"] is None} for rows in (old, new))
    if len({row["id"] for row in old}) != len(old) or len({row["id"] for row in new}) != len(new):
        raise _Unpaired("an item has more than one row")
    if before.keys() != after.keys():
        raise _Unpaired("the two did not answer the same items")
    if any(before[key]["label"] != after[key]["label"] for key in before):
        raise _Unpaired("the two have other labels for the same items")
    return [(row["label"], row["prediction"], after[key]["prediction"]) for key, row in before.items()]


def _score(measure: str, method: Mapping[str, Any], pairs: Sequence[_Pair]) -> tuple[_Score, list[str]]:
    import numpy as np

    from hexgate.metrics.classification import Averaging, ZeroDivision, vectorised_f1

    if measure == "exact_match":
        labels = sorted({label for pair in pairs for label in pair if label is not None})

        def right(tables: NDArray[np.int64]) -> NDArray[np.float64]:
            hits: NDArray[np.int64] = np.trace(tables, axis1=1, axis2=2)
            shares: NDArray[np.float64] = hits / tables.sum(axis=(1, 2))
            return shares

        return right, labels
    classes = list(method["labels"])
    positive = method["positive_label"]
    place = None if positive is None else classes.index(positive)
    return vectorised_f1(
        Averaging(method["averaging"]), ZeroDivision(method["zero_division"]), place
    ), classes


def _joint(pairs: Sequence[_Pair], classes: Sequence[str]) -> NDArray[np.int64]:
    """Counts over (label, baseline's prediction, candidate's)."""
    import numpy as np

    k = len(classes)
    if k * (k + 1) ** 2 > _MOST_CELLS:
        raise _Unpaired("there are too many labels to resample in pairs")
    place: dict[str | None, int] = {label: index for index, label in enumerate(classes)}
    joint = np.zeros((k, k + 1, k + 1), dtype=np.int64)
    for label, old, new in pairs:
        joint[place[label], place.get(old, k), place.get(new, k)] += 1
    return joint


def _bootstrap(
    rule: Rule, published: float, joint: NDArray[np.int64], score: _Score, level: float
) -> Interval:
    import numpy as np

    from hexgate.stats.bootstrap import paired_confusion_bootstrap

    def lost(tables: NDArray[np.int64]) -> NDArray[np.float64]:
        return score(tables.sum(axis=3)) - score(tables.sum(axis=2))

    point = float(lost(joint[np.newaxis])[0])
    if not abs(point - published) <= _SAME:
        raise _Unpaired("the rows do not give the published values")
    what = f"the loss of {rule.measure}"
    return paired_confusion_bootstrap(joint, lost, level=level, point=point, what=what)
