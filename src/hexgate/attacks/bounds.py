"""Where an adversarial input may lie, checked before an attack and again after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexgate.attacks.base import AttackOutcome, AttackSpec, GradientKind, Loss
from hexgate.errors import DataError, EvidenceError

__all__ = ["Bounds", "enter", "tolerance"]

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Bounds:
    """The box around each clean input. Clipping to it never moves the clean input itself."""

    clean: NDArray[np.float32]
    """(n, *input_shape), a copy of the attacked inputs."""
    low: NDArray[np.float32]
    """Least valid value of each entry: that of the range, or the clean value where that is less."""
    high: NDArray[np.float32]
    """Greatest valid value of each entry: that of the range, or the clean value where that is greater."""
    spec: AttackSpec
    """The attack's parameters."""

    def project(
        self, moved: NDArray[np.float32], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """The nearest point of the box, for all rows or for those named."""
        clean, low, high = self.clean, self.low, self.high
        if rows is not None:
            clean, low, high = clean[rows], low[rows], high[rows]
        eps = np.float32(self.spec.eps)
        inside: NDArray[np.float32] = np.clip(clean + np.clip(moved - clean, -eps, eps), low, high)
        return inside

    def outcome(
        self,
        adversarial: NDArray[np.float32],
        *,
        queries: int,
        source: GradientKind,
        loss: Loss | None,
        zero_gradient_rows: int | None = None,
        iterations: int = 1,
        difference_steps: Mapping[float, int] | None = None,
    ) -> AttackOutcome:
        """The outcome of an attack, whose inputs have been checked against the bounds once more.

        Raises:
            EvidenceError: if an input has moved by more than eps, or out of the range.
        """
        self._check(adversarial)
        return AttackOutcome(
            adversarial=adversarial,
            queries_total=queries,
            gradient_source=source,
            loss=loss,
            zero_gradient_rows=zero_gradient_rows,
            iterations=iterations,
            difference_steps=dict(difference_steps or {}),
        )

    def _check(self, adversarial: NDArray[np.float32]) -> None:
        wide = adversarial.astype(np.float64)
        moved = float(np.abs(wide - self.clean).max(initial=0.0))
        reach = max(float(np.abs(self.low).max(initial=0.0)), float(np.abs(self.high).max(initial=0.0)))
        inside = bool(((adversarial >= self.low) & (adversarial <= self.high)).all())
        if (
            adversarial.shape != self.clean.shape
            or not moved <= self.spec.eps + tolerance(reach)
            or not inside
        ):
            raise EvidenceError(
                f"the attack {self.spec.attack_type!r} broke its own bounds, so its result is void",
                got=f"a change of {moved:.9g}, {'inside' if inside else 'outside'} the input range",
                expected=f"at most {self.spec.eps:.9g}, inside the range",
                hint="this is a fault of hexgate; please report it with the model and the flags",
            )


def tolerance(greatest: float) -> float:
    """How exactly eps can be met where input values reach up to `greatest`, in units of the input."""
    # Inputs are float32: at 255 two neighbours are 1.5e-5 apart.
    return _TOLERANCE + float(np.spacing(np.float32(greatest)))


def enter(batch: NDArray[np.float32], labels: NDArray[np.int64], spec: AttackSpec) -> Bounds:
    """Check the inputs of an attack and draw the box around each.

    Raises:
        DataError: if there are none, if one is not finite or lies outside the range (naming least and greatest
            value), or if the labels do not pair with the inputs.
    """
    clean = np.array(batch, dtype=np.float32)
    if clean.ndim < 2 or labels.shape != (len(clean),):
        raise DataError(
            "inputs and labels do not pair",
            got=f"inputs {clean.shape}, labels {labels.shape}",
            expected="inputs (n, *shape), labels (n,)",
        )
    if len(clean) == 0:
        raise DataError("there are no inputs to attack")
    if not np.isfinite(clean).all():
        raise DataError("an input to be attacked is not a finite number")
    low, high = spec.input_range
    slack = _TOLERANCE * (high - low)
    least, greatest = float(clean.min(initial=high)), float(clean.max(initial=low))
    if not spec.widen and (least < low - slack or greatest > high + slack):
        raise DataError(
            "inputs lie outside the model's input range, in which eps and clipping are meant",
            got=f"values from {least:.6g} to {greatest:.6g}",
            expected=f"values from {low:.6g} to {high:.6g}",
            hint="give the data as the model takes it, or state the true input_range in the model's card",
        )
    return Bounds(
        clean=clean,
        low=np.minimum(np.float32(low), clean),
        high=np.maximum(np.float32(high), clean),
        spec=spec,
    )
