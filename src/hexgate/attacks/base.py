"""What an attack is: its parameters, its outcome, and a registry that imports none before it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from hexgate.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hexgate.targets.base import GradientSource, Predictor

__all__ = [
    "ATTACKS",
    "Attack",
    "AttackOutcome",
    "AttackSpec",
    "GradientKind",
    "Loss",
    "open_attack",
    "parameters_of",
]

ATTACKS: dict[str, str] = {
    "fgsm": "hexgate.attacks.fgsm:fgsm",
    "pgd": "hexgate.attacks.pgd:pgd",
    "square": "hexgate.attacks.square:square",
    "noise": "hexgate.attacks.noise:noise",
}


class Loss(str, Enum):
    """What an attack makes greater."""

    MARGIN = "margin"
    """Best other class minus true class, on logits. Immune to the scale of the logits."""
    CROSS_ENTROPY = "cross_entropy"
    """Minus the log-probability of the true class. Its gradient vanishes in float32 when logits are large."""


class GradientKind(str, Enum):
    """Where the gradients of an attack came from."""

    AUTOGRAD = "autograd"
    """The target differentiates itself, exactly."""
    FINITE_DIFFERENCE = "finite_difference"
    """Central differences of the margin loss through the scores."""
    NONE = "none"
    """The attack used no gradient."""


@dataclass(frozen=True)
class AttackSpec:
    """The parameters of one attack. Lengths are in the unit of the model's input, in the L-infinity norm."""

    attack_type: str
    """A name of `ATTACKS`."""
    eps: float
    """Greatest change of any one input value."""
    input_range: tuple[float, float]
    """Least and greatest valid input value, which no adversarial input leaves."""
    steps: int = 20
    """Iterations of PGD."""
    step_size: float | None = None
    """Length of one iteration of PGD; None for 2.5 * eps / steps."""
    restarts: int = 1
    """Runs of PGD, of which the worst for the model counts; all but the first start at random."""
    random_start: bool = False
    """Whether the first run of PGD starts at random, too, instead of at the clean input."""
    queries: int = 500
    """Most scored inputs for each attacked input, for an attack by scores alone."""
    loss: Loss = Loss.MARGIN
    """What to make greater, where the target gives gradients. Everything else uses the margin."""
    difference_step: float = 1e-3
    """First half-distance of finite differences, as a share of the input range's width."""
    widen: bool = False
    """Whether an input outside the range is let in, with the range widened to itself, instead of refused."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        low, high = self.input_range
        checks = (
            (0 <= self.eps < float("inf"), f"eps {self.eps}", "a finite number, 0 or greater"),
            (low < high, f"input_range [{low}, {high}]", "two numbers, the first below the second"),
            (self.steps >= 1, f"steps {self.steps}", "1 or more"),
            (self.step_size is None or self.step_size >= 0, f"step_size {self.step_size}", "0 or greater"),
            (self.restarts >= 1, f"restarts {self.restarts}", "1 or more"),
            (self.queries >= 1, f"queries {self.queries}", "1 or more"),
            (0 < self.difference_step < 0.5, f"difference_step {self.difference_step}", "between 0 and 0.5"),
        )
        for holds, got, expected in checks:
            if not holds:
                raise InputError("an attack cannot be run like this", got=got, expected=expected)


@dataclass(frozen=True)
class AttackOutcome:
    """What one attack did. Outcomes of parts of a set add up: every row is attacked by itself."""

    adversarial: NDArray[np.float32]
    """(n, *input_shape): one input for each clean one, within eps of it and within the range."""
    queries_total: int
    """Inputs that went through the model in all; a gradient by the target itself counts as one."""
    gradient_source: GradientKind
    """Where the gradients came from."""
    loss: Loss | None
    """What was really made greater (without the target's own gradients, the margin); None for noise."""
    zero_gradient_rows: int | None
    """Rows whose gradient where the attack starts is zero everywhere: a step goes nowhere. None without
    gradients."""
    iterations: int
    """Most iterations that any row took."""
    difference_steps: Mapping[float, int] = field(default_factory=dict)
    """How many gradients used each half-distance of finite differences, as a share of the range's width; a
    coarse one is a sign of a quantised model."""


class Attack(Protocol):
    """One attack, as a function without state."""

    def __call__(
        self,
        predictor: Predictor,
        gradients: GradientSource | None,
        batch: NDArray[np.float32],
        labels: NDArray[np.int64],
        spec: AttackSpec,
    ) -> AttackOutcome:
        """Look for inputs near `batch` that the predictor gets wrong.

        Args:
            predictor: what is attacked.
            gradients: its gradients, or None where it has none.
            batch: (n, *input_shape), the clean inputs.
            labels: (n,), the index of the true class of each.
            spec: the parameters.

        Raises:
            DataError: if there are no inputs, some lie outside the range, or a label is not a class's index.
            TargetUnusable: if the attack needs gradients that there are not.
            TargetFailed: if the model does not answer, or answers with what is not a number.
            EvidenceError: if the attack itself broke its bounds, which is a fault of hexgate.
        """


def parameters_of(name: str) -> tuple[str, ...]:
    """The fields of `AttackSpec` that an attack of `ATTACKS` takes beside its size, range, loss and seed."""
    found: tuple[str, ...] = import_module(ATTACKS[name].partition(":")[0]).PARAMETERS
    return found


def open_attack(name: str) -> Attack:
    """The attack of a name of `ATTACKS`.

    Raises:
        InputError: for any other name, with the nearest one.
    """
    if name not in ATTACKS:
        near = get_close_matches(name, ATTACKS, n=1)
        raise InputError(
            f"there is no attack named {name!r}",
            expected=f"one of {', '.join(ATTACKS)}",
            hint=f"did you mean {near[0]!r}?" if near else None,
        )
    module, _, attribute = ATTACKS[name].partition(":")
    found: Attack = getattr(import_module(module), attribute)
    return found
