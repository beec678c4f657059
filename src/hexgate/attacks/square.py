"""The Square attack (Andriushchenko, Croce, Flammarion, Hein 2020), L-infinity, by scores alone.

Random search: propose a patch of eps or -eps, keep it where the margin grew. The patch of an image is a
square with one sign a channel; that of a flat vector, whose entries have no neighbours, is a random set of
entries with a sign each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hexgate.attacks.base import AttackOutcome, AttackSpec, GradientKind, Loss
from hexgate.attacks.bounds import enter
from hexgate.attacks.draws import row_keys, signs, uniform
from hexgate.attacks.losses import class_logits, margin
from hexgate.targets.base import GradientSource, Predictor

__all__ = ["PARAMETERS", "square"]

PARAMETERS: tuple[str, ...] = ("queries",)
"""Fields of `AttackSpec` that this attack takes beside its size, range, loss and seed."""

_FIRST_SHARE = 0.8
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Iterations, of 10,000, after which the patch's share of the input is halved, as published."""


def square(
    predictor: Predictor,
    gradients: GradientSource | None,  # noqa: ARG001 - every attack is called alike
    batch: NDArray[np.float32],
    labels: NDArray[np.int64],
    spec: AttackSpec,
) -> AttackOutcome:
    """Search with at most `queries` scores a row. See `hexgate.attacks.base.Attack` for shapes and errors.

    A row is done when the model gets it wrong, so one that is wrong from the start comes back as it was.
    """
    bounds = enter(batch, labels, spec)
    keys = row_keys(bounds.clean, spec.seed)
    best = bounds.clean.copy()
    best_margin = _margins(predictor, best, labels)
    queries, scored_times = len(best), 1
    while scored_times < spec.queries and len(rows := np.flatnonzero(best_margin <= 0)):
        proposed = bounds.project(
            _propose(bounds.clean[rows], best[rows], keys[rows], scored_times, spec), rows
        )
        reached = _margins(predictor, proposed, labels[rows])
        queries += len(rows)
        scored_times += 1
        better = reached > best_margin[rows]
        best[rows[better]], best_margin[rows[better]] = proposed[better], reached[better]
    return bounds.outcome(
        best, queries=queries, source=GradientKind.NONE, loss=Loss.MARGIN, iterations=scored_times - 1
    )


def _margins(
    predictor: Predictor, inputs: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    return margin(class_logits(predictor.scores(inputs), predictor.output), labels)


def _propose(
    clean: NDArray[np.float32],
    best: NDArray[np.float32],
    keys: NDArray[np.uint64],
    iteration: int,
    spec: AttackSpec,
) -> NDArray[np.float32]:
    halvings = sum(iteration * 10_000 > mark * spec.queries for mark in _HALVINGS)
    share = _FIRST_SHARE / 2**halvings
    shape = clean.shape[1:]
    layout = _image_layout(shape)
    if layout is None:
        inside, sign = _random_set(keys, iteration, share, int(np.prod(shape)))
        inside, sign = inside.reshape(clean.shape), sign.reshape(clean.shape)
    else:
        inside, sign = _random_square(keys, iteration, share, layout)
        if layout.channels_last:
            inside, sign = np.moveaxis(inside, 1, 3), np.moveaxis(sign, 1, 3)
        if len(shape) == 2:
            inside, sign = inside[:, 0], sign[:, 0]
    patched = clean + np.float32(spec.eps) * sign
    return np.where(inside, patched, best).astype(np.float32, copy=False)


def _random_set(
    keys: NDArray[np.uint64], iteration: int, share: float, size: int
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    sign = signs(keys, 2 * iteration, size)
    if iteration == 1:
        return np.ones(sign.shape, dtype=np.bool_), sign
    # The entries with the smallest draws are a random set of exactly this many.
    draws = uniform(keys, 2 * iteration + 1, size)
    count = max(1, round(share * size))
    return draws <= np.partition(draws, count - 1, axis=1)[:, count - 1 : count], sign


def _random_square(
    keys: NDArray[np.uint64], iteration: int, share: float, layout: _Layout
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    channels, height, width = layout.channels, layout.height, layout.width
    if iteration == 1:
        stripes = signs(keys, 2 * iteration, channels * width).reshape(-1, channels, 1, width)
        return np.ones((len(keys), 1, height, 1), dtype=np.bool_), stripes
    side = int(np.clip(round(float(np.sqrt(share * height * width))), 1, max(1, min(height, width) - 1)))
    corner = uniform(keys, 2 * iteration + 1, 2)
    in_rows = _window(corner[:, 0], side, height)[:, None, :, None]
    in_columns = _window(corner[:, 1], side, width)[:, None, None, :]
    return in_rows & in_columns, signs(keys, 2 * iteration, channels)[:, :, None, None]


def _window(draws: NDArray[np.float64], side: int, length: int) -> NDArray[np.bool_]:
    start = np.floor(draws * (length - side + 1)).astype(np.int64)[:, None]
    places = np.arange(length)[None, :]
    return np.asarray((places >= start) & (places < start + side), dtype=np.bool_)


class _Layout(NamedTuple):
    channels: int
    height: int
    width: int
    channels_last: bool


def _image_layout(shape: tuple[int, ...]) -> _Layout | None:
    if len(shape) == 2:
        return _Layout(1, shape[0], shape[1], channels_last=False)
    if len(shape) == 3 and shape[2] <= 4 < shape[0]:
        return _Layout(shape[2], shape[0], shape[1], channels_last=True)
    if len(shape) == 3:
        return _Layout(*shape, channels_last=False)
    return None
