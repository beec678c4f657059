"""Precision, recall and F1 from a table of counts, for one table or for thousands at once.

The definitions, zero division included, are those of scikit-learn's ``precision_recall_fscore_support`` with
an explicit list of labels. F1 is 2 tp / (labelled + predicted), not computed through precision and recall, so
it is defined wherever a class was labelled or predicted at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Averaging",
    "ClassScores",
    "Score",
    "Scores",
    "ZeroDivision",
    "accuracy",
    "confusion_matrix",
    "per_class",
    "precision_recall_f1",
    "vectorised",
    "vectorised_f1",
]

_Counts = NDArray[np.int64]
_Values = NDArray[np.float64]


class Averaging(str, Enum):
    """How the scores of the classes become one."""

    BINARY = "binary"
    """The score of the positive class alone."""
    MICRO = "micro"
    """One score from the counts of all classes together."""
    MACRO = "macro"
    """The mean over classes, each the same weight."""
    WEIGHTED = "weighted"
    """The mean over classes, each weighted by how many items are labelled so."""


class ZeroDivision(str, Enum):
    """What the score of a class is where its denominator is zero."""

    ZERO = "zero"
    """0: a class that is never predicted has a precision of 0."""
    ONE = "one"
    """1."""
    EXCLUDE = "exclude"
    """Undefined, and left out of averages (scikit-learn's ``nan``)."""


class Score(str, Enum):
    """Which of the three scores."""

    PRECISION = "precision"
    """Share of the predictions of a class that are right."""
    RECALL = "recall"
    """Share of the items of a class that are found."""
    F1 = "f1"
    """Harmonic mean of the two."""


_FILL = {ZeroDivision.ZERO: 0.0, ZeroDivision.ONE: 1.0, ZeroDivision.EXCLUDE: float("nan")}


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1, each 0 to 1."""

    precision: float | None
    """Share of the predictions that are right; None where undefined."""
    recall: float | None
    """Share of the labelled items that are found; None where undefined."""
    f1: float | None
    """Harmonic mean of the two; None where undefined."""


@dataclass(frozen=True)
class ClassScores:
    """The scores and counts of one class."""

    label: str
    """The class."""
    precision: float | None
    """Share of the predictions of this class that are right, 0 to 1; None where undefined."""
    recall: float | None
    """Share of the items of this class that are found, 0 to 1; None where undefined."""
    f1: float | None
    """Harmonic mean of the two, 0 to 1; None where undefined."""
    support: int
    """How many items are labelled with this class."""
    predicted: int
    """How many items are predicted to be of this class."""
    true_positives: int
    """How many are both."""


def confusion_matrix(
    labels_true: Sequence[str], labels_pred: Sequence[str | None], classes: Sequence[str]
) -> _Counts:
    """Count items by label and prediction.

    Args:
        labels_true: the label of each item, one of `classes`.
        labels_pred: the prediction for each item; None where the answer could not be read as a class.
        classes: every class, in the order of rows and columns.

    Returns:
        Counts of shape (k, k + 1) for k classes: rows are labels, columns are predictions, and the last
        column holds the predictions that are None or none of the classes. They are wrong answers, never
        dropped ones.

    Raises:
        ValueError: if the two differ in length, a class is named twice, or a label is none of the classes.
    """
    k = len(classes)
    places = {name: place for place, name in enumerate(classes)}
    if len(places) != k or k == 0:
        raise ValueError(f"{k} classes with {len(places)} different names")
    if len(labels_true) != len(labels_pred):
        raise ValueError(f"{len(labels_true)} labels and {len(labels_pred)} predictions")
    strange = sorted(set(labels_true) - places.keys())
    if strange:
        raise ValueError(f"labels outside of the classes: {', '.join(map(repr, strange[:5]))}")
    cells = [
        places[true] * (k + 1) + (k if pred is None else places.get(pred, k))
        for true, pred in zip(labels_true, labels_pred, strict=True)
    ]
    counts = np.bincount(np.array(cells, dtype=np.int64), minlength=k * (k + 1))
    return counts.reshape(k, k + 1).astype(np.int64)


def accuracy(confusion: _Counts) -> float:
    """Share of all items that are predicted right, 0 to 1.

    Raises:
        ValueError: if there are no items.
    """
    items = int(confusion.sum())
    if items == 0:
        raise ValueError("no items have no accuracy")
    return int(np.trace(confusion)) / items


def precision_recall_f1(
    confusion: _Counts, averaging: Averaging, *, zero_division: ZeroDivision, positive: int | None = None
) -> Scores:
    """Precision, recall and F1 of one table of shape (k, k + 1), averaged over all k classes.

    Args:
        confusion: counts as `confusion_matrix` makes them.
        averaging: how classes are averaged.
        zero_division: what a class scores where its denominator is zero.
        positive: the place of the positive class; for BINARY, and only there.

    Returns:
        The scores. Without a single item all of them are None, whatever `zero_division` says.

    Raises:
        ValueError: if `positive` is missing, not wanted or no class.
    """
    precision, recall, f1 = (
        _defined(vectorised(score, averaging, zero_division, positive)(confusion[np.newaxis])[0])
        for score in Score
    )
    return Scores(precision, recall, f1) if confusion.any() else Scores(None, None, None)


def per_class(confusion: _Counts, classes: Sequence[str], zero_division: ZeroDivision) -> list[ClassScores]:
    """The scores of each class of one table of shape (k, k + 1), in the order of `classes`.

    Raises:
        ValueError: if the table is not one of these classes.
    """
    if confusion.shape != (len(classes), len(classes) + 1):
        raise ValueError(f"a table of shape {confusion.shape} for {len(classes)} classes")
    rule = zero_division if confusion.any() else ZeroDivision.EXCLUDE
    margins = _margins(confusion[np.newaxis])
    precision, recall, f1 = (_ratio(*_fraction(score, margins), rule)[0] for score in Score)
    true_positives, predicted, support = (margin[0] for margin in margins)
    return [
        ClassScores(
            label=label,
            precision=_defined(precision[place]),
            recall=_defined(recall[place]),
            f1=_defined(f1[place]),
            support=int(support[place]),
            predicted=int(predicted[place]),
            true_positives=int(true_positives[place]),
        )
        for place, label in enumerate(classes)
    ]


def vectorised(
    score: Score, averaging: Averaging, zero_division: ZeroDivision, positive: int | None = None
) -> Callable[[_Counts], _Values]:
    """One score of many tables at once: a function from (r, k, k + 1) counts to (r,) values, NaN where undefined.

    Each value is, bit for bit, that of `precision_recall_f1` for the table alone.

    Raises:
        ValueError: from the function, if `positive` is missing, not wanted or no class.
    """

    def averaged(confusions: _Counts) -> _Values:
        average = _averager(confusions.shape[1], averaging, zero_division, positive)
        margins = _margins(confusions)
        return average(*_fraction(score, margins), margins[2])

    return averaged


def vectorised_f1(
    averaging: Averaging, zero_division: ZeroDivision, positive: int | None = None
) -> Callable[[_Counts], _Values]:
    """`vectorised` for F1."""
    return vectorised(Score.F1, averaging, zero_division, positive)


def _margins(confusions: _Counts) -> tuple[_Counts, _Counts, _Counts]:
    """True positives, predicted and support, each (r, k), of tables (r, k, k + 1)."""
    k = confusions.shape[1]
    true_positives = np.diagonal(confusions, axis1=1, axis2=2)
    return true_positives, confusions[:, :, :k].sum(axis=1), confusions.sum(axis=2)


def _fraction(score: Score, margins: tuple[_Counts, _Counts, _Counts]) -> tuple[_Counts, _Counts]:
    """Numerators and denominators of a score, by class."""
    true_positives, predicted, support = margins
    if score is Score.PRECISION:
        return true_positives, predicted
    if score is Score.RECALL:
        return true_positives, support
    return 2 * true_positives, predicted + support


def _ratio(numerators: _Counts, denominators: _Counts, zero_division: ZeroDivision) -> _Values:
    filled = np.full(numerators.shape, _FILL[zero_division])
    np.divide(numerators, denominators, out=filled, where=denominators != 0)
    return filled


def _averager(
    k: int, averaging: Averaging, zero_division: ZeroDivision, positive: int | None
) -> Callable[[_Counts, _Counts, _Counts], _Values]:
    """The function from (r, k) numerators, denominators and supports to (r,) averaged ratios."""
    if (averaging is Averaging.BINARY) != (positive is not None):
        raise ValueError(f"{averaging.value} averaging with {positive} for the place of the positive class")
    if positive is not None and not 0 <= positive < k:
        raise ValueError(f"the positive class is at {positive}, and there are {k} classes")

    def average(numerators: _Counts, denominators: _Counts, support: _Counts) -> _Values:
        if positive is not None:
            return _ratio(numerators[:, positive], denominators[:, positive], zero_division)
        if averaging is Averaging.MICRO:
            return _ratio(numerators.sum(axis=1), denominators.sum(axis=1), zero_division)
        ratios = _ratio(numerators, denominators, zero_division)
        known = ~np.isnan(ratios)
        weights = known.astype(np.float64)
        if averaging is Averaging.WEIGHTED:
            weighted = support * known
            # Where all defined classes are without items, scikit-learn falls back to their plain mean.
            weights = np.where(weighted.any(axis=1, keepdims=True), weighted, weights)
        total = weights.sum(axis=1)
        sums = (np.where(known, ratios, 0.0) * weights).sum(axis=1)
        means = np.full(len(total), np.nan)
        np.divide(sums, total, out=means, where=total > 0.0)
        return means

    return average


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
