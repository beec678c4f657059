"""Cheap signs that an attack's result cannot be trusted: masked gradients, moved inputs, a random model.

The strongest is a rival: Square asks for scores alone, so what hides a gradient does not hold it up. An attack
that it beats was too weak.

The reasons are those of Carlini et al. 2019 (On Evaluating Adversarial Robustness) and Pintor et al. 2022
(Indicators of Attack Failure). A result with any of them says little about the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb, sqrt

import numpy as np
from numpy.typing import NDArray

from hexgate.attacks.base import AttackOutcome, AttackSpec, open_attack
from hexgate.attacks.losses import class_logits, margin, predicted
from hexgate.targets.base import GradientSource, Predictor

__all__ = ["Probes", "probe"]

_ZERO_ROWS_LIMIT = 0.01
_SIGN_TEST_LEVEL = 0.05
_DRIFT_LIMIT = 1e-4
_ABOVE_CHANCE = 0.1
_RIVAL_QUERIES = 200
_RIVAL_FLOATS = 1 << 24
_RIVAL_LEAST_ROWS = 32
_RIVAL_GAIN = 0.5
_LEAST_COMPARED = 5


@dataclass(frozen=True)
class Rival:
    """What Square finds on the first of the probed rows, beside the attack."""

    rows: int
    """Rows that Square attacked."""
    queries: int
    """Most queries that it had for each."""
    rival_only: int
    """Rows that Square turns wrong and the attack does not."""
    attack_only: int
    """Rows that the attack turns wrong and Square does not."""
    compared: int
    """Rows that stay right under both, in which the margins are compared."""
    rival_gain: float | None
    """Median rise of their margin under Square, in units of the logits; None where there are none."""
    attack_gain: float | None
    """The same under the attack."""


@dataclass(frozen=True)
class Probes:
    """What the probes found. Counts are of rows; rates, 0 to 1, are of the rows that the model gets right."""

    rows: int
    """Rows that were probed."""
    eps0_flips: int
    """Predictions that change under the same attack with eps 0; any is a fault of the measurement."""
    attack_success: float | None
    """Newly wrong over originally right under the attack; None where none was right."""
    noise_success: float | None
    """The same under random signs of the same eps; None where none was right."""
    noise_only: int
    """Rows that noise turns wrong and the attack does not."""
    attack_only: int
    """Rows that the attack turns wrong and noise does not."""
    zero_gradient_share: float | None
    """Share of rows whose gradient is zero everywhere; None where the attack used none."""
    clean_flips: int
    """Predictions that differ between two passes over the same clean inputs."""
    clean_drift: float
    """Greatest difference of a score between those passes, relative to the greatest score (at least 1)."""
    half_range_accuracy: float | None
    """Accuracy under the attack with eps of half the range, which no model withstands; None if not tried."""
    chance: float
    """Accuracy of always naming the most frequent class of the rows, or of guessing, whichever is greater."""
    rival: Rival | None
    """What Square finds; None for an attack with eps 0, and for Square with as many queries."""
    suspect_reasons: tuple[str, ...]
    """Why the attack's result is not to be trusted, one sentence each; empty where nothing was found."""


def probe(
    predictor: Predictor,
    gradients: GradientSource | None,
    batch: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    spec: AttackSpec,
    outcome: AttackOutcome,
    half_range: bool = False,
) -> Probes:
    """Probe the outcome of one attack.

    Costs five passes (two clean, one each adversarial, noisy and at eps 0), one step of the attack, and Square
    with 200 queries a row, on fewer rows where inputs have more than 300 entries.

    Args:
        predictor: what was attacked.
        gradients: its gradients, or None.
        batch: (n, *input_shape), the clean inputs of the outcome.
        labels: (n,), their true classes.
        spec: the parameters of the outcome.
        outcome: what the attack found.
        half_range: whether to attack once more, with eps of half the range.

    Raises:
        DataError, TargetUnusable, TargetFailed, EvidenceError: as an attack does.
    """
    output = predictor.output
    first, second = predictor.scores(batch), predictor.scores(batch)
    clean = predicted(first, output)
    right = clean == labels
    attacked = right & (predicted(predictor.scores(outcome.adversarial), output) != labels)
    noisy_inputs = open_attack("noise")(predictor, None, batch, labels, spec).adversarial
    noisy = right & (predicted(predictor.scores(noisy_inputs), output) != labels)
    still = replace(spec, eps=0.0, step_size=None, steps=1, restarts=1, queries=min(spec.queries, 5))
    at_zero = open_attack(spec.attack_type)(predictor, gradients, batch, labels, still).adversarial
    largest = max(1.0, float(np.abs(first).max(initial=0.0)))
    zeros = outcome.zero_gradient_rows
    found = Probes(
        rows=len(labels),
        eps0_flips=int((predicted(predictor.scores(at_zero), output) != clean).sum()),
        attack_success=float(attacked.sum() / right.sum()) if right.any() else None,
        noise_success=float(noisy.sum() / right.sum()) if right.any() else None,
        noise_only=int((noisy & ~attacked).sum()),
        attack_only=int((attacked & ~noisy).sum()),
        zero_gradient_share=None if zeros is None else zeros / len(labels),
        clean_flips=int((predicted(second, output) != clean).sum()),
        clean_drift=float(np.abs(first.astype(np.float64) - second).max(initial=0.0)) / largest,
        half_range_accuracy=(
            _half_range_accuracy(predictor, gradients, batch, labels, spec) if half_range else None
        ),
        chance=_chance(labels, max(2, first.shape[1])),
        rival=_rival(predictor, batch, labels, spec, outcome),
        suspect_reasons=(),
    )
    return replace(found, suspect_reasons=_reasons(found))


def _rival(
    predictor: Predictor,
    batch: NDArray[np.float32],
    labels: NDArray[np.int64],
    spec: AttackSpec,
    outcome: AttackOutcome,
) -> Rival | None:
    as_strong = spec.attack_type == "square" and spec.queries >= _RIVAL_QUERIES
    if as_strong or spec.eps == 0:
        return None
    affordable = _RIVAL_FLOATS // (_RIVAL_QUERIES * max(1, batch[0].size))
    rows = slice(0, max(_RIVAL_LEAST_ROWS, affordable))
    batch, labels = batch[rows], labels[rows]
    wanted = replace(spec, attack_type="square", queries=_RIVAL_QUERIES)
    by_rival = open_attack("square")(predictor, None, batch, labels, wanted).adversarial
    clean, attacked, rivalled = (
        margin(class_logits(predictor.scores(inputs), predictor.output), labels)
        for inputs in (batch, outcome.adversarial[rows], by_rival)
    )
    right = clean <= 0
    # Square leaves a row alone once it is wrong, so margins say something only where both failed.
    both_failed = right & (attacked <= 0) & (rivalled <= 0)
    compared = int(both_failed.sum())
    return Rival(
        rows=len(labels),
        queries=_RIVAL_QUERIES,
        rival_only=int((right & (rivalled > 0) & (attacked <= 0)).sum()),
        attack_only=int((right & (attacked > 0) & (rivalled <= 0)).sum()),
        compared=compared,
        rival_gain=float(np.median((rivalled - clean)[both_failed])) if compared else None,
        attack_gain=float(np.median((attacked - clean)[both_failed])) if compared else None,
    )


def _half_range_accuracy(
    predictor: Predictor,
    gradients: GradientSource | None,
    batch: NDArray[np.float32],
    labels: NDArray[np.int64],
    spec: AttackSpec,
) -> float:
    wide = replace(spec, eps=0.5 * (spec.input_range[1] - spec.input_range[0]), step_size=None)
    moved = open_attack(spec.attack_type)(predictor, gradients, batch, labels, wide).adversarial
    return float((predicted(predictor.scores(moved), predictor.output) == labels).mean())


def _chance(labels: NDArray[np.int64], classes: int) -> float:
    return max(1.0 / classes, float(np.bincount(labels).max() / len(labels)))


def _reasons(found: Probes) -> tuple[str, ...]:
    reasons = []
    if found.eps0_flips:
        reasons.append(f"{found.eps0_flips} of {found.rows} predictions change under the attack with eps 0")
    if found.clean_flips or found.clean_drift > _DRIFT_LIMIT:
        reasons.append(
            f"two passes over the same inputs differ ({found.clean_flips} predictions, scores by up to "
            f"{found.clean_drift:.2g} of the greatest): the model is not deterministic"
        )
    if found.zero_gradient_share is not None and found.zero_gradient_share > _ZERO_ROWS_LIMIT:
        reasons.append(
            f"{found.zero_gradient_share:.1%} of the rows have a gradient of nothing but zeros: it is masked"
        )
    if (
        found.noise_only > found.attack_only
        and _sign_test(found.noise_only, found.attack_only) < _SIGN_TEST_LEVEL
    ):
        reasons.append(
            f"random noise turns {found.noise_only} rows wrong that the attack does not, and the attack only "
            f"{found.attack_only} that noise does not"
        )
    if found.rival is not None:
        reasons.extend(_beaten(found.rival))
    if found.half_range_accuracy is not None:
        slack = _ABOVE_CHANCE + 2 * sqrt(found.chance * (1 - found.chance) / found.rows)
        if found.half_range_accuracy > found.chance + slack:
            reasons.append(
                f"with eps of half the input range accuracy is still {found.half_range_accuracy:.1%}, "
                f"and chance is {found.chance:.1%}"
            )
    return tuple(reasons)


def _beaten(rival: Rival) -> tuple[str, ...]:
    reasons = []
    square = f"Square with {rival.queries} queries"
    if (
        rival.rival_only > rival.attack_only
        and _sign_test(rival.rival_only, rival.attack_only) < _SIGN_TEST_LEVEL
    ):
        reasons.append(
            f"{square}, which needs no gradient, turns {rival.rival_only} of {rival.rows} rows wrong that the "
            f"attack does not, and the attack only {rival.attack_only} that it does not"
        )
    own, square_gain = rival.attack_gain, rival.rival_gain
    if own is None or square_gain is None or rival.compared < _LEAST_COMPARED:
        return tuple(reasons)
    if own < _RIVAL_GAIN * square_gain:
        reasons.append(
            f"in the {rival.compared} of {rival.rows} rows that stay right the attack raises the margin by "
            f"{own:.3g}, {square} by {square_gain:.3g} (medians): it misses the slope"
        )
    return tuple(reasons)


def _sign_test(more: int, fewer: int) -> float:
    """Probability of at least `more` heads in as many fair coins as there are discordant rows."""
    total = more + fewer
    tail = sum(comb(total, heads) for heads in range(more, total + 1))
    return tail / (1 << total)
