"""The fast gradient sign method (Goodfellow, Shlens, Szegedy 2014): one step by the gradient's sign."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexgate.attacks.base import AttackOutcome, AttackSpec
from hexgate.attacks.bounds import enter
from hexgate.attacks.gradient import gradient_of
from hexgate.targets.base import GradientSource, Predictor

__all__ = ["PARAMETERS", "fgsm"]

PARAMETERS: tuple[str, ...] = ()
"""Fields of `AttackSpec` that this attack takes beside its size, range, loss and seed."""


def fgsm(
    predictor: Predictor,
    gradients: GradientSource | None,
    batch: NDArray[np.float32],
    labels: NDArray[np.int64],
    spec: AttackSpec,
) -> AttackOutcome:
    """clip(x + eps * sign(gradient of the loss)). See `hexgate.attacks.base.Attack` for shapes and errors."""
    bounds = enter(batch, labels, spec)
    gradient = gradient_of(predictor, gradients, bounds.clean, labels, bounds)
    moved = bounds.clean + np.float32(spec.eps) * np.sign(gradient.values)
    return bounds.outcome(
        bounds.project(moved),
        queries=gradient.queries,
        source=gradient.kind,
        loss=gradient.loss,
        zero_gradient_rows=gradient.zero_rows,
        difference_steps=gradient.difference_steps,
    )
