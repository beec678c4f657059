"""The margin loss, and what it is computed from: scores of whatever kind, as float64 logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexgate.errors import DataError, TargetFailed, TargetUnusable
from hexgate.targets.base import Output

__all__ = ["class_logits", "margin", "predicted"]

_TINY = float(np.finfo(np.float32).tiny)


def class_logits(scores: NDArray[np.float32], output: Output) -> NDArray[np.float64]:
    """Logits up to a constant for each row: (n, k) scores to (n, max(k, 2)) logits.

    Probabilities become logarithms in float64, since their differences starve a gradient. One column is the
    score of the second of two classes.

    Raises:
        TargetFailed: if a score is not a finite number, or the shape is not (n, classes).
        TargetUnusable: if there is one column and nobody knows what it means.
    """
    wide = np.asarray(scores, dtype=np.float64)
    if wide.ndim != 2 or wide.shape[1] == 0:
        raise TargetFailed(
            "the model's scores have the wrong shape", got=str(wide.shape), expected="(inputs, classes)"
        )
    if not np.isfinite(wide).all():
        bad = int(np.count_nonzero(~np.isfinite(wide).all(axis=1)))
        raise TargetFailed(
            "the model gave scores that are not finite numbers", got=f"{bad} of {len(wide)} rows"
        )
    if output is Output.PROBABILITIES:
        if wide.shape[1] == 1:
            wide = np.concatenate([1.0 - wide, wide], axis=1)
        return np.asarray(np.log(np.maximum(wide, _TINY)), dtype=np.float64)
    if wide.shape[1] == 1:
        if output is Output.UNKNOWN:
            raise TargetUnusable(
                "one column of scores does not say where the border between the two classes lies",
                hint="state in the model's card whether the output is 'logits' or 'probabilities'",
            )
        wide = np.concatenate([np.zeros_like(wide), wide], axis=1)
    return wide


def margin(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Best other class minus true class, (n,): above 0 where the model is wrong.

    Raises:
        DataError: if a label is not the index of a column.
    """
    classes = logits.shape[1]
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(
            "a label is not one of the model's classes",
            got=f"labels {labels.min()} to {labels.max()}",
            expected=f"0 to {classes - 1}",
        )
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, labels] = -np.inf
    return np.asarray(others.max(axis=1) - logits[rows, labels], dtype=np.float64)


def predicted(scores: NDArray[np.float32], output: Output) -> NDArray[np.int64]:
    """The class that each row of scores is for, (n,); the first of equals.

    Raises:
        TargetFailed: if a score is not a finite number.
        TargetUnusable: if there is one column and nobody knows what it means.
    """
    return np.asarray(class_logits(scores, output).argmax(axis=1), dtype=np.int64)
