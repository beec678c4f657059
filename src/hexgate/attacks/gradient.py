"""Gradients by the input: the target's own, or central differences of the margin loss through its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexgate.attacks.base import GradientKind, Loss
from hexgate.attacks.bounds import Bounds
from hexgate.attacks.losses import class_logits, margin
from hexgate.errors import TargetFailed, TargetUnusable
from hexgate.targets.base import GradientSource, Predictor

__all__ = ["MAX_DIMENSION", "Gradient", "finite_differences", "gradient_kind", "gradient_of"]

MAX_DIMENSION = 1024
"""Most entries of an input for which 2d queries a gradient are worth their cost."""

_COARSEST = 0.1
_MOSTLY = 0.5
_ROWS_AT_ONCE = 8192
_FLOATS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Gradient:
    """The gradient of a loss by each input of a batch."""

    values: NDArray[np.float32]
    """(n, *input_shape)."""
    kind: GradientKind
    """Where it came from."""
    loss: Loss
    """The loss that was really differentiated."""
    queries: int
    """Inputs that went through the model."""
    difference_steps: Mapping[float, int]
    """Rows by the half-distance of their differences, as a share of the input range; empty for autograd."""

    @property
    def zero_rows(self) -> int:
        """Rows in which every entry is exactly zero."""
        return int(np.count_nonzero(~self.values.reshape(len(self.values), -1).any(axis=1)))


def gradient_kind(gradients: GradientSource | None, batch: NDArray[np.float32]) -> GradientKind:
    """Which gradients there are for inputs like these; NONE means that only an attack by scores is left.

    The batch says how large an input is: an endpoint may state no shape, or a shape with open sides.
    """
    if gradients is not None:
        return GradientKind.AUTOGRAD
    if _entries(batch) <= MAX_DIMENSION:
        return GradientKind.FINITE_DIFFERENCE
    return GradientKind.NONE


def _entries(batch: NDArray[np.float32]) -> int:
    return int(np.prod(batch.shape[1:]))


def gradient_of(
    predictor: Predictor,
    gradients: GradientSource | None,
    at: NDArray[np.float32],
    labels: NDArray[np.int64],
    bounds: Bounds,
) -> Gradient:
    """The gradient of the loss at a batch of points inside the bounds.

    Raises:
        TargetUnusable: if the target gives no gradients and its input is too large for finite differences.
        TargetFailed: if a gradient is not finite.
    """
    kind = gradient_kind(gradients, at)
    if kind is GradientKind.NONE:
        raise TargetUnusable(
            "the model gives no gradients, and its input is too large for finite differences",
            got=f"{_entries(at)} input values",
            expected=f"gradients, or at most {MAX_DIMENSION} values",
            hint="use the attack 'square', which needs scores alone",
        )
    if gradients is None:
        return finite_differences(predictor, at, labels, bounds)
    values = np.asarray(gradients.input_gradient(at, labels, bounds.spec.loss.value), dtype=np.float32)
    if values.shape != at.shape or not np.isfinite(values).all():
        raise TargetFailed(
            "the model's gradient is not one finite number for each input value", got=str(values.shape)
        )
    return Gradient(values, kind, bounds.spec.loss, len(at), {})


def finite_differences(
    predictor: Predictor, at: NDArray[np.float32], labels: NDArray[np.int64], bounds: Bounds
) -> Gradient:
    """Central differences of the margin loss, cut off at the range so that every query is a valid input.

    A row whose differences are mostly exactly zero, as a quantised model gives them, is tried again ten times
    as coarsely, up to a tenth of the range; the finest of the half-distances with the fewest zeros counts.

    Args:
        predictor: what is differentiated; it is asked for 2d scores a row and try.
        at: (n, *input_shape), points inside the bounds.
        labels: (n,), true classes.
        bounds: range and parameters of the attack.

    Raises:
        TargetFailed: if the scores are not finite numbers.
    """
    low, high = bounds.spec.input_range
    step = bounds.spec.difference_step
    values = np.zeros(at.shape, dtype=np.float32)
    fewest = np.full(len(at), np.inf)
    used = np.full(len(at), step)
    rows = np.arange(len(at))
    queries = 0
    while len(rows):
        found = _differences(
            predictor,
            at[rows],
            labels[rows],
            bounds.low[rows],
            bounds.high[rows],
            distance=step * (high - low),
        )
        queries += 2 * at[rows].size
        zeros = (found == 0).reshape(len(rows), -1).mean(axis=1)
        better = zeros < fewest[rows]
        values[rows[better]], used[rows[better]] = found[better], step
        fewest[rows] = np.minimum(fewest[rows], zeros)
        if step >= _COARSEST:
            break
        rows, step = rows[zeros > _MOSTLY], min(10 * step, _COARSEST)
    shares, counts = np.unique(used, return_counts=True)
    steps = {float(share): int(count) for share, count in zip(shares, counts, strict=True)}
    return Gradient(values, GradientKind.FINITE_DIFFERENCE, Loss.MARGIN, queries, steps)


def _differences(
    predictor: Predictor,
    at: NDArray[np.float32],
    labels: NDArray[np.int64],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    *,
    distance: float,
) -> NDArray[np.float32]:
    shape = at.shape[1:]
    flat = at.reshape(len(at), -1)
    size = flat.shape[1]
    above = np.minimum(flat + np.float32(distance), high.reshape(flat.shape))
    below = np.maximum(flat - np.float32(distance), low.reshape(flat.shape))
    # One gap for each entry, as the model saw it: rounded to float32 and cut off at the range.
    gap = above.astype(np.float64) - below
    at_once = max(1, min(_ROWS_AT_ONCE, _FLOATS_AT_ONCE // size))
    result = np.zeros(flat.shape, dtype=np.float64)
    entries = np.arange(flat.size)
    for start in range(0, flat.size, at_once):
        row, column = np.divmod(entries[start : start + at_once], size)
        sides = []
        for moved in (above, below):
            points = flat[row]
            points[np.arange(len(row)), column] = moved[row, column]
            scores = predictor.scores(points.reshape(-1, *shape))
            sides.append(margin(class_logits(scores, predictor.output), labels[row]))
        difference = sides[0] - sides[1]
        width = gap[row, column]
        result[row, column] = np.divide(difference, width, out=np.zeros_like(difference), where=width > 0)
    return result.astype(np.float32).reshape(at.shape)
