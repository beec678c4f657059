"""Random signs times eps: the control that every real attack must beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexgate.attacks.base import AttackOutcome, AttackSpec, GradientKind
from hexgate.attacks.bounds import enter
from hexgate.attacks.draws import row_keys, signs
from hexgate.targets.base import GradientSource, Predictor

__all__ = ["PARAMETERS", "noise"]

PARAMETERS: tuple[str, ...] = ()
"""Fields of `AttackSpec` that this attack takes beside its size, range, loss and seed."""


def noise(
    predictor: Predictor,  # noqa: ARG001 - every attack is called alike
    gradients: GradientSource | None,  # noqa: ARG001
    batch: NDArray[np.float32],
    labels: NDArray[np.int64],
    spec: AttackSpec,
) -> AttackOutcome:
    """One draw of eps or -eps a value. See `hexgate.attacks.base.Attack` for shapes and errors."""
    bounds = enter(batch, labels, spec)
    size = int(np.prod(bounds.clean.shape[1:]))
    shift = np.float32(spec.eps) * signs(row_keys(bounds.clean, spec.seed), 0, size).reshape(
        bounds.clean.shape
    )
    return bounds.outcome(
        bounds.project(bounds.clean + shift), queries=0, source=GradientKind.NONE, loss=None
    )
