"""Projected gradient descent (Madry et al. 2017), L-infinity: many small steps, each put back in the box."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from hexgate.attacks.base import AttackOutcome, AttackSpec
from hexgate.attacks.bounds import Bounds, enter
from hexgate.attacks.draws import row_keys, uniform
from hexgate.attacks.gradient import gradient_kind, gradient_of
from hexgate.attacks.losses import class_logits, margin
from hexgate.targets.base import GradientSource, Predictor

__all__ = ["PARAMETERS", "pgd"]

PARAMETERS: tuple[str, ...] = ("steps", "step_size", "restarts", "random_start")
"""Fields of `AttackSpec` that this attack takes beside its size, range, loss and seed."""


def pgd(
    predictor: Predictor,
    gradients: GradientSource | None,
    batch: NDArray[np.float32],
    labels: NDArray[np.int64],
    spec: AttackSpec,
) -> AttackOutcome:
    """`steps` steps along the gradient's sign; with restarts, the run with a row's greatest margin counts.

    See `hexgate.attacks.base.Attack` for shapes and errors. One run asks for no scores beyond its gradients,
    and its last point counts, as in the published algorithm.
    """
    bounds = enter(batch, labels, spec)
    queries, zero_rows = 0, 0
    difference_steps: Counter[float] = Counter()
    best = bounds.clean
    best_margin = np.full(len(best), -np.inf)
    loss = spec.loss
    for restart in range(spec.restarts):
        moved = bounds.clean if restart == 0 and not spec.random_start else _random_point(bounds, restart)
        for step in range(spec.steps):
            gradient = gradient_of(predictor, gradients, moved, labels, bounds)
            if restart == 0 and step == 0:
                zero_rows = gradient.zero_rows
            queries += gradient.queries
            loss = gradient.loss
            difference_steps.update(gradient.difference_steps)
            moved = bounds.project(moved + np.float32(_step_size(spec)) * np.sign(gradient.values))
        if spec.restarts == 1:
            best = moved
            break
        reached = margin(class_logits(predictor.scores(moved), predictor.output), labels)
        queries += len(moved)
        better = reached > best_margin
        best = np.where(better.reshape(-1, *(1,) * (moved.ndim - 1)), moved, best)
        best_margin = np.maximum(best_margin, reached)
    return bounds.outcome(
        best,
        queries=queries,
        source=gradient_kind(gradients, bounds.clean),
        loss=loss,
        zero_gradient_rows=zero_rows,
        iterations=spec.steps * spec.restarts,
        difference_steps=difference_steps,
    )


def _step_size(spec: AttackSpec) -> float:
    return 2.5 * spec.eps / spec.steps if spec.step_size is None else spec.step_size


def _random_point(bounds: Bounds, restart: int) -> NDArray[np.float32]:
    clean = bounds.clean
    draws = uniform(row_keys(clean, bounds.spec.seed), restart, int(np.prod(clean.shape[1:])))
    shift = (2 * draws - 1).reshape(clean.shape) * bounds.spec.eps
    return bounds.project(clean + shift.astype(np.float32))
